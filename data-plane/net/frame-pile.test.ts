import { describe, expect, it } from "vitest";
import { encodeMessage, NumberedStreams } from "../../protocol/index.ts";
import { createRandom, randomInteger } from "../../protocol/testing/seeded-random.ts";
import { FramePile } from "./frame-pile.ts";

const payload = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => index + length);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

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
    const bytes = pile.takeAtOnce(
      1_000,
      {
        keep: (slab, start, end, frames) => kept.push([slab.subarray(start, end), frames]),
        isDoneWith: () => false,
      },
      true,
    );
    expect(kept).toEqual([[bytes, 5]]);
    const before = Buffer.from(bytes ?? []);
    for (let count = 0; count < 100; count += 1) pile.pushMessage(9, payload(8));
    expect(before.equals(bytes ?? before.subarray(1))).toBe(true);
    const next = takeAll(pile);
    expect([next.bytes.length, next.frames]).toEqual([1_200, 100]);
  });

  it("goes round in two slabs where each message is acknowledged soon, and never writes over one that is not", () => {
    const source = createRandom(4_711);
    const random = (below: number): number => randomInteger(source, 0, below - 1);
    for (const { lag, slabs } of [
      { lag: 3, slabs: 4 },
      { lag: 100, slabs: 5_000 },
    ]) {
      const pile = new FramePile();
      const streams = new NumberedStreams({ maxFrames: 10_000, maxBytes: 10_000_000 });
      const bulk = new FramePile();
      const unacknowledged: string[] = [];
      const buffers = new Set<unknown>();
      let last: { readonly bytes: Uint8Array; readonly before: string } = { bytes: new Uint8Array(0), before: "" };
      for (let turn = 0; turn < 5_000; turn += 1) {
        const isBulk = lag > 3 && random(4) === 0;
        const target = isBulk ? bulk : pile;
        for (let count = random(3); count >= 0; count -= 1) {
          const message = { command: turn % 256, payload: payload(random(lag === 3 ? 60 : 300)) };
          target.pushMessage(message.command, message.payload);
          unacknowledged.push(hex(encodeMessage(message)));
        }
        expect(hex(last.bytes)).toBe(last.before);
        const bytes = random(10) === 0 ? undefined : target.takeAtOnce(65_536, streams, true);
        if (bytes === undefined) target.takeWhile(() => true, streams);
        else {
          last = { bytes, before: hex(bytes) };
          buffers.add(bytes.buffer);
        }
        while (unacknowledged.length > lag) {
          const count = 1 + random(unacknowledged.length);
          unacknowledged.splice(0, count);
          streams.acknowledge(streams.lastAcknowledged + count);
        }
        expect(streams.export().unacknowledged.map(hex)).toEqual(unacknowledged);
      }
      expect(buffers.size).toBeLessThanOrEqual(slabs);
    }
  });

  it("gives nothing at once when there is nothing, too much, or a large frame in between", () => {
    const pile = new FramePile();
    const take = (maxBytes: number): Uint8Array | undefined => pile.takeAtOnce(maxBytes, undefined, true);
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
