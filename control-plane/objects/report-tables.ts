import { type LinkCancel, maxReportSeats } from "../../protocol/index.ts";
import type { FullProgress } from "../domain/full-report.ts";
import type { Seat } from "../domain/seats.ts";
import { seatFromRow, type SeatRow } from "./registry-rows.ts";
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

  /** These players' seats were named under `mark`. */
  markSeats(clusterId: string, playerIds: readonly string[], mark: number): void {
    this.#sql.exec(
      "UPDATE seats SET seen_in = ? WHERE cluster_id = ? AND player_id IN (SELECT value FROM json_each(?))",
      mark,
      clusterId,
      JSON.stringify(playerIds),
    );
  }

  /** Seats of those in the game that were not named under `mark`. */
  unnamedSeats(clusterId: string, mark: number): Seat[] {
    return this.#sql
      .exec<SeatRow>(
        "SELECT * FROM seats WHERE cluster_id = ? AND joined_generation IS NOT NULL AND seen_in <> ?",
        clusterId,
        mark,
      )
      .toArray()
      .map(seatFromRow);
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

  setGivenBack(clusterId: string, playerId: string, reservationId: string): void {
    this.#sql.exec(
      "UPDATE seats SET given_back = ? WHERE cluster_id = ? AND player_id = ?",
      reservationId,
      clusterId,
      playerId,
    );
  }

  /** The reservations that were given back, and that the cluster has not answered for. */
  cancelsOf(clusterId: string): LinkCancel[] {
    return this.#sql
      .exec<{ playerId: string; reservationId: string; generation: number; until: number }>(
        `SELECT player_id AS playerId, hold_reservation AS reservationId, hold_generation AS generation, hold_until AS until
         FROM seats WHERE cluster_id = ? AND given_back IS NOT NULL AND given_back = hold_reservation LIMIT ${maxReportSeats}`,
        clusterId,
      )
      .toArray()
      .map(({ reservationId, playerId, generation, until }) => ({
        type: "cancel",
        reservationId,
        playerId,
        generation,
        expiresAt: Math.ceil(until / 1_000),
      }));
  }
}
