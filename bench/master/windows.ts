import { busyShare, type Cores, readCoreTime } from "../cores.ts";
import type { Outcome, Row } from "../row.ts";
import { median, significant, spread } from "../statistics.ts";
import { foreignShare } from "../window-fault.ts";
import type { BenchMaster } from "./master.ts";
import { type CallCounts, percentile } from "./requests.ts";

/** One window of one side. */
export interface CallWindow {
  /** CPU of workerd for one request, in µs. */
  readonly costUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of its core that workerd used. */
  readonly busy: number;
  readonly void: string | undefined;
}

/** Measures what calls cost workerd. */
export async function measureCalls(
  master: BenchMaster,
  cores: Cores,
  run: () => Promise<CallCounts>,
): Promise<CallWindow> {
  const coreBefore = readCoreTime(cores.server);
  const cpuBefore = master.cpuUs();
  const startedAt = performance.now();
  const counts = await run();
  const wallMs = performance.now() - startedAt;
  const cpuUs = master.cpuUs() - cpuBefore;
  const coreAfter = readCoreTime(cores.server);
  if (counts.done === 0) throw new Error(`nothing was answered with 200: ${counts.firstFailure}`);
  const busy = cpuUs / (wallMs * 1_000);
  const core = coreBefore === undefined || coreAfter === undefined ? Number.NaN : busyShare(coreBefore, coreAfter);
  const foreign = core - busy;
  return {
    costUs: cpuUs / counts.done,
    perSecond: counts.done / (wallMs / 1_000),
    p50Ms: percentile(counts.latenciesMs, 0.5),
    p99Ms: percentile(counts.latenciesMs, 0.99),
    busy,
    void:
      counts.failed > 0
        ? `${counts.failed} calls failed: ${counts.firstFailure}`
        : foreign > foreignShare
          ? `others used ${Math.round(foreign * 100)} % of the server's core`
          : undefined,
  };
}

/** What the windows of one side come to. Void ones are left out; when they are half of all, the side is void. */
export function outcomeOfCalls(windows: readonly CallWindow[]): Outcome {
  const good = windows.filter((window) => window.void === undefined);
  const of = (read: (window: CallWindow) => number) => significant(median(windows.map(read)));
  return {
    values: good.map(({ costUs }) => costUs),
    void: good.length * 2 > windows.length ? undefined : windows.find((window) => window.void !== undefined)?.void,
    detail: {
      windows: good.map(({ costUs }) => significant(costUs)),
      voidWindows: windows.length - good.length,
      perSecond: of(({ perSecond }) => perSecond),
      p50Ms: of(({ p50Ms }) => p50Ms),
      p99Ms: of(({ p99Ms }) => p99Ms),
      busy: of(({ busy }) => busy),
    },
  };
}

/** A row of two sides. */
export function rowOf(
  of: { readonly scenario: string; readonly against: string; readonly unit: string; readonly goal: number | null },
  ours: Outcome,
  peer: Outcome,
): Row {
  const ratio = median(ours.values) / median(peer.values);
  const fault = ours.void ?? peer.void;
  return {
    name: `${of.scenario} / ${of.against}`,
    scenario: of.scenario,
    against: of.against,
    ours: shown(median(ours.values)),
    peer: shown(median(peer.values)),
    unit: of.unit,
    ratio: shown(ratio),
    goal: of.goal,
    meets: of.goal === null || fault !== undefined ? null : ratio <= of.goal,
    void: fault ?? null,
    oursSpread: shown(spread(ours.values), 2),
    peerSpread: shown(spread(peer.values), 2),
    oursDetail: ours.detail,
    peerDetail: peer.detail,
    measuredAt: new Date().toISOString(),
  };
}

function shown(value: number, digits = 3): number | null {
  return Number.isFinite(value) ? significant(value, digits) : null;
}
