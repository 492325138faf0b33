import type { Revocation } from "../../domain/players/revocations.ts";
import type { Sql } from "./cluster-memory.ts";

/** Part of the schema of a registry shard. Times are milliseconds since 1970. `held` and `lag_sum_ms` were counts, which are in the metrics now. */
export const revocationSchema = `
  CREATE TABLE revocations (
    cluster_id TEXT NOT NULL,
    player_id TEXT NOT NULL,
    min_generation INTEGER NOT NULL,
    reason TEXT NOT NULL,
    version INTEGER NOT NULL,
    tickets_until INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL,
    held_at INTEGER,
    PRIMARY KEY (cluster_id, player_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revocations_not_held ON revocations (cluster_id, version) WHERE held_at IS NULL;
  CREATE TABLE revocation_state (version INTEGER NOT NULL, held INTEGER NOT NULL, lag_sum_ms INTEGER NOT NULL) STRICT;
  INSERT INTO revocation_state (version, held, lag_sum_ms) VALUES (0, 0, 0);
  CREATE TABLE revocation_repeats (cluster_id TEXT PRIMARY KEY, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  ALTER TABLE clusters ADD COLUMN revocations_held INTEGER;
`;

/** A revocation on its way into the list. */
export interface RevocationOrder extends Omit<Revocation, "version"> {
  readonly clusterId: string;
  /** Until when a ticket below may be shown. */
  readonly ticketsUntilMs: number;
  readonly revokedAtMs: number;
}

interface Row extends Record<string, SqlStorageValue> {
  player_id: string;
  min_generation: number;
  reason: Revocation["reason"];
  version: number;
}

/** The SQL of a shard's revocations: rows in, rows out, no rules. */
export class RevocationTables {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  newestVersion(): number {
    return this.#sql.exec<{ version: number }>("SELECT version FROM revocation_state").one().version;
  }

  /** Adds to the list, or raises what is there. @returns whether that changed anything */
  put(order: RevocationOrder): boolean {
    const { clusterId, playerId, minGeneration, reason, ticketsUntilMs, revokedAtMs } = order;
    const known = this.#sql
      .exec<{ n: number }>(
        "SELECT min_generation AS n FROM revocations WHERE cluster_id = ? AND player_id = ?",
        clusterId,
        playerId,
      )
      .toArray()[0];
    if (known !== undefined && known.n >= minGeneration) return false;
    const { version } = this.#sql
      .exec<{ version: number }>("UPDATE revocation_state SET version = version + 1 RETURNING version")
      .one();
    this.#sql.exec(
      `INSERT INTO revocations (cluster_id, player_id, min_generation, reason, version, tickets_until, revoked_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (cluster_id, player_id) DO UPDATE SET min_generation = excluded.min_generation, reason = excluded.reason,
         version = excluded.version, tickets_until = max(tickets_until, excluded.tickets_until),
         revoked_at = excluded.revoked_at, held_at = NULL`,
      clusterId,
      playerId,
      minGeneration,
      reason,
      version,
      ticketsUntilMs,
      revokedAtMs,
    );
    return true;
  }

  /** What a cluster that holds the list up to `held` has to be told: what is newer, and who still sits there all the same. */
  due(clusterId: string, held: number): Revocation[] {
    return this.#sql
      .exec<Row>(
        `SELECT player_id, min_generation, reason, version FROM revocations AS revoked WHERE cluster_id = ? AND (version > ? OR EXISTS
           (SELECT 1 FROM seats WHERE seats.cluster_id = revoked.cluster_id AND seats.player_id = revoked.player_id
              AND seats.joined_generation < revoked.min_generation))`,
        clusterId,
        held,
      )
      .toArray()
      .map((row) => ({
        playerId: row.player_id,
        minGeneration: row.min_generation,
        reason: row.reason,
        version: row.version,
      }));
  }

  orders(clusterId: string): RevocationOrder[] {
    return this.#sql
      .exec<Row & { tickets_until: number; revoked_at: number }>(
        "SELECT player_id, min_generation, reason, version, tickets_until, revoked_at FROM revocations WHERE cluster_id = ?",
        clusterId,
      )
      .toArray()
      .map((row) => ({
        clusterId,
        playerId: row.player_id,
        minGeneration: row.min_generation,
        reason: row.reason,
        ticketsUntilMs: row.tickets_until,
        revokedAtMs: row.revoked_at,
      }));
  }

  /** How far the cluster's present process says that it holds the list; `undefined` before it has said so. */
  held(clusterId: string): number | undefined {
    const row = this.#sql
      .exec<{ held: number | null }>("SELECT revocations_held AS held FROM clusters WHERE cluster_id = ?", clusterId)
      .toArray()[0];
    return row?.held ?? undefined;
  }

  setHeld(clusterId: string, held: number | undefined): void {
    this.#sql.exec("UPDATE clusters SET revocations_held = ? WHERE cluster_id = ?", held ?? null, clusterId);
  }

  /** The cluster holds the list up to `version`. @returns how long that took, in ms, for each of which it is news */
  noteHeld(clusterId: string, version: number, nowMs: number): number[] {
    return this.#sql
      .exec<{ revoked_at: number }>(
        `UPDATE revocations SET held_at = ? WHERE cluster_id = ? AND version <= ? AND held_at IS NULL RETURNING revoked_at`,
        nowMs,
        clusterId,
        version,
      )
      .toArray()
      .map((row) => Math.max(0, nowMs - row.revoked_at));
  }

  hasPending(clusterId: string): boolean {
    return (
      this.#sql.exec("SELECT 1 FROM revocations WHERE cluster_id = ? AND held_at IS NULL LIMIT 1", clusterId).toArray()
        .length > 0
    );
  }

  repeats(): { clusterId: string; attempts: number; dueAtMs: number }[] {
    return this.#sql
      .exec<{ cluster_id: string; attempts: number; due_at: number }>("SELECT * FROM revocation_repeats")
      .toArray()
      .map((row) => ({ clusterId: row.cluster_id, attempts: row.attempts, dueAtMs: row.due_at }));
  }

  nextRepeatAtMs(): number | undefined {
    return (
      this.#sql.exec<{ due: number | null }>("SELECT min(due_at) AS due FROM revocation_repeats").one().due ?? undefined
    );
  }

  putRepeat(clusterId: string, attempts: number, dueAtMs: number): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO revocation_repeats (cluster_id, attempts, due_at) VALUES (?, ?, ?)",
      clusterId,
      attempts,
      dueAtMs,
    );
  }

  deleteRepeat(clusterId: string): void {
    this.#sql.exec("DELETE FROM revocation_repeats WHERE cluster_id = ?", clusterId);
  }

  /** Forgets what can matter no more: by `accountedMs` no ticket below could be shown, and the player is not in the game there. */
  forget(clusterId: string, accountedMs: number): void {
    this.#sql.exec(
      `DELETE FROM revocations WHERE cluster_id = ? AND tickets_until <= ? AND NOT EXISTS
         (SELECT 1 FROM seats WHERE seats.cluster_id = revocations.cluster_id AND seats.player_id = revocations.player_id
            AND seats.joined_generation < revocations.min_generation)`,
      clusterId,
      accountedMs,
    );
  }

  /** Forgets those of clusters that are forgotten themselves. */
  forgetOrphans(): void {
    for (const table of ["revocations", "revocation_repeats"]) {
      this.#sql.exec(`DELETE FROM ${table} WHERE cluster_id NOT IN (SELECT cluster_id FROM clusters)`);
    }
  }
}
