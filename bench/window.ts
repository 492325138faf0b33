import { busyShare, type Cores, readCoreTime } from "./cores.ts";
import type { Side } from "./side.ts";
import { type Shares, windowFault } from "./window-fault.ts";

/** What one window of one contender came to. */
export interface Measured extends Shares {
  /** Microseconds of server CPU for one operation. */
  readonly costUs: number;
  /** Microseconds of server CPU for one update of an entity, where there are some. */
  readonly updateUs?: number;
  /** Share of what was offered that was done. */
  readonly done: number;
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
    done: done / offered,
    void: windowFault(done, offered, shares),
  };
}

async function read(side: Side, cores: Cores) {
  const [serverUs, counts, world] = await Promise.all([side.serverCpuUs(), side.loadCounts(), side.world()]);
  const serverCore = readCoreTime(cores.server);
  const loadCore = readCoreTime(cores.load);
  if (serverCore === undefined || loadCore === undefined) throw new Error("a core has gone");
  const updates = world.updates ?? counts.updates;
  return { serverUs, updates, loadUs: counts.cpuUs, serverCore, loadCore, atMs: performance.now() };
}
