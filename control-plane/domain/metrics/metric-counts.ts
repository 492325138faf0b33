import { type CounterKey, type counters, type HistogramKey, histograms, type LabelValues } from "./metric-catalog.ts";

/** By how much a series has grown. Its name is the key of its metric and its labels' values, joined by `|`. */
export type CountDelta = readonly [series: string, by: number];

/** Counts in memory until somebody takes them to where they are kept. */
export class MetricCounts {
  #deltas = new Map<string, number>();

  count<K extends CounterKey>(key: K, labels: LabelValues<(typeof counters)[K]["labels"]>, by = 1): void {
    this.#add([key, ...labels].join("|"), by);
  }

  observe(key: HistogramKey, seconds: number): void {
    const bound = histograms[key].bounds.find((each) => seconds <= each);
    this.#add(`${key}|${bound ?? "+Inf"}`, 1);
    this.#add(`${key}|sum`, seconds);
  }

  /** What has been counted since the last time. */
  take(): readonly CountDelta[] {
    const deltas = [...this.#deltas];
    this.#deltas = new Map();
    return deltas;
  }

  /** What was taken could not be kept. */
  putBack(deltas: readonly CountDelta[]): void {
    for (const [series, by] of deltas) this.#add(series, by);
  }

  get isEmpty(): boolean {
    return this.#deltas.size === 0;
  }

  #add(series: string, by: number): void {
    this.#deltas.set(series, (this.#deltas.get(series) ?? 0) + by);
  }
}

/** The sums of several lists. */
export function sumCounts(lists: readonly (readonly CountDelta[])[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [series, by] of lists.flat()) sums.set(series, (sums.get(series) ?? 0) + by);
  return sums;
}
