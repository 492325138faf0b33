import { describe, expect, it } from "vitest";
import { encodeMessage } from "./messages/message.ts";
import { SentFrames } from "./sent-frames.ts";

/** Frames of 4 and more bytes, back to back in one buffer; the command numbers them. */
function slab(count: number): { readonly bytes: Uint8Array; readonly ends: readonly number[] } {
  const frames = Array.from({ length: count }, (_, index) =>
    encodeMessage({ command: index, payload: new Uint8Array(index) }),
  );
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 1));
  const ends: number[] = [];
  let end = 1;
  for (const frame of frames) {
    bytes.set(frame, end);
    end += frame.length;
    ends.push(end);
  }
  return { bytes, ends };
}

const commands = (frames: readonly Uint8Array[]): number[] => frames.map((frame) => frame[3] ?? -1);
const joined = (views: readonly Uint8Array[]): string => Buffer.concat(views).toString("hex");

describe("SentFrames", () => {
  const { bytes, ends } = slab(6);
  const at = (index: number): number => ends[index - 1] ?? 1;
  const range = (from: number, to: number): Uint8Array => bytes.subarray(at(from), at(to));
  /** They lie in the slab, or alone. */
  const add = (sent: SentFrames, from: number, to: number): void => sent.add(bytes, at(from), at(to), to - from);
  const addAlone = (sent: SentFrames, from: number, to: number): void => {
    const alone = new Uint8Array(range(from, to));
    sent.add(alone, 0, alone.length, to - from);
  };

  it("gives the newest, wherever they were written, as one view where they follow each other", () => {
    const sent = new SentFrames();
    add(sent, 0, 2);
    add(sent, 2, 3);
    addAlone(sent, 3, 6);
    expect([sent.frames, sent.bytes]).toEqual([6, bytes.length - 1]);
    expect(sent.newest(6).map((view) => view.length)).toEqual([range(0, 3).length, range(3, 6).length]);
    for (let count = 0; count <= 6; count += 1) {
      expect(joined(sent.newest(count))).toBe(joined([bytes.subarray(ends[5 - count] ?? 1)]));
    }
  });

  it("forgets the oldest, also some of a run", () => {
    for (let count = 0; count <= 7; count += 1) {
      const sent = new SentFrames();
      add(sent, 0, 4);
      addAlone(sent, 4, 6);
      sent.forget(count);
      const left = Math.max(0, 6 - count);
      expect(sent.frames).toBe(left);
      expect(sent.bytes).toBe(joined(sent.newest(left)).length / 2);
      expect(commands(sent.list())).toEqual([0, 1, 2, 3, 4, 5].slice(count));
    }
  });

  it("goes on after all was forgotten, also in the same buffer", () => {
    const sent = new SentFrames();
    add(sent, 0, 2);
    sent.forget(2);
    expect([sent.frames, sent.bytes, sent.newest(0), sent.list()]).toEqual([0, 0, [], []]);
    add(sent, 2, 4);
    sent.forget(1);
    add(sent, 4, 5);
    expect(commands(sent.list())).toEqual([3, 4]);
  });

  it("stays small however much passes through", () => {
    const sent = new SentFrames();
    for (let count = 0; count < 10_000; count += 1) {
      sent.add(new Uint8Array(4).fill(count), 0, 4, 1);
      if (sent.frames > 100) sent.forget(1);
    }
    expect([sent.frames, sent.bytes]).toEqual([100, 400]);
    expect(sent.newest(1)).toEqual([new Uint8Array(4).fill(9_999)]);
  });
});
