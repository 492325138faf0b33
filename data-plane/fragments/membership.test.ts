import { describe, expect, it } from "vitest";
import { Membership, type MembershipEvent } from "./membership.ts";
import { assertLayout, createRandomFragments } from "./testing/random-world.ts";
import { createRandom, type Random, randomBelow, randomInteger } from "../../protocol/testing/seeded-random.ts";

const west = { name: "west", min: [0, 0], max: [100, 100] };
const east = { name: "east", min: [100, 0], max: [200, 100] };
const world = { swap_margin: 2, swap_dwell_ticks: 3 };
const layout = assertLayout({ fragment: [west, east], world });

describe("Membership", () => {
  it("puts a new player into the fragment of its position", () => {
    const membership = new Membership(layout, 4);
    expect(membership.place(2, 100, 0, 5)).toBe(1);
    expect(membership.nameOf(2)).toBe("east");
    expect(membership.nameOf(0)).toBeUndefined();
    expect(membership.takeEvents()).toEqual([{ type: "enter", player: 2, fragment: "east" }]);
    expect(membership.takeEvents()).toEqual([]);
  });

  it("swaps after the dwell time beyond the margin, and tells leave before enter", () => {
    const membership = createAt(99);
    expect([102, 102, 102].map((x) => membership.update(0, x, 0, 5))).toEqual([false, false, true]);
    expect(membership.takeEvents()).toEqual([
      { type: "leave", player: 0, fragment: "west" },
      { type: "enter", player: 0, fragment: "east" },
    ]);
    expect([...membership.population]).toEqual([0, 1]);
  });

  it("keeps a player who stays within the margin, or comes back before the dwell time", () => {
    const membership = createAt(99);
    for (let tick = 0; tick < 100; tick++) membership.update(0, 101.9, 0, 5);
    for (let tick = 0; tick < 100; tick++) membership.update(0, tick % 3 === 2 ? 101 : 140, 0, 5);
    expect(membership.nameOf(0)).toBe("west");
    expect(membership.takeEvents()).toEqual([]);
  });

  it("keeps a player outside of all fragments in the nearest", () => {
    const membership = createAt(5);
    for (let tick = 0; tick < 9; tick++) membership.update(0, -500, 0, 5);
    expect(membership.nameOf(0)).toBe("west");
    for (let tick = 0; tick < 3; tick++) membership.update(0, 900, 0, -900);
    expect(membership.nameOf(0)).toBe("east");
  });

  it("places at once on request, and tells once", () => {
    const membership = createAt(5);
    membership.update(0, 150, 0, 5);
    membership.place(0, 150, 0, 5);
    membership.place(0, 151, 0, 5);
    membership.update(0, 151, 0, 5);
    expect(membership.takeEvents().map(({ type }) => type)).toEqual(["leave", "enter"]);
  });

  it("lets nobody into a full fragment, and lets them in when there is room", () => {
    const full = assertLayout({ fragment: [west, { ...east, capacity: 1 }], world });
    const membership = new Membership(full, 4);
    membership.place(0, 150, 0, 5);
    membership.place(1, 50, 0, 5);
    expect(membership.place(2, 150, 0, 5)).toBe(-1);
    expect(membership.nameOf(2)).toBeUndefined();
    membership.takeEvents();
    for (let tick = 0; tick < 10; tick++) membership.update(1, 150, 0, 5);
    expect([membership.takeEvents(), membership.nameOf(1)]).toEqual([[], "west"]);
    membership.remove(0);
    expect(membership.update(1, 150, 0, 5)).toBe(true);
    expect(membership.takeEvents().map(({ type, player }) => `${type} ${player}`)).toEqual([
      "leave 0",
      "leave 1",
      "enter 1",
    ]);
  });

  it("tells a leave when a player goes, and nothing of one who is not there", () => {
    const membership = createAt(5);
    membership.remove(0);
    membership.remove(0);
    expect(membership.update(0, 150, 0, 5)).toBe(false);
    expect(membership.takeEvents()).toEqual([{ type: "leave", player: 0, fragment: "west" }]);
  });

  it("re-homes by name and position when the layout changes", () => {
    const membership = new Membership(layout, 3);
    const spots = [10, 60, 150].map((x) => ({ x, y: 0, z: 5 }));
    for (const [player, { x, y, z }] of spots.entries()) membership.place(player, x, y, z);
    membership.takeEvents();
    const next = assertLayout({
      fragment: [
        { name: "middle", min: [50, 0], max: [100, 100], capacity: 1 },
        { ...west, max: [50, 100] },
        { ...east, name: "orient" },
      ],
      world,
    });
    membership.changeLayout(next, (player) => spots[player] ?? { x: 0, y: 0, z: 0 });
    expect(membership.takeEvents()).toEqual([
      { type: "leave", player: 1, fragment: "west" },
      { type: "enter", player: 1, fragment: "middle" },
      { type: "leave", player: 2, fragment: "east" },
      { type: "enter", player: 2, fragment: "orient" },
    ]);
    expect([0, 1, 2].map((player) => membership.nameOf(player))).toEqual(["west", "middle", "orient"]);
    expect([...membership.population]).toEqual([1, 1, 1]);
    expect(membership.playersIn(1)).toEqual([0]);
  });

  it("keeps who has walked on to what another cluster carries, until that one takes it", () => {
    const mine = assertLayout({ fragment: [west, east], world: { ...world, carries: [west.name] } });
    const membership = new Membership(mine, 1);
    membership.place(0, 90, 0, 5);
    membership.takeEvents();
    membership.changeLayout(
      assertLayout({ fragment: [west, east], world: { ...world, carries: [west.name] } }),
      () => ({
        x: 110,
        y: 0,
        z: 5,
      }),
    );
    expect([membership.nameOf(0), membership.takeEvents()]).toEqual([west.name, []]);
    membership.changeLayout(layout, () => ({ x: 110, y: 0, z: 5 }));
    expect(membership.nameOf(0)).toBe(east.name);
  });

  it("has every player in exactly one fragment, told in order, whatever happens", () => {
    const faults: string[] = [];
    let swaps = 0;
    for (let seed = 0; seed < 12; seed++) swaps += wander(createRandom(seed), seed % 2 === 0 ? 2 : 3, faults);
    expect(faults).toEqual([]);
    expect(swaps).toBeGreaterThan(1_000);
  });
});

