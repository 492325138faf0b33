/** Whether the object has ever stored anything. */
export function hasSchema(storage: DurableObjectStorage): boolean {
  return storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").toArray().length > 0;
}

/**
 * Brings an object's own SQLite schema up to date. `migrations` is append-only: entry n leads from version n to n + 1. All
 * that are due run in one transaction, before the object answers anything. One that is up to date is only looked at: every object
 * that wakes up comes by here.
 */
export function migrateStorage(storage: DurableObjectStorage, migrations: readonly string[]): void {
  if (hasSchema(storage) && versionOf(storage) >= migrations.length) return;
  storage.transactionSync(() => {
    storage.sql.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
    for (const migration of migrations.slice(versionOf(storage))) storage.sql.exec(migration);
    storage.sql.exec("DELETE FROM schema_version");
    storage.sql.exec("INSERT INTO schema_version (version) VALUES (?)", migrations.length);
  });
}

function versionOf(storage: DurableObjectStorage): number {
  return storage.sql.exec<{ version: number }>("SELECT version FROM schema_version").toArray()[0]?.version ?? 0;
}
