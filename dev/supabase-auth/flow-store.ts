import type Database from "libsql";
import { z } from "zod";

const flowStateSchema = z.object({
  id: z.string(),
  provider: z.string(),
  /** RFC 7636; absent when the browser gets its tokens straight. */
  challenge: z.object({ value: z.string(), method: z.enum(["s256", "plain"]) }).nullable(),
  redirectTo: z.string(),
  /** What the browser comes back with. */
  authCode: z.string(),
  /** Who agreed; null until somebody has. */
  userId: z.string().nullable(),
  createdAt: z.number(),
});

/** A login in the browser that has begun. */
export type FlowState = z.infer<typeof flowStateSchema>;

export const flowSchema = `
  CREATE TABLE IF NOT EXISTS flow_states (id TEXT PRIMARY KEY, auth_code TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    document TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS flow_states_by_age ON flow_states(created_at);
`;

/** How long an unfinished login is kept at all, beyond its own time: it answers "expired" rather than "unknown". */
const retentionMs = 3_600_000;

/** Logins in the browser that are under way. */
export class FlowStore {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  save(flow: FlowState): void {
    this.#db
      .prepare("INSERT OR REPLACE INTO flow_states (id, auth_code, created_at, document) VALUES (?, ?, ?, ?)")
      .run([flow.id, flow.authCode, BigInt(flow.createdAt), JSON.stringify(flow)]);
  }

  byId(id: string): FlowState | undefined {
    return this.#find("SELECT document FROM flow_states WHERE id = ?", id);
  }

  byAuthCode(authCode: string): FlowState | undefined {
    return this.#find("SELECT document FROM flow_states WHERE auth_code = ?", authCode);
  }

  delete(id: string): void {
    this.#db.prepare("DELETE FROM flow_states WHERE id = ?").run([id]);
  }

  /** Forgets what was begun long ago. */
  prune(now: number): void {
    this.#db.prepare("DELETE FROM flow_states WHERE created_at < ?").run([BigInt(now - retentionMs)]);
  }

  #find(sql: string, value: string): FlowState | undefined {
    const row: unknown = this.#db.prepare(sql).get([value]);
    return row === undefined
      ? undefined
      : flowStateSchema.parse(JSON.parse(z.object({ document: z.string() }).parse(row).document));
  }
}
