import { Rate } from "../../../protocol/index.ts";
import { FadingMap } from "../fading-map.ts";

/** Questions about players that a cluster may ask in a second. Two thousand players whose game saves them all the time come to so many. */
export const consultsPerSecond = 2_000;
/** How many at once, as when a master was away and everything waits. */
export const maxConsultBurst = 8_000;

/**
 * Counts what each cluster asks players' sessions: every question wakes an object, also one about a player that nobody knows. Kept in
 * memory: an object that forgets it has been idle. [SEC-78]
 */
export class ConsultBudget {
  readonly #rates = new FadingMap({
    everyMs: (1_000 * maxConsultBurst) / consultsPerSecond,
    create: () => new Rate(consultsPerSecond, maxConsultBurst),
    hasFaded: (rate, nowMs) => rate.isFull(nowMs),
  });

  /** How many clusters are counted: those that have asked lately. One that is gone is not forgotten sooner, or it could come again for more. */
  get size(): number {
    return this.#rates.size;
  }

  /** Whether the cluster may ask so many now, all of them or none. */
  take(clusterId: string, questions: number, nowMs: number): boolean {
    return this.#rates.get(clusterId, nowMs).take(nowMs, questions);
  }
}
