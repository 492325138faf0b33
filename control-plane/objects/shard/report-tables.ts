import type { FullProgress } from "../../domain/clusters/full-report.ts";
import type { Sql } from "./cluster-memory.ts";

/** The SQL of what clusters report, and are told in return: rows in, rows out, no rules. */
export class ReportTables {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** How far a full report has come, and under which mark its seats are named. */
  setFullProgress(clusterId: string, progress: FullProgress, mark: number): void {
    this.#sql.exec(
      "UPDATE clusters SET full_of = ?, full_next = ?, full_mark = ? WHERE cluster_id = ?",
      progress.of,
      progress.next,
      mark,
      clusterId,
    );
  }

  /** Whether nothing is awaited from the cluster: over its link all is told, no ticket for it is out, and nobody is to be closed. */
  isSettled(clusterId: string): boolean {
    return (
      this.#sql
        .exec(
          `SELECT 1 FROM clusters WHERE cluster_id = ?1 AND link_accounted = 1 AND seats = joined
           AND NOT EXISTS (SELECT 1 FROM seats WHERE cluster_id = ?1 AND fence IS NOT NULL)`,
          clusterId,
        )
        .toArray().length > 0
    );
  }

  setReportInterval(clusterId: string, intervalMs: number): void {
    this.#sql.exec("UPDATE clusters SET report_interval = ? WHERE cluster_id = ?", intervalMs, clusterId);
  }
}
