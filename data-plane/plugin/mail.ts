import { type MailOutcome, maxMailBytes } from "../../protocol/index.ts";
import { assertBytes, assertCommand } from "./command.ts";

/** A message of the game that a plugin has sent to a player, here or on another cluster. */
export interface Mail {
  /** The cluster that it comes from, by the master's word; `undefined` for this one. Which player had it sent, only the payload can say. */
  readonly from: string | undefined;
  readonly command: number;
  readonly payload: Uint8Array;
}

/** Sends mail; what it takes has been checked. */
export type MailSender = (playerId: string, command: number, payload: Uint8Array) => Promise<MailOutcome>;

/** Whether it can be a player's id at all: nobody is asked about others. */
export function isPlayerId(text: string): boolean {
  return text.length > 0 && text.length <= 64;
}

/** @throws RangeError for a command that is not a byte, or a payload that is no bytes or over 4,096 of them */
export function assertMail(command: number, payload: Uint8Array): void {
  assertCommand(command);
  assertBytes(payload);
  if (payload.length > maxMailBytes) {
    throw new RangeError(
      `a payload that may go to another cluster has at most ${maxMailBytes} bytes, not ${payload.length}`,
    );
  }
}
