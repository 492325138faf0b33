import type { ReportFacts } from "./reporter.ts";

/** By how much the tick time has to change to be told before anything else is: this part of it, and at least so many ms. */
const tickPart = 0.2;
const leastTickMs = 1;

/** Whether what a cluster says of itself has changed enough to be told for its own sake. */
export function isSelfNews(now: ReportFacts, last: ReportFacts): boolean {
  return isTickNews(now.tickMs ?? 0, last.tickMs ?? 0) || !areEqual(now.counters ?? {}, last.counters ?? {});
}

function isTickNews(now: number, last: number): boolean {
  return Math.abs(now - last) > Math.max(leastTickMs, last * tickPart);
}

function areEqual(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
