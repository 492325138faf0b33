/** What clusters show of each other's entities: whole worlds and the exchange between them, without sockets. */
import { describe, expect, it } from "vitest";
import { encodeKinds, frameHeaderBytes, KindTable, ProtocolError } from "../../protocol/index.ts";
import { createRandom, randomBelow } from "../../protocol/testing/seeded-random.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import type { Entity, FieldValues } from "../plugin/entities.ts";
import { createKinds } from "../world/entity-kinds.ts";
import { encodeGhostKinds, encodeGhostView } from "../world/ghost-frame.ts";
import { enter, type GhostCluster, GhostNet, walk, Watcher } from "./testing/ghost-net.ts";

const tickHz = 20;
const viewRange = 20;
/** And a margin of 1. */
const overrun = 3;
const hysteresis = 0.1;
const strips = ["a", "b", "c"].map((name, at) => ({
  name,
  min: [at * 50, 0],
  max: [at * 50 + 50, 100],
  view_range: viewRange,
  update_hz: tickHz,
}));
const rules = {
  handover_overrun: overrun,
  view_hysteresis: hysteresis,
  tier: [{ within: 1, every: 1 }],
  max_entities: 1_500,
};

function createNet(...ids: readonly string[]): { net: GhostNet; clusters: readonly GhostCluster[] } {
  const net = new GhostNet(
    (id) =>
      assertLayout({ world: { ...rules, carries: id === "ab" ? ["a", "b"] : [id.slice(0, 1)] }, fragment: strips }),
    tickHz,
  );
  const clusters = ids.map((id) => net.add(id));
  for (const [index, one] of clusters.entries()) for (const other of clusters.slice(index + 1)) net.link(one, other);
  return { net, clusters };
}

function two(): { net: GhostNet; a: GhostCluster; b: GhostCluster } {
  const { net, clusters } = createNet("a", "b");
  const [a, b] = clusters;
  if (a === undefined || b === undefined) throw new Error("two were asked for");
  return { net, a, b };
}

const numbers = (player: Watcher, kind = "player"): number[] => player.all(kind).map(({ number }) => number);
/** A frame of nothing but what is given as leaves, enters and updates. */
const view = (...changes: readonly number[]): Uint8Array => longView(changes);
const longView = (changes: readonly number[]): Uint8Array =>
  encodeGhostView([], Uint8Array.from([1, 0, 0, 0].concat(changes)));
/** Positions come in steps of a hundredth. */
const round = (value: number): number => Math.round(value * 50) / 50;

