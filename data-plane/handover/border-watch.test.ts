import { beforeEach, describe, expect, it } from "vitest";
import { features } from "../../protocol/index.ts";
import type { Point } from "../fragments/layout.ts";
import { type BorderPlayer, BorderWatch } from "./border-watch.ts";

const east = { clusterId: "east", boot: 3 };

class Walker implements BorderPlayer {
  readonly id: string;
  position = { x: -5, y: 0, z: 0, heading: 0 };
  connected = true;
  held = false;
  arriving = false;
  hasClient = true;
  offers: number = features.handover;
  isSettled = true;

  constructor(id: string) {
    this.id = id;
  }

  has(feature: number): boolean {
    return (this.offers & feature) !== 0;
  }
}

let nowMs: number;
let linked: boolean;
let players: Walker[];
let group: readonly Walker[] | undefined;
let begun: string[];
let begins: boolean;
let watch: BorderWatch<Walker>;
let ann: Walker;

/** The border is at 0, the margin 1, and the overrun 8. */
const isBeyond = (_player: Walker, { x }: Point) => (x < 1 ? "no" : x < 9 ? "within-overrun" : "too-far");

beforeEach(() => {
  nowMs = 0;
  linked = true;
  begun = [];
  begins = true;
  group = undefined;
  ann = new Walker("ann");
  players = [ann];
  watch = new BorderWatch<Walker>({
    peers: {
      carrierOf: (x) => (x >= 0 ? { ...east, fragment: "east", linked } : undefined),
      addressOf: () => ({
        id: "east",
        name: "east",
        host: "h",
        port: 1,
        tls: { serverName: "s", caPem: "", sha256: "" },
      }),
    },
    world: { isBeyond },
    players,
    dwellTicks: () => 3,
    nowMs: () => nowMs,
    random: () => 0.5,
    isSettled: (player) => player.isSettled,
    groupOf: (player) => group ?? [player],
    begin: (members, destination) => {
      begun.push(`${members.map(({ id }) => id).join("+")} to ${destination.clusterId} ${destination.boot}`);
      return begins;
    },
  });
});

function walk(player: Walker, x: number): boolean {
  const to = { ...player.position, x };
  const isFine = isBeyond(player, to) === "no" || watch.admits(player, to);
  if (isFine) player.position = to;
  return isFine;
}

function ticks(count: number): void {
  for (let tick = 0; tick < count; tick += 1) {
    nowMs += 33;
    watch.endTick();
  }
}

describe("the watch over a border", () => {
  it("begins for who has been beyond it for the dwell time, once", () => {
    walk(ann, 2);
    ticks(2);
    expect(begun).toEqual([]);
    ticks(10);
    expect(begun).toEqual(["ann to east 3"]);
  });

  it("does not begin for who comes back in time", () => {
    walk(ann, 2);
    ticks(2);
    walk(ann, 0.5);
    ticks(1);
    walk(ann, 2);
    ticks(2);
    expect(begun).toEqual([]);
  });

  it("lets one walk on by the overrun and no farther, and back even where nobody takes players any more", () => {
    expect(walk(ann, 5)).toBe(true);
    expect(walk(ann, 9)).toBe(false);
    linked = false;
    expect(walk(ann, 4)).toBe(true);
    expect(walk(ann, 0)).toBe(true);
    expect(walk(ann, 2)).toBe(false);
  });

  it.each([
    ["does not offer handover", () => (ann.offers = 0)],
    ["has not arrived yet", () => (ann.arriving = true)],
    ["has no client", () => (ann.hasClient = false)],
    ["is being handed over", () => (ann.held = true)],
  ])("keeps one back who %s", (_name, arrange) => {
    arrange();
    expect(walk(ann, 2)).toBe(false);
    ann.position = { ...ann.position, x: 2 };
    nowMs += 10_000;
    ticks(10);
    expect(begun).toEqual([]);
    expect(watch.isExpectedToMove(ann)).toBe(false);
  });

  it("counts no try that has begun nothing, as when the handover before is in doubt", () => {
    begins = false;
    walk(ann, 2);
    for (let second = 0; second < 20; second += 1) {
      nowMs += 1_000;
      ticks(1);
    }
    expect(begun.length).toBeGreaterThan(4);
    expect(watch.isExpectedToMove(ann)).toBe(true);
    begins = true;
    nowMs += 10_000;
    ticks(1);
    expect(watch.isExpectedToMove(ann)).toBe(true);
  });

  it("waits until the player's session knows that it is here", () => {
    ann.isSettled = false;
    walk(ann, 2);
    ticks(10);
    expect(begun).toEqual([]);
    ann.isSettled = true;
    ticks(1);
    expect(begun).toHaveLength(1);
  });

  it("tries again after 1 s, then after ever longer, up to 30 s", () => {
    walk(ann, 2);
    ticks(4);
    const at: number[] = [];
    for (let known = begun.length; nowMs < 200_000;) {
      ticks(1);
      if (begun.length === known) continue;
      known = begun.length;
      at.push(nowMs);
    }
    const waits = at.map((ms, index) => Math.round((ms - (at[index - 1] ?? 99)) / 1_000));
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30].slice(0, waits.length));
    expect(waits.length).toBeGreaterThan(6);
    expect(watch.isExpectedToMove(ann)).toBe(false);
  });

  it("lets one who has just come stay for a second", () => {
    watch.arrived(ann);
    walk(ann, 2);
    ticks(20);
    expect(begun).toEqual([]);
    ticks(12);
    expect(begun).toHaveLength(1);
  });

  it("finds those who stand still where another cluster has taken over", () => {
    ann.position = { ...ann.position, x: 3 };
    expect(watch.isExpectedToMove(ann)).toBe(true);
    ticks(4);
    expect(begun).toHaveLength(1);
  });

  it("takes a group when all of it is over the border, and not before", () => {
    const bob = new Walker("bob");
    players.push(bob);
    group = [ann, bob];
    walk(ann, 2);
    ticks(10);
    expect(begun).toEqual([]);
    walk(bob, 2);
    ticks(1);
    expect(begun).toEqual(["ann+bob to east 3"]);
  });

  it("forgets who has left", () => {
    walk(ann, 2);
    ann.connected = false;
    ticks(10);
    expect(begun).toEqual([]);
  });

  it("begins for a few in each tick", () => {
    for (let count = 0; count < 40; count += 1) {
      const walker = new Walker(`walker ${count}`);
      players.push(walker);
      walk(walker, 2);
    }
    ticks(3);
    expect(begun).toHaveLength(16);
    ticks(2);
    expect(begun).toHaveLength(40);
  });
});
