import type { NumberedStreams } from "../../protocol/index.ts";
import type { FrameKeeper } from "./frame-pile.ts";
import { type SendLane, SendQueue } from "./send-queue.ts";
import type { StateKey } from "./state-pile.ts";
import type { StateHolder, TickEnd } from "./tick-end.ts";
import type { TurnEnd, TurnTask } from "./turn-end.ts";

/** The part of a socket that an outbox needs. */
export interface OutboxSink {
  write(bytes: Uint8Array): unknown;
  /** Whether the system has not taken yet what was written. */
  readonly isWriting: boolean;
  /** Calls back once it has. */
  whenWritten(callback: (error?: Error | null) => void): unknown;
  end(): unknown;
}

/** Whose outbox it is: its connection. */
export interface OutboxOwner {
  /** More is queued than allowed. */
  onOverflow(): void;
}

/** What all outboxes share. */
export interface OutboxSurroundings {
  readonly turnEnd: TurnEnd;
  readonly tickEnd: TickEnd;
  readonly limits: {
    readonly maxQueuedBytes: number;
    /** Bounds the count too: many tiny frames cost far more than their bytes. */
    readonly maxQueuedFrames: number;
  };
  /** Milliseconds, any origin; for {@link Outbox.stalledMs}. */
  readonly pulse: { readonly elapsedMs: number };
  readonly metrics: { framesOut: number; writes: number; bytesOut: number };
}

/**
 * Most bytes given to the system at once. Small enough that a slow but honest line finishes one within the stall timeout,
 * large enough to fill TLS records.
 */
const maxWriteBytes = 32_768;

/**
 * What waits to be sent to one player. Frames queued in one turn of the event loop leave in one write, and while a write
 * is under way later frames gather for the next, by priority. Nothing is ever dropped out of the stream: past the bound the
 * connection has to end.
 */
export class Outbox implements TurnTask, StateHolder {
  // What each message and write touch stands first, so that it lies together.
  #ending: "no" | "after-queue" | "ended" = "no";
  readonly #around: OutboxSurroundings;
  readonly #queue = new SendQueue();
  /** The last write, with what was written behind it before it was done: its length, and when it began. */
  #writtenBytes = 0;
  #writtenAtMs = 0;
  /** Waits for the end of the turn. */
  #woken = false;
  /** False once the connection has gone: then frames only gather, for the next one. */
  #attached = true;
  readonly #sink: OutboxSink;
  /**
   * Given reliable and bulk frames as they go out for the first time, in the order of the wire; `undefined` where nothing is
   * sent again.
   */
  keeper: FrameKeeper | undefined;
  #lastFrame: Uint8Array | undefined;
  /** Waits for the end of the tick. */
  #holdsState = false;
  /** Waits for the write that is under way. */
  #awaitsWrite = false;
  readonly #owner: OutboxOwner;

  constructor(sink: OutboxSink, owner: OutboxOwner, around: OutboxSurroundings) {
    this.#sink = sink;
    this.#owner = owner;
    this.#around = around;
  }

  /** Bytes that wait or are being written. */
  get queuedBytes(): number {
    return this.#queue.bytes + (this.#isWriting ? this.#writtenBytes : 0);
  }

  /** For how long the write that is under way has not come back; 0 without one. */
  get stalledMs(): number {
    return this.#isWriting ? this.#around.pulse.elapsedMs - this.#writtenAtMs : 0;
  }

  /** Something else has been written, when nothing was under way: what makes no headway from now on is that. [SLOW-1] */
  noteOwnWrite(): void {
    this.#writtenBytes = 0;
    this.#writtenAtMs = this.#around.pulse.elapsedMs;
  }

  /** Queues a frame; without effect after {@link finish}. */
  send(lane: SendLane, frame: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#queue.push(lane, frame);
    this.wake();
    this.#checkBounds();
  }