describe("ghosts", () => {
  it("[GHOST-1] are seen from the other side as they are, from coming into range to leaving it", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 48, 50);
    const bob = enter(b, "bob", 1, 75, 50);
    const tree = b.world.spawn("tree", { x: 60, y: 2, z: 50 }, { height: 3 });
    net.step(3);
    expect(ann.all("tree").map(({ x, y, z, values }) => [round(x), round(y), round(z), values])).toEqual([
      [60, 2, 50, [3]],
    ]);
    expect([numbers(ann), numbers(bob)]).toEqual([[], []]);
    walk(b, bob, 60, 50);
    tree?.moveTo({ x: 62, y: 2, z: 50 });
    tree?.set({ height: 4.5 });
    net.step(3);
    expect(ann.all("player").map(({ x, z }) => [round(x), round(z)])).toEqual([[60, 50]]);
    expect(ann.all("tree").map(({ x, values }) => [round(x), values])).toEqual([[62, [4.5]]]);
    expect(bob.all("player").map(({ x }) => round(x))).toEqual([48]);
    walk(b, bob, 69, 50);
    net.step(3);
    // Within the hysteresis of 22, it stays.
    expect(numbers(ann)).toHaveLength(1);
    walk(b, bob, 75, 50);
    tree?.despawn();
    net.step(3);
    expect([numbers(ann), ann.all("tree")]).toEqual([[], []]);
    expect(ann.seen).toHaveLength(4);
  });

  it.each([1, 2])(
    "[GHOST-1] show over a border what one cluster would show, up to the hysteresis and the way of a tick (seed %i)",
    (seed) => {
      const random = createRandom(seed);
      const { net, a, b } = two();
      const population = [a, b].flatMap((cluster, side) =>
        Array.from({ length: 12 }, (_, index) => {
          const x = side * 50 + randomBelow(random, 50);
          return { cluster, side, player: enter(cluster, `p${side}-${index}`, index + 1, x, randomBelow(random, 100)) };
        }),
      );
      const speed = 1;
      // Told at one tick, shown at the next; and what it is told of has moved since.
      const lag = 3 * speed + 0.1;
      let seen = 0;
      const missed: unknown[] = [];
      for (let round = 0; round < 300; round++) {
        for (const { cluster, side, player } of population) {
          const { x, z } = player.position;
          const out = overrun + 1;
          const [least, most] = [side * 50 - side * out, side * 50 + 50 + (1 - side) * out];
          const next = (value: number): number => value + (randomBelow(random, 2) - 1) * speed;
          walk(cluster, player, Math.min(most - 0.1, Math.max(least, next(x))), Math.min(99, Math.max(0, next(z))));
        }
        net.step();
        if (round < 3) continue;
        for (const { player, side } of population) {
          for (const other of population) {
            if (other.side === side) continue;
            const [dx, dz] = [other.player.position.x - player.position.x, other.player.position.z - player.position.z];
            const distance = Math.hypot(dx, dz);
            const ghost = player
              .all("player")
              .find(
                ({ x, z, values }) =>
                  values[0] === 0 && Math.hypot(x - other.player.position.x, z - other.player.position.z) < lag,
              );
            if (distance < viewRange - lag && ghost === undefined) missed.push([player.id, other.player.id, distance]);
            if (ghost !== undefined) seen += 1;
          }
          for (const { x, z } of player.all("player")) {
            const distance = Math.hypot(x - player.position.x, z - player.position.z);
            expect(distance).toBeLessThan(viewRange * (1 + hysteresis) + lag);
          }
        }
      }
      expect(missed).toEqual([]);
      expect(seen).toBeGreaterThan(1_000);
    },
  );

  it("[GHOST-1] are of the moment that players here are shown, whatever hooks do after it", () => {
    const { net } = createNet();
    const kinds = createKinds([{ tree: { height: "f32" }, rock: { size: "u8" } }]);
    const b = net.add("b", kinds);
    const at = { x: 48, y: 0, z: 20 };
    const a: GhostCluster = net.add("a", kinds, {
      enterFragment: () => {
        tree?.despawn();
        rock = a.world.spawn("rock", at, { size: 1 });
      },
    });
    let rock: Entity | undefined;
    const tree = a.world.spawn("tree", at, { height: 1 });
    net.link(a, b);
    const beside = enter(b, "beside", 1, 52, 20);
    enter(a, "sees the tree", 2, 30, 20);
    net.step(3);
    rock?.set({ size: 2 });
    net.step(3);
    expect([b.refused, beside.all("tree").length, beside.all("rock").length]).toEqual([0, 0, 1]);
  });

  it("[GHOST-1] are told of as far as players see over there, and until they are farther away by the hysteresis", () => {
    const { net, a, b } = two();
    // Who is over there may stand on this side as well: so far, along each axis.
    const reach = viewRange + (overrun + 1) * Math.SQRT2;
    const tree = a.world.spawn("tree", { x: 0, y: 0, z: 50 });
    const isTold = (distance: number): boolean => {
      tree?.moveTo({ x: 50 - distance, y: 0, z: 50 });
      net.step(3);
      return b.world.counts.ghosts === 1;
    };
    const within = viewRange * hysteresis;
    expect([reach + 0.5, reach - 0.5, reach + 0.5, reach + within - 0.5].map(isTold)).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect([reach + within + 0.5, reach + within - 0.5].map(isTold)).toEqual([false, false]);
  });

  it("[GHOST-1] are told to who carries what is near, as soon as the map says that others do", () => {
    const carried = new Map([
      ["a", "a"],
      ["b", "b"],
      ["s", "c"],
    ]);
    const layoutOf = (id: string) =>
      assertLayout({ world: { ...rules, carries: [carried.get(id)] }, fragment: strips });
    const net = new GhostNet(layoutOf, tickHz);
    const [a, b, s] = [net.add("a"), net.add("b"), net.add("s")];
    net.link(a, b);
    net.link(a, s);
    a.world.spawn("tree", { x: 49, y: 0, z: 50 });
    net.step(3);
    expect([b, s].map(({ world }) => world.counts.ghosts)).toEqual([1, 0]);
    carried.set("b", "c").set("s", "b");
    // The first one carries what it carried before.
    for (const [id, { world }] of [["b", b] as const, ["s", s] as const]) world.changeLayout(layoutOf(id));
    for (const { onMap } of [a, b, s].flatMap(({ events }) => events)) onMap?.();
    net.step(3);
    expect([b, s].map(({ world }) => world.counts.ghosts)).toEqual([0, 1]);
  });

  it("[GHOST-1] are told where players stand in what another one carries from now on, until it has them", () => {
    const carried = new Map([
      ["a", ["a"]],
      ["b", ["b", "c"]],
    ]);
    const whole = assertLayout({ world: rules, fragment: strips });
    const layoutOf = (id: string) => ({
      ...whole,
      fragments: whole.fragments.map((strip) =>
        Object.assign({}, strip, { carried: carried.get(id)?.includes(strip.name) === true }),
      ),
    });
    const net = new GhostNet(layoutOf, tickHz);
    const [a, b] = [net.add("a"), net.add("b")];
    net.link(a, b);
    enter(a, "ann", 1, 20, 50);
    const bob = enter(b, "bob", 1, 75, 50);
    net.step(3);
    carried.set("a", []).set("b", ["a", "b", "c"]);
    for (const [id, { world }] of [["a", a] as const, ["b", b] as const]) world.changeLayout(layoutOf(id));
    for (const { onMap } of [a, b].flatMap(({ events }) => events)) onMap?.();
    walk(b, bob, 30, 50);
    net.step(3);
    expect(numbers(bob)).toHaveLength(1);
  });

  it("[GHOST-2] are told by none but their own cluster, and the nearest of too many", () => {
    const { net, clusters } = createNet("a", "b", "c");
    const [a, b, c] = clusters;
    if (a === undefined || b === undefined || c === undefined) throw new Error("three were asked for");
    // Seen at b from a, but never told on: a strip lies between a and c.
    const watcher = enter(c, "cat", 1, 110, 50);
    a.world.spawn("tree", { x: 49, y: 0, z: 50 });
    net.step(5);
    expect([b.world.counts.ghosts, c.world.counts.ghosts, watcher.view?.size]).toEqual([2, 0, 0]);
    for (let index = 0; index < 1_200; index++) a.world.spawn("tree", { x: 49 - index / 100, y: 0, z: 50 });
    net.step(100);
    // And the one of the third.
    expect(b.world.counts.ghosts).toBe(1_001);
    a.world.spawn("tree", { x: 49.9, y: 0, z: 50 });
    const near = enter(b, "bea", 1, 50, 50);
    net.step(10);
    expect(near.all("tree").map(({ x }) => round(x))).toContain(49.9);
    expect(b.world.counts.ghosts).toBe(1_001);
  });

  it("[GHOST-3] are told within a bound of bytes a tick, and not while too much waits for the link", () => {
    const { net, a, b } = two();
    for (let index = 0; index < 900; index++)
      a.world.spawn("tree", { x: 49, y: 0, z: 50 + index / 100 }, { height: index });
    a.queuedBytes = 2_000_000;
    net.step(5);
    expect(net.waitingBytes).toBe(0);
    a.queuedBytes = 0;
    for (let tick = 0; tick < 20; tick++) {
      net.step();
      expect(net.waitingBytes).toBeLessThan(36_000);
    }
    expect(b.world.counts.ghosts).toBe(900);
  });

  it("[GHOST-5] are of the kinds and fields that both games have", () => {
    const { net, a } = two();
    const other = net.add("b2", createKinds([{ rock: { weight: "u8" }, tree: { age: "u8", height: "u16" } }]));
    const watcher = enter(a, "ann", 1, 45, 50);
    for (const { onUp } of other.events) onUp(a.ref);
    for (const { onUp } of a.events) onUp(other.ref);
    other.world.spawn("rock", { x: 55, y: 0, z: 50 }, { weight: 3 });
    other.world.spawn("tree", { x: 56, y: 0, z: 50 }, { age: 7, height: 9 });
    net.step(3);
    expect(watcher.all("tree").map(({ values }) => values)).toEqual([[0]]);
    expect(watcher.view?.size).toBe(1);
  });

  it("can be seen and nothing else: no hook, no count, no handle for the game", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    b.world.spawn("tree", { x: 55, y: 0, z: 50 });
    enter(b, "bob", 7, 55, 50);
    net.step(3);
    expect(ann.view?.size).toBe(2);
    expect(a.world.counts).toMatchObject({ entities: 1, ghosts: 2 });
    for (const number of [...numbers(ann), ...numbers(ann, "tree")]) expect(a.world.entity(number)).toBeUndefined();
    expect([a.world.playersIn("a"), a.world.playersIn("b")]).toEqual([[ann], []]);
    // It is no player of this cluster.
    expect(ann.all("player")[0]?.values[0]).toBe(0);
  });

  it("have room of their own: they take no player's place", () => {
    const net = new GhostNet(
      (id) => assertLayout({ world: { ...rules, carries: [id], max_entities: 2, max_ghosts: 1 }, fragment: strips }),
      tickHz,
    );
    const [a, b] = [net.add("a"), net.add("b")];
    net.link(a, b);
    const bea = enter(b, "bea", 1, 52, 50);
    enter(b, "bob", 1, 52, 50);
    net.step(3);
    expect(a.world.counts.ghosts).toBe(1);
    b.world.leave(bea);
    net.step(3);
    // The other one has waited for its place.
    expect(a.world.counts.ghosts).toBe(1);
    enter(b, "bea", 1, 52, 50);
    for (const id of ["ann", "amy"]) enter(a, id, 1, 48, 50);
    expect(() => enter(a, "art", 1, 48, 50)).toThrow("room");
    net.step(3);
    expect(a.world.counts).toMatchObject({ entities: 2, ghosts: 1 });
  });
});

