import { describe, expect, it } from "vitest";
import type { FragmentArea } from "../../../protocol/index.ts";
import { newlyStoodIn } from "./world-carriers.ts";
import {
  announce,
  type Announcement,
  assign,
  carriedBy,
  isAssignable,
  isFragmentKnown,
  leave,
  maxAnnouncedFragments,
  maxAssignments,
  maxWorldClusters,
  noteStanding,
  openWorld,
  shortageFor,
  viewOf,
  withdraw,
  type WorldState,
} from "./world-map.ts";
import { overviewOf } from "./world-overview.ts";
import { goodStanding, type WorldStanding } from "./world-standing.ts";

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

let versions = 0;
/** The world after a cluster's shard has told this of it. */
function told(state: WorldState, clusterId: string, standing: Partial<WorldStanding>): WorldState {
  versions += 1;
  const boot = state.announcements.find((one) => one.clusterId === clusterId)?.boot ?? 0;
  const note = { clusterId, boot, standing: { ...goodStanding, ...standing }, standingVersion: versions };
  return noteStanding(state, note) ?? state;
}

/** Who carries the one fragment. */
const carrierOf = (state: WorldState, fragment = "north") => state.carriers.get(fragment);

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

  it.each(["suspect", "draining", "locked"] as const)(
    "[WORLD-7] gives nothing to one that is %s while another can, nor takes from it what it has",
    (reason) => {
      const three = worldOf(cluster("a", ["north"]), cluster("b", ["north"]), cluster("c", ["north"]));
      const without = withdraw(told(three, "b", { [reason]: true }), "a", 1);
      expect(carrierOf(without)).toBe("c");
      expect(carrierOf(told(without, "b", {})), "nobody is moved for it").toBe("c");
      expect(carrierOf(told(three, "a", { [reason]: true })), "it goes on with what it has").toBe("a");
      const leaving = { clusterId: "a", boot: 1, leaving: true, ordersVersion: 1 };
      const alone = told(worldOf(cluster("a", ["north"]), cluster("b", ["north"])), "b", { [reason]: true });
      expect(carrierOf(leave(alone, leaving) ?? alone), "nor from one that leaves").toBe("a");
      expect(carrierOf(told(leave(alone, leaving) ?? alone, "b", {})), "before it is well").toBe("b");
    },
  );

  it("[WORLD-7] lets one stand in where nobody can take over, until somebody can", () => {
    const both = told(worldOf(cluster("a", ["north"]), cluster("b", ["north"])), "b", { suspect: true });
    const stoodIn = withdraw(both, "a", 1);
    expect(carrierOf(stoodIn)).toBe("b");
    expect(overviewOf(stoodIn).provisional).toEqual(["north"]);
    expect(carrierOf(announce(stoodIn, cluster("c", ["north"]))), "it gives way to the first that can").toBe("c");
    const well = told(stoodIn, "b", {});
    expect(overviewOf(well).provisional).toEqual([]);
    expect(well.version, "for its neighbours nothing has changed").toBe(stoodIn.version);
    const worse = told(well, "b", { locked: true });
    expect(carrierOf(announce(worse, cluster("c", ["north"]))), "then it is its own").toBe("b");
    // Of several, one that lives.
    const locked = told(announce(stoodIn, cluster("c", [])), "c", { locked: true });
    expect(
      carrierOf(announce(locked, { ...cluster("c", ["north"], 2), standing: { ...goodStanding, locked: true } })),
    ).toBe("b");
    const fresh = told(told(both, "a", { draining: true }), "b", { suspect: true });
    const third = announce(fresh, { ...cluster("c", ["north"]), standing: { ...goodStanding, locked: true } });
    expect(carrierOf(withdraw(third, "a", 1))).toBe("c");
  });

  it("[WORLD-7] tells what is stood in for as it is meant from what nobody has wanted", () => {
    const both = told(worldOf(cluster("a", ["north"]), cluster("b", ["north"])), "b", { locked: true });
    const stoodIn = (before: WorldState) => newlyStoodIn(before, withdraw(before, "a", 1));
    expect(newlyStoodIn(openWorld("main"), both)).toEqual({ fragments: [], isMeant: true });
    expect(stoodIn(both), "gone without a word").toEqual({ fragments: ["north"], isMeant: false });
    const ending = leave(both, { clusterId: "a", boot: 1, ending: true }) ?? both;
    expect(stoodIn(ending)).toEqual({ fragments: ["north"], isMeant: true });
    const drained = leave(both, { clusterId: "a", boot: 1, leaving: true, ordersVersion: 1 }) ?? both;
    expect(stoodIn(drained)).toEqual({ fragments: ["north"], isMeant: true });
    expect(stoodIn(told(both, "a", { draining: true }))).toEqual({ fragments: ["north"], isMeant: true });
    expect(stoodIn(told(ending, "b", { suspect: true })), "a suspect one has to do").toMatchObject({ isMeant: false });
    // What is stood in for already is no news, nor is that somebody has come who can.
    const after = withdraw(ending, "a", 1);
    expect(newlyStoodIn(after, announce(after, cluster("c", ["north"])))).toEqual({ fragments: [], isMeant: true });
    // The first there ever was, and locked: an operator has said so before.
    const standing = { ...goodStanding, locked: true };
    const first = announce(openWorld("main"), { ...cluster("b", ["north"]), standing, standingVersion: 1 });
    expect(newlyStoodIn(openWorld("main"), first)).toEqual({ fragments: ["north"], isMeant: true });
  });

  it("[WORLD-7] gives what is assigned also to one that is locked or full, not to one that is suspect or drains", () => {
    const both = worldOf(cluster("a", ["north"]), cluster("b", ["north"]));
    for (const reason of ["locked", "full"] as const) {
      expect(carrierOf(assign(told(both, "b", { [reason]: true }), "north", "b"))).toBe("b");
    }
    for (const reason of ["suspect", "draining"] as const) {
      const assigned = assign(told(both, "b", { [reason]: true }), "north", "b");
      expect(carrierOf(assigned)).toBe("a");
      expect(carrierOf(told(assigned, "b", {})), "it is once that has passed").toBe("b");
      expect(carrierOf(told(told(assigned, "b", {}), "b", { [reason]: true })), "and it keeps it").toBe("b");
    }
  });

  it("[WORLD-7] gives to one that is full only what no other can take", () => {
    const three = told(worldOf(cluster("a", ["north"]), cluster("b", ["north"]), cluster("c", ["north"])), "b", {
      full: true,
    });
    expect(carrierOf(withdraw(three, "a", 1))).toBe("c");
    expect(carrierOf(withdraw(told(three, "c", { suspect: true }), "a", 1))).toBe("b");
    const leaving = { clusterId: "a", boot: 1, leaving: true, ordersVersion: 1 };
    const two = withdraw(three, "c", 1);
    expect(carrierOf(leave(two, leaving) ?? two), "a place that comes free there is for who has to leave").toBe("b");
  });

  it("[WORLD-4] [WORLD-7] hears of a standing late, twice or too early without harm", () => {
    const world = worldOf(cluster("a", ["north"], 2), cluster("b", ["north"], 2));
    const note = { clusterId: "b", boot: 2, standing: { ...goodStanding, suspect: true }, standingVersion: 5 };
    const suspect = noteStanding(world, note) ?? world;
    expect(noteStanding(suspect, note)).toBe(suspect);
    expect(noteStanding(suspect, { ...note, standing: goodStanding, standingVersion: 4 })).toBe(suspect);
    expect(noteStanding(suspect, { ...note, boot: 1, standingVersion: 9 })).toBe(suspect);
    expect(noteStanding(suspect, { ...note, boot: 3 })).toBeUndefined();
    expect(noteStanding(suspect, { ...note, clusterId: "c" })).toBeUndefined();
    // The announcement once more, as it was before, says nothing of it; that of a new process does.
    const reasons = (state: WorldState) =>
      overviewOf(state).announced.find(({ clusterId }) => clusterId === "b")?.reasons;
    expect(reasons(announce(suspect, cluster("b", ["north"], 2)))).toEqual(["suspect"]);
    expect(reasons(announce(suspect, cluster("b", ["north"], 3)))).toEqual([]);
  });

  it("[WORLD-8] gives away what a process carries that is about to end, whatever operators order", () => {
    const world = worldOf(cluster("a", ["north", "south"], 2), cluster("b", ["north"]));
    const ending = { clusterId: "a", boot: 2, ending: true } as const;
    expect(leave(world, { ...ending, boot: 1 }), "an earlier process has ended anyway").toBe(world);
    expect(leave(world, { ...ending, boot: 3 })).toBeUndefined();
    const without = leave(world, ending) ?? world;
    expect(carriedBy(without, "b")).toEqual(["north"]);
    expect(carriedBy(without, "a"), "nobody else can").toEqual(["south"]);
    expect(leave(without, ending), "said again").toBe(without);
    const ordered = leave(without, { clusterId: "a", boot: 2, leaving: true, ordersVersion: 1 }) ?? without;
    const undrained = leave(ordered, { clusterId: "a", boot: 2, leaving: false, ordersVersion: 2 }) ?? ordered;
    for (const state of [without, ordered, undrained]) {
      const late = announce(state, { ...cluster("a", ["north", "south"], 2), ordersVersion: 2 });
      expect(carriedBy(withdraw(late, "c", 1), "b"), "the announcement once more").toEqual(["north"]);
      expect(carriedBy(assign(late, "north", "a"), "b"), "an assignment").toEqual(["north"]);
    }
    const all = leave(worldOf(cluster("a", ["north"], 2), cluster("b", ["north"])), ending) ?? world;
    expect(viewOf(all).clusters, "the new carrier links to who has the players").toHaveLength(2);
    const again = announce(all, cluster("a", ["north"], 3));
    expect(viewOf(again).clusters, "what comes next stays").toHaveLength(1);
    expect(carriedBy(withdraw(again, "b", 1), "a")).toEqual(["north"]);
    expect(carriedBy(announce(again, cluster("c", ["north"])), "b")).toEqual(["north"]);
  });

  it("takes names that every object has", () => {
    const world = worldOf(cluster("a", ["constructor", "__proto__"]));
    expect(carriedBy(world, "a")).toEqual(["constructor", "__proto__"]);
    expect(carriedBy(assign(world, "valueOf", "a"), "a")).toEqual(["constructor", "__proto__"]);
  });

  it("[WORLD-9] is bounded, and says of what it has too many", () => {
    const announcements = Array.from({ length: maxWorldClusters }, (_, index) => cluster(`c${index}`, []));
    const world = { ...openWorld("main"), announcements };
    const many = Array.from({ length: maxAnnouncedFragments }, (_, index) => `f${index}`);
    const crowded = announce(world, cluster("c1", many));
    expect(carriedBy(crowded, "c1")).toHaveLength(maxAnnouncedFragments);
    expect(announce(crowded, cluster("c2", ["one-more"]))).toBe(crowded);
    expect(shortageFor(crowded, cluster("c2", ["one-more"]))).toBe("fragments");
    expect(shortageFor(crowded, cluster("c2", ["one-more"], 0)), "an older boot wants nothing").toBeUndefined();
    expect(shortageFor(crowded, cluster("c2", []))).toBeUndefined();
    // What it announced before makes room for what it announces now.
    expect(shortageFor(crowded, cluster("c1", many, 2))).toBeUndefined();
    expect(announce(world, cluster("late", ["north"]))).toBe(world);
    expect(shortageFor(world, cluster("late", ["north"]))).toBe("clusters");
    expect(shortageFor(withdraw(world, "c5", 1), cluster("late", ["north"]))).toBeUndefined();
    expect(carriedBy(announce(world, cluster("c0", ["north"])), "c0")).toEqual(["north"]);
  });

  it("[WORLD-10] takes so many assignments of operators, whatever clusters announce", () => {
    const world = worldOf(cluster("a", ["north"]), cluster("b", ["north"]));
    const many = new Map(Array.from({ length: maxAssignments - 1 }, (_, index) => [`f${index}`, "a"]));
    const last = assign({ ...world, assignments: many }, "north", "b");
    expect(carrierOf(last)).toBe("b");
    expect(isAssignable(last, "south")).toBe(false);
    expect(assign(last, "south", "a")).toBe(last);
    expect(carrierOf(assign(last, "north", "a")), "what is assigned already goes elsewhere").toBe("a");
    expect(assign(last, "south", undefined).assignments, "nothing is left to the rules").toEqual(last.assignments);
    expect(isAssignable(assign(last, "f0", undefined), "south")).toBe(true);
    expect(carriedBy(announce(last, cluster("c", ["south"])), "c")).toEqual(["south"]);
  });

  it("[WORLD-11] knows the fragments that are announced or assigned, and no other", () => {
    const world = announce(openWorld("main"), cluster("a", ["north"]));
    expect(["north", "nrth", "", "a"].filter((name) => isFragmentKnown(world, name))).toEqual(["north"]);
    const assigned = withdraw(assign(world, "north", "a"), "a", 1);
    expect(isFragmentKnown(assigned, "north"), "its cluster is gone").toBe(true);
    expect(isFragmentKnown(assign(assigned, "north", undefined), "north")).toBe(false);
  });

  it("has one carrier a fragment, who announces it, whatever happens in whatever order", () => {
    let seed = 7;
    const draw = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed % below;
    };
    const names = ["n", "e", "s", "w"];
    const reasons = ["suspect", "draining", "locked", "full"] as const;
    let world = openWorld("main");
    for (let step = 0; step < 5_000; step += 1) {
      const id = `c${draw(5)}`;
      const kind = draw(6);
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
      else if (kind === 3) world = told(world, id, { [reasons[draw(4)] ?? "full"]: draw(2) === 0 });
      else if (kind === 4) {
        const boot = world.announcements.find(({ clusterId }) => clusterId === id)?.boot ?? 0;
        world = leave(world, { clusterId: id, boot, leaving: draw(2) === 0, ordersVersion: step }) ?? world;
      } else world = assign(world, names[draw(4)] ?? "n", draw(3) === 0 ? undefined : id);
      expect(world.version).toBeGreaterThanOrEqual(before.version);
      const announced = new Set(world.announcements.flatMap(({ fragments }) => fragments.map(({ name }) => name)));
      expect(new Set(world.carriers.keys())).toEqual(announced);
      for (const [fragment, carrier] of world.carriers) {
        const holder = world.announcements.find(({ clusterId }) => clusterId === carrier);
        expect(holder?.fragments.some(({ name }) => name === fragment)).toBe(true);
        if (before.carriers.get(fragment) === carrier || world.provisional.has(fragment)) continue;
        // Whoever has taken it over could. [WORLD-7]
        const { leaving = false, standing = goodStanding } = holder ?? {};
        const mayBeLocked = world.assignments.get(fragment) === carrier;
        expect([leaving, standing.suspect, standing.draining, standing.locked && !mayBeLocked]).toEqual(
          Array.from({ length: 4 }, () => false),
        );
      }
    }
  });
});
