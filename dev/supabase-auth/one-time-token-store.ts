import type Database from "libsql";
import { z } from "zod";

const rowSchema = z.object({
  hash: z.string(),
  userId: z.string(),
  kind: z.enum(["confirmation", "recovery"]),
  createdAt: z.number(),
});

/** What stands in a link that is mailed, hashed: it proves once that its reader has the address. */
export type OneTimeToken = z.infer<typeof rowSchema>;

export const oneTimeTokenSchema = `
  CREATE TABLE IF NOT EXISTS one_time_tokens (hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    kind TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE (user_id, kind));
`;

/** One-time tokens, at most one of each kind for a user: a new one ends the one before. */
export class OneTimeTokenStore {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  save(token: OneTimeToken): void {
    this.#db
      .prepare("INSERT OR REPLACE INTO one_time_tokens (hash, user_id, kind, created_at) VALUES (?, ?, ?, ?)")
      .run([token.hash, token.userId, token.kind, BigInt(token.createdAt)]);
  }

  find(hash: string): OneTimeToken | undefined {
    const row: unknown = this.#db
      .prepare("SELECT hash, user_id AS userId, kind, created_at AS createdAt FROM one_time_tokens WHERE hash = ?")
      .get([hash]);
    return row === undefined ? undefined : rowSchema.parse(row);
  }

  delete(hash: string): void {
    this.#db.prepare("DELETE FROM one_time_tokens WHERE hash = ?").run([hash]);
  }
}
