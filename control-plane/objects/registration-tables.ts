/** The SQL of who may register at a shard: keys, used assertions, fenced tokens, regions. Rows in, rows out, no rules. */
export class RegistrationTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  noteFencedToken(tokenHash: string, nowMs: number): void {
    this.#sql.exec("INSERT OR IGNORE INTO fenced_tokens (token_hash, fenced_at) VALUES (?, ?)", tokenHash, nowMs);
  }

  isFencedToken(tokenHash: string): boolean {
    return this.#sql.exec("SELECT 1 FROM fenced_tokens WHERE token_hash = ?", tokenHash).toArray().length > 0;
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

  noteRegion(region: string, nowMs: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO regions (region, noted_at) VALUES (?, ?)", region, nowMs);
  }

  regions(): string[] {
    return this.#sql
      .exec<{ region: string }>("SELECT region FROM regions ORDER BY noted_at DESC LIMIT 64")
      .toArray()
      .map((row) => row.region);
  }

  /** Forgets the tokens that were fenced before `beforeMs`. */
  forget(beforeMs: number): void {
    this.#sql.exec("DELETE FROM fenced_tokens WHERE fenced_at < ?", beforeMs);
  }
}
