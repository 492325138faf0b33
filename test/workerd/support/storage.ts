import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";

/**
 * Gives an object the storage that a release which knew `migrations` has left, and takes its memory: whatever comes next is asked of the
 * object as it wakes.
 *
 * @param fill puts in what that release had written
 */
export async function leaveStorage(
  object: DurableObjectStub<undefined>,
  migrations: readonly string[],
  fill: (storage: DurableObjectStorage) => void,
): Promise<void> {
  await runInDurableObject(object, async (_, { storage }) => {
    await storage.deleteAlarm();
    await storage.deleteAll();
    storage.sql.exec("CREATE TABLE schema_version (version INTEGER NOT NULL)");
    storage.sql.exec("INSERT INTO schema_version (version) VALUES (?)", migrations.length);
    for (const step of migrations) storage.sql.exec(step);
    fill(storage);
    await storage.sync();
  });
  await abortAllDurableObjects();
}

/** Puts rows into a table, each value under its column's name. */
export function insertRow(
  { sql }: DurableObjectStorage,
  table: string,
  row: Readonly<Record<string, string | number | null>>,
): void {
  const columns = Object.keys(row);
  sql.exec(
    `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
    ...Object.values(row),
  );
}

/** Up to which migration an object's storage is now. */
export async function storedVersion(object: DurableObjectStub<undefined>): Promise<number> {
  return runInDurableObject(
    object,
    (_, { storage }) => storage.sql.exec<{ version: number }>("SELECT version FROM schema_version").one().version,
  );
}

/** Whether an object has ever made a table of its own. */
export function hasTables({ sql }: DurableObjectStorage): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE name NOT GLOB '_cf_*'").toArray().length > 0;
}
