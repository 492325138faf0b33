import { eq } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { players } from "./schema.ts";

/** Notes that a player was here. @throws DatabaseError */
export async function recordPlayer(
  address: DatabaseAddress,
  player: { readonly id: string; readonly displayName: string; readonly nowMs: number },
): Promise<void> {
  const { id, displayName, nowMs } = player;
  await withDatabase(address, async (database) =>
    database
      .insert(players)
      .values({ id, displayName, createdAtMs: nowMs, lastSeenAtMs: nowMs })
      .onConflictDoUpdate({ target: players.id, set: { displayName, lastSeenAtMs: nowMs } }),
  );
}

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

/** Removes the record of a player; one that is not there is removed already. @throws DatabaseError */
export async function deletePlayer(address: DatabaseAddress, id: string): Promise<void> {
  await withDatabase(address, async (database) => database.delete(players).where(eq(players.id, id)));
}