  /** Queues a control frame that is in no hurry: it goes along with whatever leaves next. */
  sendAlong(frame: Uint8Array): void {
    if (this.#ending === "no") this.#queue.push("control", frame);
  }

  /** Queues a reliable MESSAGE; command and payload have been checked, and the payload is copied. */
  sendMessage(command: number, payload: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#around.metrics.framesOut += 1;
    this.#queue.pushMessage(command, payload);
    this.wake();
    this.#checkBounds();
  }

  /** Queues a frame before all that have not been sent yet. */
  sendAhead(frame: Uint8Array): void {
    if (this.#ending === "ended") return;
    this.#queue.unshift(frame);
    this.wake();
  }

  /** Keeps the latest of a key until the end of the tick. */
  setState(key: StateKey, frame: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#queue.setState(key, frame);
    this.#awaitTickEnd();
    this.#checkBounds();
  }

  /** The same for a frame of this type; command and payload have been checked, and the payload is copied. */
  setStateMessage(key: StateKey, type: number, command: number, payload: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#queue.setStateMessage(key, type, command, payload);
    this.#awaitTickEnd();
    this.#checkBounds();
  }

  /** A tick is over: its state goes out with this turn's write. */
  releaseStates(): void {
    this.#holdsState = false;
    if (this.#ending === "no" && this.#attached && this.#queue.releaseStates()) this.wake();
  }

  /** Queues what the world shows; the one before has been written. [ENTITIES-9] */
  sendView(frame: Uint8Array): void {
    if (this.#ending !== "no") return;
    // One that has to wait must not keep the memory of all that were made with it.
    this.#queue.setView(this.#isWriting ? new Uint8Array(frame) : frame);
    this.wake();
    this.#checkBounds();
  }

  get viewWaits(): boolean {
    return this.#queue.viewWaits;
  }

  /** Queues a last frame, if any, whatever the bound; then ends the stream. */
  finish(frame?: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#lastFrame = frame;
    this.#ending = "after-queue";
    this.wake();
  }

  /** Forgets everything: the connection is gone. */
  discard(): void {
    this.#ending = "ended";
    this.#queue.clear();
    this.#lastFrame = undefined;
  }

  /**
   * Everything that waits goes out at once, or, without a connection, counts as sent: so it has its number.
   *
   * @param streams where it is kept
   * @returns false, and nothing has happened, when there is not room for all of it
   */
  settle(streams: NumberedStreams): boolean {
    if (!streams.hasRoom(this.#queue.frames, this.#queue.bytes)) return false;
    while (this.#queue.isReady) {
      const bytes = this.#queue.take(maxWriteBytes, streams, false);
      if (this.#attached && this.#ending === "no") this.#write(bytes, this.#sink.isWriting);
    }
    return true;
  }

  /** The connection is gone, and its player is not: what is sent gathers until {@link adopt}, within the bounds, and what was about that connection is no part of it. */
  detach(): void {
    this.#attached = false;
    this.#queue.forgetConnection();
  }

  /** Takes over what an outbox before this one has not sent; that one is done with. */
  adopt(older: Outbox): void {
    this.#queue.adopt(older.#queue);
    this.#awaitTickEnd();
    older.discard();
    this.wake();
  }

  endTurn(): void {
    this.#woken = false;
    this.flush();
  }

  /** What is queued goes now, unless a write is under way: for what nothing else of this turn will go along with. */
  flush(): void {
    if (this.#ending === "ended" || !this.#attached) return;
    const isReady = this.#queue.isReady;
    if (!isReady && this.#ending === "no") return;
    if (this.#sink.isWriting) this.#awaitWrite();
    else if (isReady) this.#write(this.#take());
    else if (this.#lastFrame !== undefined) this.#write(this.#takeLast());
    else {
      this.#ending = "ended";
      this.#sink.end();
    }
  }

  /** What is queued goes at the end of this turn, if there is anything. */
  wake(): void {
    if (this.#woken || !this.#attached) return;
    this.#woken = true;
    this.#around.turnEnd.add(this);
  }

  #awaitTickEnd(): void {
    if (this.#holdsState) return;
    this.#holdsState = true;
    this.#around.tickEnd.add(this);
  }

  #checkBounds(): void {
    const { maxQueuedBytes, maxQueuedFrames } = this.#around.limits;
    // The socket is asked only if it matters: with a thousand players it has left the cache since the last write.
    const isOver = this.#queue.bytes + this.#writtenBytes > maxQueuedBytes && this.queuedBytes > maxQueuedBytes;
    if (isOver || this.#queue.frames > maxQueuedFrames) this.#owner.onOverflow();
  }

  get #isWriting(): boolean {
    return this.#attached && this.#sink.isWriting;
  }

  /** The next bytes to write: whole frames, up to the greatest write. */
  #take(): Uint8Array {
    const bytes = this.#queue.take(maxWriteBytes, this.keeper, true);
    return this.#queue.isReady || this.#lastFrame === undefined ? bytes : Buffer.concat([bytes, this.#takeLast()]);
  }

  #takeLast(): Uint8Array {
    const last = this.#lastFrame ?? new Uint8Array(0);
    this.#lastFrame = undefined;
    return last;
  }

  /** @param isBehind whether another write is still under way: it is that one that makes no headway, if none is made */
  #write(bytes: Uint8Array, isBehind = false): void {
    if (!isBehind) {
      this.#writtenBytes = 0;
      this.#writtenAtMs = this.#around.pulse.elapsedMs;
    }
    this.#writtenBytes += bytes.length;
    const { metrics } = this.#around;
    metrics.writes += 1;
    metrics.bytesOut += bytes.length;
    this.#sink.write(bytes);
    if (this.#queue.isReady || this.#ending !== "no") this.#awaitWrite();
  }

  /**
   * Asks to be told of a write's end only where something waits for it. To hear of each would be one more visit to every player,
   * when all of it has left the cache again.
   */
  #awaitWrite(): void {
    if (this.#awaitsWrite) return;
    this.#awaitsWrite = true;
    this.#sink.whenWritten(this.#onWritten);
  }

  // Made once: a closure for each write is garbage for each write.
  readonly #onWritten = (error?: Error | null): void => {
    this.#awaitsWrite = false;
    // After an error the socket closes by itself; nothing more can be said.
    if (error === undefined || error === null) this.flush();
  };
}
