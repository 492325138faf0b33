import { describe, expect, it } from "vitest";
import { encodeMessage } from "../../protocol/index.ts";
import { FramePile } from "./frame-pile.ts";

const payload = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => index + length);

function takeAll(pile: FramePile): { readonly bytes: Uint8Array; readonly pieces: number; readonly frames: number } {
  const pieces: Uint8Array[] = [];
  let frames = 0;
  pile.takeWhile(() => true, {
    keep: (slab, start, end, count) => {
      pieces.push(slab.subarray(start, end));
      frames += count;
    },
  });
  return { bytes: Buffer.concat(pieces), pieces: pieces.length, frames };
}

describe("FramePile", () => {
  it("writes what encodeMessage makes, whatever the sizes and however it is taken", () => {
    const pile = new FramePile();
    const taken: Uint8Array[] = [];
    const expected: Uint8Array[] = [];
    const lengths = [0, 1, 60, 500, 1_019, 1_020, 1_021, 4_000, 4_092, 5_000, 65_533, 3];
    for (let round = 0; round < 50; round += 1) {
      for (const [index, length] of lengths.entries()) {
        const frame = encodeMessage({ command: index, payload: payload(length) });
        expected.push(frame);
        if ((round + index) % 3 === 0) pile.pushFrame(frame);
        else pile.pushMessage(index, payload(length));
        if ((round * index) % 7 === 3) taken.push(takeAll(pile).bytes);
      }
    }
    taken.push(takeAll(pile).bytes);
    expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true);
    expect([pile.piledFrames, pile.piledBytes]).toEqual([0, 0]);
  });

  it("gives all that was said in a turn as one view, without a copy, and does not write there again", () => {
    const pile = new FramePile();
    for (let count = 0; count < 5; count += 1) pile.pushMessage(count, payload(8));
    expect([pile.piledFrames, pile.piledBytes]).toEqual([5, 60]);
    const kept: unknown[] = [];
    const bytes = pile.takeAtOnce(1_000, {
      keep: (slab, start, end, frames) => kept.push([slab.subarray(start, end), frames]),
    });
    expect(kept).toEqual([[bytes, 5]]);
    const before = Buffer.from(bytes ?? []);
    for (let count = 0; count < 100; count += 1) pile.pushMessage(9, payload(8));
    expect(before.equals(bytes ?? before.subarray(1))).toBe(true);
    const next = takeAll(pile);
    expect([next.bytes.length, next.frames]).toEqual([1_200, 100]);
  });

  it("gives nothing at once when there is nothing, too much, or a large frame in between", () => {
    const pile = new FramePile();
    const take = (maxBytes: number): Uint8Array | undefined => pile.takeAtOnce(maxBytes, undefined);
    expect(take(100)).toBeUndefined();
    pile.pushMessage(1, payload(8));
    expect(take(11)).toBeUndefined();
    expect(take(12)?.length).toBe(12);
    const large = new Uint8Array(2_000);
    pile.pushFrame(large);
    pile.pushMessage(1, payload(8));
    expect(take(10_000)).toBeUndefined();
    expect([pile.piledFrames, pile.piledBytes]).toEqual([2, 2_012]);
    const pieces: Uint8Array[] = [];
    pile.takeWhile((bytes) => bytes.length > 12 && pieces.push(bytes) > 0, undefined);
    expect(pieces).toEqual([large]);
    expect(pieces[0]).toBe(large);
    expect([pile.piledFrames, pile.piledBytes]).toEqual([1, 12]);
  });

  it("takes over another one's frames behind its own", () => {
    const pile = new FramePile();
    const older = new FramePile();
    pile.pushMessage(1, payload(1));
    for (const length of [1, 3_000, 2]) older.pushMessage(2, payload(length));
    pile.takeOver(older);
    pile.pushMessage(3, payload(1));
    const { bytes, frames } = takeAll(pile);
    const commands = [1, 2, 2, 2, 3].map((command, index) =>
      encodeMessage({ command, payload: payload([1, 1, 3_000, 2, 1][index] ?? 0) }),
    );
    expect(Buffer.from(bytes).equals(Buffer.concat(commands))).toBe(true);
    expect([frames, older.piledFrames, older.piledBytes]).toEqual([5, 0, 0]);
  });
});
