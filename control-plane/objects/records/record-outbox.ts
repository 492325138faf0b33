import { BatchSize, fittingTogether } from "../../domain/batch.ts";
import type { StoreRecord } from "../../domain/store-record.ts";
import { Tally } from "../../domain/metrics/tally.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { count } from "../../metrics.ts";
import { refusesRows } from "../../store/refusal.ts";

/** Part of the schema of every object that writes records. */
export const recordOutboxSchema = `
  CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    record TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE record_state (
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    refused INTEGER NOT NULL
  ) STRICT;
  INSERT INTO record_state (attempts, not_before, lost, refused) VALUES (0, 0, 0, 0);
`;

/**
 * The next part of that schema: without AUTOINCREMENT, which writes the last number to a page of its own with each record. A number then
 * follows the largest that waits, and what is taken away is always all up to some number: so one that is put in while others are being
 * written comes after them, and a number is used again only when nothing waits and nothing is being written.
 */
export const recordNumberSchema = `
  CREATE TABLE numbered_records (
    id INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  INSERT INTO numbered_records (id, record, created_at) SELECT id, record, created_at FROM records ORDER BY id;
  DROP TABLE records;
  ALTER TABLE numbered_records RENAME TO records;
`;

/** The next part of that schema: what a record is the newest of, where only the newest counts. */
export const recordKeySchema = `
  ALTER TABLE records ADD COLUMN key TEXT;
  CREATE INDEX records_by_key ON records (key) WHERE key IS NOT NULL;
`;

/** How long records wait for others that can be written with them. */
const gatherMs = 1_000;
/** Most records of one transaction. */
const batchSize = 200;
/** Most records that wait; more than a day of ten a second. Later ones are lost, and counted. */
export const maxWaitingRecords = 1_000_000;
/** No record is taken, either, while its object stores more than this, of the 10 GB that it can: what was saved of a player is up to 96 KiB. */
export const maxStoredBytes = 1_000_000_000;
const firstRetryMs = 1_000;
const maxRetryMs = 60_000;

interface RecordState extends Record<string, SqlStorageValue> {
  attempts: number;
  not_before: number;
  lost: number;
  refused: number;
}

/** What waits, and what became of the rest. */
export interface RecordBacklog {
  readonly waiting: number;
  /** When the oldest of them was put in, in ms; `undefined` without any. */
  readonly oldestAtMs: number | undefined;
  /** Not taken because too many waited. Counted since the object was made. */
  readonly lost: number;
  /** Given up because the database refuses them for what they are. Counted since the object was made. */
  readonly refused: number;
}

export interface RecordOutboxParts<R> {
  readonly sql: SqlStorage;
  /** In ms. */
  readonly now: () => number;
  /** Writes all of them or none; rejects when it could not. */
  readonly write: (records: readonly R[]) => Promise<void>;
  /** Sees to it that the object's alarm comes by {@link RecordOutbox.nextDueAtMs}, and calls {@link RecordOutbox.writeDue}. */
  readonly schedule: () => Promise<void>;
  /** Of which records only the newest counts: of those, older ones do not wait. The schema needs `recordKeySchema`. */
  readonly newest?: {
    readonly keyOf: (record: R) => string | undefined;
    readonly isNewer: (record: R, other: R) => boolean;
  };
  readonly maxWaiting?: number;
  readonly maxStoredBytes?: number;
}

interface WaitingRow extends Record<string, SqlStorageValue> {
  id: number;
  record: string;
  created_at: number;
}

/**
 * Writes records to the database of record behind the answer: in batches, as often as it takes, in the order in which they were put in.
 * Put a record in within the transaction that it tells of: then both are durable, or neither. Writing one twice must be the same as
 * writing it once. A database that is away delays records; only past `maxWaiting` and `maxStoredBytes` are new ones lost.
 */
export class RecordOutbox<R = StoreRecord> {
  readonly #parts: RecordOutboxParts<R>;
  readonly #lost = new Tally();
  #waiting: number | undefined;
  #writing: Promise<void> | undefined;
  #size: BatchSize | undefined;
  /** What has given way to newer ones since the batch was read that is being written right now; `undefined` without one. */
  #renewed: Set<number> | undefined;
  /** Whether a timer runs. */
  #awaited = false;

  constructor(parts: RecordOutboxParts<R>) {
    this.#parts = parts;
  }

