/**
 * `npm run soak -- --minutes M [--players N] [--seed S] [--delay MS]`: players walk between two clusters of one world, as separate processes, while
 * clusters and the master are killed and connections are cut, one fault after another; everything is audited all the time.
 * Ends with a line of JSON, and with exit code 1 if anything was lost, doubled, or in two places. `rssMb` is this process's own, the players and
 * the books that are kept of them, once everybody is in the game and at the end.
 */
import { parseArgs } from "node:util";
import { faultsOf, recovered } from "../support/handover/recovery.ts";
import { AuditWorld, sides } from "../support/handover/world.ts";
import { Walker } from "../support/handover/walker.ts";
import { createRandom } from "../simulation/random.ts";

const clusterSteps = ["prepared", "rests", "ready", "commit-asked", "commit-answered", "plays", "commit", "finished"];
const masterSteps = ["commit-asked", "commit-answered"] as const;
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    players: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    /** Each way between any two parties, in milliseconds: the longer, the more is under way when something breaks. */
    delay: { type: "string", default: "20" },
  },
});
const [minutes, players, seed] = [Number(values.minutes), Number(values.players), Number(values.seed)];
const delayMs = Number(values.delay);
const isWhole = Number.isInteger(players + seed) && Number.isInteger(delayMs);
if (!(minutes > 0 && minutes <= 1_440 && players >= 1 && players <= 100 && isWhole && delayMs >= 0 && delayMs <= 500)) {
  console.error("usage: npm run soak -- --minutes M [--players N] [--seed S] [--delay MS]");
  process.exit(2);
}
const random = createRandom(seed);
const world = new AuditWorld(delayMs);
const walkers = Array.from({ length: players }, () => new Walker());
const counts = { kills: 0, masterKills: 0, cuts: 0 };
let fault: string | undefined;
const rssMb = { start: 0, end: 0 };
const startedAt = performance.now();
try {
  await world.start();
  await Promise.all(walkers.map((walker) => walker.join(world.master.url, world.cluster("west").clusterId)));
  rssMb.start = residentMb();
  while (performance.now() - startedAt < minutes * 60_000) {
    await disturb();
    await recovered(world, walkers);
    judge();
    const fallbacks = walkers.reduce((sum, walker) => sum + walker.fallbacks, 0);
    console.log(`${world.authority.moves} handovers, ${JSON.stringify(counts)}, ${fallbacks} fell back to a save`);
  }
  for (const walker of walkers) walker.rest();
  await world.until("the last answers", () => walkers.every(({ sent, echoed }) => sent === echoed));
  judge();
} catch (error) {
  fault = error instanceof Error ? error.message : String(error);
  console.error(walkers.map((walker) => walker.describe()).join("\n"));
}
await Promise.all(walkers.map((walker) => walker.leave().catch(() => undefined)));
await world.stop();
const inputs = walkers.reduce((sum, { echoed }) => sum + echoed, 0);
rssMb.end = residentMb();
const { moves: handovers } = world.authority;
console.log(
  JSON.stringify({ ok: fault === undefined, seed, players, delayMs, inputs, handovers, ...counts, rssMb, fault }),
);
process.exit(fault === undefined ? 0 : 1);

function residentMb(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}

/** One fault, in the middle of somebody's handover. */
async function disturb(): Promise<void> {
  const side = random.pick(sides);
  const kind = random.between(0, 3);
  if (kind === 0) {
    await world.killAt(side, random.pick(clusterSteps));
    counts.kills += 1;
  } else if (kind === 1) {
    await world.killMasterAt(side, random.pick(masterSteps));
    counts.masterKills += 1;
  } else {
    await world.nextStep(random.pick(["transfer", "commit", "plays"]));
    world.cut(kind === 2 ? "players" : "peers");
    counts.cuts += 1;
  }
}

/** @throws Error what was lost, doubled or in two places */
function judge(): void {
  const faults = faultsOf(world, walkers);
  if (faults.length > 0) throw new Error(faults.join("; "));
}
