import { type AllocateRequest, maxAvoidedClusters } from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { SustenetError } from "./error.ts";

/** By then the master has noticed by itself, or the cluster is back. */
const rememberMs = 60_000;

/** Codes of this side that say that a cluster was not there. */
const absent: ReadonlySet<string> = new Set(["NETWORK", "TIMEOUT", "CONNECTION_LOST", "CERTIFICATE_MISMATCH"]);

/** Whether another was at a cluster's address: one that took its port, or a stranger. It was not shown the ticket. [TLS-3] */
export function isImpostor(error: unknown): boolean {
  return error instanceof SustenetError && error.code === "CERTIFICATE_MISMATCH";
}

/** Whether a cluster could not be reached, going by what opening a connection to it threw. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof SustenetError && error.origin === "client" && absent.has(error.code);
}

/**
 * Clusters that could not be reached a moment ago. The master may go on offering one that has crashed until its lease runs out;
 * whoever has stood before its closed door knows better. [ALLOC-12]
 */
export class UnreachableClusters {
  readonly #clock: Clock;
  /** When each may be forgotten, the latest last. */
  readonly #untilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Opens a connection to a cluster, and remembers whether that could be done. */
  async watch<T>(clusterId: string, open: () => Promise<T>): Promise<T> {
    try {
      const opened = await open();
      this.#untilMs.delete(clusterId);
      return opened;
    } catch (error) {
      if (isUnreachable(error)) {
        this.#untilMs.delete(clusterId);
        this.#untilMs.set(clusterId, this.#clock.nowMs() + rememberMs);
      }
      throw error;
    }
  }

  /** The request, with those that are remembered to be avoided, as far as it leaves a choice. */
  avoidedBy(request: AllocateRequest): AllocateRequest {
    const nowMs = this.#clock.nowMs();
    for (const [clusterId, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(clusterId);
    if (request.clusterId !== undefined || request.party !== undefined || this.#untilMs.size === 0) return request;
    const own = request.avoid ?? [];
    const remembered = [...this.#untilMs.keys()].toReversed().filter((clusterId) => !own.includes(clusterId));
    return { ...request, avoid: [...own, ...remembered].slice(0, Math.max(own.length, maxAvoidedClusters)) };
  }
}
