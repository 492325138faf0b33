import type { FenceReason } from "../../../protocol/index.ts";
import type { BroughtRegion } from "../../domain/clusters/region-cap.ts";
import type { Sql } from "./cluster-memory.ts";

/** The SQL of who may register at a shard: keys, used assertions, fenced tokens, regions. Rows in, rows out, no rules. */
export class RegistrationTables {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Whoever has this token has to stop. What it was first for stays. */
  noteFencedToken(tokenHash: string, fencedBy: FenceReason, nowMs: number): void {
    this.#sql.exec(
      "INSERT OR IGNORE INTO fenced_tokens (token_hash, fenced_by, fenced_at) VALUES (?, ?, ?)",
      tokenHash,
      fencedBy,
      nowMs,
    );
  }

  /** Why whoever has this token has to stop; `unknown` where an earlier version of the master noted it. `undefined`: it has not. */
  fenceOf(tokenHash: string): FenceReason | "unknown" | undefined {
    const rows = this.#sql.exec<{ fenced_by: FenceReason | "unknown" }>(
      "SELECT fenced_by FROM fenced_tokens WHERE token_hash = ?",
      tokenHash,
    );
    return rows.toArray()[0]?.fenced_by;
  }

  clusterKey(keyId: string): { x: string; checkedAtMs: number } | undefined {
    const row = this.#sql
      .exec<{ x: string; checked_at: number }>("SELECT x, checked_at FROM cluster_keys WHERE key_id = ?", keyId)
      .toArray()[0];
    return row === undefined ? undefined : { x: row.x, checkedAtMs: row.checked_at };
  }

  putClusterKey(keyId: string, x: string, nowMs: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO cluster_keys (key_id, x, checked_at) VALUES (?, ?, ?)", keyId, x, nowMs);
  }

  deleteClusterKey(keyId: string): void {
    this.#sql.exec("DELETE FROM cluster_keys WHERE key_id = ?", keyId);
  }

  /** Whether this is the first use of an assertion. */
  useAssertion(jti: string, expiresAtMs: number, nowMs: number): boolean {
    this.#sql.exec("DELETE FROM assertions WHERE expires_at < ?", nowMs);
    const inserted = this.#sql.exec(
      "INSERT OR IGNORE INTO assertions (jti, expires_at) VALUES (?, ?) RETURNING jti",
      jti,
      expiresAtMs,
    );
    return inserted.toArray().length > 0;
  }

  /** How often a key has registered lately, as it was put. */
  registrations(keyId: string): string {
    const rows = this.#sql.exec<{ windows: string }>("SELECT windows FROM registrations WHERE key_id = ?", keyId);
    return rows.toArray()[0]?.windows ?? "";
  }

  putRegistrations(
    keyId: string,
    windows: string,
    times: { readonly nowMs: number; readonly forgetAtMs: number },
  ): void {
    this.#sql.exec("DELETE FROM registrations WHERE forget_at < ?", times.nowMs);
    this.#sql.exec(
      "INSERT OR REPLACE INTO registrations (key_id, windows, forget_at) VALUES (?, ?, ?)",
      keyId,
      windows,
      Math.ceil(times.forgetAtMs),
    );
  }

  /** Notes a region, or that there is still a cluster in it. It stays that of the key that brought it first. */
  noteRegion({ region, keyId }: BroughtRegion, nowMs: number): void {
    this.#sql.exec(
      `INSERT INTO regions (region, noted_at, key_id) VALUES (?, ?, ?)
       ON CONFLICT (region) DO UPDATE SET noted_at = excluded.noted_at`,
      region,
      nowMs,
      keyId,
    );
  }

  regions(): BroughtRegion[] {
    return this.#sql
      .exec<{ region: string; keyId: string }>("SELECT region, key_id AS keyId FROM regions ORDER BY region")
      .toArray();
  }

  /** Those of which nothing was noted since `beforeMs`. */
  regionsNotedBefore(beforeMs: number): BroughtRegion[] {
    return this.#sql
      .exec<{ region: string; keyId: string }>(
        "SELECT region, key_id AS keyId FROM regions WHERE noted_at < ?",
        beforeMs,
      )
      .toArray();
  }

  /** Forgets a region, unless something was noted of it since `beforeMs`. */
  forgetRegion(region: string, beforeMs: number): void {
    this.#sql.exec("DELETE FROM regions WHERE region = ? AND noted_at < ?", region, beforeMs);
  }

  /** Forgets the tokens that were fenced before `beforeMs`. */
  forget(beforeMs: number): void {
    this.#sql.exec("DELETE FROM fenced_tokens WHERE fenced_at < ?", beforeMs);
  }
}
