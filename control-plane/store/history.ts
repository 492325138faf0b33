import { and, desc, eq, lt, or, type SQL } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { allocations, clusterEvents } from "./schema.ts";

/** What came of an allocation: the player plays or played, has left, never came, or still can. */
export type AllocationOutcome = "joined" | "left" | "unused" | "open";

/** An allocation as it is recorded. Times are milliseconds since 1970. */
export interface AllocationEntry {
  readonly reservationId: string;
  readonly playerId: string;
  readonly clusterId: string;
  readonly clusterName: string;
  readonly region: string;
  readonly generation: number;
  readonly allocatedAtMs: number;
  readonly joinedAtMs: number | undefined;
  readonly leftAtMs: number | undefined;
  readonly outcome: AllocationOutcome;
}

/** Where a page of a list begins: behind this entry. */
export interface HistoryCursor {
  readonly atMs: number;
  readonly id: string;
}

/**
 * Allocations of a player, at a cluster, or both; the newest first.
 *
 * @throws DatabaseError
 */
export async function listAllocations(
  address: DatabaseAddress,
  wanted: {
    readonly playerId?: string;
    readonly clusterId?: string;
    readonly after?: HistoryCursor;
    readonly limit: number;
    readonly nowMs: number;
  },
): Promise<readonly AllocationEntry[]> {
  const { playerId, clusterId, after, limit, nowMs } = wanted;
  const { allocatedAtMs, reservationId } = allocations;
  const conditions: (SQL | undefined)[] = [
    playerId === undefined ? undefined : eq(allocations.playerId, playerId),
    clusterId === undefined ? undefined : eq(allocations.clusterId, clusterId),
    after === undefined
      ? undefined
      : or(lt(allocatedAtMs, after.atMs), and(eq(allocatedAtMs, after.atMs), lt(reservationId, after.id))),
  ];
  const rows = await withDatabase(address, async (database) =>
    database
      .select()
      .from(allocations)
      .where(and(...conditions))
      .orderBy(desc(allocatedAtMs), desc(reservationId))
      .limit(limit),
  );
  return rows.map((row) => ({
    reservationId: row.reservationId,
    playerId: row.playerId,
    clusterId: row.clusterId,
    clusterName: row.clusterName,
    region: row.region,
    generation: row.generation,
    allocatedAtMs: row.allocatedAtMs,
    joinedAtMs: row.joinedAtMs ?? undefined,
    leftAtMs: row.leftAtMs ?? undefined,
    outcome: outcomeOf(row, nowMs),
  }));
}

function outcomeOf(
  times: { readonly expiresAtMs: number | null; readonly joinedAtMs: number | null; readonly leftAtMs: number | null },
  nowMs: number,
): AllocationOutcome {
  if (times.leftAtMs !== null) return "left";
  if (times.joinedAtMs !== null) return "joined";
  return times.expiresAtMs !== null && times.expiresAtMs < nowMs ? "unused" : "open";
}

/** Something that became of a cluster. */
export interface ClusterEventEntry {
  readonly eventId: string;
  readonly clusterId: string;
  /** One of `clusterEventNames`, or of a later release. */
  readonly event: string;
  readonly clusterName: string;
  readonly shard: string;
  readonly boot: number;
  readonly atMs: number;
}

/** What became of a cluster, or of all; the newest first. @throws DatabaseError */
export async function listClusterEvents(
  address: DatabaseAddress,
  wanted: { readonly clusterId?: string; readonly after?: HistoryCursor; readonly limit: number },
): Promise<readonly ClusterEventEntry[]> {
  const { clusterId, after, limit } = wanted;
  const { atMs, eventId } = clusterEvents;
  const conditions = [
    clusterId === undefined ? undefined : eq(clusterEvents.clusterId, clusterId),
    after === undefined ? undefined : or(lt(atMs, after.atMs), and(eq(atMs, after.atMs), lt(eventId, after.id))),
  ];
  return withDatabase(address, async (database) =>
    database
      .select()
      .from(clusterEvents)
      .where(and(...conditions))
      .orderBy(desc(atMs), desc(eventId))
      .limit(limit),
  );
}
