import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";

/** Least time between two log lines about the same reason. Stops strangers from filling the log. */
const intervalMs = 1_000;

interface Noted {
  lineAtMs: number;
  /** Refusals since that line. */
  unsaid: number;
}

/** Counts every refused connection, and logs the reason: never what the peer sent. */
export class RefusalLog {
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #nowMs: () => number;
  readonly #noted = new Map<string, Noted>();

  constructor(metrics: Metrics, log: Logger, nowMs: () => number) {
    this.#metrics = metrics;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /**
   * @param reason a code of ours; the number of different ones is small
   * @param address where the peer is
   * @param fragment of this cluster's own world, for a refusal because of it; not a reason of its own, as there may be thousands
   */
  note(reason: string, address: string, fragment?: string): void {
    this.#metrics.countRefusal(reason);
    const now = this.#nowMs();
    const noted = this.#noted.get(reason);
    if (noted !== undefined && now - noted.lineAtMs < intervalMs) {
      noted.unsaid += 1;
      return;
    }
    const count = (noted?.unsaid ?? 0) + 1;
    this.#noted.set(reason, { lineAtMs: now, unsaid: 0 });
    const where = fragment === undefined ? {} : { fragment };
    this.#log.info({ event: "refused", reason, ...where, address, count }, `refused a connection: ${reason}`);
  }
}
