import type { LinkReach, ReachFault } from "../../../protocol/index.ts";
import { leastProbeGapMs, probePauseMs, untriedBecause } from "../../domain/clusters/reachability.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { ClusterStanding } from "./cluster-standing.ts";
import type { ReachRow, ReachTables } from "./reach-tables.ts";
import { type ClusterRow, mayServe } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";
import { tryAddress } from "./tcp-probe.ts";

/** Attempts at a time; more wait for their turn. */
const parallelAttempts = 8;

/** Tries the addresses of clusters that have registered, away from the allocation path: one that players cannot reach is not offered. */
export class RegistryReach {
  readonly #parts: ShardParts;
  readonly #tables: ReachTables;
  readonly #standing: ClusterStanding;
  #running: Promise<void> | undefined;

  constructor(parts: ShardParts, tables: ReachTables) {
    this.#parts = parts;
    this.#tables = tables;
    this.#standing = new ClusterStanding(parts);
  }

  /** Whether a cluster that registers can be offered at once: probes are off, or it was reached where it still is. */
  isReached(previous: ClusterRow | undefined, details: { readonly host: string; readonly port: number }): boolean {
    if (!this.#parts.settings().probeClusters) return true;
    return previous?.reached === 1 && previous.host === details.host && previous.port === details.port;
  }

  /** Its row has been written. However often it registers, its address is not tried more often. [SEC-61] */
  begin(clusterId: string, reached: boolean, nowMs: number): void {
    this.#tables.begin(clusterId, reached, Math.max(nowMs, this.#tables.lastAttemptAtMs(clusterId) + leastProbeGapMs));
  }

  nextDueAtMs(): number | undefined {
    return this.#tables.nextDueAtMs();
  }

  /** Tries what is due. Does not throw: what fails is tried again later. */
  async run(): Promise<void> {
    this.#running ??= this.#runBatches().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What a cluster has to be told that cannot be reached. */
  commandsFor(clusterId: string): readonly LinkReach[] {
    const note = this.#tables.fault(clusterId);
    return note === undefined ? [] : [{ type: "reach", ...note }];
  }

  async #runBatches(): Promise<void> {
    for (;;) {
      const nowMs = Date.now();
      const rows = this.#tables.due(nowMs, parallelAttempts);
      if (rows.length === 0) return;
      for (const { clusterId, failures } of rows) {
        this.#tables.noteAttempt(clusterId, nowMs, nowMs + probePauseMs(failures, Math.random));
      }
      failpoint("register.probing");
      await Promise.all(rows.map(async (row) => this.#note(row, await this.#attempt(row))));
    }
  }

  async #attempt({ host, port }: ReachRow): Promise<ReachFault | undefined> {
    const { masterUrl, probeClusters } = this.#parts.settings();
    if (!probeClusters) return undefined;
    return untriedBecause(host, new URL(masterUrl).hostname) ?? tryAddress(host, port);
  }

  #note({ clusterId, boot, host, port, failures }: ReachRow, fault: ReachFault | undefined): void {
    const { tables, storage, links } = this.#parts;
    const row = tables.cluster(clusterId);
    // It has registered anew in the meantime, perhaps with another address.
    if (row === undefined || row.boot !== boot || row.state === "gone") return;
    const before = this.#tables.fault(clusterId)?.fault;
    storage.transactionSync(() => {
      this.#tables.noteOutcome(clusterId, fault);
      const after = { ...row, reached: 1 };
      if (fault === undefined && mayServe(after)) this.#standing.apply(after, "reached");
    });
    if (fault !== undefined) {
      logEvent("warn", "registry.unreachable", { clusterId, host, port, fault, attempt: failures + 1 });
    }
    if (fault !== before || failures === 0) links.send(clusterId, [{ type: "reach", host, port, fault }]);
  }
}
