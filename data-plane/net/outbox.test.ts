import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { NumberedStreams } from "../../protocol/index.ts";
import { Outbox, type OutboxOwner, type OutboxSink } from "./outbox.ts";
import { TickEnd } from "./tick-end.ts";
import { TurnEnd } from "./turn-end.ts";

/** A socket that finishes a write when the test says so. */
class SlowSink implements OutboxSink {
  readonly writes: string[] = [];
  ended = false;
  isWriting = false;
  mayWriteBehind = false;
  #callback: ((error?: Error | null) => void) | undefined;

  write(bytes: Uint8Array): void {
    if (this.isWriting && !this.mayWriteBehind) throw new Error("a write while another is under way");
    this.writes.push(Buffer.from(bytes).toString("latin1"));
    this.isWriting = true;
  }

  whenWritten(callback: (error?: Error | null) => void): void {
    if (this.#callback !== undefined) throw new Error("asked twice");
    this.#callback = callback;
  }

  get isAwaited(): boolean {
    return this.#callback !== undefined;
  }

  end(): void {
    this.ended = true;
  }

  finishWrite(error?: Error): void {
    const callback = this.#callback;
    this.#callback = undefined;
    this.isWriting = false;
    callback?.(error);
  }
}

let sink: SlowSink;
let now: number;
let overflows: number;
let tickEnd: TickEnd;
let outbox: Outbox;
let numbered: string[];

beforeEach(() => {
  sink = new SlowSink();
  now = 0;
  overflows = 0;
  tickEnd = new TickEnd();
  numbered = [];
  const owner: OutboxOwner = {
    onOverflow: () => (overflows += 1),
  };
  outbox = new Outbox(sink, owner, {
    turnEnd: new TurnEnd(),
    tickEnd,
    limits: { maxQueuedBytes: 100_000, maxQueuedFrames: 5 },
    pulse: {
      get elapsedMs() {
        return now;
      },
    },
    metrics: { framesOut: 0, writes: 0, bytesOut: 0 },
  });
  outbox.keeper = {
    keep: (slab, start, end) => numbered.push(Buffer.from(slab.subarray(start, end)).toString("latin1")),
    isDoneWith: () => false,
  };
});

const frame = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("Outbox", () => {
  it("writes all that was said in one turn at once, in order", async () => {
    for (const text of ["a", "b", "c"]) outbox.send("reliable", frame(text));
    expect(sink.writes).toEqual([]);
    await nextTurn();
    expect(sink.writes).toEqual(["abc"]);
  });

  it("does not wait for the end of the turn when it is told so, and writes nothing twice", async () => {
    outbox.send("reliable", frame("b"));
    outbox.sendAhead(frame("a"));
    outbox.flush();
    expect(sink.writes).toEqual(["ab"]);
    outbox.send("reliable", frame("c"));
    outbox.flush();
    await nextTurn();
    expect(sink.writes).toEqual(["ab"]);
    sink.finishWrite();
    expect(sink.writes).toEqual(["ab", "c"]);
  });

  it("gathers what comes while a write is under way", async () => {
    outbox.send("reliable", frame("a"));
    await nextTurn();
    outbox.send("reliable", frame("b"));
    await nextTurn();
    outbox.send("reliable", frame("c"));
    await nextTurn();
    expect(sink.writes).toEqual(["a"]);
    sink.finishWrite();
    expect(sink.writes).toEqual(["a", "bc"]);
  });

  it("asks to be told of a write's end only where something waits for it, and once", async () => {
    outbox.send("reliable", frame("a"));
    await nextTurn();
    expect(sink.isAwaited).toBe(false);
    outbox.send("reliable", frame("b"));
    await nextTurn();
    expect(sink.isAwaited).toBe(true);
    outbox.send("reliable", frame("c"));
    await nextTurn();
    sink.finishWrite();
    expect([sink.writes, sink.isAwaited]).toEqual([["a", "bc"], false]);
    sink.finishWrite();
    outbox.send("reliable", frame("d"));
    await nextTurn();
    expect([sink.writes, sink.isAwaited]).toEqual([["a", "bc", "d"], false]);
  });

  it("counts what was written until the system has it, and no longer", async () => {
    outbox.send("reliable", frame("x".repeat(60_000)));
    await nextTurn();
    expect(outbox.queuedBytes).toBe(60_000);
    sink.finishWrite();
    expect(outbox.queuedBytes).toBe(0);
    outbox.send("reliable", frame("x".repeat(60_000)));
    expect(overflows).toBe(0);
    await nextTurn();
    outbox.send("reliable", frame("x".repeat(40_001)));
    expect(overflows).toBe(1);
  });

  it("hands over large queues in parts, of whole frames", async () => {
    const large = "x".repeat(20_000);
    for (let count = 0; count < 3; count += 1) outbox.send("reliable", frame(large));
    await nextTurn();
    sink.finishWrite();
    sink.finishWrite();
    expect(sink.writes.map((write) => write.length)).toEqual([20_000, 20_000, 20_000]);
    sink.finishWrite();
    expect(outbox.queuedBytes).toBe(0);
  });

  it("says so when too many bytes wait, not before", async () => {
    outbox.send("reliable", frame("x".repeat(40_000)));
    await nextTurn();
    outbox.send("reliable", frame("x".repeat(60_000)));
    expect(overflows).toBe(0);
    outbox.send("reliable", frame("x"));
    expect(overflows).toBe(1);
  });

  it("says so when too many frames wait, not before", () => {
    for (let count = 0; count < 5; count += 1) outbox.send("reliable", frame("x"));
    expect(overflows).toBe(0);
    outbox.send("reliable", frame("x"));
    expect(overflows).toBe(1);
  });

  it("tells for how long a write has not come back", async () => {
    expect(outbox.stalledMs).toBe(0);
    outbox.send("reliable", frame("a"));
    await nextTurn();
    now = 700;
    expect(outbox.stalledMs).toBe(700);
    sink.finishWrite();
    expect(outbox.stalledMs).toBe(0);
  });

  it("[SLOW-1] counts from the write that is stuck, however much is settled behind it, and all of it", async () => {
    const streams = new NumberedStreams({ maxFrames: 100, maxBytes: 100_000 });
    sink.mayWriteBehind = true;
    outbox.send("reliable", frame("x".repeat(2_000)));
    await nextTurn();
    now = 700;
    outbox.send("reliable", frame("y".repeat(3_000)));
    expect(outbox.settle(streams)).toBe(true);
    expect([outbox.stalledMs, outbox.queuedBytes]).toEqual([700, 5_000]);
    sink.finishWrite();
    outbox.send("reliable", frame("z"));
    expect(outbox.settle(streams)).toBe(true);
    now = 800;
    expect([outbox.stalledMs, outbox.queuedBytes]).toEqual([100, 1]);
  });

  it("[SLOW-1] counts from what the socket has written by itself, not from what had gone out long before", async () => {
    outbox.send("reliable", frame("a".repeat(2_000)));
    await nextTurn();
    sink.finishWrite();
    now = 6_000;
    sink.isWriting = true;
    outbox.noteOwnWrite();
    expect([outbox.stalledMs, outbox.queuedBytes]).toEqual([0, 0]);
    now = 11_001;
    expect(outbox.stalledMs).toBe(5_001);
  });

  it("ends after the last words, and takes nothing after them", async () => {
    outbox.send("reliable", frame("a"));
    await nextTurn();
    outbox.finish(frame("z"));
    outbox.send("reliable", frame("b"));
    await nextTurn();
    expect(sink.writes).toEqual(["a"]);
    sink.finishWrite();
    expect([sink.writes, sink.ended]).toEqual([["a", "z"], false]);
    sink.finishWrite();
    expect([sink.writes, sink.ended]).toEqual([["a", "z"], true]);
  });

  it("[LATEST-1] lets state go once a tick, and asks for the end of a tick only when there is some", async () => {
    outbox.setState("a", frame("a1"));
    outbox.setState("a", frame("a2"));
    await nextTurn();
    expect(sink.writes).toEqual([]);
    tickEnd.run();
    await nextTurn();
    sink.finishWrite();
    expect(sink.writes).toEqual(["a2"]);
    tickEnd.run();
    outbox.setState("a", frame("a3"));
    tickEnd.run();
    await nextTurn();
    expect(sink.writes).toEqual(["a2", "a3"]);
  });

  it("puts a frame ahead of those that have not left", async () => {
    outbox.send("reliable", frame("b"));
    outbox.sendAhead(frame("a"));
    await nextTurn();
    expect(sink.writes).toEqual(["ab"]);
  });

  it("is silent after an error and after it was discarded", async () => {
    outbox.send("reliable", frame("a"));
    await nextTurn();
    outbox.send("reliable", frame("b"));
    sink.finishWrite(new Error("reset"));
    expect(sink.writes).toEqual(["a"]);
    outbox.discard();
    outbox.send("reliable", frame("c"));
    await nextTurn();
    expect(sink.writes).toEqual(["a"]);
  });
});
