import { expect, it } from "vitest";
import { createTally, isFlawless, summarize } from "./tally.ts";

const flawless = {
  ...createTally(),
  joined: 2,
  connected: 2,
  sent: 10,
  received: 10,
  handovers: 3,
  handoverGapMs: { 0: 3 },
  handoverRttMs: { 0: 2 },
};

it("adds up what the processes counted", () => {
  const summary = summarize(4, [flawless, flawless]);
  expect(summary).toMatchObject({
    players: 4,
    joined: 4,
    connected: 4,
    sent: 20,
    received: 20,
    lost: 0,
    duplicated: 0,
    handovers: 6,
    handoverGapMs: { p50: 0.01, p99: 0.01 },
    handoverRttMs: { p50: 0.01, p99: 0.01 },
  });
  expect(isFlawless(summary)).toBe(true);
});

it.each([
  ["a player who did not join", { ...flawless, joined: 1 }],
  ["a player who was out of the game at the end", { ...flawless, connected: 1 }],
  ["a lost message", { ...flawless, received: 9 }],
  ["a doubled message", { ...flawless, duplicated: 1 }],
])("counts %s as a flaw", (_what, tally) => {
  expect(isFlawless(summarize(2, [tally]))).toBe(false);
});
