import { describe, expect, it } from "vitest";
import { EntityStore } from "./entity-store.ts";
import { KindTable } from "../../protocol/entities/kind-table.ts";
import { type Reach, SpatialGrid } from "./spatial-grid.ts";
import { createRandom, type Random, randomBelow } from "../../protocol/testing/seeded-random.ts";
import { createWork } from "./work.ts";

const kinds = new KindTable([{ id: 0, name: "dot", fields: [] }]);

describe("SpatialGrid", () => {
  it.each([
    [2, 300, 0],
    [2, 3, 1e6],
    [2, 1e6, -1e8],
    [2, 0.01, 0],
    [3, 300, 0],
    [3, 2, -5_000],
    [3, 1e5, 1e7],
  ] as const)(
    "in %i dimensions, spread over %d around %d, finds what is in range and nothing else",
    (dimensions, spread, centre) => {
      const random = createRandom(spread);
      const { store, grid } = create(random, 400, dimensions, () => centre + randomBelow(random, spread) - spread / 2);
      for (let round = 0; round < 300; round++) {
        const spot = (): number => centre + (randomBelow(random, spread) - spread / 2) * 1.2;
        const [x, y, z] = [spot(), spot(), spot()];
        const reach = spread * random() ** 3;
        grid.search(at(x, y, z, reach), new Uint32Array(400), 1, 1e9, 0);
        const expected = nearer(store, dimensions, x, y, z, reach);
        expect([...grid.found.slots.subarray(0, grid.found.count)].sort((a, b) => a - b)).toEqual(expected);
        for (let index = 0; index < grid.found.count; index++) {
          const distance = distance2(store, dimensions, grid.found.slots[index] ?? 0, x, y, z);
          expect(grid.found.distances[index]).toBe(distance);
        }
      }
    },
  );

  it("leaves out what is marked", () => {
    const { grid } = create(createRandom(1), 50, 2, () => 0);
    const marks = new Uint32Array(50).fill(6);
    marks[17] = 7;
    grid.search(at(0, 0, 0, 1), marks, 6, 100, 0);
    expect([...grid.found.slots.subarray(0, grid.found.count)]).toEqual([17]);
  });

  it("looks at no more than the limit, and at all in turn", () => {
    const random = createRandom(2);
    const { grid, work } = create(random, 400, 2, () => randomBelow(random, 2));
    const found = new Set<number>();
    let cursor = 0;
    let searches = 0;
    do {
      const before = work.examined;
      cursor = grid.search(at(1, 0, 1, 5), new Uint32Array(400), 1, 70, cursor);
      expect(work.examined - before).toBe(70);
      for (const slot of grid.found.slots.subarray(0, grid.found.count)) found.add(slot);
      searches++;
    } while (found.size < 400 && searches < 50);
    expect(searches).toBe(6);
    const before = work.examined;
    expect(grid.search(at(1, 0, 1, 5), new Uint32Array(400), 1, 400, cursor)).toBe(0);
    expect(work.examined - before).toBe(400);
  });

  it("shows each tick's positions", () => {
    const { store, grid } = create(createRandom(3), 1, 2, () => 0);
    store.move(0, 500, 0, 500);
    grid.begin(store.commit());
    grid.search(at(0, 0, 0, 9), new Uint32Array(1), 1, 9, 0);
    expect(grid.found.count).toBe(0);
    grid.search(at(500, 0, 500, 9), new Uint32Array(1), 1, 9, 0);
    expect(grid.found.count).toBe(1);
    store.remove(0);
    grid.begin(store.commit());
    grid.search(at(500, 0, 500, 9), new Uint32Array(1), 1, 9, 0);
    expect(grid.found.count).toBe(0);
  });

  it("looks at little more than what is in range, in a crowd as in a field", () => {
    for (const spread of [1, 100, 10_000]) {
      const random = createRandom(4);
      const { grid, work } = create(random, 4_000, 2, () => randomBelow(random, spread));
      let found = 0;
      for (let round = 0; round < 500; round++) {
        const reach = spread / 16;
        const where = at(randomBelow(random, spread), 0, randomBelow(random, spread), reach);
        grid.search(where, new Uint32Array(4_000), 1, 1e9, 0);
        found += grid.found.count;
      }
      expect(work.examined / found).toBeLessThan(2.2);
    }
  });
});

function at(x: number, y: number, z: number, reach: number): Reach {
  return { x, y, z, reach };
}

function create(
  random: Random,
  count: number,
  dimensions: 2 | 3,
  coordinate: () => number,
): { store: EntityStore; grid: SpatialGrid; work: ReturnType<typeof createWork> } {
  const store = new EntityStore(count, kinds);
  for (let index = 0; index < count; index++) store.spawn(0, coordinate(), coordinate(), coordinate(), 1);
  // Slots and order of the list differ once some have gone and come.
  for (let index = 0; index < count / 3; index++) {
    store.remove(store.live[Math.floor(random() * store.liveCount)] ?? 0);
    store.spawn(0, coordinate(), coordinate(), coordinate(), 1);
  }
  const work = createWork();
  const grid = new SpatialGrid(store, dimensions, work);
  grid.begin(store.commit());
  return { store, grid, work };
}

function nearer(store: EntityStore, dimensions: 2 | 3, x: number, y: number, z: number, reach: number): number[] {
  const slots = [...store.live.subarray(0, store.liveCount)].sort((a, b) => a - b);
  return slots.filter((slot) => distance2(store, dimensions, slot, x, y, z) <= reach * reach);
}

function distance2(store: EntityStore, dimensions: 2 | 3, slot: number, x: number, y: number, z: number): number {
  const dx = (store.x[slot] ?? 0) - x;
  const dy = (store.y[slot] ?? 0) - y;
  const dz = (store.z[slot] ?? 0) - z;
  return dimensions === 2 ? dx * dx + dz * dz : dx * dx + dz * dz + dy * dy;
}
