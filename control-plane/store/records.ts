import { type SQL, sql } from "drizzle-orm";
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
import { dropErased } from "./erasure.ts";
import { allocations, clusterEvents, players, playerSaves } from "./schema.ts";

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
        ...dropErasedAmong(database, records),
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

/**
 * The rows of a batch travel as one value: to build a statement with a placeholder for each of their fields took an allocation a tenth of all
 * that it costs the master.
 */
function rowsOf(records: readonly StoreRecord[]): SQL {
  return sql`json_each(${JSON.stringify(records)}) AS record WHERE true`;
}

const field = (name: string): SQL => sql.raw(`record.value ->> '${name}'`);

const seatColumns = sql.raw("reservation_id, player_id, cluster_id, cluster_name, region, generation, allocated_at");
const seatFields: SQL = sql.join(
  ["reservationId", "playerId", "clusterId", "clusterName", "region", "generation", "atMs"].map(field),
  sql.raw(", "),
);

function writeAllocations(database: Database, records: readonly AllocationRecord[]): Statement[] {
  if (records.length === 0) return [];
  return [
    database.run(sql`INSERT INTO ${allocations} (${seatColumns}, expires_at)
      SELECT ${seatFields}, ${field("expiresAtMs")} FROM ${rowsOf(records)}
      ON CONFLICT (reservation_id) DO UPDATE SET cluster_name = excluded.cluster_name,
        allocated_at = min(${allocations.allocatedAtMs}, excluded.allocated_at),
        expires_at = max(coalesce(${allocations.expiresAtMs}, 0), excluded.expires_at)
      WHERE ${sameSeat}`),
  ];
}

function writeJoins(database: Database, records: readonly JoinRecord[]): Statement[] {
  if (records.length === 0) return [];
  const rows = records.map((record) => ({ ...record, clusterName: "" }));
  return [
    database.run(sql`INSERT INTO ${allocations} (${seatColumns}, joined_at)
      SELECT ${seatFields}, ${field("atMs")} FROM ${rowsOf(rows)}
      ON CONFLICT (reservation_id) DO UPDATE SET
        joined_at = min(coalesce(${allocations.joinedAtMs}, excluded.joined_at), excluded.joined_at)
      WHERE ${sameSeat}`),
  ];
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
function dropErasedAmong(database: Database, records: readonly StoreRecord[]): Statement[] {
  const ids = [...new Set(records.flatMap((record) => ("playerId" in record ? [record.playerId] : [])))];
  return ids.length === 0 ? [] : dropErased(database, ids);
}
