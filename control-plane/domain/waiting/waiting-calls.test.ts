import { describe, expect, it } from "vitest";
import { randomSource } from "../testing/random-source.ts";
import { callPlaces, type CapacityNote, overtakingMs, sumNotes } from "./waiting-calls.ts";
import type { Place } from "./waiting-line.ts";

const nowMs = 1_000_000;

/** Places in this order, each by its size. */
function placesOf(sizes: readonly number[], changes: Partial<Place> = {}): Place[] {
  return sizes.map((size, index) => ({
    sequence: index + 1,
    visitor: `v${index}`,
    reservationId: `r${index}`,
    size,
    joinedAtMs: nowMs,
    dueAtMs: nowMs,
    expiresAtMs: nowMs + 60_000,
    ...changes,
  }));
}

function note(...rooms: number[]): CapacityNote {
  return { rooms: rooms.map((places, index) => ({ clusterId: `c${index}`, places })), largest: 16 };
}

function noteOf(free: readonly number[], capacities: readonly number[]): CapacityNote {
  const rooms = free.map((places, index) => ({ clusterId: `c${index}`, places, capacity: capacities[index] ?? 0 }));
  return { rooms, largest: 16 };
}

function called(places: readonly Place[], capacity: CapacityNote): readonly number[] {
  return [...callPlaces(places, capacity, nowMs).called.keys()];
}

describe("whose turn it is", () => {
  it("[WAIT-3] are the first, as many as there are seats", () => {
    expect(called(placesOf([1, 1, 1, 1]), note(1, 1))).toEqual([1, 2]);
    expect(called(placesOf([1, 1]), note())).toEqual([]);
    expect(called(placesOf([]), note(3))).toEqual([]);
  });

  it("[WAIT-5] are not those who do not come, whose seats go to those behind", () => {
    const [first, ...rest] = placesOf([1, 1, 1]);
    if (first === undefined) throw new Error("there are three");
    expect(called([{ ...first, dueAtMs: nowMs - 1 }, ...rest], note(1))).toEqual([2]);
  });

  it("[WAIT-9] are parties whole, on one cluster, which is kept for them", () => {
    const { called: turns, kept } = callPlaces(placesOf([3, 1]), note(2, 3, 5), nowMs);
    expect([...turns]).toEqual([
      [1, "c1"],
      [2, undefined],
    ]);
    expect([...kept]).toEqual(["c1"]);
    expect(called(placesOf([3]), note(2, 2))).toEqual([]);
  });

  it("[WAIT-7] [WAIT-9] are parties that are larger than what a cluster takes at a time, in their turn", () => {
    const slow = { rooms: [{ clusterId: "c0", places: 1, whole: 4 }], largest: 4 };
    expect(called(placesOf([4, 1]), slow)).toEqual([1]);
    expect(called(placesOf([1, 4]), slow)).toEqual([1]);
    expect(called(placesOf([5, 1]), { ...slow, largest: 9 })).toEqual([2]);
  });

  it("[WAIT-9] are those behind a party that does not fit, but not for ever", () => {
    expect(called(placesOf([4, 1, 1, 1]), note(2, 1))).toEqual([2, 3, 4]);
    const waited = placesOf([4, 1, 1, 1], { joinedAtMs: nowMs - overtakingMs });
    const turns = callPlaces(waited, note(2, 1), nowMs);
    // The roomiest is kept; the rest goes on.
    expect([...turns.called.keys()]).toEqual([2]);
    expect([...turns.kept]).toEqual(["c0"]);
  });

  it("[WAIT-9] are not kept from a cluster on which the party could never be, however long it has waited", () => {
    const waited = placesOf([8, 1, 1, 1, 1], { joinedAtMs: nowMs - overtakingMs });
    const [small, large] = [
      { clusterId: "small", places: 3, capacity: 4 },
      { clusterId: "large", places: 1, capacity: 10 },
    ];
    const turns = callPlaces(waited, { rooms: [small, large], largest: 10 }, nowMs);
    expect([...turns.called.keys()]).toEqual([2, 3, 4]);
    expect([...turns.kept]).toEqual(["large"]);
    expect(callPlaces(waited, { rooms: [small], largest: 10 }, nowMs).kept.size).toBe(0);
  });

  it("[WAIT-9] are not held up by a party for which no cluster is large enough", () => {
    const waited = placesOf([9, 1], { joinedAtMs: nowMs - overtakingMs });
    const turns = callPlaces(waited, { ...note(1), largest: 8 }, nowMs);
    expect([...turns.called.keys()]).toEqual([2]);
    expect(turns.kept.size).toBe(0);
  });
});

