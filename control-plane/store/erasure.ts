import { and, eq, inArray, lt, lte, or, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { type Database, type DatabaseAddress, withDatabase } from "./database.ts";
import { allocations, erasedPlayers, players, playerSaves } from "./schema.ts";

/** A player who has deleted the account. */
export interface Erasure {
  readonly playerId: string;
  /** Milliseconds since 1970. */
  readonly erasedAtMs: number;
  /** The least generation that a ticket from after it can have. */
  readonly minGeneration: number;
}

/**
 * Removes all that is recorded of a player, now and when what is on its way arrives. Repeating it changes nothing. Who comes back under the
 * same id, as players of Steam may, is recorded anew.
 *
 * @throws DatabaseError
 */
export async function erasePlayer(address: DatabaseAddress, erasure: Erasure): Promise<void> {
  const { playerId: id, erasedAtMs, minGeneration } = erasure;
  await withDatabase(address, async (database) =>
    database.batch([
      database
        .insert(erasedPlayers)
        .values({ id, erasedAtMs, minGeneration })
        .onConflictDoUpdate({
          target: erasedPlayers.id,
          set: {
            erasedAtMs: sql`max(${erasedPlayers.erasedAtMs}, excluded.erased_at)`,
            minGeneration: sql`max(${erasedPlayers.minGeneration}, excluded.min_generation)`,
          },
        }),
      ...dropErased(database, [id]),
      // Who has come back by now was seen first after it.
      database
        .update(players)
        .set({ createdAtMs: sql`max(${players.createdAtMs}, ${erasedAtMs})` })
        .where(eq(players.id, id)),
    ]),
  );
}

/**
 * Removes what there is of those of these players who have deleted their accounts: what happened before that, and what is of a session from
 * before, however late it is said.
 */
export function dropErased(database: Database, ids: readonly string[]): BatchItem<"sqlite">[] {
  const named = sql`(SELECT value FROM json_each(${JSON.stringify(ids)}))`;
  const ofErased = (id: SQLiteColumn, column: SQLiteColumn): SQL =>
    sql`(${database.select({ value: column }).from(erasedPlayers).where(eq(erasedPlayers.id, id))})`;
  const isBefore = (id: SQLiteColumn, at: SQLiteColumn): SQL => lte(at, ofErased(id, erasedPlayers.erasedAtMs));
  const isOlder = (id: SQLiteColumn, generation: SQLiteColumn): SQL =>
    lt(generation, ofErased(id, erasedPlayers.minGeneration));
  const { playerId, allocatedAtMs, generation } = allocations;
  return [
    database.delete(players).where(and(inArray(players.id, named), isBefore(players.id, players.lastSeenAtMs))),
    database
      .delete(allocations)
      .where(and(inArray(playerId, named), or(isBefore(playerId, allocatedAtMs), isOlder(playerId, generation)))),
    database
      .delete(playerSaves)
      .where(
        and(
          inArray(playerSaves.playerId, named),
          or(
            isBefore(playerSaves.playerId, playerSaves.savedAtMs),
            isOlder(playerSaves.playerId, playerSaves.generation),
          ),
        ),
      ),
  ];
}
