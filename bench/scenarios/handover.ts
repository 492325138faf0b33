import { spawnSync } from "node:child_process";
import { Walker } from "../../test/support/handover/walker.ts";
import { AuditWorld } from "../../test/support/handover/world.ts";
import { busyShare, type Cores, readCoreTime } from "../cores.ts";
import { percentile } from "../master/requests.ts";
import { processCpuUs } from "../master/process-cpu.ts";
import { rowOf } from "../master/windows.ts";
import { NewsGaps } from "../news-gaps.ts";
import type { Outcome, Row } from "../row.ts";
import type { Setup } from "../setup.ts";
import { pause } from "../side.ts";
import { significant } from "../statistics.ts";
import type { Scenario } from "./scenario.ts";

/** Players who cross the border all the time, with 20 moves and 20 messages a second each. */
const players = 20;
/** Milliseconds each way, between any two parties. */
const delays = [0, 80] as const;
/** Fewer say nothing about the longest of a hundred. */
const leastHandovers = 100;
/** How long they cross before it counts: until the code is compiled. */
const warmUpMs = 8_000;
/** How long it counts at least. */
const leastMs = 15_000;
const saturation = 0.9;
const foreignShare = 0.15;

interface Gaps {
  /** Ascending, in ms. */
  readonly gaps: readonly number[];
  readonly pauses: readonly number[];
  /** The same gaps as the client library tells them: until the new server has welcomed the player. */
  readonly library: readonly number[];
  readonly void: string | undefined;
}

/**
 * Players of one world on two clusters, handed over at its border by a real master: how long nothing new comes to a client meanwhile, beside
 * how long nothing comes between two updates of any other time. The processes, and the game that notices what is lost, are those of the audit in test/e2e.
 */
export const handover: Scenario = {
  name: "handover",
  needsPeers: false,
  run: async (setup) => {
    const rows: Row[] = [];
    for (const delayMs of delays) rows.push(...(await rowsOf(setup, delayMs)));
    return rows;
  },
};

async function rowsOf(setup: Setup, delayMs: number): Promise<Row[]> {
  const where = delayMs === 0 ? "loopback" : `${delayMs} ms each way`;
  const scenario = `handover, ${where}`;
  const measured = await measureGaps(setup, delayMs, scenario);
  return [0.5, 0.99].map((share) => {
    const of = { scenario, against: `p${share * 100}, beside a pause between two updates`, unit: "ms", goal: null };
    const library = {
      libraryP50Ms: percentile(measured.library, 0.5),
      libraryP99Ms: percentile(measured.library, 0.99),
    };
    return rowOf(
      of,
      outcome(measured.gaps, share, measured.void, { handovers: measured.gaps.length, ...library }),
      outcome(measured.pauses, share, measured.void, { pauses: measured.pauses.length }),
    );
  });
}

function outcome(
  ascending: readonly number[],
  share: number,
  fault: string | undefined,
  more: Readonly<Record<string, number>>,
): Outcome {
  const figures = {
    ...more,
    p50Ms: percentile(ascending, 0.5),
    p99Ms: percentile(ascending, 0.99),
    longestMs: ascending.at(-1) ?? Number.NaN,
  };
  const detail = Object.entries(figures).map(([name, value]) => [name, significant(value)]);
  return { values: [percentile(ascending, share)], void: fault, detail: Object.fromEntries(detail) };
}

async function measureGaps(setup: Setup, delayMs: number, scenario: string): Promise<Gaps> {
  const { cores, effort, say } = setup;
  const world = new AuditWorld(delayMs);
  const walkers = Array.from({ length: players }, () => new Walker());
  const watches = walkers.map(() => new NewsGaps());
  try {
    say(`${scenario}: a master and two clusters start`);
    await world.start();
    const pids = [...world.clusters.values()].map(({ process }) => process.pid);
    for (const pid of pids) moveTo(cores.server, pid);
    await Promise.all(walkers.map((walker) => walker.join(world.master.url, world.cluster("west").clusterId)));
    for (const [index, walker] of walkers.entries()) watch(walker, watches[index]);
    say(`${scenario}: ${players} players cross the border`);
    await pause(warmUpMs);
    for (const one of watches) one.forget();
    for (const { gapsMs } of walkers) gapsMs.length = 0;
    const before = read(cores, pids);
    await pause(Math.max(leastMs, effort.windowMs * effort.rounds));
    const busy = faultOf(before, read(cores, pids));
    const gaps = ascending(watches.flatMap(({ gapsMs }) => gapsMs));
    const pauses = ascending(watches.flatMap(({ pausesMs }) => pausesMs));
    const library = ascending(walkers.flatMap(({ gapsMs }) => gapsMs));
    const fault = (await audit(world, walkers)) ?? busy;
    const few = gaps.length < leastHandovers ? `only ${gaps.length} handovers` : undefined;
    return { gaps, pauses, library, void: fault ?? few };
  } finally {
    for (const walker of walkers) await walker.leave().catch(() => undefined);
    await world.stop();
  }
}

function watch({ session }: Walker, gaps: NewsGaps | undefined): void {
  if (session === undefined || gaps === undefined) throw new Error("a player is not in the game");
  const hear = (): void => gaps.hear(performance.now());
  session.on("message", hear);
  session.world.on("update", hear);
  session.on("moved", () => gaps.moved());
}

/** Why what was measured does not count: something was lost or doubled, or somebody had to begin again. */
async function audit(world: AuditWorld, walkers: readonly Walker[]): Promise<string | undefined> {
  for (const walker of walkers) walker.rest();
  await world.until("the last answers", () => walkers.every(({ sent, echoed }) => sent === echoed), 30_000);
  const [fault] = [...walkers.flatMap(({ faults }) => faults), ...world.faults, ...world.authority.overlaps()];
  const fallbacks = walkers.reduce((sum, walker) => sum + walker.fallbacks, 0);
  return fault ?? (fallbacks > 0 ? `${fallbacks} players had to begin again` : undefined);
}

function moveTo(core: number, pid: number): void {
  const { status } = spawnSync("taskset", ["-a", "-c", "-p", String(core), String(pid)]);
  if (status !== 0) throw new Error("a cluster could not be moved to its core");
}

function read({ server, load }: Cores, pids: readonly number[]) {
  const serverCore = readCoreTime(server);
  const loadCore = readCoreTime(load);
  if (serverCore === undefined || loadCore === undefined) throw new Error("a core has gone");
  return {
    serverCore,
    loadCore,
    cpuUs: pids.reduce((sum, pid) => sum + processCpuUs(pid), 0),
    atMs: performance.now(),
  };
}

function faultOf(before: ReturnType<typeof read>, after: ReturnType<typeof read>): string | undefined {
  const load = busyShare(before.loadCore, after.loadCore);
  const own = (after.cpuUs - before.cpuUs) / ((after.atMs - before.atMs) * 1_000);
  const foreign = busyShare(before.serverCore, after.serverCore) - own;
  if (load > saturation) return `the load's core was ${Math.round(load * 100)} % busy`;
  return foreign > foreignShare ? `others used ${Math.round(foreign * 100)} % of the clusters' core` : undefined;
}

function ascending(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}
