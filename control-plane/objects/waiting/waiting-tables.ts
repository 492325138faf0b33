import type { ServiceRate } from "../../domain/waiting/waiting-pace.ts";
import type { Place } from "../../domain/waiting/waiting-line.ts";
import type { WaitingQueue } from "../../domain/waiting/waiting-queue.ts";

/** Append-only: see `migrateStorage`. Times are milliseconds since 1970. */
export const waitingMigrations: readonly string[] = [
  `
  CREATE TABLE room (queue TEXT NOT NULL, rate TEXT NOT NULL, last_sequence INTEGER NOT NULL) STRICT;
  CREATE TABLE places (
    sequence INTEGER PRIMARY KEY,
    visitor TEXT NOT NULL UNIQUE,
    reservation_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  `,
];

interface PlaceRow extends Record<string, SqlStorageValue> {
  sequence: number;
  visitor: string;
  reservation_id: string;
  size: number;
  joined_at: number;
  due_at: number;
  expires_at: number;
}

/** The SQL of a waiting room: rows in, rows out, no rules. */
export class WaitingTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Which queue this is, once somebody has come. */
  room(): { readonly queue: WaitingQueue; readonly rate: ServiceRate; readonly lastSequence: number } | undefined {
    const row = this.#sql
      .exec<{ queue: string; rate: string; last_sequence: number }>("SELECT * FROM room")
      .toArray()[0];
    if (row === undefined) return undefined;
    const queue: WaitingQueue = JSON.parse(row.queue);
    const rate: ServiceRate = JSON.parse(row.rate);
    return { queue, rate, lastSequence: row.last_sequence };
  }

  open(queue: WaitingQueue, rate: ServiceRate): void {
    this.#sql.exec(
      "INSERT INTO room (queue, rate, last_sequence) VALUES (?, ?, 0)",
      JSON.stringify(queue),
      JSON.stringify(rate),
    );
  }

  setRate(rate: ServiceRate): void {
    this.#sql.exec("UPDATE room SET rate = ?", JSON.stringify(rate));
  }

  places(): Place[] {
    return this.#sql
      .exec<PlaceRow>("SELECT * FROM places ORDER BY sequence")
      .toArray()
      .map((row) => ({
        sequence: row.sequence,
        visitor: row.visitor,
        reservationId: row.reservation_id,
        size: row.size,
        joinedAtMs: row.joined_at,
        dueAtMs: row.due_at,
        expiresAtMs: row.expires_at,
      }));
  }

  put(place: Place): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO places (sequence, visitor, reservation_id, size, joined_at, due_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      place.sequence,
      place.visitor,
      place.reservationId,
      place.size,
      place.joinedAtMs,
      place.dueAtMs,
      place.expiresAtMs,
    );
    this.#sql.exec("UPDATE room SET last_sequence = max(last_sequence, ?)", place.sequence);
  }

  delete(places: readonly Place[]): void {
    for (const { sequence } of places) this.#sql.exec("DELETE FROM places WHERE sequence = ?", sequence);
  }
}
