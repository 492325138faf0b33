import { describe, expect, it } from "vitest";
import { createRandom, randomInteger } from "../../protocol/testing/seeded-random.ts";
import { assertLayout } from "./testing/random-world.ts";
import { fallBackPlayers, nextLevel, settingsAt, stepLevels } from "./thresholds.ts";

const { fragments } = assertLayout({
  fragment: [
    {
      name: "market",
      min: [0, 0],
      max: [9, 9],
      threshold: [
        { players: 100, update_hz: 10 },
        { players: 150, update_hz: 5 },
        { players: 1_000, update_hz: 2 },
      ],
    },
    { name: "quiet", min: [9, 0], max: [10, 9] },
  ],
});
const levels = fragments[0]?.levels ?? [{ players: 0, settings: settingsAt(assertFirst(), 0) }];

describe("nextLevel", () => {
  it.each([
    [0, 100, 0],
    [0, 101, 1],
    [1, 100, 1],
    [1, 91, 1],
    [1, 90, 0],
    [0, 151, 2],
    [2, 136, 2],
    [2, 135, 1],
    [2, 90, 0],
    [0, 99_999, 3],
    [3, 0, 0],
    [7, 1_001, 3],
  ])("from level %i at %i players comes to %i", (level, players, next) => {
    expect(nextLevel(levels, level, players, 0.1)).toBe(next);
  });

  it("never rises and falls at one population, even without a margin", () => {
    for (const margin of [0, 0.1, 0.9]) {
      for (let players = 0; players < 1_200; players++) {
        for (let level = 0; level < 4; level++) {
          const next = nextLevel(levels, level, players, margin);
          expect(nextLevel(levels, next, players, margin)).toBe(next);
        }
      }
    }
    expect(fallBackPlayers(1, 0)).toBe(0);
  });

  it("changes only by as much as the population does", () => {
    const random = createRandom(3);
    let level = 0;
    let players = 0;
    let turn = 0;
    let shortest = Infinity;
    for (let step = 0; step < 20_000; step++) {
      players = Math.max(0, Math.min(300, players + randomInteger(random, -2, 2)));
      const next = nextLevel(levels, level, players, 0.1);
      if (next !== level) {
        if (turn > 0) shortest = Math.min(shortest, Math.abs(players - turn));
        turn = players;
      }
      level = next;
    }
    // Ten players, the margin of the lowest threshold, less a step to either side.
    expect(shortest).toBeGreaterThanOrEqual(7);
    expect(shortest).toBeLessThan(100);
  });
});

it("steps all fragments and tells which changed", () => {
  const levelOf = new Uint8Array(2);
  expect(stepLevels(fragments, levelOf, Int32Array.of(200, 5_000), 0.1)).toEqual([
    { fragment: "market", from: 0, to: 2 },
  ]);
  expect(stepLevels(fragments, levelOf, Int32Array.of(200, 0), 0.1)).toEqual([]);
  expect(stepLevels(fragments, levelOf, Int32Array.of(120, 0), 0.1)).toEqual([{ fragment: "market", from: 2, to: 1 }]);
  expect(settingsAt(assertFirst(), levelOf[0] ?? 0).updateHz).toBe(10);
});

function assertFirst(): NonNullable<(typeof fragments)[0]> {
  const [first] = fragments;
  if (first === undefined) throw new Error("no fragment");
  return first;
}
