import { describe, expect, it } from "vitest";
import { ByteReader } from "../../protocol/bytes.ts";
import { decodeEntities } from "../../protocol/messages/entities.ts";
import { KindTable } from "../../protocol/entities/kind-table.ts";
import { assertLayout, createRandomFragments, type FragmentTable } from "./testing/random-world.ts";
import { createRandom, type Random, randomInteger } from "../../protocol/testing/seeded-random.ts";
import { ViewAudit } from "./testing/view-audit.ts";
import { EntityView } from "../../protocol/entities/view.ts";
import { type Restlessness, Wanderers } from "./testing/wanderers.ts";
import { FrameTarget, leastFrameBytes } from "./view-writer.ts";
import { World } from "./world.ts";

const tickHz = 20;
const kinds = new KindTable([
  { id: 0, name: "player", fields: [{ name: "heading", type: "angle" }] },
  {
    id: 5,
    name: "monster",
    fields: [
      { name: "u8", type: "u8" },
      { name: "u32", type: "u32" },
      { name: "i16", type: "i16" },
      { name: "f32", type: "f32" },
      { name: "flags", type: "flags" },
      { name: "tag", type: "bytes", maxBytes: 7 },
    ],
  },
]);
const restless: Restlessness = {
  players: 40,
  entities: 40,
  side: 200,
  speed: 2,
  churn: 0.005,
  jump: 0.005,
  change: 0.2,
  rest: 0.3,
};

