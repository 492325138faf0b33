import { beforeEach, describe, expect, it } from "vitest";
import { SendQueue } from "./send-queue.ts";

let queue: SendQueue;
let numbered: string[];
beforeEach(() => {
  queue = new SendQueue();
  numbered = [];
});

const frame = (text: string): Uint8Array => Buffer.from(text, "latin1");
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
function take(maxBytes = 10_000): string {
  return text(
    queue.take(
      maxBytes,
      { keep: (slab, start, end) => numbered.push(text(slab.subarray(start, end))), isDoneWith: () => false },
      true,
    ),
  );
}

describe("SendQueue", () => {
  it("[LATEST-2] sends control, then what is sent again, then reliable, then state, then bulk", () => {
    queue.push("bulk", frame("bulk"));
    queue.setState("a", frame("state"));
    queue.push("reliable", frame("reliable"));
    queue.push("again", frame("again"));
    queue.push("control", frame("control"));
    queue.releaseStates();
    expect(take()).toBe("controlagainreliablestatebulk");
    expect([queue.bytes, queue.frames, queue.isReady]).toEqual([0, 0, false]);
  });

  it("[RESUME-3] tells of what goes out for the first time, in the order of the wire", () => {
    queue.push("bulk", frame("b1"));
    queue.push("reliable", frame("r1"));
    queue.push("again", frame("a1"));
    queue.push("control", frame("c1"));
    queue.setState("s", frame("s1"));
    queue.releaseStates();
    take();
    expect(numbered).toEqual(["r1", "b1"]);
  });

  it("[LATEST-1] keeps the latest of each key, and holds it until a tick", () => {
    queue.setState("a", frame("a1"));
    queue.setState("b", frame("b1"));
    queue.setState("a", frame("a2"));
    expect([queue.isReady, queue.bytes, queue.frames]).toEqual([false, 4, 2]);
    expect(take()).toBe("");
    expect(queue.releaseStates()).toBe(true);
    expect(take()).toBe("a2b1");
    expect(queue.releaseStates()).toBe(false);
  });

  it("[LATEST-1] replaces what a tick has released and the line has not taken", () => {
    queue.setState("a", frame("a1"));
    queue.setState("b", frame("b1"));
    queue.releaseStates();
    queue.setState("a", frame("a-later"));
    expect(queue.bytes).toBe(11);
    queue.releaseStates();
    expect(queue.bytes).toBe(9);
    expect(take()).toBe("a-laterb1");
    expect(queue.bytes).toBe(0);
  });

  it("tells keys apart that only look alike", () => {
    queue.setState(1, frame("number"));
    queue.setState("1", frame("text"));
    queue.releaseStates();
    expect(take()).toBe("numbertext");
  });

  it("takes whole frames up to the greatest write, and lets nothing overtake one that did not fit", () => {
    const [first, second, third] = ["1".repeat(1_500), "2".repeat(3_000), "3"];
    for (const one of [first, second]) queue.push("reliable", frame(one));
    queue.push("bulk", frame(third));
    expect(take(2_000)).toBe(first);
    expect([queue.frames, queue.bytes]).toEqual([2, 3_001]);
    expect(take(2_000)).toBe(second);
    expect(take(2_000)).toBe(third);
    expect([queue.frames, queue.bytes]).toEqual([0, 0]);
  });

  it("[ENTITIES-9] has nothing left that is ready once a view has gone, also where one has taken another's place", () => {
    queue.setView(frame("an older view"));
    queue.setView(frame("view"));
    expect([queue.viewWaits, queue.frames, queue.bytes]).toEqual([true, 1, 4]);
    expect(take()).toBe("view");
    expect([queue.viewWaits, queue.frames, queue.bytes, queue.isReady]).toEqual([false, 0, 0, false]);
  });

  it("counts what waits, without what is sent again", () => {
    queue.push("again", frame("12345"));
    queue.push("reliable", frame("123"));
    expect([queue.bytes, queue.frames]).toEqual([3, 1]);
    take();
    expect(queue.bytes).toBe(0);
  });

  it("[RESUME-3] takes over what a connection before has not sent, in order, and nothing about that connection", () => {
    const older = new SendQueue();
    older.push("control", frame("pong"));
    older.push("again", frame("again"));
    older.push("bulk", frame("b1"));
    older.push("reliable", frame("r1"));
    older.setState("a", frame("s1"));
    older.releaseStates();
    older.setState("a", frame("s2"));
    queue.push("control", frame("resumed"));
    queue.adopt(older);
    queue.push("reliable", frame("r2"));
    queue.releaseStates();
    expect(take()).toBe("resumedr1r2s2b1");
    expect([older.bytes, older.isReady, queue.bytes]).toEqual([0, false, 0]);
  });
});
