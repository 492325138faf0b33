import { ProtocolError } from "./error.ts";
import { limits } from "./limits.ts";
import { SentFrames } from "./sent-frames.ts";
import { messageTypes } from "./types.ts";

/** How much of what has not been acknowledged is kept. */
export interface ReplayBounds {
  readonly maxFrames: number;
  readonly maxBytes: number;
}

/** One side's numbered streams as plain data: what it takes to carry them on elsewhere. */
export interface NumberedStreamsData {
  /** Number of the last frame that was received and handled. */
  readonly lastInput: number;
  /** Number of the last frame that was sent. */
  readonly lastOutput: number;
  /** The frames up to `lastOutput` that may still have to be sent again. */
  readonly unacknowledged: readonly Uint8Array[];
}

/** Whether frames of this type are counted. Asked for every frame. Spec: docs/PROTOCOL.md, section 5.10. */
export function isNumbered(type: number): boolean {
  return (
    type === messageTypes.message ||
    type === messageTypes.request ||
    type === messageTypes.response ||
    type === messageTypes.cancel
  );
}

/**
 * The numbered frames of both directions, as one side sees them: each side counts from 1 what it sends and what it receives,
 * and keeps what it sent until it is acknowledged. Outlives connections. Numbers on the wire are modulo 2^32. [RESUME-3]
 */
export class NumberedStreams {
  readonly #bounds: ReplayBounds;
  /** Sent and not acknowledged. */
  readonly #kept = new SentFrames();
  #sent: number;
  #acknowledged: number;
  #received: number;
  #unreportedFrames = 0;
  #unreportedBytes = 0;

  constructor(bounds: ReplayBounds, data: NumberedStreamsData = { lastInput: 0, lastOutput: 0, unacknowledged: [] }) {
    this.#bounds = bounds;
    for (const frame of data.unacknowledged) this.#kept.add(frame, 0, frame.length, 1);
    this.#sent = data.lastOutput;
    this.#acknowledged = data.lastOutput - data.unacknowledged.length;
    this.#received = data.lastInput;
  }

  /** Numbered frames received, modulo 2^32. */
  get received(): number {
    return this.#received >>> 0;
  }

  /** Number of the last frame that was received and handled. */
  get lastInput(): number {
    return this.#received;
  }

  /** Number of the last frame that was sent. */
  get lastOutput(): number {
    return this.#sent;
  }

  /** Number of the last frame that the other side is known to have received. */
  get lastAcknowledged(): number {
    return this.#acknowledged;
  }

  /** Frames that are kept, and their bytes. */
  get keptFrames(): number {
    return this.#kept.frames;
  }

  get keptBytes(): number {
    return this.#kept.bytes;
  }

  /** Whether one more frame of this length can be kept without another being forgotten. */
  hasRoomFor(byteLength: number): boolean {
    return this.keptFrames < this.#bounds.maxFrames && this.keptBytes + byteLength <= this.#bounds.maxBytes;
  }

  /** Whether so many frames more can be kept without another being forgotten. */
  hasRoom(frames: number, bytes: number): boolean {
    const { maxFrames, maxBytes } = this.#bounds;
    return this.keptFrames + frames <= maxFrames && this.keptBytes + bytes <= maxBytes;
  }

  /**
   * Numbers frames that are about to be sent. Past the bound the oldest are forgotten: they can then not be sent again.
   *
   * @param slab whole frames, each with its length, lie in it from `start` up to, not including, `end`, and must not change any more
   * @param frames how many
   */
  keep(slab: Uint8Array, start = 0, end = slab.length, frames = 1): void {
    this.#kept.add(slab, start, end, frames);
    this.#sent += frames;
    while (this.keptFrames > this.#bounds.maxFrames || this.keptBytes > this.#bounds.maxBytes) this.#kept.forget(1);
  }

  /** Whether nothing that lies in a slab may have to be sent again. */
  isDoneWith(slab: Uint8Array): boolean {
    return this.#kept.areNotIn(slab);
  }

  /** The other side has received so many. @throws ProtocolError `BAD_VALUE` when it cannot have. [ACK-1] */
  acknowledge(received: number): void {
    const number = this.#numberOf(received);
    if (number === undefined) throw new ProtocolError("BAD_VALUE", "acknowledges what was not sent");
    this.#acknowledged = number;
    this.#kept.forget(this.keptFrames - (this.#sent - number));
  }

  /**
   * What to send again to a side that has received so many, in order, one frame or more in each view; `undefined` when that is
   * not kept any more, or it cannot have received so many. [RESUME-5]
   */
  unreceived(received: number): readonly Uint8Array[] | undefined {
    const number = this.#numberOf(received);
    if (number === undefined || number < this.#sent - this.keptFrames) return undefined;
    return this.#kept.newest(this.#sent - number);
  }

  /** A numbered frame has come; whether it is time for an ACK. [ACK-2] */
  count(byteLength: number): boolean {
    this.#received += 1;
    this.#unreportedFrames += 1;
    this.#unreportedBytes += byteLength;
    return this.#unreportedFrames >= limits.ackFrames || this.#unreportedBytes >= limits.ackBytes;
  }

  /** Whether something has been received since the last report. */
  get hasUnreported(): boolean {
    return this.#unreportedFrames > 0;
  }

  /** What an ACK that goes out now says. */
  report(): number {
    this.#unreportedFrames = 0;
    this.#unreportedBytes = 0;
    return this.received;
  }

  /** For carrying the streams on elsewhere. */
  export(): NumberedStreamsData {
    return {
      lastInput: this.#received,
      lastOutput: this.#sent,
      unacknowledged: this.#kept.list(),
    };
  }

  /** The number that a count on the wire stands for, from the last acknowledged to the last sent. */
  #numberOf(received: number): number | undefined {
    const number = this.#acknowledged + ((received - (this.#acknowledged >>> 0)) >>> 0);
    return number > this.#sent ? undefined : number;
  }
}
