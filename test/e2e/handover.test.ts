/** Players who walk between two clusters of one world: separate processes, a real master, and a delay between all of them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditWorld } from "../support/handover/world.ts";
import { Walker } from "../support/handover/walker.ts";

/** Handovers of the first test; the long mode is `HANDOVERS=1000 npm test -- test/e2e/handover`. */
const wanted = Number(process.env["HANDOVERS"] ?? 30);
const delayMs = Number(process.env["HANDOVER_DELAY_MS"] ?? 80);
const walkerCount = wanted > 100 ? 20 : 6;

const world = new AuditWorld(delayMs);
let walkers: Walker[] = [];

beforeAll(() => world.start(), 120_000);
afterAll(() => world.stop(), 60_000);

async function join(count: number): Promise<void> {
  walkers = Array.from({ length: count }, () => new Walker());
  await Promise.all(walkers.map((walker) => walker.join(world.master.url, world.cluster("west").clusterId)));
}

/** Everything that was said has been answered, nothing was lost or doubled, and nobody was ever in two places. */
async function audit(): Promise<void> {
  for (const walker of walkers) walker.rest();
  await world.until("the last answers", () => walkers.every(({ sent, echoed }) => sent === echoed), 30_000);
  expect([...walkers.flatMap(({ faults }) => faults), ...world.faults]).toEqual([]);
  expect(world.authority.overlaps()).toEqual([]);
  for (const { playerId } of walkers) expect(world.authority.holdersOf(playerId)).toHaveLength(1);
}

describe(`with ${delayMs} ms each way between all parties`, () => {
  it(
    `[HAND-1] [HAND-9] ${wanted} handovers lose nothing, double nothing, and never leave a player in two places`,
    async () => {
      await join(walkerCount);
      await world.until(`${wanted} handovers`, () => world.authority.moves >= wanted, 60_000 + wanted * 2_000);
      await audit();
      expect(walkers.map(({ fallbacks }) => fallbacks)).toEqual(walkers.map(() => 0));
    },
    120_000 + wanted * 2_000,
  );
});
