import { createLeasePolicy, isLeaseLive, sweepLeases } from "../domain/leases.ts";
import { accountedAtMs } from "../domain/reports.ts";
import { isVacant } from "../domain/seats.ts";
import { logEvent } from "../log.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { RegistryWorlds } from "./registry-worlds.ts";
import { recordedCluster } from "./shard-records.ts";
import type { ShardParts } from "./shard-parts.ts";

/** A sweep that is this late means that nobody was here to hear signs of life. */
const overdueMs = 5_000;
const forgetAfterMs = 7 * 24 * 60 * 60 * 1_000;

/** The leases of a shard's clusters, and the seats that end with them or with their tickets. */
export class RegistryLeases {
  readonly #parts: ShardParts;
  readonly #worlds: RegistryWorlds;
  /** True while so many are silent that the master suspects itself. After a restart the next sweep finds out again. */
  #frozen = false;

  constructor(parts: ShardParts, worlds: RegistryWorlds) {
    this.#parts = parts;
    this.#worlds = worlds;
  }

  /**
   * To be called when the object comes into being. Waking up from hibernation keeps the links and loses nothing. But a link that
   * went without being closed was dropped by a restart or a deploy, and a sweep long overdue means an outage: then silence proves
   * nothing, and the lease starts anew.
   */
  giveGrace(nowMs: number): void {
    const { tables, links } = this.#parts;
    const dueAtMs = tables.nextSweepAtMs();
    const outage = dueAtMs > 0 && nowMs - dueAtMs > overdueMs;
    for (const row of tables.presentClusters()) {
      const dropped = row.linked === 1 && !links.isOpen(row.cluster_id);
      if (dropped) tables.setLinked(row.cluster_id, false);
      if (dropped || outage) tables.renew(row.cluster_id, nowMs);
    }
  }

  /** Whether the cluster may be offered now. Looks at all leases first when this one seems to have ended. */
  isLive(row: ClusterRow, nowMs: number): boolean {
    if (this.#frozen || this.#isRenewed(row, nowMs)) return true;
    this.sweep(nowMs);
    return this.#frozen;
  }

  /** Brings every cluster's state up to date, and frees the seats that nobody can claim any more. */
  sweep(nowMs: number): void {
    const { storage, tables, registrations, records, links, settings } = this.#parts;
    const policy = createLeasePolicy(settings().leaseMs);
    const rows = tables.presentClusters();
    const holders = rows.map((row) => ({
      clusterId: row.cluster_id,
      state: row.state,
      renewedAtMs: this.#lastSignAtMs(row),
    }));
    const { changes, frozen } = sweepLeases(holders, nowMs, policy);
    if (frozen !== this.#frozen) logEvent("warn", "registry.mass_silence", { frozen, clusters: rows.length });
    this.#frozen = frozen;
    storage.transactionSync(() => {
      for (const [clusterId, state] of changes) {
        if (state === "gone") tables.setGone(clusterId);
        else tables.setState(clusterId, state);
      }
      for (const row of rows) {
        const state = changes.get(row.cluster_id);
        if (state !== undefined) records.cluster(state, recordedCluster(row), nowMs);
        if (state === "gone") this.#worlds.noteEnd(row);
        else this.#freeSeats(row);
      }
      tables.forget(nowMs - forgetAfterMs);
      registrations.forget(nowMs - forgetAfterMs);
    });
    for (const [clusterId, state] of changes) {
      logEvent("info", "registry.cluster_state", { clusterId, state });
      if (state === "gone") links.close(clusterId, "REGISTER_AGAIN");
    }
  }

  /** When leases should be looked at again; `undefined` when there are none. At most one wake a lease period. */
  nextSweepAtMs(nowMs: number): number | undefined {
    const { tables, settings } = this.#parts;
    const dueAtMs = tables.nextSweepAtMs();
    if (dueAtMs > nowMs) return dueAtMs;
    const next = tables.presentClusters().length > 0 ? nowMs + settings().leaseMs : 0;
    tables.setNextSweep(next);
    return next === 0 ? undefined : next;
  }

  /** Up to when the cluster has accounted for its players, given that it reports now (`reporting`), or has not. */
  accountedAtMs(row: ClusterRow, reporting: boolean): number {
    return accountedAtMs({
      previousReportAtMs: reporting ? row.reported_at : row.previous_report_at,
      pingAtMs: row.link_accounted === 1 ? this.#parts.links.lastPingAtMs(row.cluster_id) : 0,
      reportIntervalMs: this.#parts.settings().reportIntervalMs,
    });
  }

  #freeSeats(row: ClusterRow): void {
    const { tables } = this.#parts;
    const accountedMs = this.accountedAtMs(row, false);
    const ended = tables.endedSeats(row.cluster_id, accountedMs).filter((seat) => isVacant(seat, accountedMs));
    for (const seat of ended) tables.deleteSeat(row.cluster_id, seat.playerId);
    if (ended.length > 0) tables.addOccupancy(row.cluster_id, -ended.length, 0);
  }

  #isRenewed(row: ClusterRow, nowMs: number): boolean {
    return isLeaseLive(this.#lastSignAtMs(row), nowMs, createLeasePolicy(this.#parts.settings().leaseMs));
  }

  #lastSignAtMs(row: ClusterRow): number {
    return row.linked === 1 ? Math.max(row.renewed_at, this.#parts.links.lastPingAtMs(row.cluster_id)) : row.renewed_at;
  }
}
