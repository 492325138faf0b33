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