describe("a player whose session ends when its client is told of another fragment", () => {
  it("is told to plugins in full: of what it left, where it came, and that it is gone from there", () => {
    const heard: string[] = [];
    const { net } = createNet();
    const both = net.add("ab", undefined, {
      enterFragment: (_player, name) => void heard.push(`+${name}`),
      leaveFragment: (_player, name) => void heard.push(`-${name}`),
    });
    const player = enter(both, "slow", 1, 20, 20);
    net.step();
    player.sendControl = () => both.world.leave(player);
    walk(both, player, 70, 20);
    net.step(10);
    expect(heard).toEqual(["+a", "-a", "+b", "-b"]);
  });
});

describe("a player whose client comes from another cluster", () => {
  it("[ENTITIES-7] is told once that there is nothing in view", () => {
    const { net, b } = two();
    const alone = enter(b, "alone", 1, 75, 50);
    net.step(2);
    expect(alone.frames).toBe(0);
    b.world.arrived(alone);
    net.step(5);
    expect([alone.frames, alone.seen]).toEqual([1, []]);
  });
});

describe("the ghosts of a link that breaks", () => {
  it("[GHOST-7] stay as they were for a second, then go", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    enter(b, "bob", 1, 55, 50);
    net.step(3);
    net.cut(a, b);
    net.step(tickHz - 1);
    expect(numbers(ann)).toHaveLength(1);
    net.step(2);
    expect([numbers(ann), a.world.counts.ghosts, b.world.counts.ghosts]).toEqual([[], 0, 0]);
  });

  it("[GHOST-7] are taken over by a link that comes in time, without leaving", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    enter(b, "bob", 1, 55, 50);
    const tree = b.world.spawn("tree", { x: 56, y: 0, z: 50 });
    b.world.spawn("tree", { x: 57, y: 0, z: 50 });
    net.step(3);
    net.cut(a, b);
    tree?.despawn();
    net.step(5);
    net.link(a, b);
    net.step(3 * tickHz);
    expect([numbers(ann).length, numbers(ann, "tree").length]).toEqual([1, 1]);
    // Three came, and one went: with the link that had told of it.
    expect(ann.seen.map((what) => what[0]).join("")).toBe("+++-");
    expect(a.world.counts.ghosts).toBe(2);
  });

  it("[GHOST-7] stay for that second also where the next link breaks before it has told of anything", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    enter(b, "bob", 1, 55, 50);
    b.world.spawn("tree", { x: 56, y: 0, z: 50 });
    net.step(3);
    const flap = (): void => {
      net.cut(a, b);
      net.step(2);
      net.link(a, b);
      net.cut(a, b);
      net.step(2);
    };
    flap();
    net.link(a, b);
    net.step(3 * tickHz);
    // Who sees them sees them go on.
    expect(ann.seen.map((what) => what[0]).join("")).toBe("++");
    flap();
    net.step(tickHz - 5);
    expect(ann.seen).toHaveLength(2);
    net.step(2);
    expect(ann.seen).toHaveLength(4);
  });
});

