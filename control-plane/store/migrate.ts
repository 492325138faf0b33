import { join } from "node:path";
import { migrate as runMigrations } from "drizzle-orm/libsql/migrator";
import { type DatabaseAddress, withDatabase } from "./database.ts";

const folder = join(import.meta.dirname, "../../migrations");
const timeoutMs = 60_000;

/** Brings the database up to date with `migrations/`. Runs in Node. @throws DatabaseError */
export async function migrate(address: DatabaseAddress): Promise<void> {
  await withDatabase(address, async (database) => runMigrations(database, { migrationsFolder: folder }), timeoutMs);
}
