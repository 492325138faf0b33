/** Each bucket is this much wider than the one before: the error of a percentile is at most 5 %. */
const growth = 1.05;
/** Upper bound of the first bucket, in the unit of the samples. */
const smallest = 0.01;

/** Counts by bucket number: plain data, so that processes can send it to each other. */
export type Histogram = Record<number, number>;

/** Counts a sample; memory is bounded by the range of the samples, not by their number. */
export function addSample(histogram: Histogram, value: number): void {
  const bucket = value <= smallest ? 0 : Math.ceil(Math.log(value / smallest) / Math.log(growth));
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

/** Adds the counts of `from` to `into`. */
export function mergeHistogram(into: Histogram, from: Histogram): void {
  for (const [bucket, count] of Object.entries(from)) {
    into[Number(bucket)] = (into[Number(bucket)] ?? 0) + count;
  }
}

/** The value that `percent` of the samples do not exceed, rounded to 0.01; null without samples. */
export function percentile(histogram: Histogram, percent: number): number | null {
  const buckets = Object.entries(histogram)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    if (seen >= (total * percent) / 100) return Math.round(smallest * growth ** bucket * 100) / 100;
  }
  return null;
}
