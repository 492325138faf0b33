import type { RecordBacklog } from "../records/record-outbox.ts";

/** What a shard has, for those who watch. */
export interface ShardGauges {
  readonly states: readonly {
    readonly state: string;
    readonly clusters: number;
    readonly locked: number;
    readonly linked: number;
    readonly seats: number;
    readonly joined: number;
    readonly players: number;
    /** Of those with a limit that are neither locked nor standing by. */
    readonly capacity: number;
  }[];
  readonly outbox: { readonly waiting: number; readonly oldestAtMs: number | undefined };
  readonly records: RecordBacklog;
}

/** Looks at all clusters, and at what waits to be sent. */
export function readShardGauges(sql: SqlStorage, records: RecordBacklog): ShardGauges {
  const states = sql
    .exec<{
      state: string;
      clusters: number;
      locked: number;
      linked: number;
      seats: number;
      joined: number;
      players: number;
      capacity: number;
    }>(
      `SELECT CASE WHEN state = 'ready' AND draining = 1 THEN 'draining' ELSE state END AS state, count(*) AS clusters,
         sum(locked) AS locked, sum(linked) AS linked, sum(seats) AS seats, sum(joined) AS joined, sum(players) AS players,
         coalesce(sum(capacity) FILTER (WHERE locked = 0 AND standby = 0), 0) AS capacity
       FROM clusters GROUP BY 1 ORDER BY 1`,
    )
    .toArray();
  const { waiting, oldest } = sql
    .exec<{ waiting: number; oldest: number | null }>(
      "SELECT count(*) AS waiting, min(created_at) AS oldest FROM outbox",
    )
    .one();
  return { states, outbox: { waiting, oldestAtMs: oldest ?? undefined }, records };
}
