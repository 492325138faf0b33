import { eq } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { players } from "./schema.ts";

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
