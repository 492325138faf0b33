/**
 * Which version of its schema an object has stored; `undefined` where it has never stored anything. Every object that wakes up asks, so it is
 * one look: at the table itself.
 */
function storedVersion(storage: DurableObjectStorage): number | undefined {
  try {
    return storage.sql.exec<{ version: number }>("SELECT version FROM schema_version").toArray()[0]?.version ?? 0;
  } catch (error) {
    if (error instanceof Error && error.message.includes("no such table: schema_version")) return undefined;
    throw error;
  }
}

/**
 * Brings an object's own SQLite schema up to date. `migrations` is append-only: entry n leads from version n to n + 1. All
 * that are due run in one transaction, before the object answers anything. One that is up to date is only looked at.
 */
export function migrateStorage(storage: DurableObjectStorage, migrations: readonly string[]): void {
  migrateFrom(storedVersion(storage), storage, migrations);
}

/** The same, for an object that stores nothing until it has to. @returns whether it has ever stored anything */
export function migrateStored(storage: DurableObjectStorage, migrations: readonly string[]): boolean {
  const version = storedVersion(storage);
  if (version !== undefined) migrateFrom(version, storage, migrations);
  return version !== undefined;
}

function migrateFrom(version: number | undefined, storage: DurableObjectStorage, migrations: readonly string[]): void {
  if (version !== undefined && version >= migrations.length) return;
  storage.transactionSync(() => {
    storage.sql.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
    for (const migration of migrations.slice(version ?? 0)) storage.sql.exec(migration);
    storage.sql.exec("DELETE FROM schema_version");
    storage.sql.exec("INSERT INTO schema_version (version) VALUES (?)", migrations.length);
  });
}
