import { encodeMessage, encodeState } from "../../protocol/index.ts";
import { assertBytes, assertCommand } from "../plugin/command.ts";

/** What fits into a MESSAGE frame beside type and command. */
export const maxPayloadBytes = 65_533;

/**
 * A MESSAGE frame.
 *
 * @throws RangeError for a command that is not a byte, or a payload that is no bytes or over 65,533 of them
 */
export function encodeGameMessage(command: number, payload: Uint8Array): Uint8Array {
  assertGameMessage(command, payload);
  return encodeMessage({ command, payload });
}

/** Latest-only state, encoded once for all who get it: as STATE, or as MESSAGE for clients that do not know that. [LATEST-4] */
export class StateFrames {
  readonly #command: number;
  readonly #payload: Uint8Array;
  #state: Uint8Array | undefined;
  #message: Uint8Array | undefined;

  /** @throws RangeError as {@link encodeGameMessage} */
  constructor(command: number, payload: Uint8Array) {
    assertGameMessage(command, payload);
    this.#command = command;
    this.#payload = payload;
  }

  get state(): Uint8Array {
    this.#state ??= encodeState({ command: this.#command, payload: this.#payload });
    return this.#state;
  }

  get message(): Uint8Array {
    this.#message ??= encodeMessage({ command: this.#command, payload: this.#payload });
    return this.#message;
  }
}

/**
 * @param maxBytes of the payload
 * @throws RangeError for a command that is not a byte, or a payload that is no bytes or longer
 */
export function assertGameMessage(command: number, payload: Uint8Array, maxBytes = maxPayloadBytes): void {
  assertCommand(command);
  assertBytes(payload);
  if (payload.length > maxBytes) {
    throw new RangeError(`a payload has at most ${maxBytes} bytes, not ${payload.length}`);
  }
}
