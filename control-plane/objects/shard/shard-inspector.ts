import { type ClusterState, shownState } from "../../domain/clusters/cluster-states.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";

/** A cluster, as operators see it. Times in ms since 1970; 0: never. */
export interface ClusterInspection {
  readonly id: string;
  readonly shard: string;
  readonly name: string;
  readonly region: string;
  readonly host: string;
  readonly port: number;
  readonly state: ClusterState;
  /** Why it is not offered; `null` when it is. */
  readonly reason: string | null;
  readonly locked: boolean;
  readonly linked: boolean;
  readonly players: number;
  /** Seats in all, those of tickets that have not joined included. */
  readonly seats: number;
  readonly joined: number;
  /** In force; 0: no limit. */
  readonly capacity: number;
  readonly declaredCapacity: number;
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly gameBuild: string;
  readonly software: string;
  readonly protocol: { readonly min: number; readonly max: number };
  readonly keyId: string;
  readonly boot: number;
  /** Of the orders that the shard knows. */
  readonly ordersVersion: number;
  /** Its process has said that it is about to end, whatever operators order. [WORLD-8] */
  readonly ending: boolean;
  readonly drainDeadlineAtMs: number | null;
  readonly registeredAtMs: number;
  readonly lastSignAtMs: number;
  readonly lastReportAtMs: number;
}

/** What a shard's clusters add up to. */
export interface ShardSummary {
  readonly clusters: number;
  readonly ready: number;
  readonly suspect: number;
  readonly locked: number;
  readonly draining: number;
  /** Of the clusters that have a limit and can be offered. */
  readonly capacity: number;
  /** Clusters without a limit. */
  readonly unlimited: number;
  readonly seats: number;
  readonly joined: number;
  readonly players: number;
}

/** Shows operators what a shard knows of its clusters. Changes nothing. */
export class ShardInspector {
  readonly #parts: ShardParts;

  constructor(parts: ShardParts) {
    this.#parts = parts;
  }

  /** The clusters whose ids come after `after`, those that have been gone for a while left out. */
  page(after: string, limit: number, nowMs: number): ClusterInspection[] {
    return this.#parts.storage.sql
      .exec<ClusterRow>("SELECT * FROM clusters WHERE cluster_id > ? ORDER BY cluster_id LIMIT ?", after, limit)
      .toArray()
      .map((row) => this.#inspect(row, nowMs));
  }

  one(clusterId: string, nowMs: number): ClusterInspection | undefined {
    const row = this.#parts.tables.cluster(clusterId);
    return row === undefined ? undefined : this.#inspect(row, nowMs);
  }

  summary(): ShardSummary {
    return this.#parts.storage.sql
      .exec<ShardSummary & Record<string, SqlStorageValue>>(
        `SELECT count(*) AS clusters,
           count(*) FILTER (WHERE state = 'ready' AND draining = 0) AS ready,
           count(*) FILTER (WHERE state = 'suspect') AS suspect,
           count(*) FILTER (WHERE locked = 1) AS locked,
           count(*) FILTER (WHERE draining = 1) AS draining,
           coalesce(sum(capacity) FILTER (WHERE state = 'ready' AND draining = 0 AND locked = 0 AND standby = 0), 0) AS capacity,
           count(*) FILTER (WHERE capacity = 0) AS unlimited,
           coalesce(sum(seats), 0) AS seats, coalesce(sum(joined), 0) AS joined, coalesce(sum(players), 0) AS players
         FROM clusters WHERE state <> 'gone'`,
      )
      .one();
  }

  #inspect(row: ClusterRow, nowMs: number): ClusterInspection {
    const { links, orders } = this.#parts;
    const tags: string[] = JSON.parse(row.tags);
    const labels: Record<string, string> = JSON.parse(row.labels);
    const linked = row.linked === 1 && row.state !== "gone";
    const lastSignAtMs = linked ? Math.max(row.renewed_at, links.lastPingAtMs(row.cluster_id)) : row.renewed_at;
    const { version, drain } = orders.orders(row.cluster_id);
    const draining = row.draining === 1;
    const ending = row.state !== "gone" && row.ends_by > 0;
    return {
      id: row.cluster_id,
      shard: row.shard,
      name: row.name,
      region: row.region,
      host: row.host,
      port: row.port,
      state: shownState(row.state, draining),
      reason: reasonOf(row, Math.max(0, nowMs - lastSignAtMs)),
      locked: row.locked === 1,
      linked,
      players: row.players,
      seats: row.seats,
      joined: row.joined,
      capacity: row.capacity,
      declaredCapacity: orders.declared(row).capacity,
      tags,
      labels,
      gameBuild: row.game_build,
      software: row.software,
      protocol: { min: row.proto_min, max: row.proto_max },
      keyId: row.key_id,
      boot: row.boot,
      ordersVersion: version,
      ending,
      drainDeadlineAtMs: drain?.deadlineAtMs ?? (ending ? row.ends_by : null),
      registeredAtMs: row.registered_at,
      lastSignAtMs,
      lastReportAtMs: row.reported_at,
    };
  }
}

function reasonOf(row: ClusterRow, silentMs: number): string | null {
  if (row.state === "gone") return "it has deregistered, or was silent for too long";
  if (row.state === "suspect") return `no sign of life for ${Math.round(silentMs / 1_000)} s`;
  if (row.state === "starting") {
    const { host, port, probe_fault: fault } = row;
    return fault === "" ? "its address has not been reached yet" : `${host}:${port} cannot be reached: ${fault}`;
  }
  if (row.ends_by > 0) return "it drains, as its process is about to end";
  if (row.draining === 1) return "it drains, as an operator has ordered";
  if (row.locked === 1) return "an operator has locked it";
  if (row.standby === 1) return "standby: it carries nothing of its world now";
  return row.capacity > 0 && Math.max(row.seats, row.players) >= row.capacity ? "it is full" : null;
}
