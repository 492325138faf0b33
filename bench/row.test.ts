import { expect, it } from "vitest";
import { compare, type Outcome, outcomeOf } from "./row.ts";
import { median, spread } from "./statistics.ts";
import type { Measured } from "./window.ts";

function outcome(...values: number[]): Outcome {
  return { values, void: undefined, detail: {} };
}

function measured(costUs: number, fault?: string): Measured {
  const done = fault === undefined ? 1 : 0.8;
  return { costUs, server: 0.5, load: 0.2, serverCore: 0.6, loadCore: 0.3, done, void: fault };
}

it("takes the middle value, and half the span as noise", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([1, 2, 4, 9])).toBe(3);
  expect(spread([8, 10, 12])).toBe(0.2);
});

it("meets a goal with the very ratio, and misses it with more", () => {
  const outcomes = new Map([
    ["sustenet", outcome(11, 12, 13)],
    ["raw-tls", outcome(10)],
    ["colyseus-wss", outcome(20)],
  ]);
  const rows = compare("echo", "µs", outcomes, [
    { peer: "raw-tls", goal: 1.19 },
    { peer: "raw-tls", goal: 1.2 },
    { peer: "colyseus-wss", goal: null },
    { peer: "raw-wss", goal: 1 },
  ]);
  expect(rows.map(({ ratio, meets }) => [ratio, meets])).toEqual([
    [1.2, false],
    [1.2, true],
    [0.6, null],
  ]);
});

it("leaves out void windows, and makes a row void when half of them are", () => {
  expect(outcomeOf([measured(1), measured(2), measured(9, "busy")])).toMatchObject({ values: [1, 2], void: undefined });
  const spoilt = outcomeOf([measured(1), measured(9, "busy")]);
  expect(spoilt.void).toBe("busy");
  const outcomes = new Map([
    ["sustenet", outcome(1)],
    ["raw-tls", spoilt],
  ]);
  expect(compare("echo", "µs", outcomes, [{ peer: "raw-tls", goal: 2 }])).toMatchObject([
    { void: "busy", meets: null },
  ]);
});

it("tells how busy the cores were, what was done of what was offered, and what void windows cost", () => {
  const { detail } = outcomeOf([measured(1), measured(9, "busy"), measured(8, "busy")]);
  expect(detail).toMatchObject({ voidWindows: 2, voidCosts: [9, 8], doneShare: 0.8, loadShare: 0.2, loadCore: 0.3 });
  expect(outcomeOf([measured(1)]).detail).not.toHaveProperty("voidCosts");
});

it("compares a contender with itself under another load, by the names that it goes by there", () => {
  const outcomes = new Map([
    ["250", outcome(10, 11)],
    ["1000", outcome(12, 13)],
  ]);
  const as = (players: string) => ({ key: players, title: `${players} players` });
  const both = { ours: "sustenet-world", oursAs: as("1000"), peer: "sustenet-world", as: as("250") } as const;
  expect(compare("world-growth", "µs", outcomes, [{ ...both, goal: 1.2 }])).toMatchObject([
    { name: "world-growth / 1000 players / 250 players", against: "250", ours: 12.5, peer: 10.5, meets: true },
  ]);
});

it("has no noise where there is one value alone", () => {
  const outcomes = new Map([
    ["sustenet", outcome(3)],
    ["raw-tls", outcome(2)],
  ]);
  expect(compare("tick", "ms", outcomes, [{ peer: "raw-tls", goal: null }])).toMatchObject([
    { ratio: 1.5, oursSpread: null, peerSpread: null },
  ]);
});
