import { eq } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { allocations, erasedPlayers, players, playerSaves } from "./schema.ts";

/** What is recorded of a player. Times are milliseconds since 1970. */
export interface PlayerRecord {
  readonly displayName: string;
  readonly createdAtMs: number;
  readonly lastSeenAtMs: number;
}

/** The record of a player, or `undefined`. @throws DatabaseError */
export async function findPlayer(address: DatabaseAddress, id: string): Promise<PlayerRecord | undefined> {
  const rows = await withDatabase(address, async (database) =>
    database
      .select({
        displayName: players.displayName,
        createdAtMs: players.createdAtMs,
        lastSeenAtMs: players.lastSeenAtMs,
      })
      .from(players)
      .where(eq(players.id, id)),
  );
  return rows[0];
}

/**
 * Removes all that is recorded of a player, now and when what is on its way arrives; one of whom nothing is recorded is removed
 * already. Who comes back under the same id, as players of Steam may, is recorded anew.
 *
 * @throws DatabaseError
 */
export async function erasePlayer(address: DatabaseAddress, id: string, nowMs: number): Promise<void> {
  await withDatabase(address, async (database) =>
    database.batch([
      database
        .insert(erasedPlayers)
        .values({ id, erasedAtMs: nowMs })
        .onConflictDoUpdate({ target: erasedPlayers.id, set: { erasedAtMs: nowMs } }),
      database.delete(players).where(eq(players.id, id)),
      database.delete(allocations).where(eq(allocations.playerId, id)),
      database.delete(playerSaves).where(eq(playerSaves.playerId, id)),
    ]),
  );
}
