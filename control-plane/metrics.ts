import { env, waitUntil } from "cloudflare:workers";
import type { CounterKey, counters, HistogramKey, LabelValues } from "./domain/metrics/metric-catalog.ts";
import { MetricCounts } from "./domain/metrics/metric-counts.ts";
import { logEvent } from "./log.ts";

/** How long counts gather in an isolate until they are taken to where they are kept. */
const gatherMs = 1_000;
/** After this a trip counts as lost with the request that it went with. */
const tripTimeoutMs = 15_000;
/** Isolates come and go, and there are many: they share a few keepers. */
const keeperCount = 4;

const counts = new MetricCounts();
let setOutAtMs: number | undefined;
let ownKeeper: number | undefined;

/** Counts one more. */
export function count<K extends CounterKey>(key: K, ...labels: LabelValues<(typeof counters)[K]["labels"]>): void {
  counts.count(key, labels);
  setOut();
}

/** Counts a duration. */
export function observe(key: HistogramKey, seconds: number): void {
  counts.observe(key, seconds);
  setOut();
}

/** Sees to it that what has been counted is kept soon. */
function setOut(): void {
  const nowMs = Date.now();
  if (setOutAtMs !== undefined && nowMs - setOutAtMs < tripTimeoutMs && nowMs >= setOutAtMs) return;
  setOutAtMs = nowMs;
  waitUntil(takeLater());
}

async function takeLater(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, gatherMs);
  });
  // Before, not after: what is counted meanwhile goes with the next trip.
  setOutAtMs = undefined;
  await keepCounts();
}

/** Takes what this isolate has counted to a keeper. What cannot be kept now goes with the next trip. */
export async function keepCounts(): Promise<void> {
  const deltas = counts.take();
  if (deltas.length === 0) return;
  ownKeeper ??= Math.floor(Math.random() * keeperCount);
  try {
    await env.METRICS_KEEPER.getByName(keeperName(ownKeeper)).add(deltas);
  } catch (error) {
    counts.putBack(deltas);
    logEvent("warn", "metrics.not_kept", { error });
  }
}

/** The names of all keepers. */
export function metricsKeeperNames(): readonly string[] {
  return Array.from({ length: keeperCount }, (_, index) => keeperName(index));
}

function keeperName(number: number): string {
  return `metrics.${number}`;
}