describe("the frames of a world", () => {
  it.each([1, 2, 3, 4, 5, 6])(
    "let clients know just what they are shown, losslessly, after every tick (seed %i)",
    (seed) => {
      const random = createRandom(seed);
      const { world, audit, wanderers } = create(random, randomTables(random, 64_000), restless);
      for (let round = 0; round < 300; round++) {
        wanderers.tick();
        if (round % 60 === 59) world.changeLayout(assertLayout(randomTables(random, 64_000)));
        if (random() < 0.2) {
          const player = wanderers.players[randomInteger(random, 0, wanderers.players.length - 1)] ?? 0;
          world.resetView(player);
          audit.connect(player);
        }
        audit.run(world.step().tick);
      }
      expect(audit.result.frames).toBeGreaterThan(2_000);
      expect(world.work.updates).toBeGreaterThan(5_000);
      expect(world.work.leaves).toBeGreaterThan(1_000);
    },
  );

  it.each([
    [1_000, 1],
    [6_000, 2],
    [12_000, 3],
    [1e8, 4],
  ])("starve no entity and stay within a budget of %i bytes a second (seed %i)", (byteBudget, seed) => {
    const random = createRandom(seed);
    const maxVisible = 30;
    const tables = {
      world: { starve_ticks: 30 },
      fragment: [
        {
          name: "a",
          min: [-900, -900],
          max: [0, 900],
          update_hz: 20,
          view_range: 90,
          max_visible: maxVisible,
          byte_budget: byteBudget,
        },
        {
          name: "b",
          min: [0, -900],
          max: [900, 900],
          update_hz: 7,
          view_range: 70,
          max_visible: 20,
          byte_budget: byteBudget,
        },
      ],
    };
    const { world, audit, wanderers } = create(random, tables, { ...restless, side: 150, jump: 0.001 });
    for (let round = 0; round < 600; round++) {
      wanderers.tick();
      audit.run(world.step().tick);
    }
    const least = leastFrameBytes(kinds, maxVisible);
    const frameBytes = Math.max(least, Math.min(65_534, Math.floor(byteBudget / 20)));
    expect(audit.result.largestFrame).toBeLessThanOrEqual(
      Math.max(least, Math.min(65_534, Math.floor(byteBudget / 7))),
    );
    expect(world.work.deferred > 0).toBe(byteBudget < 1e8);
    // The bound of docs/PROTOCOL.md, section 5.11: P, S, K, G and m.
    const longestTier = Math.floor((4 * tickHz) / 7);
    const gap = Math.ceil(tickHz / 7);
    const surely = Math.floor((frameBytes - 4 - 10 - maxVisible) / 2 / (1 + kinds.maxUpdateBytes));
    const bound = Math.max(longestTier, 30) + (Math.ceil(maxVisible / surely) + 1) * gap;
    expect(audit.result.longestWait).toBeLessThanOrEqual(bound);
    expect(audit.result.longestWait).toBeGreaterThan(5);
  });

  it("[ENTITIES-7] tell everything in the end, and then nothing: when all stand still, clients have the last state", () => {
    const random = createRandom(7);
    const { world, audit, wanderers } = create(random, randomTables(random, 4_000), { ...restless, churn: 0 });
    for (let round = 0; round < 100; round++) {
      wanderers.tick();
      audit.run(world.step().tick);
    }
    for (let round = 0; round < 200; round++) audit.run(world.step().tick);
    const { work } = world;
    const before = { ...work };
    for (let round = 0; round < 50; round++) audit.run(world.step().tick);
    expect(work).toEqual({ ...before, examined: work.examined });
    for (const player of audit.players()) {
      for (const entity of audit.view(player).entities()) {
        const slot = world.entities.find(entity.number) ?? -1;
        expect(Math.abs(entity.x - (world.entities.x[slot] ?? 0))).toBeLessThanOrEqual(
          (world.entities.step[slot] ?? 0) * 0.5001,
        );
      }
    }
  });

  it("[ENTITIES-8] have the important entity first when the budget is short, and the least important in time", () => {
    const world = new World({ layout: assertLayout(crowd(1_000)), kinds, tickHz, maxPlayers: 1, maxEntities: 80 });
    const slots = Array.from({ length: 60 }, (_, index) => world.spawn(5, 50 + index * 0.001, 0, 0));
    const [boss = -1, leaf = -1, other = -1] = slots;
    world.entities.setPriority(boss, 6);
    world.entities.setPriority(leaf, 1e-6);
    const told = watch(world, 400, (tick) => {
      for (const slot of slots) world.entities.setBytes(slot, 5, new Uint8Array(7).fill(tick));
    });
    expect(told(boss).length).toBeGreaterThan(1.8 * told(other).length);
    expect(longestPause(told(leaf))).toBeGreaterThan(55);
    expect(longestPause(told(leaf))).toBeLessThanOrEqual(61);
  });

  it("[ENTITIES-8] have the near before the far when the budget is short", () => {
    const world = new World({ layout: assertLayout(crowd(1_000)), kinds, tickHz, maxPlayers: 1, maxEntities: 80 });
    const slots = Array.from({ length: 60 }, (_, index) => world.spawn(5, index < 30 ? 5 : 80, 0, index * 0.001));
    const told = watch(world, 400, (tick) => {
      for (const slot of slots) world.entities.setBytes(slot, 5, new Uint8Array(7).fill(tick));
    });
    const updates = (some: readonly number[]): number => some.reduce((sum, slot) => sum + told(slot).length, 0);
    expect(world.work.deferred).toBeGreaterThan(1_000);
    expect(updates(slots.slice(0, 30))).toBeGreaterThan(1.5 * updates(slots.slice(30)));
  });

  it("tell the nearest first of those who enter and do not fit all at once", () => {
    const world = new World({ layout: assertLayout(crowd(1_000)), kinds, tickHz, maxPlayers: 1, maxEntities: 80 });
    // The farthest has come first.
    const slots = Array.from({ length: 60 }, (_, index) => world.spawn(5, 80 - index, 0, 0));
    const player = world.addPlayer(0, 0, 0, 0);
    world.step();
    world.writeFrame(player, new FrameTarget(new Uint8Array(9_000)), 0);
    const entered = world.visibleTo(player);
    expect(entered.length).toBeLessThan(60);
    expect(entered).toEqual(slots.slice(-entered.length).toReversed());
  });

  it("carry what has changed since they told it, and no more: fields by their mask, positions as steps from where it was", () => {
    const world = new World({ layout: assertLayout(crowd(10_000)), kinds, tickHz, maxPlayers: 1, maxEntities: 2 });
    const slot = world.spawn(5, 50, 0, 50);
    const viewer = world.addPlayer(0, 0, 0, 0);
    const target = new FrameTarget(new Uint8Array(9_000));
    const bytesOf = (change: () => void): number => {
      change();
      // Whatever its tier, its time has come.
      for (let tick = 0; tick < 8; tick++) world.step();
      return world.writeFrame(viewer, target, 0);
    };
    bytesOf(() => world.entities.set(slot, 0, 1));
    // Tick, no leaves, no enters, handle and mask.
    const least = 4 + 1 + 1 + 1 + 1;
    expect(bytesOf(() => world.entities.set(slot, 0, 2))).toBe(least + 1);
    expect(bytesOf(() => world.entities.set(slot, 2, -3))).toBe(least + 2);
    expect(bytesOf(() => world.entities.move(slot, 50.02, 0, 49.97))).toBe(least + 1 + 1);
    expect(bytesOf(() => world.entities.move(slot, 50.02, 0.05, 49.97))).toBe(least + 1);
    expect(bytesOf(() => undefined)).toBe(0);
  });

  it("tell of changes nearby while more enters than fits", () => {
    const world = new World({ layout: assertLayout(crowd(1_000)), kinds, tickHz, maxPlayers: 1, maxEntities: 80 });
    const near = world.spawn(5, 1, 0, 0);
    const flood = Array.from({ length: 50 }, (_, index) => world.spawn(5, 50 + index, 0, 0));
    const told = watch(world, 200, (tick) => {
      // As much as an enter takes: it does not fit into what those leave.
      for (const field of [0, 1, 2, 3]) world.entities.set(near, field, tick);
      world.entities.setBytes(near, 5, new Uint8Array(7).fill(tick));
      for (const [index, slot] of flood.entries())
        world.entities.move(slot, (tick + index) % 3 === 0 ? 5_000 : 50, 0, 0);
    });
    expect(world.work.deferred).toBeGreaterThan(1_000);
    expect(world.work.enters).toBeGreaterThan(200);
    expect(longestPause(told(near))).toBe(1);
  });

  it("throw when there is no room for them, and take none for a player who is not there", () => {
    const world = new World({ layout: assertLayout(crowd(1_000)), kinds, tickHz, maxPlayers: 2, maxEntities: 2 });
    const player = world.addPlayer(0, 0, 0, 0);
    world.step();
    const room = world.frameRoom(player);
    expect(() => world.writeFrame(player, new FrameTarget(new Uint8Array(room - 1)), 0)).toThrow(RangeError);
    expect(world.writeFrame(player, new FrameTarget(new Uint8Array(room)), 0)).toBe(0);
    expect(world.writeFrame(1, new FrameTarget(new Uint8Array(0)), 0)).toBe(0);
  });

  it("do not show a player itself", () => {
    const world = new World({ layout: assertLayout({}), kinds, tickHz, maxPlayers: 1, maxEntities: 1 });
    const player = world.addPlayer(0, 0, 0, 0);
    world.step();
    world.writeFrame(player, new FrameTarget(new Uint8Array(9_000)), 0);
    expect(world.visibleTo(player)).toEqual([]);
  });
});

