import { Rate } from "../../protocol/index.ts";

/** Questions about players that a cluster may ask in a second. Two thousand players whose game saves them all the time come to so many. */
export const consultsPerSecond = 2_000;
/** How many at once, as when a master was away and everything waits. */
export const maxConsultBurst = 8_000;

/**
 * Counts what each cluster asks players' sessions: every question wakes an object, also one about a player that nobody knows. Kept in
 * memory: an object that forgets it has been idle. [SEC-78]
 */
export class ConsultBudget {
  readonly #rates = new Map<string, Rate>();

  /** Whether the cluster may ask so many now, all of them or none. */
  take(clusterId: string, questions: number, nowMs: number): boolean {
    const known = this.#rates.get(clusterId);
    const rate = known ?? new Rate(consultsPerSecond, maxConsultBurst);
    if (known === undefined) this.#rates.set(clusterId, rate);
    return rate.take(nowMs, questions);
  }
}
