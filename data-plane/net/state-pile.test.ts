import { describe, expect, it } from "vitest";
import { messageTypes } from "../../protocol/index.ts";
import { type StateKey, StatePile } from "./state-pile.ts";

const frame = (text: string): Uint8Array => Buffer.from(text, "latin1");
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1");

function takeAll(pile: StatePile): string[] {
  const taken: string[] = [];
  pile.takeWhile((bytes) => taken.push(text(bytes) ?? "") > 0);
  return taken;
}

/** What a pile is to do, in the plainest way. */
class Model {
  readonly frames = new Map<StateKey, string>();

  get bytes(): number {
    return [...this.frames.values()].reduce((sum, { length }) => sum + length, 0);
  }
}

describe("StatePile", () => {
  it("[LATEST-1] keeps the latest of each key where the first stood, and hands all on as one", () => {
    const pile = new StatePile();
    pile.setFrame("a", frame("a1"));
    pile.setFrame("b", frame("b1"));
    pile.setFrame("a", frame("a2"));
    expect([pile.size, pile.bytes]).toEqual([2, 4]);
    expect(text(pile.takeAtOnce(100, true))).toBe("a2b1");
    expect([pile.size, pile.bytes, pile.takeAtOnce(100, true)]).toEqual([0, 0, undefined]);
  });

  it("writes a message where it leaves from", () => {
    const pile = new StatePile();
    pile.setMessage(1, messageTypes.state, 7, Uint8Array.of(1, 2));
    expect([...(pile.takeAtOnce(100, true) ?? [])]).toEqual([4, 0, messageTypes.state, 7, 1, 2]);
    pile.setMessage(1, messageTypes.state, 7, new Uint8Array(2_000).fill(9));
    const [large = new Uint8Array(0)] = [...takeAll(pile)].map(frame);
    expect([large.length, large[0], large[1], large[3], large[2_003]]).toEqual([2_004, 0xd2, 0x07, 7, 9]);
  });

  it("does not touch what has been taken", () => {
    const pile = new StatePile();
    pile.setFrame(1, frame("first"));
    const taken = pile.takeAtOnce(100, true);
    pile.setFrame(1, frame("later"));
    pile.setFrame(1, frame("third"));
    expect([text(taken), text(pile.takeAtOnce(100, true))]).toEqual(["first", "third"]);
  });

  it("writes a state for each tick into the same little memory", () => {
    const pile = new StatePile();
    const buffers = new Set<unknown>();
    for (let tick = 0; tick < 1_000; tick += 1) {
      pile.setMessage(1, messageTypes.state, 7, new Uint8Array(60).fill(tick));
      buffers.add(pile.takeAtOnce(1_000, true)?.buffer);
    }
    expect(buffers.size).toBe(1);
  });

  it("takes no more than fits, whole frames in order, and goes on with the rest", () => {
    const pile = new StatePile();
    for (const key of ["a", "b", "c"]) pile.setFrame(key, frame(key.repeat(4)));
    expect(pile.takeAtOnce(11, true)).toBeUndefined();
    const taken: string[] = [];
    pile.takeWhile((bytes) => taken.length < 2 && taken.push(text(bytes) ?? "") > 0);
    expect([taken, pile.size, pile.bytes]).toEqual([["aaaa", "bbbb"], 1, 4]);
    pile.setFrame("c", frame("CCCC"));
    pile.setFrame("a", frame("AA"));
    expect(takeAll(pile)).toEqual(["CCCC", "AA"]);
  });

  it("shares a large frame, and puts it in its place", () => {
    const pile = new StatePile();
    const large = new Uint8Array(5_000).fill(0x78);
    pile.setFrame("a", frame("a"));
    pile.setFrame("big", large);
    pile.setFrame("z", frame("z"));
    expect(pile.takeAtOnce(10_000, true)).toBeUndefined();
    const parts: Uint8Array[] = [];
    pile.takeWhile((bytes) => parts.push(bytes) > 0);
    expect([parts.map(({ length }) => length), parts[1] === large, pile.bytes]).toEqual([[1, 5_000, 1], true, 0]);
  });

  it("takes a key that comes again for the same one, whatever came before", () => {
    const pile = new StatePile();
    const rounds: StateKey[][] = [
      ["a", "b", "c"],
      ["c", "x"],
      ["c", "x", "c"],
      ["a", "a"],
      [1, "1", 1],
    ];
    for (const keys of rounds) {
      keys.forEach((key, index) => pile.setFrame(key, frame(String(index))));
      expect([keys, takeAll(pile).length]).toEqual([keys, new Set(keys).size]);
    }
  });

  it("does not grow with how often one key is set at other lengths", () => {
    const pile = new StatePile();
    let slabs = new Set<ArrayBufferLike>();
    for (let count = 0; count < 20_000; count += 1) {
      pile.setFrame("a", new Uint8Array(10 + (count % 90)));
      pile.setFrame("b", frame("b"));
      if (count % 1_000 !== 0) continue;
      pile.takeWhile((bytes) => (slabs.add(bytes.buffer), false));
    }
    expect(pile.bytes).toBe(10 + (19_999 % 90) + 1);
    expect(Math.max(...[...slabs].map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(4_096);
  });

  it("[LATEST-1] does as a map of the latest frames does, over many random rounds", () => {
    let seed = 12_345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const pile = new StatePile();
    const other = new StatePile();
    const model = new Model();
    /** What has been taken and not written yet. */
    let underWay: { readonly bytes: Uint8Array; readonly before: string | undefined }[] = [];
    for (let round = 0; round < 3_000; round += 1) {
      const sets = random(40);
      const keys = random(4) === 0 ? 200 : 12;
      const target = random(5) === 0 ? other : pile;
      for (let count = 0; count < sets; count += 1) {
        const key: StateKey = random(3) === 0 ? `k${random(keys)}` : random(keys);
        const length = random(30) === 0 ? 1_000 + random(100) : 1 + random(random(2) === 0 ? 2 : 60);
        const content = String.fromCharCode(97 + random(26)).repeat(length);
        target.setFrame(key, frame(content));
        model.frames.set(key, content);
      }
      if (target === other) pile.takeOver(other);
      expect([pile.size, pile.bytes]).toEqual([model.frames.size, model.bytes]);
      const most = random(3) === 0 ? random(20) : Number.POSITIVE_INFINITY;
      const taken: string[] = [];
      for (const { bytes, before } of underWay) expect(text(bytes)).toBe(before);
      const isRestWritten = random(4) > 0;
      const once = most > 100 ? pile.takeAtOnce(8_000, isRestWritten) : undefined;
      const atOnce = text(once);
      if (once !== undefined) underWay = [...(isRestWritten ? [] : underWay), { bytes: once, before: atOnce }];
      pile.takeWhile((bytes) => {
        if (taken.length >= most) return false;
        underWay.push({ bytes, before: text(bytes) });
        return taken.push(text(bytes) ?? "") > 0;
      });
      const expected = [...model.frames.values()].slice(0, most);
      expect(atOnce ?? taken.join("")).toBe(expected.join(""));
      for (const key of [...model.frames.keys()].slice(0, most)) model.frames.delete(key);
    }
  });
});
