import { minPatienceMs } from "./waiting-line.ts";

/** The first few come often: a seat waits for them. */
const nextInLine = 16;
const soonSeconds = 2;
const latestSeconds = 30;
/** Most visits a second that a whole queue makes. Bounds the work of its one object. */
const visitsPerSecond = 100;

/** How many are served, in a second on average, of which the last minute counts most. */
export interface ServiceRate {
  /** Those served, each counting less the longer ago it was. */
  readonly weight: number;
  readonly atMs: number;
  readonly sinceMs: number;
}

const halfLifeMs = 60_000;

export function noteServed(rate: ServiceRate, served: number, nowMs: number): ServiceRate {
  const age = Math.max(0, nowMs - rate.atMs);
  return { ...rate, weight: rate.weight * 2 ** (-age / halfLifeMs) + served, atMs: nowMs };
}

/** `undefined` until somebody was served lately. */
export function servedPerSecond(rate: ServiceRate, nowMs: number): number | undefined {
  const { weight } = noteServed(rate, 0, nowMs);
  // What has not been watched yet does not count as a time without service.
  const watched = 1 - 2 ** (-Math.max(1_000, nowMs - rate.sinceMs) / halfLifeMs);
  const perSecond = (weight * Math.LN2 * 1_000) / (halfLifeMs * watched);
  return weight < 0.05 ? undefined : perSecond;
}

/** How long somebody with so many before has to wait yet, by the observed rate. */
export function estimateSeconds(ahead: number, perSecond: number | undefined): number | null {
  return perSecond === undefined ? null : Math.ceil((ahead + 1) / perSecond);
}

/**
 * When to come again: the sooner, the nearer to the front, and the later, the longer the queue. `random` is from 0 to below 1, and
 * keeps those who came together from coming together again.
 */
export function retryAfterSeconds(
  { ahead, length, estimate }: { readonly ahead: number; readonly length: number; readonly estimate: number | null },
  random: () => number,
): number {
  const patient = Math.min(latestSeconds, Math.max(soonSeconds, (estimate ?? ahead / 4) / 4));
  const base = ahead < nextInLine ? soonSeconds : Math.max(patient, length / visitsPerSecond);
  return Math.max(1, Math.round(base * (0.75 + 0.5 * random())));
}

/** How long a place is kept for somebody who was told to come again: several times as long as that. */
export function patienceMs(retrySeconds: number): number {
  return Math.max(minPatienceMs, 4 * retrySeconds * 1_000);
}

/** How long those behind wait for somebody whose turn it is: until a little after the time that was named. */
export function callMs(retrySeconds: number): number {
  return 1_500 * retrySeconds + 1_000;
}
