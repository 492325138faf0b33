import {
  createLeasePolicy,
  isLeaseLive,
  isMassSilence,
  type LeasePolicy,
  sweepLeases,
} from "../../domain/clusters/leases.ts";
import { accountedAtMs } from "../../domain/clusters/reports.ts";
import { isVacant } from "../../domain/clusters/seats.ts";
import { logEvent } from "../../log.ts";
import { ClusterStanding } from "./cluster-standing.ts";
import { type ChoosableRow, type ClusterRow, mayServe } from "./registry-rows.ts";
import type { RegistryWorlds } from "./registry-worlds.ts";
import type { ShardParts } from "./shard-parts.ts";

/** A sweep that is this late means that nobody was here to hear signs of life. */
const overdueMs = 5_000;
const forgetAfterMs = 7 * 24 * 60 * 60 * 1_000;

/** The leases of a shard's clusters, and the seats that end with them or with their tickets. */
export class RegistryLeases {
  readonly #parts: ShardParts;
  readonly #worlds: RegistryWorlds;
  readonly #standing: ClusterStanding;
  /** True while so many are silent that the master suspects itself. After a restart the next sweep finds out again. */
  #frozen = false;

  constructor(parts: ShardParts, worlds: RegistryWorlds) {
    this.#parts = parts;
    this.#worlds = worlds;
    this.#standing = new ClusterStanding(parts);
  }

  /**
   * To be called when the object comes into being. Waking up from hibernation keeps the links and loses nothing. But a link that
   * went without being closed was dropped by a restart or a deploy, and a sweep long overdue means an outage: then silence proves
   * nothing, and the lease starts anew; also of those whose links broke just before, perhaps for the same reason.
   */
  giveGrace(nowMs: number): void {
    const { tables, links } = this.#parts;
    const dueAtMs = tables.nextSweepAtMs();
    const outage = dueAtMs > 0 && nowMs - dueAtMs > overdueMs;
    const rows = tables.presentClusters();
    const dropped = new Set(rows.filter((row) => row.linked === 1 && !links.isOpen(row.cluster_id)));
    for (const row of dropped) tables.setLinked(row.cluster_id, false);
    if (dropped.size === 0 && !outage) return;
    const { linkGraceMs } = this.#policy();
    for (const row of rows) {
      const justLost = row.link_lost_at > 0 && nowMs - row.link_lost_at < linkGraceMs;
      if (outage || dropped.has(row) || justLost) this.#standing.sign(row, nowMs);
    }
  }

  /** A cluster's link broke, as it does when its process is killed: it is suspect at once, unless many broke together. */
  linkLost(row: ClusterRow, nowMs: number): void {
    const { tables } = this.#parts;
    if (row.state === "gone") return;
    tables.setLinkLost(row.cluster_id, nowMs);
    if (this.#isMassSilence() !== this.#frozen) this.sweep(nowMs);
    else if (!this.#frozen) this.#standing.apply(row, "silent", "link lost");
  }

  /** A sign of life that came as a message. Pings show by themselves, at the next look. */
  sign(row: ClusterRow, nowMs: number): void {
    this.#standing.sign(row, nowMs);
    // Who is back may have been what made the silence of many.
    if (this.#frozen && row.link_lost_at > 0 && !this.#isMassSilence()) this.sweep(nowMs);
  }

  /** Whether a suspect may be offered where there is no other: its link broke a moment ago. */
  isLastResort(row: ChoosableRow, nowMs: number): boolean {
    return row.state === "suspect" && row.link_lost_at > nowMs - this.#policy().linkGraceMs;
  }

  /** Since when the link of a suspect must have broken for it to be one that {@link isLastResort}. */
  lastResortSinceMs(nowMs: number): number {
    return nowMs - this.#policy().linkGraceMs;
  }

  #isMassSilence(): boolean {
    const { present, silent } = this.#parts.tables.silence();
    return isMassSilence(silent, present);
  }

  #policy(): LeasePolicy {
    return createLeasePolicy(this.#parts.settings().leaseMs);
  }

  /** Whether the cluster may be offered now. Looks at all leases first when this one seems to have ended. */
  isLive(row: ChoosableRow, nowMs: number): boolean {
    if (this.#frozen || this.#isRenewed(row, nowMs)) return true;
    if (this.isLastResort(row, nowMs)) return true;
    this.sweep(nowMs);
    return this.#frozen;
  }

  /** Brings every cluster's state up to date, and frees the seats that nobody can claim any more. */
  sweep(nowMs: number): void {
    const { storage, tables, registrations, links, standings } = this.#parts;
    const policy = this.#policy();
    const rows = tables.presentClusters();
    const holders = rows.map((row) => ({
      clusterId: row.cluster_id,
      state: row.state,
      renewedAtMs: this.#lastSignAtMs(row),
      linkLostAtMs: row.link_lost_at,
      isReached: mayServe(row),
    }));
    const { changes, frozen } = sweepLeases(holders, nowMs, policy);
    if (frozen !== this.#frozen) logEvent("warn", "registry.mass_silence", { frozen, clusters: rows.length });
    this.#frozen = frozen;
    storage.transactionSync(() => {
      for (const row of rows) {
        const state = changes.get(row.cluster_id);
        if (state !== undefined) this.#standing.move(row, state, becauseOf(row, frozen));
        if (state === "gone") this.#worlds.noteEnd(row);
        else this.#freeSeats(row);
        if (row.world !== "") standings.note(row.cluster_id);
      }
      tables.forget(nowMs - forgetAfterMs);
      registrations.forget(nowMs - forgetAfterMs);
    });
    for (const [clusterId, state] of changes) {
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
      reportIntervalMs: Math.max(row.report_interval, this.#parts.settings().reportIntervalMs),
    });
  }

  #freeSeats(row: ClusterRow): void {
    const { tables, seats } = this.#parts;
    const accountedMs = this.accountedAtMs(row, false);
    const ended = seats.ended(row.cluster_id, accountedMs).filter((seat) => isVacant(seat, accountedMs));
    for (const seat of ended) seats.delete(row.cluster_id, seat.playerId);
    if (ended.length > 0) tables.addOccupancy(row.cluster_id, -ended.length, 0);
  }

  #isRenewed(row: ChoosableRow, nowMs: number): boolean {
    return row.link_lost_at === 0 && isLeaseLive(this.#lastSignAtMs(row), nowMs, this.#policy());
  }

  #lastSignAtMs(row: ChoosableRow): number {
    return row.linked === 1 ? Math.max(row.renewed_at, this.#parts.links.lastPingAtMs(row.cluster_id)) : row.renewed_at;
  }
}

/** Why a look at all leases changes a cluster's state, for the log. */
function becauseOf(row: ClusterRow, frozen: boolean): string {
  if (frozen) return "many are silent";
  return row.link_lost_at > 0 ? "link lost" : "lease";
}
