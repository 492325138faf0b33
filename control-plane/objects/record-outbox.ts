import type { StoreRecord } from "../domain/store-record.ts";
import { Tally } from "../domain/tally.ts";
import { failpoint } from "../failpoint.ts";
import { logEvent } from "../log.ts";
import { count } from "../metrics.ts";
import { refusesRows } from "../store/refusal.ts";

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

/** How long records wait for others that can be written with them. */
const gatherMs = 1_000;
/** Most records of one transaction. */
const batchSize = 200;
/** Most records that wait; more than a day of ten a second. Later ones are lost, and counted. */
export const maxWaitingRecords = 1_000_000;
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
  readonly maxWaiting?: number;
}

/**
 * Writes records to the database of record behind the answer: in batches, as often as it takes, in the order in which they were put in.
 * Put a record in within the transaction that it tells of: then both are durable, or neither. Writing one twice must be the same as
 * writing it once. A database that is away delays records; only past `maxWaiting` are new ones lost.
 */
export class RecordOutbox<R = StoreRecord> {
  readonly #parts: RecordOutboxParts<R>;
  readonly #lost = new Tally();
  #waiting: number | undefined;
  #writing: Promise<void> | undefined;
  /** Whether a timer runs. */
  #awaited = false;

  constructor(parts: RecordOutboxParts<R>) {
    this.#parts = parts;
  }

  put(record: R): void {
    const nowMs = this.#parts.now();
    this.#waiting ??= this.#count();
    if (this.#waiting >= (this.#parts.maxWaiting ?? maxWaitingRecords)) {
      this.#parts.sql.exec("UPDATE record_state SET lost = lost + 1");
      const count = this.#lost.add("records", 1, nowMs);
      if (count !== undefined) logEvent("error", "records.lost", { count, waiting: this.#waiting });
      return;
    }
    this.#parts.sql.exec("INSERT INTO records (record, created_at) VALUES (?, ?)", JSON.stringify(record), nowMs);
    this.#waiting += 1;
    this.#wakeSoon();
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
    });
    return this.#writing;
  }

  async #writeBatches(): Promise<void> {
    let size = batchSize;
    while (this.#parts.now() >= this.#state().not_before) {
      const rows = this.#parts.sql
        .exec<{ id: number; record: string }>("SELECT id, record FROM records ORDER BY id LIMIT ?", size)
        .toArray();
      const last = rows.at(-1);
      if (last === undefined) {
        // A transaction that was rolled back may have been counted.
        this.#waiting = 0;
        return;
      }
      try {
        // Written by `put`, in this object: they have the shape that they had there.
        await this.#parts.write(rows.map(({ record }): R => JSON.parse(record)));
      } catch (error) {
        if (!refusesRows(error)) return this.#postpone(error);
        // One of them: it is looked for, and only that one given up.
        if (rows.length > 1) size = Math.floor(rows.length / 2);
        else this.#refuse(last.id, error);
        continue;
      }
      failpoint("records.written");
      this.#remove(last.id, rows.length);
      this.#parts.sql.exec("UPDATE record_state SET attempts = 0, not_before = 0 WHERE attempts > 0");
      size = batchSize;
    }
  }

  #remove(lastId: number, count: number): void {
    this.#parts.sql.exec("DELETE FROM records WHERE id <= ?", lastId);
    this.#waiting = Math.max(0, (this.#waiting ?? this.#count() + count) - count);
  }

  #refuse(id: number, error: unknown): void {
    logEvent("error", "records.refused", { error });
    this.#parts.sql.exec("UPDATE record_state SET refused = refused + 1");
    this.#remove(id, 1);
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

  #oldestAtMs(): number | undefined {
    return this.#parts.sql.exec<{ at: number }>("SELECT created_at AS at FROM records ORDER BY id LIMIT 1").toArray()[0]
      ?.at;
  }

  #state(): RecordState {
    return this.#parts.sql.exec<RecordState>("SELECT * FROM record_state").one();
  }
}