describe("a player that is handed over", () => {
  it("[HAND-6] crosses no border between fragments while it stands still, whatever becomes of the layout, and does when it plays on", () => {
    const told: string[] = [];
    const { net } = createNet();
    const { world } = net.add("ab", undefined, {
      enterFragment: (_player, name) => void told.push(`enter ${name}`),
      leaveFragment: (_player, name) => void told.push(`leave ${name}`),
    });
    const ann = new Watcher("ann", 1, 45, 50);
    world.enter(ann);
    net.step(3);
    const to = { x: 55, y: 0, z: 50, heading: 0 };
    ann.position = to;
    world.moved(ann, to);
    ann.held = true;
    net.step(2 * tickHz);
    world.changeLayout(assertLayout({ world: { ...rules, carries: ["a", "b"] }, fragment: strips }));
    net.step();
    expect(told).toEqual(["enter a"]);
    ann.held = false;
    net.step(2 * tickHz);
    expect(told).toEqual(["enter a", "leave a", "enter b"]);
  });

  it("[GHOST-8] goes on for everybody as the entity that it was, there and back", () => {
    const { net, a, b } = two();
    const [ann, bea] = [enter(a, "ann", 1, 45, 50), enter(b, "bea", 1, 55, 50)];
    let player = enter(a, "pat", 2, 49, 50);
    net.step(3);
    const before = [numbers(ann), numbers(bea)];
    expect(numbers(bea)).toHaveLength(2);
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, b],
    ] as const) {
      // It is activated there before its old cluster lets go of it, or after; here once so and once the other way.
      if (from === b) from.world.depart(player);
      const next = enter(to, "pat", from === a ? 9 : 2, player.position.x + 0.5, 50);
      if (from === b) net.step(2);
      if (from === a) from.world.depart(player);
      player = next;
      walk(to, player, player.position.x, 51);
      net.step(3);
      const shown = (watcher: Watcher) => watcher.all("player").map(({ z, values }) => [Math.round(z), values[0]]);
      expect(shown(to === a ? ann : bea)).toContainEqual([51, player.number]);
      expect(shown(to === a ? bea : ann)).toContainEqual([51, 0]);
      net.step(2 * tickHz);
    }
    expect([numbers(ann), numbers(bea)]).toEqual(before);
    expect([ann.seen.length, bea.seen.length]).toEqual([before[0]?.length, before[1]?.length]);
  });

  it("[GHOST-8] is taken over from one neighbour's word to the next at a third cluster", () => {
    const corners = ["a", "b", "c"].map((name, at) => ({
      name,
      min: at === 2 ? [0, 50] : [at * 50, 0],
      max: at === 2 ? [100, 100] : [at * 50 + 50, 50],
      view_range: viewRange,
      update_hz: tickHz,
    }));
    const net = new GhostNet((id) => assertLayout({ world: { ...rules, carries: [id] }, fragment: corners }), tickHz);
    const [a, b, c] = [net.add("a"), net.add("b"), net.add("c")];
    for (const [one, other] of [
      [a, b],
      [a, c],
      [b, c],
    ] as const)
      net.link(one, other);
    const cat = enter(c, "cat", 1, 50, 55);
    const player = enter(a, "pat", 2, 49, 45);
    net.step(3);
    const known = numbers(cat);
    const next = enter(b, "pat", 3, 50, 45);
    a.world.depart(player);
    for (let tick = 0; tick < 3 * tickHz; tick++) {
      walk(b, next, 50 + tick / 20, 45);
      net.step();
      expect(numbers(cat)).toEqual(known);
    }
    expect(cat.all("player")[0]?.x).toBeGreaterThan(52);
    expect(cat.seen).toEqual([`+${known[0]}`]);
  });

  it("[GHOST-8] is seen again from where it is in the game, when the other has given it up or died", () => {
    const { net, a, b } = two();
    const bea = enter(b, "bea", 1, 55, 50);
    const player = enter(a, "pat", 2, 49, 50);
    net.step(3);
    const known = numbers(bea);
    // In the game at both for a while: here it is shown as itself.
    const copy = enter(b, "pat", 9, 51, 50);
    net.step(3);
    expect(bea.all("player").map(({ x, values }) => [round(x), values[0]])).toEqual([[51, 9]]);
    b.world.leave(copy);
    walk(a, player, 48, 50);
    net.step(3);
    expect(bea.all("player").map(({ number, x, values }) => [number, round(x), values[0]])).toEqual([
      [known[0], 48, 0],
    ]);
    expect(bea.seen).toHaveLength(1);
  });

  it("leaves nothing behind that the game could change by a handle from before", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    const player = enter(a, "pat", 2, 49, 50);
    const handle = a.world.entityOf(player);
    net.step(3);
    for (const leave of [() => a.world.depart(player), () => enter(b, "pat", 9, 51, 50)]) {
      leave();
      net.step(3);
      expect([numbers(ann).length, handle?.alive]).toEqual([1, false]);
      expect(() => handle?.set({ heading: 7 })).toThrow("is gone");
      expect(() => handle?.get("heading")).toThrow("is gone");
      expect(() => handle?.position).toThrow("is gone");
      expect(() => handle?.setPriority(2)).toThrow("is gone");
    }
  });

  it("starts with what is known of it and nothing else where it joins anew over what it left behind", () => {
    const { net } = createNet();
    const kinds = createKinds([{ player: { health: "u8", mana: "u8", name: { bytes: 9 } } }]);
    const [a, b] = [net.add("a", kinds), net.add("b", kinds)];
    net.link(a, b);
    const ann = enter(a, "ann", 1, 45, 50);
    let player = enter(a, "pat", 2, 49, 50);
    const number = a.world.entityOf(player)?.number;
    const saved: FieldValues[] = [{}, { health: 3 }, { mana: 300, name: Uint8Array.of(2) }];
    for (const values of saved) {
      a.world.entityOf(player)?.set({ health: 50, mana: 60, name: Uint8Array.of(1) });
      net.step(3);
      a.world.depart(player);
      net.step(3);
      player = new Watcher("pat", 5, 48, 50);
      a.world.enter(player, values, true);
      net.step(3);
      expect(a.world.entityOf(player)?.number).toBe(number);
      // What a field cannot hold is of another version of the game.
      const { health = 0, name = new Uint8Array(0) } = values;
      expect(ann.all("player").map((pat) => pat.values)).toEqual([[5, 0, health, 0, name]]);
    }
  });

  it("[GHOST-8] is gone after a second when nobody tells of it", () => {
    const { net, a } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    const player = enter(a, "pat", 2, 49, 50);
    net.step(3);
    a.world.depart(player);
    net.step(tickHz - 2);
    expect(numbers(ann)).toHaveLength(1);
    net.step(4);
    expect([numbers(ann), a.world.counts.ghosts]).toEqual([[], 0]);
    expect(a.world.playersIn("a")).toEqual([ann]);
  });
});

