import { type AllocateRequest, maxAvoidedClusters } from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { SustenetError } from "./error.ts";
import { type ClusterAddress, doorOf } from "./transport.ts";

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

/** Clusters of which is known where the master says that they are. More than a client comes to. */
const maxNamed = 64;

/**
 * Clusters that could not be reached a moment ago. The master may go on offering one that has crashed until its lease runs out;
 * whoever has stood before its closed door knows better. [ALLOC-12]
 *
 * Only the master says where a cluster is. A cluster that sends the player on says so too, and may lie: a door that it names is another's
 * only where the master has named the same.
 */
export class UnreachableClusters {
  readonly #clock: Clock;
  /** When each may be forgotten, the latest last. */
  readonly #untilMs = new Map<string, number>();
  /** The address that the master named last, by cluster, the latest last. */
  readonly #named = new Map<string, string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The master says that a cluster is there. */
  name(cluster: ClusterAddress): void {
    this.#named.delete(cluster.id);
    this.#named.set(cluster.id, doorOf(cluster));
    const [oldest] = this.#named.keys();
    if (this.#named.size > maxNamed && oldest !== undefined) this.#named.delete(oldest);
  }

  /** Opens a connection to a cluster, and remembers whether that could be done, if the master says that it is there. */
  async watch<T>(cluster: ClusterAddress, open: () => Promise<T>): Promise<T> {
    try {
      const opened = await open();
      if (this.#isNamed(cluster)) this.#untilMs.delete(cluster.id);
      return opened;
    } catch (error) {
      if (isUnreachable(error) && this.#isNamed(cluster)) {
        this.#untilMs.delete(cluster.id);
        this.#untilMs.set(cluster.id, this.#clock.nowMs() + rememberMs);
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

  #isNamed(cluster: ClusterAddress): boolean {
    return this.#named.get(cluster.id) === doorOf(cluster);
  }
}
