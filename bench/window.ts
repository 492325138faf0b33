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
  /** Microseconds of server CPU for one update of an entity, where there are some. */
  readonly updateUs?: number;
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
  /** What the cost is divided by. */
  readonly operations: number;
  /** What came of that which was offered; the operations, unless told. */
  readonly done?: number;
  readonly offered: number;
}

/** Takes the CPU that a server and its load use while `run` runs. */
export async function measure(side: Side, cores: Cores, run: () => Promise<Work>): Promise<Measured> {
  const before = await read(side, cores);
  const { operations, offered, done = operations } = await run();
  const after = await read(side, cores);
  const wallUs = (after.atMs - before.atMs) * 1_000;
  const serverUs = after.serverUs - before.serverUs;
  const shares = {
    server: serverUs / wallUs,
    load: (after.loadUs - before.loadUs) / wallUs,
    serverCore: busyShare(before.serverCore, after.serverCore),
    loadCore: busyShare(before.loadCore, after.loadCore),
  };
  const updates = after.updates - before.updates;
  return {
    costUs: serverUs / operations,
    ...(updates > 0 && { updateUs: serverUs / updates }),
    ...shares,
    void: fault(done, offered, shares),
  };
}

type Shares = Pick<Measured, "server" | "load" | "serverCore" | "loadCore">;

function fault(done: number, offered: number, shares: Shares): string | undefined {
  const { server, serverCore, loadCore } = shares;
  if (loadCore > saturation) return `the load's core was ${percent(loadCore)} busy`;
  if (serverCore - server > foreignShare) return `others used ${percent(serverCore - server)} of the server's core`;
  // The edges of a window may cut a tick in two.
  if (done < offered * 0.96) return `only ${done} of ${Math.round(offered)} were done in time`;
  return undefined;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

async function read(side: Side, cores: Cores) {
  const [serverUs, counts, world] = await Promise.all([side.serverCpuUs(), side.loadCounts(), side.world()]);
  const serverCore = readCoreTime(cores.server);
  const loadCore = readCoreTime(cores.load);
  if (serverCore === undefined || loadCore === undefined) throw new Error("a core has gone");
  const updates = world.updates ?? counts.updates;
  return { serverUs, updates, loadUs: counts.cpuUs, serverCore, loadCore, atMs: performance.now() };
}
