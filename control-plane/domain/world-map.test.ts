import { describe, expect, it } from "vitest";
import type { FragmentArea } from "../../protocol/index.ts";
import {
  announce,
  type Announcement,
  assign,
  carriedBy,
  leave,
  maxAnnouncedFragments,
  maxWorldClusters,
  openWorld,
  overlapsOf,
  viewOf,
  withdraw,
  type WorldState,
} from "./world-map.ts";

const area = (name: string, x = 0): FragmentArea => ({ name, min: [x, 0, 0], max: [x + 10, 10, 10] });

const cluster = (clusterId: string, names: readonly string[], boot = 1): Announcement => ({
  clusterId,
  boot,
  shard: "default.0",
  fragments: names.map((name, index) => area(name, index * 10)),
  peer: undefined,
});

function worldOf(...announcements: readonly Announcement[]): WorldState {
  return announcements.reduce(announce, openWorld("main"));
}

describe("the map of a world", () => {
  it("[WORLD-1] has one carrier a fragment: who announced it first", () => {
    const world = worldOf(cluster("a", ["north", "south"]), cluster("b", ["south", "west"]));
    expect(carriedBy(world, "a")).toEqual(["north", "south"]);
    expect(carriedBy(world, "b")).toEqual(["west"]);
    expect(viewOf(world).fragments.map(({ name, clusterId }) => `${name} ${clusterId}`)).toEqual([
      "north a",
      "south a",
      "west b",
    ]);
  });

  it("[WORLD-2] lets a standby take over when the carrier is gone, and keep it when that comes back", () => {
    const before = worldOf(cluster("a", ["north"]), cluster("b", ["north"]));
    const without = withdraw(before, "a", 1);
    expect(carriedBy(without, "b")).toEqual(["north"]);
    const again = announce(without, cluster("a", ["north"], 2));
    expect(carriedBy(again, "a")).toEqual([]);
    expect(carriedBy(again, "b")).toEqual(["north"]);
  });

  it("[WORLD-2] lets operators decide, for as long as their cluster announces the fragment", () => {
    const both = worldOf(cluster("a", ["north"]), cluster("b", ["north"]));
    const assigned = assign(both, "north", "b");
    expect(carriedBy(assigned, "b")).toEqual(["north"]);
    expect(carriedBy(withdraw(assigned, "b", 1), "a")).toEqual(["north"]);
    const back = announce(withdraw(assigned, "b", 1), cluster("b", ["north"], 2));
    expect(carriedBy(back, "b")).toEqual(["north"]);
    // Nobody is moved by taking a decision back.
    expect(carriedBy(assign(back, "north", undefined), "b")).toEqual(["north"]);
    expect(carriedBy(assign(both, "north", "nobody"), "a")).toEqual(["north"]);
  });

  it("[WORLD-4] gets a new version with every change that shows, and none without", () => {
    const first = worldOf(cluster("a", ["north"]));
    expect(announce(first, cluster("a", ["north"])).version).toBe(first.version);
    expect(announce(first, cluster("a", ["north"], 2)).version).toBe(first.version + 1);
    expect(announce(first, cluster("b", ["north"])).version).toBe(first.version);
    expect(announce(first, cluster("b", ["south"])).version).toBe(first.version + 1);
    expect(assign(first, "north", "a").version).toBe(first.version);
    const moved = { ...cluster("a", ["north"]), fragments: [area("north", 50)] };
    expect(announce(first, moved).version).toBe(first.version + 1);
  });

  it("[WORLD-4] takes no notice of what comes late", () => {
    const world = worldOf(cluster("a", ["north"], 5));
    expect(announce(world, cluster("a", ["south"], 4))).toBe(world);
    expect(withdraw(world, "a", 4)).toBe(world);
    expect(withdraw(world, "b", 9)).toBe(world);
  });

  it("[WORLD-6] gives what a leaving cluster carries to others who can, operators' decisions included", () => {
    const world = assign(worldOf(cluster("a", ["north", "south"]), cluster("b", ["north", "west"])), "north", "a");
    const leaving = { clusterId: "a", boot: 1, leaving: true, ordersVersion: 3 };
    const without = leave(world, leaving) ?? world;
    expect(without.version).toBe(world.version + 1);
    expect(carriedBy(without, "b").toSorted()).toEqual(["north", "west"]);
    expect(carriedBy(without, "a"), "nobody else can").toEqual(["south"]);
    const emptied = leave(worldOf(cluster("a", ["north"]), cluster("b", ["north"])), leaving) ?? world;
    expect(viewOf(emptied).clusters, "the new carrier links to who has the players").toHaveLength(2);
    expect(carriedBy(announce(without, cluster("c", ["south"])), "c"), "who comes later can").toEqual(["south"]);
    const both = leave(without, { ...leaving, clusterId: "b" }) ?? without;
    expect(both.version, "to one that leaves as well nothing goes back").toBe(without.version);
    // What is taken back gives back what an operator has assigned, and nothing else.
    expect(carriedBy(leave(without, { ...leaving, leaving: false, ordersVersion: 4 }) ?? without, "a")).toEqual([
      "north",
      "south",
    ]);
    const free = leave(worldOf(cluster("a", ["north"]), cluster("b", ["north"])), leaving) ?? world;
    expect(carriedBy(leave(free, { ...leaving, leaving: false, ordersVersion: 4 }) ?? free, "a")).toEqual([]);
    expect(carriedBy(announce(free, cluster("a", ["north"], 2)), "a"), "nor does a new process get it").toEqual([]);
  });

  it("[WORLD-4] [WORLD-6] hears of a departure late, twice or too early without harm", () => {
    const world = worldOf(cluster("a", ["north"], 2), cluster("b", ["north"]));
    const leaving = { clusterId: "a", boot: 2, leaving: true, ordersVersion: 3 };
    expect(leave(world, { ...leaving, boot: 1 })).toBe(world);
    expect(leave(world, { ...leaving, boot: 3 })).toBeUndefined();
    expect(leave(world, { ...leaving, clusterId: "c" })).toBeUndefined();
    const without = leave(world, leaving) ?? world;
    expect(leave(without, leaving)).toBe(without);
    expect(leave(without, { ...leaving, leaving: false, ordersVersion: 2 })).toBe(without);
    // The announcement once more, as it was before the order.
    expect(carriedBy(announce(without, cluster("a", ["north"], 2)), "b")).toEqual(["north"]);
  });

  it("shows which fragments of different clusters overlap", () => {
    const world = worldOf(
      { ...cluster("a", []), fragments: [area("one", 0), area("two", 5)] },
      { ...cluster("b", []), fragments: [area("three", 10), area("four", 20)] },
    );
    expect(overlapsOf(viewOf(world))).toEqual([["two", "three"]]);
  });

  it("takes names that every object has", () => {
    const world = worldOf(cluster("a", ["constructor", "__proto__"]));
    expect(carriedBy(world, "a")).toEqual(["constructor", "__proto__"]);
    expect(carriedBy(assign(world, "valueOf", "a"), "a")).toEqual(["constructor", "__proto__"]);
  });

  it("is bounded", () => {
    const announcements = Array.from({ length: maxWorldClusters }, (_, index) => cluster(`c${index}`, []));
    const world = { ...openWorld("main"), announcements };
    const many = Array.from({ length: maxAnnouncedFragments }, (_, index) => `f${index}`);
    const crowded = announce(world, cluster("c1", many));
    expect(carriedBy(crowded, "c1")).toHaveLength(maxAnnouncedFragments);
    expect(announce(crowded, cluster("c2", ["one-more"]))).toBe(crowded);
    expect(announce(world, cluster("late", ["north"]))).toBe(world);
    expect(carriedBy(announce(world, cluster("c0", ["north"])), "c0")).toEqual(["north"]);
  });

  it("has one carrier a fragment, who announces it, whatever happens in whatever order", () => {
    let seed = 7;
    const draw = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed % below;
    };
    const names = ["n", "e", "s", "w"];
    let world = openWorld("main");
    for (let step = 0; step < 5_000; step += 1) {
      const id = `c${draw(5)}`;
      const kind = draw(4);
      const before = world;
      if (kind < 2)
        world = announce(
          world,
          cluster(
            id,
            names.filter(() => draw(2) === 0),
            draw(9),
          ),
        );
      else if (kind === 2) world = withdraw(world, id, draw(9));
      else world = assign(world, names[draw(4)] ?? "n", draw(3) === 0 ? undefined : id);
      expect(world.version).toBeGreaterThanOrEqual(before.version);
      const announced = new Set(world.announcements.flatMap(({ fragments }) => fragments.map(({ name }) => name)));
      expect(new Set(world.carriers.keys())).toEqual(announced);
      for (const [fragment, carrier] of world.carriers) {
        const holder = world.announcements.find(({ clusterId }) => clusterId === carrier);
        expect(holder?.fragments.some(({ name }) => name === fragment)).toBe(true);
      }
    }
  });
});
