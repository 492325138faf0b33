import { eq } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { playerSaves } from "./schema.ts";

/** What was saved last of a player, as far as it is on record. Times are milliseconds since 1970. */
export interface SaveEntry {
  readonly generation: number;
  readonly version: number;
  /** Base64. */
  readonly state: string;
  readonly savedAtMs: number;
}

/** @throws DatabaseError */
export async function findSave(address: DatabaseAddress, playerId: string): Promise<SaveEntry | undefined> {
  const rows = await withDatabase(address, async (database) =>
    database
      .select({
        generation: playerSaves.generation,
        version: playerSaves.version,
        state: playerSaves.state,
        savedAtMs: playerSaves.savedAtMs,
      })
      .from(playerSaves)
      .where(eq(playerSaves.playerId, playerId)),
  );
  return rows[0];
}