it.each(Array.from({ length: 100 }, (_, seed) => seed))(
  "[WAIT-3] [WAIT-9] never more than there is room for, and players alone in order (seed %i)",
  (seed) => {
    const random = randomSource(seed);
    const sizes = Array.from({ length: random.below(20) }, () => (random.below(3) === 0 ? 2 + random.below(6) : 1));
    const places = placesOf(sizes, { joinedAtMs: nowMs - random.below(2) * overtakingMs });
    const capacity = note(...Array.from({ length: random.below(5) }, () => random.below(8)));
    const { called: turns } = callPlaces(places, capacity, nowMs);
    const total = capacity.rooms.reduce((sum, { places: free }) => sum + free, 0);
    const given = places.filter(({ sequence }) => turns.has(sequence));
    expect(given.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(total);
    for (const { clusterId, places: free } of capacity.rooms) {
      const there = given.filter(({ sequence }) => turns.get(sequence) === clusterId);
      expect(there.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(free);
    }
    // Of two who want one seat each, the later one is never called alone.
    const alone = places.filter(({ size }) => size === 1).map(({ sequence }) => turns.has(sequence));
    expect(alone.indexOf(false) === -1 || !alone.slice(alone.indexOf(false)).includes(true)).toBe(true);
  },
);

it.each(Array.from({ length: 30 }, (_, seed) => seed))(
  "[WAIT-9] a party is served after at most what was free before it, however many come after (seed %i)",
  (seed) => {
    const random = randomSource(seed);
    const size = 2 + random.below(5);
    // Clusters whose players leave one by one, while single players keep coming.
    const rooms = Array.from({ length: 1 + random.below(3) }, () => 0);
    // The first has no limit, others may be too small.
    const capacities = rooms.map((_, index) => (index === 0 ? 0 : 1 + random.below(2 * size)));
    const [party] = placesOf([size], { joinedAtMs: nowMs - overtakingMs });
    if (party === undefined) throw new Error("there is one");
    let isServed = false;
    for (let step = 0; step < rooms.length * size * 8 && !isServed; step += 1) {
      const index = random.below(rooms.length);
      if (rooms[index] !== capacities[index] || capacities[index] === 0) rooms[index] = (rooms[index] ?? 0) + 1;
      const others = placesOf([size, 1, 1, 1, 1, 1, 1]).slice(1);
      const { called: turns, kept } = callPlaces([party, ...others], noteOf(rooms, capacities), nowMs);
      isServed = turns.has(party.sequence);
      for (const other of others) {
        const open = rooms.findIndex((free, at) => free > 0 && !kept.has(`c${at}`));
        if (turns.has(other.sequence) && open !== -1) rooms[open] = (rooms[open] ?? 0) - 1;
      }
    }
    expect(isServed).toBe(true);
  },
);

describe("what the shards say together", () => {
  const open: CapacityNote = { rooms: [{ clusterId: "c", places: 1 }], largest: 4 };
  const gone: CapacityNote = { rooms: [], largest: 1, closed: { code: "CLUSTER_NOT_FOUND", detail: "gone" } };
  const locked: CapacityNote = { rooms: [], largest: 1, closed: { code: "NO_CLUSTER_AVAILABLE", detail: "locked" } };

  it("is the sum of their rooms", () => {
    expect(sumNotes([open, undefined, { rooms: [], largest: 9 }])).toEqual({
      rooms: open.rooms,
      largest: 9,
      closed: undefined,
    });
    expect(sumNotes([])).toEqual({ rooms: [], largest: 1, closed: undefined });
  });

  it("[WAIT-11] is that a cluster is closed when all say so: one that has moved is at one of them", () => {
    expect(sumNotes([gone, open]).closed).toBeUndefined();
    expect(sumNotes([gone, undefined]).closed).toBeUndefined();
    expect(sumNotes([gone, locked]).closed).toEqual(locked.closed);
    expect(sumNotes([gone]).closed).toEqual(gone.closed);
  });
});
