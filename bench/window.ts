import { busyShare, type Cores, readCoreTime } from "./cores.ts";
import type { Side } from "./side.ts";

/** A core that is busier than this is saturated. */
const saturation = 0.9;

/** Share of the server's core that may go to others. More of it, and they take turns and caches from the server. */
const foreignShare = 0.15;

/** What one window of one contender came to. */
export interface Measured {
  /** Microseconds of server CPU for one operation. */
  readonly costUs: number;
  /** Shares of a core, 0 to 1: the server, the load, and both cores with whatever else ran there. */
  readonly server: number;
  readonly load: number;
  readonly serverCore: number;
  readonly loadCore: number;
  /** Why it does not count; `undefined` when it does. */
  readonly void: string | undefined;
}

/** What was to be done in a window, and what came of it. */
export interface Work {
  readonly operations: number;
  readonly offered: number;
}

/** Takes the CPU that a server and its load use while `run` runs. */
export async function measure(side: Side, cores: Cores, run: () => Promise<Work>): Promise<Measured> {
  const before = await read(side, cores);
  const { operations, offered } = await run();
  const after = await read(side, cores);
  const wallUs = (after.atMs - before.atMs) * 1_000;
  const serverUs = after.serverUs - before.serverUs;
  const shares = {
    server: serverUs / wallUs,
    load: (after.loadUs - before.loadUs) / wallUs,
    serverCore: busyShare(before.serverCore, after.serverCore),
    loadCore: busyShare(before.loadCore, after.loadCore),
  };
  return { costUs: serverUs / operations, ...shares, void: fault(operations, offered, shares) };
}

type Shares = Pick<Measured, "server" | "load" | "serverCore" | "loadCore">;

function fault(operations: number, offered: number, shares: Shares): string | undefined {
  const { server, serverCore, loadCore } = shares;
  if (loadCore > saturation) return `the load's core was ${percent(loadCore)} busy`;
  if (serverCore - server > foreignShare) return `others used ${percent(serverCore - server)} of the server's core`;
  // The edges of a window may cut a tick in two.
  if (operations < offered * 0.96) return `only ${operations} of ${Math.round(offered)} were done in time`;
  return undefined;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

async function read(side: Side, cores: Cores) {
  const [serverUs, { cpuUs }] = await Promise.all([side.serverCpuUs(), side.loadCounts()]);
  const serverCore = readCoreTime(cores.server);
  const loadCore = readCoreTime(cores.load);
  if (serverCore === undefined || loadCore === undefined) throw new Error("a core has gone");
  return { serverUs, loadUs: cpuUs, serverCore, loadCore, atMs: performance.now() };
}
