import { describe, expect, it } from "vitest";
import { EntityStore } from "./entity-store.ts";
import { KindTable } from "../../protocol/entities/kind-table.ts";
import { createRandom, randomInteger } from "../../protocol/testing/seeded-random.ts";

const kinds = new KindTable([
  {
    id: 3,
    name: "all",
    fields: [
      { name: "u8", type: "u8" },
      { name: "i16", type: "i16" },
      { name: "u32", type: "u32" },
      { name: "f32", type: "f32" },
      { name: "angle", type: "angle" },
      { name: "flags", type: "flags" },
      { name: "bytes", type: "bytes", maxBytes: 4 },
    ],
  },
]);

describe("EntityStore", () => {
  it("holds as many entities as it has room for, each with a number of its own", () => {
    const store = new EntityStore(3, kinds);
    const slots = [1, 2, 3].map((x) => store.spawn(3, x, 0, 0, 1));
    expect(store.spawn(3, 4, 0, 0, 1)).toBe(-1);
    expect(new Set(slots).size).toBe(3);
    const gone = store.number[slots[1] ?? 0] ?? 0;
    store.remove(slots[1] ?? 0);
    store.remove(slots[1] ?? 0);
    expect(store.find(gone)).toBeUndefined();
    const again = store.spawn(3, 5, 0, 0, 1);
    expect(again).toBe(slots[1]);
    expect(store.number[again]).not.toBe(gone);
    expect(store.liveCount).toBe(3);
  });

  it("keeps its list of entities right through any order of coming and going", () => {
    const random = createRandom(8);
    const store = new EntityStore(20, kinds);
    const model = new Map<number, number>();
    let refused = 0;
    for (let round = 0; round < 5_000; round++) {
      if (random() < 0.5) {
        const slot = store.spawn(3, 0, 0, 0, 1);
        if (slot >= 0) model.set(store.number[slot] ?? 0, slot);
        else refused += model.size === 20 ? 1 : Number.NaN;
      } else if (model.size > 0) {
        const [number, slot] = [...model][randomInteger(random, 0, model.size - 1)] ?? [0, 0];
        store.remove(slot);
        model.delete(number);
      }
      const live = [...store.live.subarray(0, store.liveCount)].sort((a, b) => a - b);
      expect(live).toEqual([...model.values()].sort((a, b) => a - b));
      for (const [number, slot] of model) expect(store.find(number)).toBe(slot);
    }
    expect(refused).toBeGreaterThan(0);
  });

  it("starts a new entity empty, whoever was in its slot", () => {
    const store = new EntityStore(1, kinds);
    const slot = store.spawn(3, 0, 0, 0, 1);
    store.set(slot, 0, 200);
    store.setBytes(slot, 6, Uint8Array.of(1));
    store.remove(slot);
    expect(store.spawn(3, 0, 0, 0, 1)).toBe(slot);
    expect([store.get(slot, 0), store.getBytes(slot, 6)]).toEqual([0, new Uint8Array(0)]);
  });

  it("notes the tick of a change, and none when nothing changes", () => {
    const store = new EntityStore(1, kinds);
    const slot = store.spawn(3, 1, 2, 3, 0.5);
    expect(store.commit()).toBe(1);
    store.move(slot, 1.1, 2, 3);
    store.set(slot, 2, 0);
    store.setBytes(slot, 6, new Uint8Array(0));
    store.setStep(slot, 0.5);
    expect(store.changed[slot]).toBe(1);
    store.move(slot, 1.4, 2, 3);
    expect([...store.fieldTicks]).toEqual([2, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    store.commit();
    store.move(slot, 1.4, 9, 3);
    store.set(slot, 1, -5);
    expect([...store.fieldTicks]).toEqual([2, 3, 1, 1, 3, 1, 1, 1, 1, 1]);
    store.commit();
    store.setStep(slot, 0.25);
    expect([...store.fieldTicks]).toEqual([4, 4, 4, 1, 3, 1, 1, 1, 1, 1]);
  });

  it.each([
    [0, 255, 256],
    [0, 0, -1],
    [0, 7, 0.5],
    [1, -32_768, -32_769],
    [1, 32_767, 32_768],
    [2, 2 ** 32 - 1, 2 ** 32],
    [3, 3.4028234663852886e38, 3.5e38],
    [3, -1.5, Number.NaN],
    [4, 65_535, 65_536],
    [5, 2 ** 32 - 1, -1],
  ])("field %i takes %d and refuses %d", (field, good, bad) => {
    const store = new EntityStore(1, kinds);
    const slot = store.spawn(3, 0, 0, 0, 1);
    store.set(slot, field, good);
    expect(() => store.set(slot, field, bad)).toThrow(RangeError);
    expect(store.get(slot, field)).toBe(good);
  });

  it("refuses what there is not", () => {
    const store = new EntityStore(2, kinds);
    const slot = store.spawn(3, 0, 0, 0, 1);
    expect(() => store.spawn(4, 0, 0, 0, 1)).toThrow("there is no kind of entity 4");
    expect(() => store.set(slot, 7, 0)).toThrow("all has no field 7");
    expect(() => store.set(slot, 6, 0)).toThrow("bytes holds bytes, not a number");
    expect(() => store.setBytes(slot, 0, new Uint8Array(1))).toThrow("u8 holds a number, not bytes");
    expect(() => store.setBytes(slot, 6, new Uint8Array(5))).toThrow("bytes: 5 bytes, over 4");
    expect(() => store.set(slot + 1, 0, 0)).toThrow(RangeError);
    expect(() => store.setPriority(slot, 0)).toThrow(RangeError);
  });

  it("copies bytes that it is given", () => {
    const store = new EntityStore(1, kinds);
    const slot = store.spawn(3, 0, 0, 0, 1);
    const bytes = Uint8Array.of(1, 2);
    store.setBytes(slot, 6, bytes);
    bytes[0] = 9;
    expect(store.getBytes(slot, 6)).toEqual(Uint8Array.of(1, 2));
  });
});
