import type { ClusterListing, LinkReport, RegisterRequest } from "../../../protocol/index.ts";
import type { KeptState } from "../../domain/clusters/cluster-states.ts";
import { nextJoinAtMs } from "../../domain/allocation/join-rate.ts";
import { loadOf } from "../../domain/allocation/pick.ts";
import type { ClusterMemory, ServingChange, Sql } from "./cluster-memory.ts";
import { type ClusterRow, joinRateOf } from "./registry-rows.ts";
import type { SeatTables } from "./seat-tables.ts";

const maxListed = 1_000;

/** The SQL of a shard's clusters: rows in, rows out, no rules. */
export class RegistryTables {
  readonly #memory: ClusterMemory;
  readonly #sql: Sql;
  readonly #seats: SeatTables;

  constructor(memory: ClusterMemory, seats: SeatTables) {
    this.#memory = memory;
    this.#sql = memory.sql;
    this.#seats = seats;
  }

  cluster(clusterId: string): ClusterRow | undefined {
    return this.#memory.cluster(clusterId);
  }

  /** All that are not gone. */
  presentClusters(): ClusterRow[] {
    return this.#sql.exec<ClusterRow>("SELECT * FROM clusters WHERE state <> 'gone'").toArray();
  }

  listings(): ClusterListing[] {
    return this.#sql
      .exec<ClusterRow>(
        "SELECT * FROM clusters WHERE state = 'ready' AND draining = 0 AND standby = 0 ORDER BY name, cluster_id LIMIT ?",
        maxListed,
      )
      .toArray()
      .map((row) => {
        const tags: string[] = JSON.parse(row.tags);
        return {
          id: row.cluster_id,
          name: row.name,
          region: row.region,
          players: row.players,
          capacity: row.capacity,
          locked: row.locked === 1,
          tags,
          ping: { host: row.host, port: row.port },
        };
      });
  }

