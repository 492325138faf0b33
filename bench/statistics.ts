/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** How far the values lie apart: half the distance between the least and the greatest, as a share of the median. NaN of fewer than two. */
export function spread(values: readonly number[]): number {
  if (values.length < 2) return Number.NaN;
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values);
}

/** `value` to so many significant digits: no more than a measurement can bear. */
export function significant(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}