  put(record: R): void {
    const { sql, now, newest } = this.#parts;
    const nowMs = now();
    this.#waiting ??= this.#count();
    const text = JSON.stringify(record);
    const key = newest?.keyOf(record);
    const [older] = key === undefined ? [] : sql.exec<WaitingRow>("SELECT * FROM records WHERE key = ?", key).toArray();
    // They come in any order.
    if (older !== undefined && newest?.isNewer(record, JSON.parse(older.record)) !== true) return;
    if (this.#isFull(text, older)) {
      sql.exec("UPDATE record_state SET lost = lost + 1");
      const count = this.#lost.add("records", 1, nowMs);
      if (count !== undefined) logEvent("error", "records.lost", { count, waiting: this.#waiting });
      return;
    }
    if (older !== undefined) {
      // In its place: whoever saves more often than the database takes would otherwise never have a turn.
      sql.exec("UPDATE records SET record = ? WHERE id = ?", text, older.id);
      this.#renewed?.add(older.id);
    } else {
      if (key === undefined) sql.exec("INSERT INTO records (record, created_at) VALUES (?, ?)", text, nowMs);
      else sql.exec("INSERT INTO records (record, created_at, key) VALUES (?, ?, ?)", text, nowMs, key);
      this.#waiting += 1;
    }
    this.#wakeSoon();
  }

  #isFull(text: string, older: WaitingRow | undefined): boolean {
    const { sql, maxWaiting = maxWaitingRecords, maxStoredBytes: maxBytes = maxStoredBytes } = this.#parts;
    if (older === undefined && (this.#waiting ?? 0) >= maxWaiting) return true;
    return text.length > (older?.record.length ?? 0) && sql.databaseSize >= maxBytes;
  }

  /**
   * A timer, since an alarm is written when it is set and again when it has come. Should the object die before, its next alarm does it: an
   * object that has no other alarm calls its `schedule` as well.
   */
  #wakeSoon(): void {
    if (this.#awaited) return;
    this.#awaited = true;
    setTimeout(() => {
      this.#awaited = false;
      const written = this.writeDue().then(this.#parts.schedule);
      written.catch((error: unknown) => logEvent("error", "records.failed", { error }));
    }, gatherMs);
  }

  /** When the next batch is due, in ms; `undefined` when nothing waits. */
  nextDueAtMs(): number | undefined {
    const oldest = this.#oldestAtMs();
    return oldest === undefined ? undefined : Math.max(oldest + gatherMs, this.#state().not_before);
  }

  /** The same, for an object that is awake often enough by itself: when to try again what has failed; `undefined` when nothing has. */
  nextRetryAtMs(): number | undefined {
    const { not_before: notBefore } = this.#state();
    return notBefore === 0 ? undefined : notBefore;
  }

  backlog(): RecordBacklog {
    const { lost, refused } = this.#state();
    return { waiting: (this.#waiting ??= this.#count()), oldestAtMs: this.#oldestAtMs(), lost, refused };
  }

  /** Writes what waits, if the database is not known to be away. Does not throw: what fails is tried again later. */
  async writeDue(): Promise<void> {
    this.#writing ??= this.#writeBatches().finally(() => {
      this.#writing = undefined;
      this.#renewed = undefined;
    });
    return this.#writing;
  }

  async #writeBatches(): Promise<void> {
    const size = (this.#size ??= new BatchSize(batchSize, this.#state().attempts));
    while (this.#parts.now() >= this.#state().not_before) {
      const rows = this.#nextBatch(size.rows);
      const last = rows.at(-1);
      if (last === undefined) {
        // A transaction that was rolled back may have been counted.
        this.#waiting = 0;
        return;
      }
      this.#renewed = new Set();
      try {
        // Written by `put`, in this object: they have the shape that they had there.
        await this.#parts.write(rows.map(({ record }): R => JSON.parse(record)));
      } catch (error) {
        // Whatever it was: fewer may pass. Where it is one of them, it is looked for, and only that one given up.
        size.noteFailure(rows.length);
        if (!refusesRows(error)) return this.#postpone(error);
        if (rows.length === 1) this.#refuse(last.id, error);
        continue;
      }
      failpoint("records.written");
      this.#remove(last.id);
      this.#noteAnswer();
      size.noteSuccess();
    }
  }

  /** The oldest that go together, at least one of them. */
  #nextBatch(size: number): WaitingRow[] {
    const { sql } = this.#parts;
    const lengths = sql
      .exec<{ id: number; bytes: number }>(
        "SELECT id, octet_length(record) AS bytes FROM records ORDER BY id LIMIT ?",
        size,
      )
      .toArray();
    const lastId = lengths[fittingTogether(lengths.map(({ bytes }) => bytes)) - 1]?.id;
    if (lastId === undefined) return [];
    return sql.exec<WaitingRow>("SELECT * FROM records WHERE id <= ? ORDER BY id", lastId).toArray();
  }

  /** Takes away what is done with. What was renewed meanwhile is not: it goes behind the others, which have waited for longer. */
  #remove(lastId: number): void {
    const { sql, now } = this.#parts;
    const again = [...(this.#renewed ?? [])].filter((id) => id <= lastId);
    const copy = "INSERT INTO records (record, created_at, key) SELECT record, ?, key FROM records WHERE id = ?";
    for (const id of again) sql.exec(copy, now(), id);
    const gone = sql.exec("DELETE FROM records WHERE id <= ? RETURNING id", lastId).toArray().length;
    if (this.#waiting !== undefined) this.#waiting = Math.max(0, this.#waiting + again.length - gone);
  }

  #refuse(id: number, error: unknown): void {
    logEvent("error", "records.refused", { error });
    this.#parts.sql.exec("UPDATE record_state SET refused = refused + 1");
    this.#remove(id);
    this.#noteAnswer();
  }

  /** The database is there: nothing has to be tried again later. */
  #noteAnswer(): void {
    this.#parts.sql.exec("UPDATE record_state SET attempts = 0, not_before = 0 WHERE attempts > 0");
  }

  #postpone(error: unknown): void {
    const { attempts } = this.#state();
    const pauseMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempts, 10)) * (0.5 + Math.random() / 2);
    const notBefore = Math.ceil(this.#parts.now() + pauseMs);
    this.#parts.sql.exec("UPDATE record_state SET attempts = attempts + 1, not_before = ?", notBefore);
    count("objectErrors", "records");
    logEvent("warn", "records.delayed", { attempts, pauseMs: Math.round(pauseMs), waiting: this.#waiting, error });
  }

  #count(): number {
    return this.#parts.sql.exec<{ count: number }>("SELECT count(*) AS count FROM records").one().count;
  }

  /** They are numbered in the order in which they began to wait. */
  #oldestAtMs(): number | undefined {
    return this.#parts.sql.exec<{ at: number }>("SELECT created_at AS at FROM records ORDER BY id LIMIT 1").toArray()[0]
      ?.at;
  }

  #state(): RecordState {
    return this.#parts.sql.exec<RecordState>("SELECT * FROM record_state").one();
  }
}
