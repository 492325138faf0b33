import { inArray, lt } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { allocations, clusterEvents, erasedPlayers } from "./schema.ts";

/**
 * Removes at most `limit` records of each kind that are older than `beforeMs`, and says how many there were. Players and keys are not
 * history: they stay.
 *
 * @throws DatabaseError
 */
export async function pruneRecords(address: DatabaseAddress, beforeMs: number, limit: number): Promise<number> {
  return withDatabase(address, async (database) => {
    const results = await database.batch([
      database
        .delete(allocations)
        .where(
          inArray(
            allocations.reservationId,
            database
              .select({ id: allocations.reservationId })
              .from(allocations)
              .where(lt(allocations.allocatedAtMs, beforeMs))
              .limit(limit),
          ),
        ),
      database
        .delete(clusterEvents)
        .where(
          inArray(
            clusterEvents.eventId,
            database
              .select({ id: clusterEvents.eventId })
              .from(clusterEvents)
              .where(lt(clusterEvents.atMs, beforeMs))
              .limit(limit),
          ),
        ),
    ]);
    return results.reduce((sum, { rowsAffected }) => sum + rowsAffected, 0);
  });
}

/** Forgets whose account was deleted before `beforeMs`: by then nothing of them is on its way any more. @throws DatabaseError */
export async function forgetErasedPlayers(address: DatabaseAddress, beforeMs: number): Promise<void> {
  await withDatabase(address, async (database) =>
    database.delete(erasedPlayers).where(lt(erasedPlayers.erasedAtMs, beforeMs)),
  );
}
