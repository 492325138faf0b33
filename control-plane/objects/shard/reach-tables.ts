import type { ReachFault } from "../../../protocol/index.ts";
import type { Sql } from "./cluster-memory.ts";

/** A cluster whose address is to be tried. */
export interface ReachRow {
  readonly clusterId: string;
  readonly boot: number;
  readonly host: string;
  readonly port: number;
  /** Attempts that have failed since it registered. */
  readonly failures: number;
}

/** What is known of an address that was not reached. */
export interface ReachNote {
  readonly host: string;
  readonly port: number;
  readonly fault: ReachFault;
}

/** The SQL of whether clusters can be reached: rows in, rows out, no rules. */
export class ReachTables {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** A cluster has registered with an address that is to be tried at `atMs`, or with one that needs no attempt. */
  begin(clusterId: string, reached: boolean, atMs: number): void {
    this.#sql.exec(
      "UPDATE clusters SET reached = ?, probe_at = ?, probe_failures = 0, probe_fault = '' WHERE cluster_id = ?",
      reached ? 1 : 0,
      reached ? 0 : atMs,
      clusterId,
    );
  }

  /** When an attempt at this cluster began last; 0 when none did. */
  lastAttemptAtMs(clusterId: string): number {
    return (
      this.#sql
        .exec<{ at: number }>("SELECT probed_at AS at FROM clusters WHERE cluster_id = ?", clusterId)
        .toArray()[0]?.at ?? 0
    );
  }

  due(nowMs: number, limit: number): ReachRow[] {
    return this.#sql
      .exec<ReachRow & Record<string, SqlStorageValue>>(
        `SELECT cluster_id AS clusterId, boot, host, port, probe_failures AS failures FROM clusters
         WHERE probe_at > 0 AND probe_at <= ? AND state <> 'gone' ORDER BY probe_at LIMIT ?`,
        nowMs,
        limit,
      )
      .toArray();
  }

  nextDueAtMs(): number | undefined {
    const { due } = this.#sql
      .exec<{ due: number | null }>("SELECT min(probe_at) AS due FROM clusters WHERE probe_at > 0 AND state <> 'gone'")
      .one();
    return due ?? undefined;
  }

  /** An attempt begins; unless its outcome is noted, the next one is at `nextAtMs`. */
  noteAttempt(clusterId: string, nowMs: number, nextAtMs: number): void {
    this.#sql.exec(
      "UPDATE clusters SET probed_at = ?, probe_at = ?, probe_failures = probe_failures + 1 WHERE cluster_id = ?",
      nowMs,
      nextAtMs,
      clusterId,
    );
  }

  noteOutcome(clusterId: string, fault: ReachFault | undefined): void {
    const changes = fault === undefined ? "reached = 1, probe_at = 0, probe_failures = 0" : "reached = 0";
    this.#sql.exec(`UPDATE clusters SET ${changes}, probe_fault = ? WHERE cluster_id = ?`, fault ?? "", clusterId);
  }

  /** What is known of a cluster's address, if the last attempt at it failed. */
  fault(clusterId: string): ReachNote | undefined {
    return this.#sql
      .exec<{ host: string; port: number; fault: ReachFault }>(
        "SELECT host, port, probe_fault AS fault FROM clusters WHERE cluster_id = ? AND reached = 0 AND probe_fault <> ''",
        clusterId,
      )
      .toArray()[0];
  }
}
