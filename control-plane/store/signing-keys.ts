import { isNull, notInArray, sql } from "drizzle-orm";
import { parseStoredKey, type StoredKey } from "../../auth/key-ring.ts";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { signingKeys } from "./schema.ts";

/**
 * Copies the ring, and marks what it has no more: not what only another ring had, which was lost and may be wanted back. A copy that comes late
 * changes nothing of a newer one.
 *
 * @throws DatabaseError
 */
export async function saveKeyCopies(
  address: DatabaseAddress,
  keys: readonly StoredKey[],
  { version, firstVersion, nowMs }: { readonly version: number; readonly firstVersion: number; readonly nowMs: number },
): Promise<void> {
  const rows = keys.map((key) => ({ kid: key.kid, record: JSON.stringify(key), version, copiedAtMs: nowMs }));
  const kids = keys.map(({ kid }) => kid);
  await withDatabase(address, async (database) =>
    database.batch([
      database
        .insert(signingKeys)
        .values(rows)
        .onConflictDoUpdate({
          target: signingKeys.kid,
          set: {
            record: sql`excluded.record`,
            version: sql`excluded.version`,
            copiedAtMs: sql`excluded.copied_at`,
          },
          setWhere: sql`${signingKeys.version} <= excluded.version`,
        }),
      database
        .update(signingKeys)
        .set({ droppedAtMs: nowMs })
        .where(
          sql`${notInArray(signingKeys.kid, kids)} AND ${signingKeys.droppedAtMs} IS NULL
            AND ${signingKeys.version} BETWEEN ${firstVersion} AND ${version}`,
        ),
    ]),
  );
}

/** The copies of keys that the ring had when it was copied last. @throws DatabaseError */
export async function findKeyCopies(address: DatabaseAddress): Promise<readonly StoredKey[]> {
  const rows = await withDatabase(address, async (database) =>
    database.select({ record: signingKeys.record }).from(signingKeys).where(isNull(signingKeys.droppedAtMs)),
  );
  return rows.map(({ record }) => parseStoredKey(JSON.parse(record)));
}
