import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Database from "libsql";
import { z } from "zod";
import { flowSchema, FlowStore } from "./flow-store.ts";
import { oneTimeTokenSchema, OneTimeTokenStore } from "./one-time-token-store.ts";
import { type User, userSchema } from "./user.ts";

const sessionSchema = z.object({
  id: z.string(),
  userId: z.string(),
  /** How the player signed in, for the claim `amr`. */
  method: z.enum(["password", "anonymous", "oauth", "otp"]),
  createdAt: z.number(),
});
export type Session = z.infer<typeof sessionSchema>;

const refreshTokenSchema = z.object({
  token: z.string(),
  sessionId: z.string(),
  parent: z.string().nullable(),
  revoked: z.number().transform((flag) => flag !== 0),
  updatedAt: z.number(),
});
export type RefreshToken = z.infer<typeof refreshTokenSchema>;

const documentSchema = z.object({ document: z.string() });
const refreshColumns = "token, session_id AS sessionId, parent, revoked, updated_at AS updatedAt";

const schema = `
  CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, document TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, email TEXT UNIQUE, new_email TEXT, document TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    document TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS sessions_by_user ON sessions(user_id);
  CREATE TABLE IF NOT EXISTS refresh_tokens (sequence INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE, parent TEXT, revoked INTEGER NOT NULL,
    updated_at INTEGER NOT NULL);
  CREATE INDEX IF NOT EXISTS refresh_tokens_by_session ON refresh_tokens(session_id);
  ${flowSchema}
  ${oneTimeTokenSchema}
`;

/**
 * Accounts, sessions and refresh tokens, in one SQLite file. All methods are synchronous: between two awaits nothing
 * interferes.
 */
export class AuthStore {
  readonly flows: FlowStore;
  readonly oneTimeTokens: OneTimeTokenStore;
  readonly #db: Database.Database;

  /**
   * @param file path of the database, its folder is made if need be; without one, the state lives as long as the
   * process.
   */
  constructor(file: string | undefined) {
    if (file !== undefined) createPrivateFile(file);
    this.#db = new Database(file ?? ":memory:");
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    this.#db.exec(schema);
    this.flows = new FlowStore(this.#db);
    this.oneTimeTokens = new OneTimeTokenStore(this.#db);
  }

  /** Closing again does nothing. */
  close(): void {
    if (this.#db.open) this.#db.close();
  }

  /** Runs `work` as one transaction. */
  transaction<T>(work: () => T): T {
    return this.#db.transaction(work)();
  }

  setting(name: string): string | undefined {
    return this.#document("SELECT document FROM settings WHERE name = ?", name);
  }

  saveSetting(name: string, value: string): void {
    this.#run("INSERT OR REPLACE INTO settings (name, document) VALUES (?, ?)", name, value);
  }

  user(id: string): User | undefined {
    return parseUser(this.#document("SELECT document FROM users WHERE id = ?", id));
  }

  userByEmail(email: string): User | undefined {
    return parseUser(this.#document("SELECT document FROM users WHERE email = ?", email));
  }

  /** The user whose identity at another provider this is. */
  userByIdentity(provider: string, providerId: string): User | undefined {
    const sql = `SELECT document FROM users, json_each(users.document, '$.otherIdentities') AS entry
      WHERE entry.value ->> 'provider' = ? AND entry.value ->> 'providerId' = ?`;
    return parseUser(this.#document(sql, provider, providerId));
  }

  userByNewEmail(email: string): User | undefined {
    return parseUser(this.#document("SELECT document FROM users WHERE new_email = ?", email));
  }

  saveUser(user: User): void {
    this.#run(
      `INSERT INTO users (id, email, new_email, document) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
        SET email = excluded.email, new_email = excluded.new_email, document = excluded.document`,
      user.id,
      user.email,
      user.newEmail,
      JSON.stringify(user),
    );
  }

  deleteUser(id: string): void {
    this.#run("DELETE FROM users WHERE id = ?", id);
  }

  session(id: string): Session | undefined {
    const document = this.#document("SELECT document FROM sessions WHERE id = ?", id);
    return document === undefined ? undefined : sessionSchema.parse(JSON.parse(document));
  }

  saveSession(session: Session): void {
    this.#run(
      "INSERT INTO sessions (id, user_id, document) VALUES (?, ?, ?)",
      session.id,
      session.userId,
      JSON.stringify(session),
    );
  }

  deleteSession(id: string): void {
    this.#run("DELETE FROM sessions WHERE id = ?", id);
  }

  /** Ends the sessions of a player, except one. */
  deleteSessions(userId: string, exceptId: string | null): void {
    this.#run("DELETE FROM sessions WHERE user_id = ? AND id IS NOT ?", userId, exceptId);
  }

  refreshToken(token: string): RefreshToken | undefined {
    return this.#refreshToken("token = ?", token);
  }

  /** The newest token of a session that is not revoked. */
  activeRefreshToken(sessionId: string): RefreshToken | undefined {
    return this.#refreshToken("session_id = ? AND revoked = 0", sessionId);
  }

  saveRefreshToken(token: RefreshToken): void {
    this.#run(
      "INSERT INTO refresh_tokens (token, session_id, parent, revoked, updated_at) VALUES (?, ?, ?, ?, ?)",
      token.token,
      token.sessionId,
      token.parent,
      token.revoked ? 1n : 0n,
      BigInt(token.updatedAt),
    );
  }

  revokeRefreshToken(token: string, now: number): void {
    this.#run("UPDATE refresh_tokens SET revoked = 1, updated_at = ? WHERE token = ?", BigInt(now), token);
  }

  revokeRefreshTokens(sessionId: string, now: number): void {
    this.#run(
      "UPDATE refresh_tokens SET revoked = 1, updated_at = ? WHERE session_id = ? AND revoked = 0",
      BigInt(now),
      sessionId,
    );
  }

  #refreshToken(where: string, value: string): RefreshToken | undefined {
    const sql = `SELECT ${refreshColumns} FROM refresh_tokens WHERE ${where} ORDER BY sequence DESC LIMIT 1`;
    const row = this.#db.prepare(sql).get([value]);
    return row === undefined ? undefined : refreshTokenSchema.parse(row);
  }

  #document(sql: string, ...values: readonly string[]): string | undefined {
    const row = this.#db.prepare(sql).get([...values]);
    return row === undefined ? undefined : documentSchema.parse(row).document;
  }

  #run(sql: string, ...values: readonly (string | bigint | null)[]): void {
    this.#db.prepare(sql).run([...values]);
  }
}

function parseUser(document: string | undefined): User | undefined {
  return document === undefined ? undefined : userSchema.parse(JSON.parse(document));
}

/** It holds a private key and password hashes. SQLite gives the files that it adds beside it the same mode. */
function createPrivateFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  closeSync(openSync(file, "a", 0o600));
  chmodSync(file, 0o600);
}
