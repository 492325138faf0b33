import { and, type Column, eq, inArray, lte, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type {
  AllocationRecord,
  ClusterEventRecord,
  JoinRecord,
  LeaveRecord,
  PlayerSeenRecord,
  SaveRecord,
  StoreRecord,
  StoreRecordKind,
} from "../domain/store-record.ts";
import { type Database, type DatabaseAddress, withDatabase } from "./database.ts";
import { allocations, clusterEvents, erasedPlayers, players, playerSaves } from "./schema.ts";

type Statement = BatchItem<"sqlite">;
type Of<K extends StoreRecordKind> = Extract<StoreRecord, { readonly kind: K }>;

/**
 * Writes records in one transaction. Writing them again changes nothing.
 *
 * @throws DatabaseError
 */
export async function writeRecords(
  address: DatabaseAddress,
  records: readonly StoreRecord[],
  timeoutMs?: number,
): Promise<void> {
  await withDatabase(
    address,
    async (database) => {
      const of = byKind(records);
      const [first, ...rest] = [
        ...writePlayers(database, of.player),
        ...writeAllocations(database, of.allocation),
        ...writeJoins(database, of.join),
        ...writeLeaves(database, of.leave),
        ...writeClusterEvents(database, of.cluster),
        ...writeSaves(database, of.save),
        ...dropErased(database, records),
      ];
      if (first !== undefined) await database.batch([first, ...rest]);
    },
    timeoutMs,
  );
}

function byKind(records: readonly StoreRecord[]): { readonly [K in StoreRecordKind]: readonly Of<K>[] } {
  return {
    player: records.filter((record) => record.kind === "player"),
    allocation: records.filter((record) => record.kind === "allocation"),
    join: records.filter((record) => record.kind === "join"),
    leave: records.filter((record) => record.kind === "leave"),
    cluster: records.filter((record) => record.kind === "cluster"),
    save: records.filter((record) => record.kind === "save"),
  };
}

function writePlayers(database: Database, records: readonly PlayerSeenRecord[]): Statement[] {
  if (records.length === 0) return [];
  const values = records.map(({ playerId: id, displayName, atMs }) => ({
    id,
    displayName,
    createdAtMs: atMs,
    lastSeenAtMs: atMs,
  }));
  const newest = sql`CASE WHEN excluded.last_seen_at >= ${players.lastSeenAtMs}
    THEN excluded.display_name ELSE ${players.displayName} END`;
  return [
    database
      .insert(players)
      .values(values)
      .onConflictDoUpdate({
        target: players.id,
        set: {
          displayName: newest,
          createdAtMs: sql`min(${players.createdAtMs}, excluded.created_at)`,
          lastSeenAtMs: sql`max(${players.lastSeenAtMs}, excluded.last_seen_at)`,
        },
      }),
  ];
}

function writeAllocations(database: Database, records: readonly AllocationRecord[]): Statement[] {
  if (records.length === 0) return [];
  const values = records.map((record) => ({ ...seatOf(record), expiresAtMs: record.expiresAtMs }));
  return [
    database
      .insert(allocations)
      .values(values)
      .onConflictDoUpdate({
        target: allocations.reservationId,
        set: {
          clusterName: sql`excluded.cluster_name`,
          allocatedAtMs: sql`min(${allocations.allocatedAtMs}, excluded.allocated_at)`,
          expiresAtMs: sql`max(coalesce(${allocations.expiresAtMs}, 0), excluded.expires_at)`,
        },
        setWhere: sameSeat,
      }),
  ];
}

function writeJoins(database: Database, records: readonly JoinRecord[]): Statement[] {
  if (records.length === 0) return [];
  const values = records.map((record) => ({ ...seatOf(record), joinedAtMs: record.atMs }));
  return [
    database
      .insert(allocations)
      .values(values)
      .onConflictDoUpdate({
        target: allocations.reservationId,
        set: { joinedAtMs: sql`min(coalesce(${allocations.joinedAtMs}, excluded.joined_at), excluded.joined_at)` },
        setWhere: sameSeat,
      }),
  ];
}

function seatOf(record: AllocationRecord | JoinRecord) {
  const { reservationId, playerId, clusterId, region, generation, atMs: allocatedAtMs } = record;
  const clusterName = record.kind === "allocation" ? record.clusterName : "";
  return { reservationId, playerId, clusterId, clusterName, region, generation, allocatedAtMs };
}

/** A reservation is made for one player and one cluster: nothing that is said of it by another changes it. */
const sameSeat: SQL = sql`${allocations.playerId} = excluded.player_id AND ${allocations.clusterId} = excluded.cluster_id`;

/** It adds no rows: the end of a session of which nothing else is known says nothing. */
function writeLeaves(database: Database, records: readonly LeaveRecord[]): Statement[] {
  return records.map(({ reservationId, playerId, clusterId, atMs }) =>
    database
      .update(allocations)
      .set({ leftAtMs: sql`max(coalesce(${allocations.leftAtMs}, 0), ${atMs})` })
      .where(
        sql`${allocations.reservationId} = ${reservationId} AND ${allocations.playerId} = ${playerId}
          AND ${allocations.clusterId} = ${clusterId}`,
      ),
  );
}

/** The newest stays, in whatever order they come. */
function writeSaves(database: Database, records: readonly SaveRecord[]): Statement[] {
  return records.map(({ playerId, generation, version, state, atMs: savedAtMs }) =>
    database
      .insert(playerSaves)
      .values({ playerId, generation, version, state, savedAtMs })
      .onConflictDoUpdate({
        target: playerSaves.playerId,
        set: {
          generation: sql`excluded.generation`,
          version: sql`excluded.version`,
          state: sql`excluded.state`,
          savedAtMs: sql`excluded.saved_at`,
        },
        setWhere: sql`(excluded.generation, excluded.version) > (${playerSaves.generation}, ${playerSaves.version})`,
      }),
  );
}

function writeClusterEvents(database: Database, records: readonly ClusterEventRecord[]): Statement[] {
  if (records.length === 0) return [];
  return [
    database
      .insert(clusterEvents)
      .values([...records])
      .onConflictDoNothing(),
  ];
}

/** Of who has deleted the account nothing comes back; what they do after that is their own again. */
function dropErased(database: Database, records: readonly StoreRecord[]): Statement[] {
  const ids = [...new Set(records.flatMap((record) => ("playerId" in record ? [record.playerId] : [])))];
  if (ids.length === 0) return [];
  const erasedAt = (id: Column) =>
    database.select({ at: erasedPlayers.erasedAtMs }).from(erasedPlayers).where(eq(erasedPlayers.id, id));
  return [
    database.delete(players).where(and(inArray(players.id, ids), lte(players.lastSeenAtMs, erasedAt(players.id)))),
    database
      .delete(allocations)
      .where(and(inArray(allocations.playerId, ids), lte(allocations.allocatedAtMs, erasedAt(allocations.playerId)))),
    database
      .delete(playerSaves)
      .where(and(inArray(playerSaves.playerId, ids), lte(playerSaves.savedAtMs, erasedAt(playerSaves.playerId)))),
  ];
}