describe("a neighbour that breaks the form", () => {
  const kinds = new KindTable([
    { id: 0, name: "player", fields: [{ name: "number", type: "u32" }] },
    { id: 1, name: "tree", fields: [] },
  ]);
  const identity = (number: number, text = number.toString(16).padStart(16, "0")) => ({ number, identity: text });
  /** A tree of this handle and number, at 1, 2, 3. */
  const tree = (handle: number, number: number): number[] => [handle, number, 1, 0, 0, 128, 63, 2, 4, 6];
  const pat = (handle: number, number: number): number[] => [handle, number, 0, 0, 0, 128, 63, 2, 4, 6, 0, 0, 0, 0];

  function hear(...bodies: readonly Uint8Array[]): GhostCluster {
    const { a, b } = two();
    for (const body of bodies) for (const { onGhosts } of a.events) onGhosts?.(b.ref, body);
    return a;
  }

  it("is heard as long as it keeps it", () => {
    const a = hear(encodeGhostKinds(kinds), view(0, 2, ...tree(0, 5), ...tree(1, 6)), view(1, 0, 0));
    expect([a.world.counts.ghosts, a.refused]).toEqual([1, 0]);
  });

  it.each([
    ["says nothing", [new Uint8Array(0)]],
    ["says what there is not", [Uint8Array.of(2)]],
    ["speaks before it has told its kinds", [view(0, 0)]],
    ["tells its kinds twice", [encodeGhostKinds(kinds), encodeGhostKinds(kinds)]],
    ["tells kinds that are none", [Uint8Array.of(0, 1, 0, 0, 0)]],
    ["tells the same kind twice", [Uint8Array.of(0, ...encodeKinds({ kinds: [] }).subarray(frameHeaderBytes + 1), 9)]],
    ["uses a kind that it has not told", [encodeGhostKinds(kinds), view(0, 1, 0, 5, 9)]],
    ["uses a handle twice", [encodeGhostKinds(kinds), view(0, 2, ...tree(0, 5), ...tree(0, 6))]],
    ["uses a number twice", [encodeGhostKinds(kinds), view(0, 2, ...tree(0, 5), ...tree(1, 5))]],
    ["uses more than 1,000 handles", [encodeGhostKinds(kinds), view(0, 1, 0xe8, 0x07, ...tree(0, 5).slice(1))]],
    ["takes away what it has not told", [encodeGhostKinds(kinds), view(1, 0, 0)]],
    ["stops in the middle", [encodeGhostKinds(kinds), view(0, 2, ...tree(0, 5)).subarray(0, -1)]],
    ["names more identities than may be", [encodeGhostKinds(kinds), Uint8Array.of(1, 0xe9, 0x07)]],
    [
      "tells of one player twice",
      [
        encodeGhostKinds(kinds),
        encodeGhostView(
          [identity(5, "00000000000000aa"), identity(6, "00000000000000aa")],
          Uint8Array.of(1, 0, 0, 0, 0, 2, ...pat(0, 5), ...pat(1, 6)),
        ),
      ],
    ],
  ])("[GHOST-6] loses the link and is counted when it %s", (_what, bodies) => {
    const { a, b } = two();
    const say = (body: Uint8Array): void => a.events.forEach(({ onGhosts }) => onGhosts?.(b.ref, body));
    for (const body of bodies.slice(0, -1)) say(body);
    expect(() => say(bodies.at(-1) ?? new Uint8Array(0))).toThrow(ProtocolError);
    expect(a.refused).toBe(1);
  });

  it.each([1, 2, 3])("[GHOST-6] harms nothing but its link, whatever it says (seed %i)", (seed) => {
    const random = createRandom(seed);
    const said: Uint8Array[] = [];
    const { net, a, b } = two();
    for (let index = 0; index < 30; index++) enter(b, `p${index}`, index + 1, 51 + index / 3, 50);
    net.onSaid = ({ to, body }) => void (to === "a" && said.push(body));
    for (let round = 0; round < 20; round++) {
      b.world.spawn("tree", { x: 51 + randomBelow(random, 9), y: 0, z: 50 }, { height: round });
      net.step();
    }
    const ann = enter(a, "ann", 1, 45, 50);
    let refused = 0;
    for (let round = 0; round < 100; round++) {
      for (const { onDown } of a.events) onDown(b.ref);
      for (const { onUp } of a.events) onUp(b.ref);
      try {
        for (const body of said) {
          const changed = Uint8Array.from(body);
          if (random() < 0.3) changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
          const length = random() < 0.05 ? Math.floor(random() * changed.length) : changed.length;
          for (const { onGhosts } of a.events) onGhosts?.(b.ref, changed.subarray(0, length));
        }
      } catch (error) {
        refused += Number(error instanceof ProtocolError);
      }
      net.nowMs += 10_000;
      a.world.tick((net.tick += 1));
      expect(a.world.counts.ghosts).toBeLessThanOrEqual(2_000);
    }
    expect(a.refused).toBe(refused);
    expect(refused).toBeGreaterThan(30);
    expect([a.world.counts.entities, a.world.entityOf(ann)?.position.x]).toEqual([1, 45]);
    for (const { onDown } of a.events) onDown(b.ref);
    for (let tick = 0; tick < 2 * tickHz; tick++) a.world.tick((net.tick += 1));
    expect([a.world.counts.ghosts, ann.view?.size]).toEqual([0, 0]);
  });

  it("[GHOST-6] loses the link for a frame over 65,535 bytes, and not for one of just that", () => {
    const { a, b } = two();
    const say = (body: Uint8Array): void => a.events.forEach(({ onGhosts }) => onGhosts?.(b.ref, body));
    say(encodeGhostKinds(kinds));
    say(view(0, 1, ...tree(0, 5)));
    // Updates of three bytes, and one of four where that comes out even.
    const height = [0, 2, 2];
    const long = (bytes: number): Uint8Array => {
      const room = bytes - view(0, 0).length;
      const odd = room % 3 === 0 ? [] : room % 3 === 1 ? [0, 1, 2, 2] : [0, 1, 2, 2, 0, 1, 2, 2];
      return longView([0, 0].concat(odd, Array.from({ length: (room - odd.length) / 3 }, () => height).flat()));
    };
    expect([long(65_535).length, long(65_536).length]).toEqual([65_535, 65_536]);
    say(long(65_535));
    expect(a.refused).toBe(0);
    expect(() => say(long(65_536))).toThrow(ProtocolError);
    expect(a.refused).toBe(1);
  });

  it("[GHOST-6] loses the link for more bytes than 2 MiB a second, in bursts of 8", () => {
    const { net, a, b } = two();
    const say = (body: Uint8Array): void => a.events.forEach(({ onGhosts }) => onGhosts?.(b.ref, body));
    const kindsBody = encodeGhostKinds(kinds);
    say(kindsBody);
    const enters = view(0, 1, ...tree(0, 5));
    say(enters);
    // A long frame of updates that change nothing but the place.
    const update = [0, 4, 0, 0, 128, 63, 2, 4, 6];
    const long = longView([0, 0].concat(Array.from({ length: 7_000 }, () => update).flat()));
    const fit = Math.floor((8 * 1_048_576 - kindsBody.length - enters.length) / long.length);
    for (let count = 0; count < fit; count++) say(long);
    net.nowMs += 1_000;
    for (let count = 0; count < Math.floor((2 * 1_048_576) / long.length); count++) say(long);
    expect(a.refused).toBe(0);
    expect(() => {
      say(long);
      say(long);
    }).toThrow("too many ghosts");
    // A new link does not start over; time does.
    for (const { onDown } of a.events) onDown(b.ref);
    for (const { onUp } of a.events) onUp(b.ref);
    expect(() => say(kindsBody)).toThrow("too many ghosts");
    net.nowMs += 8_000;
    for (const { onUp } of a.events) onUp(b.ref);
    say(kindsBody);
    say(enters);
  });

  it("[GHOST-6] cannot have a player here shown as its own", () => {
    const { net, a, b } = two();
    const ann = enter(a, "ann", 1, 45, 50);
    enter(b, "bob", 1, 55, 50);
    net.step(3);
    // The same identity as a player who is in the game here.
    enter(b, "ann", 3, 56, 50);
    net.step(3);
    expect(ann.all("player")).toHaveLength(1);
    expect(a.world.entityOf(ann)?.position.x).toBe(45);
  });
});
