import { expect, it } from "vitest";
import { measureSlowDrip } from "../fuzz/slow-drip.ts";

/** Other things run on the same machine: of so many rounds one has to be undisturbed. */
const rounds = 6;

it("[NET-8] 2,000 half-open or dripping sockets do not slow down 200 players", { timeout: 300_000 }, async () => {
  const result = await measureSlowDrip({ players: 200, sockets: 2_000, rounds, seconds: 5, untilWithin: true });
  expect(result.lost).toBe(0);
  // They were cut off at their deadlines, and came back.
  expect(result.refusals["HANDSHAKE_TIMEOUT"]).toBeGreaterThan(500);
  expect(result.refusals["JOIN_TIMEOUT"]).toBeGreaterThan(0);
  const last = result.rounds.at(-1);
  expect(last?.held[1]).toBeGreaterThan(1_800);
  expect(last?.during.samples).toBeGreaterThan(1_000);
  expect(last, JSON.stringify(result.rounds)).toMatchObject({ within: true });
});
