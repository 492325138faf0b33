import { parseStoredKey, type StoredKey } from "../../../auth/key-ring.ts";
import { outboxSchema, outboxSourceSchema } from "../outbox.ts";

/** Append-only: see `migrateStorage`. Times are seconds since 1970, the version is in milliseconds. */
export const keyRingMigrations: readonly string[] = [
  "CREATE TABLE keys (kid TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID",
  `
  CREATE TABLE ring (version INTEGER NOT NULL) STRICT;
  INSERT INTO ring (version) VALUES (0);
  CREATE TABLE revoked_keys (kid TEXT PRIMARY KEY, revoked_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  ${outboxSchema}
  ${outboxSourceSchema}
  `,
  // 0 for a ring of before: it has had no other before it that anybody knows of.
  "ALTER TABLE ring ADD COLUMN first_version INTEGER NOT NULL DEFAULT 0",
];

/** How long a revoked key is named: far longer than anybody may cache a key set. */
const revokedMemorySeconds = 30 * 24 * 60 * 60;

/** The SQL of the key ring: rows in, rows out, no rules. */
export class KeyRingTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  keys(): readonly StoredKey[] {
    return this.#sql
      .exec<{ record: string }>("SELECT record FROM keys")
      .toArray()
      .map((row) => parseStoredKey(JSON.parse(row.record)));
  }

  replace(keys: readonly StoredKey[]): void {
    this.#sql.exec("DELETE FROM keys");
    for (const key of keys) {
      this.#sql.exec("INSERT INTO keys (kid, record) VALUES (?, ?)", key.kid, JSON.stringify(key));
    }
  }

  /** Counts the published sets. A ring that was lost and made anew goes on above what it had. */
  version(): number {
    return this.#sql.exec<{ version: number }>("SELECT version FROM ring").one().version;
  }

  /** The version of this ring's first set: what was copied before it is of a ring that was lost. */
  firstVersion(): number {
    return this.#sql.exec<{ first: number }>("SELECT first_version AS first FROM ring").one().first;
  }

  raiseVersion(nowMs: number): void {
    this.#sql.exec("UPDATE ring SET first_version = ? WHERE version = 0", nowMs);
    this.#sql.exec("UPDATE ring SET version = max(version + 1, ?)", nowMs);
  }

  noteRevoked(kid: string, now: number): void {
    this.#sql.exec("DELETE FROM revoked_keys WHERE revoked_at < ?", now - revokedMemorySeconds);
    this.#sql.exec("INSERT OR IGNORE INTO revoked_keys (kid, revoked_at) VALUES (?, ?)", kid, now);
  }

  revoked(): string[] {
    return this.#sql
      .exec<{ kid: string }>("SELECT kid FROM revoked_keys ORDER BY revoked_at DESC, kid LIMIT 1000")
      .toArray()
      .map(({ kid }) => kid);
  }
}
