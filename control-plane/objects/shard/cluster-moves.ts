import { limits } from "../../../protocol/index.ts";
import { mergeSeats, type Seat } from "../../domain/clusters/seats.ts";
import { shardsForCluster } from "../../domain/clusters/sharding.ts";
import { failpoint } from "../../failpoint.ts";
import { ClusterStanding, logLeft } from "./cluster-standing.ts";
import type { ClusterRow } from "./registry-rows.ts";
import { recordedCluster } from "./shard-records.ts";
import type { ShardParts } from "./shard-parts.ts";

/** After this no ticket of an earlier registration can join: whatever the other shards have to tell is past. */
const longestMoveMs = limits.maxTicketLifetimeSeconds * 1_000 + 2 * limits.clockSkewMs;

/**
 * Moves clusters between shards, as after a change of their number. The shard at which a cluster registers asks the others of
 * its region for the seats that they have given on it, and does not offer it before all have answered: a seat that is there is
 * not given again here.
 */
export class ClusterMoves {
  readonly #parts: ShardParts;
  readonly #standing: ClusterStanding;

  constructor(parts: ShardParts) {
    this.#parts = parts;
    this.#standing = new ClusterStanding(parts);
  }

  /** The shards that may have given seats on a cluster that registers here, beside this one. */
  awaited(shard: string, clusterId: string, previous: ClusterRow | undefined): readonly string[] {
    if (previous !== undefined && previous.state !== "gone") return awaitedOf(previous);
    return this.#others(shard, clusterId);
  }

  /** The cluster's row has been written: every other shard is told, and those that are awaited have to answer. */
  begin(
    cluster: { readonly clusterId: string; readonly shard: string; readonly boot: number },
    awaited: readonly string[],
    nowMs: number,
  ): void {
    const { tables, outbox } = this.#parts;
    const { clusterId, shard, boot } = cluster;
    const row = tables.cluster(clusterId);
    // What was left of an earlier stay has gone to the shard that the cluster went to, and comes from there.
    if (row?.displaced === 1) tables.removeSeats(clusterId);
    tables.setAwaited(clusterId, awaited, nowMs + longestMoveMs);
    for (const other of this.#others(shard, clusterId)) outbox.put(other, { kind: "displace", clusterId, boot });
  }

  /**
   * The cluster has registered elsewhere: it is no more here. Its seats stay on the row, so that who asks again gets them
   * again; nothing is given from them.
   */
  leave(clusterId: string, boot: number): { readonly seats: readonly Seat[]; readonly left: ClusterRow | undefined } {
    const { tables, registrations, records, storage } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row === undefined || row.boot >= boot) return { seats: [], left: undefined };
    if (row.state !== "gone") {
      storage.transactionSync(() => {
        records.cluster("displaced", recordedCluster(row), Date.now());
        logLeft(row, "displaced");
        registrations.noteFencedToken(row.token_hash, "newer-process", Date.now());
        tables.setGone(clusterId);
        tables.setDisplaced(clusterId);
      });
    }
    return { seats: this.#parts.seats.all(clusterId), left: row.state === "gone" ? undefined : row };
  }

  /** Another shard has answered. Its seats are taken here, too; who is in the game is told to the players' sessions anew. */
  arrive(clusterId: string, boot: number, from: string, seats: readonly Seat[]): void {
    const { tables, outbox, storage } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row === undefined || row.boot !== boot || !awaitedOf(row).includes(from)) return;
    failpoint("register.arriving");
    storage.transactionSync(() => {
      for (const seat of seats) {
        const here = this.#parts.seats.at(clusterId, seat.playerId);
        const merged = mergeSeats(here, seat);
        this.#parts.seats.put(clusterId, merged);
        const joined = (merged.joined === undefined ? 0 : 1) - (here?.joined === undefined ? 0 : 1);
        tables.addOccupancy(clusterId, here === undefined ? 1 : 0, joined);
        if (merged.joined === undefined || joined === 0) continue;
        const { shard } = row;
        const use = { ...merged.joined, clusterId, shard, moved: true };
        outbox.put(seat.playerId, { kind: "used", ...use }, clusterId);
      }
      const awaited = awaitedOf(row).filter((shard) => shard !== from);
      tables.setAwaited(clusterId, awaited, row.awaited_until);
      if (awaited.length === 0) this.#settle(clusterId);
    });
  }

  /** Gives up waiting for shards that do not answer, where nothing that they could tell still counts. */
  expire(nowMs: number): void {
    const { tables } = this.#parts;
    for (const clusterId of tables.awaitedBefore(nowMs)) {
      tables.setAwaited(clusterId, [], 0);
      this.#settle(clusterId);
    }
  }

  #settle(clusterId: string): void {
    const row = this.#parts.tables.cluster(clusterId);
    if (row?.reached === 1) this.#standing.apply(row, "reached", "moved");
  }

  #others(shard: string, clusterId: string): readonly string[] {
    return shardsForCluster(this.#parts.settings().shards, clusterId).filter((other) => other !== shard);
  }
}

/** The shards that have not answered yet. */
function awaitedOf(row: ClusterRow): readonly string[] {
  const shards: readonly string[] = JSON.parse(row.awaited);
  return shards;
}