function createAt(x: number): Membership {
  const membership = new Membership(layout, 1);
  membership.place(0, x, 0, 5);
  membership.takeEvents();
  return membership;
}

/** Players come, walk, jump and go while layouts change; what the events say must be what holds. Returns how many swaps. */
function wander(random: Random, dimensions: 2 | 3, faults: string[]): number {
  const players = 40;
  const createLayout = (): typeof layout => {
    const fragment = createRandomFragments(random, randomInteger(random, 1, 12), 100, dimensions);
    for (const table of fragment) table["capacity"] = random() < 0.3 ? randomInteger(random, 1, 8) : 0;
    return assertLayout({ fragment, world: { ...world, swap_margin: undefined } });
  };
  let current = createLayout();
  let swaps = 0;
  const membership = new Membership(current, players);
  const spots = Array.from({ length: players }, () => ({ x: 0, y: 0, z: 0 }));
  const told: (string | undefined)[] = Array.from({ length: players });
  const outside = new Int32Array(players);
  for (let tick = 0; tick < 600; tick++) {
    for (const [player, spot] of spots.entries()) {
      for (const axis of ["x", "y", "z"] as const) {
        spot[axis] = Math.max(-70, Math.min(70, spot[axis] + randomBelow(random, 6) - 3));
      }
      act(random, membership, player, spot);
      const fragment = membership.fragmentOf[player] ?? -1;
      const { locator, rules } = current;
      const within = fragment < 0 || locator.isWithin(fragment, spot.x, spot.y, spot.z, rules.swapMargin);
      const target = current.locator.locate(spot.x, spot.y, spot.z);
      const { capacity = 0 } = current.fragments[target] ?? {};
      const isFull = capacity > 0 && (membership.population[target] ?? 0) >= capacity;
      const ticks = within || isFull || target === fragment ? 0 : (outside[player] ?? 0) + 1;
      outside[player] = ticks;
      if (ticks > world.swap_dwell_ticks) faults.push(`player ${player} is outside for ${ticks} ticks`);
    }
    if (random() < 0.02) {
      current = createLayout();
      membership.changeLayout(current, (player) => spots[player] ?? { x: 0, y: 0, z: 0 });
    }
    for (const event of membership.takeEvents()) swaps += follow(event, told, faults);
    const population = new Int32Array(current.fragments.length);
    for (const [player, name] of told.entries()) {
      if (membership.nameOf(player) !== name) faults.push(`player ${player} is elsewhere than was told`);
      const fragment = membership.fragmentOf[player] ?? -1;
      if (fragment >= 0) population[fragment] = (population[fragment] ?? 0) + 1;
    }
    if (membership.population.join() !== population.join()) faults.push("a population is wrong");
  }
  return swaps;
}

function act(
  random: Random,
  membership: Membership,
  player: number,
  { x, y, z }: { x: number; y: number; z: number },
): void {
  const chance = random();
  if (membership.nameOf(player) === undefined || chance < 0.01) membership.place(player, x, y, z);
  else if (chance < 0.02) membership.remove(player);
  else membership.update(player, x, y, z);
}

/** Follows an event, which must be possible where it stands. Returns 1 for an enter. */
function follow({ type, player, fragment }: MembershipEvent, told: (string | undefined)[], faults: string[]): number {
  const before = told[player];
  const isPossible =
    type === "leave" ? before === fragment : type === "enter" ? before === undefined : before !== fragment;
  if (!isPossible) faults.push(`${type} ${fragment} of player ${player}, who is in ${before}`);
  if (type === "leave") told[player] = undefined;
  if (type === "enter") told[player] = fragment;
  return type === "enter" ? 1 : 0;
}
