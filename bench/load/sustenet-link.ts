import type { Socket } from "node:net";
import {
  encodeAck,
  encodeMove,
  encodePing,
  encodePong,
  isNumbered,
  limits,
  messageTypes,
} from "../../protocol/index.ts";
import { Link } from "./link.ts";
import { SustenetScanner } from "./scanner.ts";
import { Walk } from "./walk.ts";

/** How often a player sends PING, in turns of {@link attendMs}. [PING-2] */
const turnsPerPing = 6;

/** How often a player is attended to: as soon as an ACK by itself may be due. [ACK-2] */
export const attendMs = limits.ackDelayMs;

const ping = encodePing({ timeMs: 1 });

/** A player that keeps the protocol as a client that offers every feature does: it answers PING, and acknowledges. */
export class SustenetLink extends Link {
  /** Resolves with the WELCOME; rejects when there is none. */
  readonly joined: Promise<void>;
  #received = 0;
  #unreportedFrames = 0;
  #unreportedBytes = 0;
  #turns = 0;
  /** From when on ACK goes along with what is sent, as in the client library. [ACK-2] */
  #ackAlongFromMs = Number.POSITIVE_INFINITY;
  #walk = new Walk(0, 0);
  #sequence = 0;

  constructor(socket: Socket) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    super(socket, new SustenetScanner(), () => (type, bytes, start, end) => {
      if (isNumbered(type)) this.#acknowledge(end - start);
      if (type === messageTypes.message || type === messageTypes.state) this.count(bytes, start + 1, end);
      else if (type === messageTypes.entities) this.count(bytes, start, end);
      else if (type === messageTypes.position) this.#place(bytes.readFloatLE(start + 2), bytes.readFloatLE(start + 10));
      else if (type === messageTypes.ping) this.write(encodePong({ echoMs: bytes.readDoubleLE(start), timeMs: 0 }));
      else if (type === messageTypes.welcome) resolve();
      else if (type === messageTypes.reject || type === messageTypes.close) {
        this.fault = `told to go, code ${bytes.readUInt16LE(start)}`;
        reject(new Error(this.fault));
      }
    });
    this.joined = promise;
    socket.once("close", () => reject(new Error(this.fault ?? "closed before WELCOME")));
  }

  override send(bytes: Uint8Array): void {
    const isDue = this.#unreportedFrames > 0 && performance.now() >= this.#ackAlongFromMs;
    super.send(isDue ? Buffer.concat([bytes, this.#takeAck()]) : bytes);
  }

  attend(): void {
    if (this.#unreportedFrames > 0) this.#report();
    this.#turns += 1;
    if (this.#turns % turnsPerPing === 0) this.write(ping);
  }

  /** Walks a step. */
  step(side: number): void {
    const walk = this.#walk;
    walk.step(side);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.write(encodeMove({ sequence: this.#sequence, x: walk.x, y: 0, z: walk.z, heading: walk.heading }));
  }

  #place(x: number, z: number): void {
    this.#walk = new Walk(x, z);
  }

  /** A numbered frame has come. [ACK-2] */
  #acknowledge(bodyBytes: number): void {
    this.#received += 1;
    if (this.#unreportedFrames === 0) this.#ackAlongFromMs = performance.now() + limits.ackAlongMs;
    this.#unreportedFrames += 1;
    this.#unreportedBytes += 1 + bodyBytes;
    if (this.#unreportedFrames >= limits.ackFrames || this.#unreportedBytes >= limits.ackBytes) this.#report();
  }

  #report(): void {
    this.write(this.#takeAck());
  }

  #takeAck(): Uint8Array {
    this.#unreportedFrames = 0;
    this.#unreportedBytes = 0;
    return encodeAck({ received: this.#received >>> 0 });
  }
}
