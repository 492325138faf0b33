import { type Decoder, decode, MapSchema, Reflection } from "@colyseus/schema";
import { codes } from "./colyseus-wire.ts";

/** Follows what one player is told with Colyseus's own decoder: shows that it sees what it is to see. */
export class StateWatcher {
  #decoder?: Decoder;

  /** A message has come, whose code is at `start`. */
  hear(bytes: Buffer, start: number, end: number): void {
    const code = bytes[start];
    // The decoder keeps nothing of the bytes.
    const message = bytes.subarray(start, end);
    if (code === codes.joinRoom) this.#shake(message);
    if (code === codes.roomState || code === codes.roomStatePatch) this.#decoder?.decode(message, { offset: 1 });
  }

  /** Bodies in view. */
  get seen(): number {
    const bodies: unknown = Object(this.#decoder?.state)["bodies"];
    return bodies instanceof MapSchema ? bodies.size : 0;
  }

  /** The answer to a join: two names with their lengths, then what the state is made of. */
  #shake(message: Buffer): void {
    const at = { offset: 1 };
    for (let name = 0; name < 2; name++) at.offset += 1 + (message[at.offset] ?? 0);
    const length = decode.number(message, at);
    this.#decoder = Reflection.decode(message.subarray(0, at.offset + length), at);
  }
}