describe("what a player sees", () => {
  it.each([
    [1, 2, 12],
    [2, 3, 12],
    [3, 2, 1_000],
    [4, 3, 1_000],
  ] as const)("is the nearest in range, over borders, with hysteresis (seed %i)", (seed, dimensions, maxVisible) => {
    const random = createRandom(seed);
    const fragment = createRandomFragments(random, 9, 400, dimensions);
    for (const table of fragment) Object.assign(table, { view_range: 60, max_visible: maxVisible, byte_budget: 1e8 });
    const layout = assertLayout({ fragment, world: { view_hysteresis: 0.2, max_examined: 1e6 } });
    const world = new World({ layout, kinds, tickHz, maxPlayers: 80, maxEntities: 200 });
    const wanderers = new Wanderers(world, random, { ...restless, players: 80 }, ignore, ignore);
    const target = new FrameTarget(new Uint8Array(70_000));
    const { number: numbers } = world.entities;
    const seen = new Map<number, Set<number>>();
    for (let round = 0; round < 60; round++) {
      wanderers.tick();
      world.step();
      for (const player of wanderers.players) {
        const mine = numbers[world.bodyOf(player)] ?? 0;
        const expected = nearest(world, player, seen.get(mine) ?? new Set(), 60, 0.2, maxVisible, dimensions);
        world.writeFrame(player, target, 0);
        const shown = new Set(world.visibleTo(player).map((slot) => numbers[slot] ?? 0));
        expect([...shown].sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
        seen.set(mine, shown);
      }
      if (maxVisible === 1_000) assertMutual(world, wanderers.players, seen, 60, 0.2, dimensions);
    }
  });
});

describe("the cost of a tick, in operations", () => {
  it("grows in line with the players where their density is the same", () => {
    const [few, many] = [600, 2_400].map((players) => {
      const side = Math.sqrt(players) * 9;
      return costOf(players, side, { view_range: 50, max_visible: 50 });
    });
    expect((many?.examined ?? 0) / (few?.examined ?? 1)).toBeLessThan(4 * 1.15);
    expect((many?.updates ?? 0) / (few?.updates ?? 1)).toBeLessThan(4 * 1.15);
    expect((many?.encoded ?? 0) / (few?.encoded ?? 1)).toBeLessThan(4 * 1.15);
    expect((many?.bytes ?? 0) / (few?.bytes ?? 1)).toBeLessThan(4 * 1.15);
  });

  it("is bounded by thresholds where they gather", () => {
    const threshold = [100, 200, 400, 800].map((players, index) => ({ players, update_hz: 10 / 2 ** index }));
    const settings = { view_range: 50, max_visible: 50, threshold };
    const [few, many] = [200, 1_600].map((players) => costOf(players, 20, settings));
    expect((many?.examined ?? 0) / (few?.examined ?? 1)).toBeLessThan(2);
    expect((many?.frames ?? 0) / (few?.frames ?? 1)).toBeLessThan(1.1);
    const told = (cost = many): number => (cost?.updates ?? 0) + (cost?.enters ?? 0);
    expect(told(many) / told(few)).toBeLessThan(1.2);
  });

  it("looks at no more than a few times what is seen, however many gather in one spot", () => {
    const { examined, frames } = costOf(2_000, 1, { view_range: 50, max_visible: 50 });
    expect(examined / frames).toBeLessThan(50 * 5);
  });

  it("encodes an entity once for all who were told of it at the same tick", () => {
    const { encoded, updates } = costOf(400, 20, { view_range: 50, max_visible: 50 }, [{ within: 1, every: 1 }]);
    expect(updates / encoded).toBeGreaterThan(30);
  });
});

describe("World", () => {
  it("tells swaps and levels in order, and who is where", () => {
    const layout = assertLayout({
      world: { swap_dwell_ticks: 2 },
      fragment: [
        { name: "a", min: [0, 0], max: [10, 10], threshold: [{ players: 1, update_hz: 5 }] },
        { name: "b", min: [10, 0], max: [20, 10], speed_limit: 7, capacity: 2 },
      ],
    });
    const world = new World({ layout, kinds, tickHz, maxPlayers: 4, maxEntities: 4 });
    const [first, second] = [world.addPlayer(0, 1, 0, 1), world.addPlayer(0, 2, 0, 2)];
    expect(world.step()).toMatchObject({
      moves: [
        { type: "enter", player: first, fragment: "a" },
        { type: "enter", player: second, fragment: "a" },
      ],
      levels: [{ fragment: "a", from: 0, to: 1 }],
    });
    world.entities.move(world.bodyOf(first), 15, 0, 5);
    expect(world.step()).toMatchObject({ moves: [], levels: [] });
    expect(world.step().moves.map(({ type, fragment }) => `${type} ${fragment}`)).toEqual(["leave a", "enter b"]);
    expect(world.playersIn("b")).toEqual([first]);
    expect(world.playersIn("nowhere")).toEqual([]);
    expect(world.speedLimitOf(first)).toBe(7);
    expect(world.fragments().map(({ name, players, level }) => [name, players, level])).toEqual([
      ["a", 1, 1],
      ["b", 1, 0],
    ]);
    world.removePlayer(second);
    expect(world.step()).toMatchObject({ moves: [{ type: "leave", player: second }], levels: [{ from: 1, to: 0 }] });
    expect([world.fragmentOf(first), world.fragmentOf(second)]).toEqual(["b", undefined]);
  });

  it("[FRAGMENT-1] falls back by the margin of its world, and keeps its level when it is laid out anew", () => {
    const fragment = { name: "a", min: [0, 0], max: [10, 10], threshold: [{ players: 4, update_hz: 5 }] };
    const layout = assertLayout({ world: { threshold_margin: 0.5 }, fragment: [fragment] });
    const world = new World({ layout, kinds, tickHz, maxPlayers: 5, maxEntities: 5 });
    const players = Array.from({ length: 5 }, () => world.addPlayer(0, 1, 0, 1));
    const levels = (leaves: number): readonly object[] => {
      for (const player of players.splice(0, leaves)) world.removePlayer(player);
      return world.step().levels;
    };
    expect(levels(0)).toEqual([{ fragment: "a", from: 0, to: 1 }]);
    expect(levels(2)).toEqual([]);
    const other = { ...fragment, threshold: [{ players: 4, update_hz: 7 }] };
    world.changeLayout(assertLayout({ world: { threshold_margin: 0.5 }, fragment: [other] }));
    // Three would not have got there.
    expect(levels(0)).toEqual([]);
    expect(world.fragments()[0]).toMatchObject({ level: 1, settings: { updateHz: 7 } });
    expect(levels(1)).toEqual([{ fragment: "a", from: 1, to: 0 }]);
  });

  it("refuses players where there is no room, and changes nothing then", () => {
    const layout = assertLayout({
      fragment: [
        { name: "a", min: [0, 0], max: [10, 10], capacity: 1 },
        { name: "b", min: [10, 0], max: [20, 10] },
      ],
    });
    const world = new World({ layout, kinds, tickHz, maxPlayers: 3, maxEntities: 3 });
    expect(world.addPlayer(0, 1, 0, 1)).not.toBe(-1);
    expect(world.addPlayer(0, 1, 0, 1)).toBe(-1);
    const other = world.addPlayer(0, 11, 0, 1);
    expect(world.teleport(other, 1, 0, 1)).toBe(false);
    expect(world.entities.x[world.bodyOf(other)]).toBe(11);
    world.spawn(5, 0, 0, 0);
    expect(world.addPlayer(0, 11, 0, 1)).toBe(-1);
    expect(world.entities.liveCount).toBe(3);
    expect(world.fragments().map(({ players }) => players)).toEqual([1, 1]);
  });

  it("shows positions as finely as the fragment of the entity says, at its level", () => {
    const fragment = (precision: number, threshold: object[]): FragmentTable => ({
      name: "a",
      min: [0, 0],
      max: [99, 99],
      precision,
      threshold,
    });
    const layout = assertLayout({ fragment: [fragment(0.5, [{ players: 1, precision: 2 }])] });
    const world = new World({ layout, kinds, tickHz, maxPlayers: 4, maxEntities: 9 });
    const stone = world.spawn(5, 7.3, 0, 0);
    world.addPlayer(0, 1, 0, 1);
    world.step();
    expect(world.entities.step[stone]).toBe(0.5);
    world.addPlayer(0, 1, 0, 1);
    world.step();
    expect(world.entities.step[stone]).toBe(2);
    world.changeLayout(assertLayout({ fragment: [fragment(0.25, [])] }));
    world.step();
    expect(world.entities.step[stone]).toBe(0.25);
  });
});

function ignore(): void {
  // Nothing to do: the test looks at the world itself.
}

/** Lets a player look on from the origin; tells at which ticks it was told of a change of an entity. */
function watch(world: World, ticks: number, change: (tick: number) => void): (slot: number) => number[] {
  const viewer = world.addPlayer(0, 0, 0, 0);
  const target = new FrameTarget(new Uint8Array(9_000));
  const view = new EntityView(kinds);
  const told = new Map<number, number[]>();
  for (let tick = 0; tick < ticks; tick++) {
    change(tick);
    world.step();
    const end = world.writeFrame(viewer, target, 0);
    if (end === 0) continue;
    view.apply(decodeEntities(new ByteReader(target.bytes.subarray(0, end))), {
      onEnter: ({ number }) => told.set(number, []),
      onUpdate: ({ number }) => told.get(number)?.push(tick),
    });
  }
  return (slot) => told.get(world.entities.number[slot] ?? 0) ?? [];
}

function longestPause(ticks: readonly number[]): number {
  return Math.max(...ticks.slice(1).map((tick, index) => tick - (ticks[index] ?? 0)));
}

function crowd(byteBudget: number): Parameters<typeof assertLayout>[0] {
  const fragment = {
    name: "a",
    min: [-99, -99],
    max: [99, 99],
    view_range: 90,
    max_visible: 60,
    byte_budget: byteBudget,
  };
  return { fragment: [fragment], world: { starve_ticks: 60 } };
}

/** Fragments of very different settings, with thresholds within reach. */
function randomTables(random: Random, byteBudget: number): Parameters<typeof assertLayout>[0] {
  const dimensions = random() < 0.5 ? 2 : 3;
  const fragment = createRandomFragments(random, randomInteger(random, 1, 9), 220, dimensions);
  for (const table of fragment) {
    const update_hz = randomInteger(random, 3, 25);
    const view_range = randomInteger(random, 40, 160);
    Object.assign(table, {
      update_hz,
      view_range,
      precision: [0.001, 0.01, 0.3, 2][randomInteger(random, 0, 3)],
      max_visible: randomInteger(random, 1, 300),
      byte_budget: byteBudget,
      threshold: [
        { players: 5, update_hz: update_hz / 2 },
        { players: 20, view_range: view_range / 2, max_visible: 1, precision: 5 },
      ],
    });
  }
  return { fragment, world: { starve_ticks: 20, max_examined: randomInteger(random, 16, 200) } };
}

function create(
  random: Random,
  tables: Parameters<typeof assertLayout>[0],
  how: Restlessness,
): { world: World; audit: ViewAudit; wanderers: Wanderers } {
  const layout = assertLayout(tables);
  const world = new World({ layout, kinds, tickHz, maxPlayers: 60, maxEntities: 110 });
  const audit = new ViewAudit(world);
  const wanderers = new Wanderers(
    world,
    random,
    how,
    (player) => audit.connect(player),
    (player) => audit.disconnect(player),
  );
  return { world, audit, wanderers };
}

/** Squared distance between two slots. */
function distance2(world: World, a: number, b: number, dimensions: 2 | 3): number {
  const { x, y, z } = world.entities;
  const dx = (x[b] ?? 0) - (x[a] ?? 0);
  const dy = (y[b] ?? 0) - (y[a] ?? 0);
  const dz = (z[b] ?? 0) - (z[a] ?? 0);
  return dimensions === 2 ? dx * dx + dz * dz : dx * dx + dz * dz + dy * dy;
}

/** The rule, by looking at everything: numbers of the entities that a player should see. */
function nearest(
  world: World,
  player: number,
  seen: ReadonlySet<number>,
  range: number,
  hysteresis: number,
  most: number,
  dimensions: 2 | 3,
): number[] {
  const body = world.bodyOf(player);
  const { entities } = world;
  const ranked: { number: number; key: number }[] = [];
  for (const slot of entities.live.subarray(0, entities.liveCount)) {
    if (slot === body) continue;
    const number = entities.number[slot] ?? 0;
    const distance = distance2(world, body, slot, dimensions);
    const reach = seen.has(number) ? 1 + hysteresis : 1;
    if (distance <= (range * reach) ** 2) ranked.push({ number, key: distance / reach ** 2 });
  }
  ranked.sort((a, b) => a.key - b.key);
  return ranked.slice(0, most).map(({ number }) => number);
}

/** Where A sees B and B does not see A, they are between the range at which one enters and the one at which it leaves. */
function assertMutual(
  world: World,
  players: readonly number[],
  seen: ReadonlyMap<number, ReadonlySet<number>>,
  range: number,
  hysteresis: number,
  dimensions: 2 | 3,
): void {
  const bodies = players.map((player) => world.bodyOf(player));
  const wrong: string[] = [];
  for (const a of bodies) {
    for (const b of bodies) {
      const [numberA = 0, numberB = 0] = [world.entities.number[a], world.entities.number[b]];
      const distance = Math.sqrt(distance2(world, a, b, dimensions));
      const sees = seen.get(numberA)?.has(numberB) ?? false;
      const mutual = sees === (seen.get(numberB)?.has(numberA) ?? false);
      const isRight = distance <= range ? sees : distance <= range * (1 + hysteresis) || !sees;
      if (a !== b && (!isRight || (!mutual && distance <= range))) wrong.push(`${numberA}, ${numberB} at ${distance}`);
    }
  }
  expect(wrong).toEqual([]);
}

/** Work of 40 ticks, after as many to settle, of players that walk in a square. */
function costOf(players: number, side: number, settings: object, tier?: object[]): World["work"] {
  const random = createRandom(players);
  const layout = assertLayout({
    world: tier === undefined ? {} : { tier },
    fragment: [{ name: "a", min: [-1e4, -1e4], max: [1e4, 1e4], update_hz: 20, ...settings }],
  });
  const world = new World({ layout, kinds, tickHz, maxPlayers: players, maxEntities: players });
  const how = {
    ...restless,
    players,
    entities: 0,
    side,
    speed: Math.min(0.5, side / 100),
    churn: 0,
    jump: 0,
    change: 0,
    rest: 0,
  };
  const wanderers = new Wanderers(world, random, how, ignore, ignore);
  const target = new FrameTarget(new Uint8Array(70_000));
  let before = { ...world.work };
  for (let tick = 0; tick < 80; tick++) {
    if (tick === 40) before = { ...world.work };
    wanderers.tick();
    world.step();
    for (const player of wanderers.players) if (world.isFrameDue(player)) world.writeFrame(player, target, 0);
  }
  const { work } = world;
  return {
    examined: work.examined - before.examined,
    encoded: work.encoded - before.encoded,
    leaves: work.leaves - before.leaves,
    enters: work.enters - before.enters,
    updates: work.updates - before.updates,
    deferred: work.deferred - before.deferred,
    frames: work.frames - before.frames,
    bytes: work.bytes - before.bytes,
  };
}