  /**
   * A cluster registers. Its seats stay: whoever holds a ticket of an earlier boot may still join if it is the same process, and
   * who is in the game is counted until the first full report says otherwise.
   */
  putCluster(
    registration: {
      readonly clusterId: string;
      readonly shard: string;
      readonly boot: number;
      readonly tokenHash: string;
      readonly state: KeptState;
      readonly nowMs: number;
    },
    details: RegisterRequest,
  ): void {
    const { clusterId, shard, boot, tokenHash, state, nowMs } = registration;
    this.#sql.exec(
      `INSERT INTO clusters (cluster_id, shard, boot, token_hash, state, name, region, host, port, wss_url, tls,
         tags, software, proto_min, proto_max, capacity, labels, counters, game_build, ticket_lifetime, renewed_at, registered_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (cluster_id) DO UPDATE SET shard = excluded.shard, boot = excluded.boot, token_hash = excluded.token_hash,
         state = excluded.state, draining = 0, ends_by = 0, name = excluded.name, host = excluded.host, port = excluded.port,
         wss_url = excluded.wss_url, tls = excluded.tls, tags = excluded.tags, software = excluded.software,
         proto_min = excluded.proto_min, proto_max = excluded.proto_max, capacity = excluded.capacity,
         labels = excluded.labels, counters = excluded.counters, game_build = excluded.game_build,
         ticket_lifetime = excluded.ticket_lifetime, tick_ms = NULL,
         renewed_at = excluded.renewed_at, registered_at = excluded.registered_at,
         full_of = 0, full_next = 0, report_interval = 0, link_lost_at = 0, linked = 0, link_accounted = 0, report_sequence = 0, reported_at = 0, previous_report_at = 0`,
      clusterId,
      shard,
      boot,
      tokenHash,
      state,
      details.name,
      details.region,
      details.host,
      details.port,
      details.wssUrl ?? null,
      JSON.stringify(details.tls),
      JSON.stringify(details.tags),
      details.software,
      details.protocol.min,
      details.protocol.max,
      details.capacity,
      JSON.stringify(details.labels ?? {}),
      JSON.stringify(details.counters ?? {}),
      details.gameBuild ?? "",
      details.ticketLifetimeSeconds ?? null,
      nowMs,
      nowMs,
    );
    this.addOccupancy(clusterId, 0, 0);
  }

  /** Which world a cluster is in, and whether it has nothing to carry there. */
  setWorld(
    clusterId: string,
    place: { readonly world: string; readonly version: number; readonly standby: boolean },
  ): void {
    const { world, version, standby } = place;
    this.#sql.exec(
      "UPDATE clusters SET world = ?, world_version = ?, standby = ? WHERE cluster_id = ?",
      world,
      version,
      standby ? 1 : 0,
      clusterId,
    );
  }

  /** How long tickets that start in a fragment can be used, in seconds by name. */
  setFragmentLifetimes(clusterId: string, lifetimes: ReadonlyMap<string, number>): void {
    const text = JSON.stringify(Object.fromEntries(lifetimes));
    this.#sql.exec("UPDATE clusters SET fragment_lifetimes = ? WHERE cluster_id = ?", text, clusterId);
  }

  setState(clusterId: string, state: KeptState): void {
    this.#sql.exec("UPDATE clusters SET state = ? WHERE cluster_id = ?", state, clusterId);
  }

  /** A cluster has been silent for so long that it has to register again. Who was in the game there may still be. */
  setGone(clusterId: string): void {
    this.#sql.exec(
      "UPDATE clusters SET state = 'gone', linked = 0, link_accounted = 0, link_lost_at = 0 WHERE cluster_id = ?",
      clusterId,
    );
  }

  /** A cluster is no more, or no more here: nobody has a seat. */
  removeCluster(clusterId: string): void {
    this.setGone(clusterId);
    this.#seats.clear(clusterId);
    this.#sql.exec("UPDATE clusters SET seats = 0, joined = 0, players = 0, load = 0 WHERE cluster_id = ?", clusterId);
  }

  /** Nobody has a seat any more. */
  removeSeats(clusterId: string): void {
    this.#seats.clear(clusterId);
    this.#sql.exec(
      "UPDATE clusters SET seats = 0, joined = 0, players = 0, displaced = 0 WHERE cluster_id = ?",
      clusterId,
    );
    this.addOccupancy(clusterId, 0, 0);
  }

  setDisplaced(clusterId: string): void {
    this.#sql.exec("UPDATE clusters SET displaced = 1 WHERE cluster_id = ?", clusterId);
  }

  /** Which shards have to tell their seats on a cluster, and until when that matters. */
  setAwaited(clusterId: string, shards: readonly string[], untilMs: number): void {
    this.#sql.exec(
      "UPDATE clusters SET awaited = ?, awaited_until = ? WHERE cluster_id = ?",
      JSON.stringify(shards),
      untilMs,
      clusterId,
    );
  }

  awaitedBefore(nowMs: number): string[] {
    return this.#sql
      .exec<{ id: string }>("SELECT cluster_id AS id FROM clusters WHERE awaited <> '[]' AND awaited_until <= ?", nowMs)
      .toArray()
      .map(({ id }) => id);
  }

  /** A sign of life in the past. */
  noteSign(clusterId: string, atMs: number): void {
    this.#sql.exec("UPDATE clusters SET renewed_at = max(renewed_at, ?) WHERE cluster_id = ?", atMs, clusterId);
  }

  /** A sign of life now. */
  renew(clusterId: string, atMs: number): void {
    const row = this.#memory.cluster(clusterId);
    if (row === undefined || row.state === "gone") return;
    this.#memory.change(clusterId, { renewed_at: Math.max(row.renewed_at, atMs), link_lost_at: 0 });
  }

  setLinkLost(clusterId: string, atMs: number): void {
    this.#sql.exec("UPDATE clusters SET link_lost_at = ? WHERE cluster_id = ?", atMs, clusterId);
  }

  /** How many clusters there are that are not gone, and how many of them seem to be away. */
  silence(): { present: number; silent: number } {
    const { present } = this.#sql
      .exec<{ present: number }>("SELECT count(*) AS present FROM clusters WHERE state <> 'gone'")
      .one();
    const { silent } = this.#sql
      .exec<{ silent: number }>(
        "SELECT count(*) AS silent FROM clusters WHERE state = 'suspect' OR (link_lost_at > 0 AND state <> 'gone')",
      )
      .one();
    return { present, silent };
  }

  setLinked(clusterId: string, linked: boolean): void {
    const value = linked ? 1 : 0;
    this.#sql.exec("UPDATE clusters SET linked = ?, link_accounted = 0 WHERE cluster_id = ?", value, clusterId);
  }

  /** The first, full report has come over the cluster's link: from now on its pings tell that nothing has changed. */
  setLinkAccounted(clusterId: string): void {
    this.#sql.exec("UPDATE clusters SET link_accounted = linked WHERE cluster_id = ?", clusterId);
  }

  /** Notes that a report has been applied, and by how much it changes what the cluster's seats add up to. */
  noteReport(
    clusterId: string,
    report: Pick<LinkReport, "sequence" | "players" | "tickMs" | "counters">,
    { seatsDelta, joinedDelta }: { readonly seatsDelta: number; readonly joinedDelta: number },
    nowMs: number,
  ): void {
    const { counters, reported_at } = this.#rowOf(clusterId);
    const reported = report.counters === undefined ? counters : JSON.stringify(report.counters);
    if (reported !== counters) {
      this.#sql.exec("UPDATE clusters SET counters = ? WHERE cluster_id = ?", reported, clusterId);
    }
    const { sequence, players, tickMs } = report;
    this.#count(clusterId, seatsDelta, joinedDelta, {
      report_sequence: sequence,
      previous_report_at: reported_at,
      reported_at: nowMs,
      players,
      ...(tickMs === undefined ? {} : { tick_ms: tickMs }),
    });
  }

  /** Changes a cluster's totals together with the rows that they count. It has to be there. */
  addOccupancy(clusterId: string, seatsDelta: number, joinedDelta: number): void {
    this.#count(clusterId, seatsDelta, joinedDelta, {});
  }

  /** Counts seats that were given, also for how fast the cluster wants to be filled. */
  addSeats(clusterId: string, added: number, nowMs: number): void {
    const rate = joinRateOf(this.#rowOf(clusterId));
    const paced = rate === undefined ? {} : { next_join_at: nextJoinAtMs(rate, added, nowMs) };
    this.#count(clusterId, added, 0, paced);
  }

  #count(clusterId: string, seatsDelta: number, joinedDelta: number, more: ServingChange): void {
    const row = { ...this.#rowOf(clusterId), ...more };
    const { capacity, players, tick_ms: tickMs } = row;
    const seats = row.seats + seatsDelta;
    const joined = row.joined + joinedDelta;
    const load = loadOf({ capacity, seats, joined, players, tickMs });
    this.#memory.change(clusterId, { ...more, seats, joined, load });
  }

  #rowOf(clusterId: string): ClusterRow {
    const row = this.#memory.cluster(clusterId);
    if (row === undefined) throw new Error("seats are of a cluster that there is");
    return row;
  }

  /** How fast a cluster wants to be filled; `undefined` for any rate. */
  setJoinRate(clusterId: string, perSecond: number | undefined): void {
    this.#sql.exec("UPDATE clusters SET join_rate = ? WHERE cluster_id = ?", perSecond ?? null, clusterId);
  }

  /** When the next look at all leases is due; 0 when none is. */
  nextSweepAtMs(): number {
    return this.#sql.exec<{ next_at: number }>("SELECT next_at FROM sweep").toArray()[0]?.next_at ?? 0;
  }

  setNextSweep(atMs: number): void {
    this.#sql.exec("DELETE FROM sweep");
    if (atMs > 0) this.#sql.exec("INSERT INTO sweep (next_at) VALUES (?)", atMs);
  }

  /** Forgets the clusters that were gone before `beforeMs`. */
  forget(beforeMs: number): void {
    this.#sql.exec("DELETE FROM clusters WHERE state = 'gone' AND renewed_at < ?", beforeMs);
    this.#seats.forgetOrphans();
  }
}
