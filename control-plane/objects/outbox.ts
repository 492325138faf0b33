import { logEvent } from "../log.ts";
import { count } from "../metrics.ts";

/** A message to another object that has to arrive, recorded together with what caused it. */
export interface OutboxMessage<Payload> {
  /** The name of the object that it is for. */
  readonly target: string;
  readonly payload: Payload;
}

interface OutboxRow extends Record<string, SqlStorageValue> {
  id: number;
  target: string;
  payload: string;
  attempts: number;
  created_at: number;
}

/** Part of the schema of every object that has an outbox. */
export const outboxSchema = `
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    payload TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX outbox_by_due ON outbox (due_at);
`;

/** The next part of that schema. */
export const outboxSourceSchema = `
  ALTER TABLE outbox ADD COLUMN source TEXT NOT NULL DEFAULT '';
  CREATE INDEX outbox_by_source ON outbox (source);
`;

const firstRetryMs = 1_000;
const maxRetryMs = 60_000;
const maxAgeMs = 24 * 60 * 60 * 1_000;
const parallelDeliveries = 16;
const batchSize = 256;

/**
 * Delivers messages at least once, with growing, jittered pauses, for a day. Receivers treat a repeated message as none.
 * Put a message in within the transaction that makes it necessary; deliver after it. Sources take turns, so that one with many
 * messages does not keep those of others waiting.
 */
export class Outbox<Payload> {
  readonly #sql: SqlStorage;
  readonly #deliver: (message: OutboxMessage<Payload>) => Promise<void>;
  readonly #now: () => number;
  readonly #mayGiveUp: (payload: Payload) => boolean;
  #delivering: Promise<void> | undefined;
  /** Known since the last look, and until something is put in. */
  #isEmpty = false;

  /** @param mayGiveUp whether a message that could not be delivered for a day is dropped; all are unless told */
  constructor(
    sql: SqlStorage,
    now: () => number,
    deliver: (message: OutboxMessage<Payload>) => Promise<void>,
    mayGiveUp: (payload: Payload) => boolean = () => true,
  ) {
    this.#sql = sql;
    this.#mayGiveUp = mayGiveUp;
    this.#now = now;
    this.#deliver = deliver;
  }

  /** @param source who has caused it */
  put(target: string, payload: Payload, source = ""): void {
    const nowMs = this.#now();
    this.#isEmpty = false;
    this.#sql.exec(
      "INSERT INTO outbox (target, payload, attempts, due_at, created_at, source) VALUES (?, ?, 0, ?, ?, ?)",
      target,
      JSON.stringify(payload),
      nowMs,
      nowMs,
      source,
    );
  }

  /** The same, where a message makes all earlier ones to this target needless. */
  putLatest(target: string, payload: Payload): void {
    this.#sql.exec("DELETE FROM outbox WHERE target = ?", target);
    this.put(target, payload);
  }

  /** How many messages of a source have not arrived yet. */
  pending(source: string): number {
    return this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM outbox WHERE source = ?", source).one()
      .count;
  }

  /** When the next message is due, in ms; `undefined` when there is none. Not to be called in a transaction that may be undone. */
  nextDueAtMs(): number | undefined {
    if (this.#isEmpty) return undefined;
    const { due } = this.#sql.exec<{ due: number | null }>("SELECT min(due_at) AS due FROM outbox").one();
    this.#isEmpty = due === null;
    return due ?? undefined;
  }

  /** Tries every message that is due. Does not throw: what fails is tried again later. */
  async deliverDue(): Promise<void> {
    this.#delivering ??= this.#deliverBatches().finally(() => {
      this.#delivering = undefined;
    });
    return this.#delivering;
  }

  async #deliverBatches(): Promise<void> {
    for (;;) {
      const rows = this.#sql
        .exec<OutboxRow>(
          `SELECT id, target, payload, attempts, created_at FROM outbox WHERE due_at <= ?
           ORDER BY row_number() OVER (PARTITION BY source ORDER BY id), id LIMIT ${batchSize}`,
          this.#now(),
        )
        .toArray();
      if (rows.length === 0) return;
      for (let start = 0; start < rows.length; start += parallelDeliveries) {
        await Promise.all(rows.slice(start, start + parallelDeliveries).map((row) => this.#attempt(row)));
      }
    }
  }

  async #attempt(row: OutboxRow): Promise<void> {
    const { id, target, attempts } = row;
    const nowMs = this.#now();
    // Written by `put`, in this object: it has the shape that it had there.
    const payload: Payload = JSON.parse(row.payload);
    try {
      await this.#deliver({ target, payload });
      this.#sql.exec("DELETE FROM outbox WHERE id = ?", id);
    } catch (error) {
      if (nowMs - row.created_at > maxAgeMs && this.#mayGiveUp(payload)) {
        logEvent("error", "outbox.given_up", { attempts, error });
        count("objectErrors", "given-up");
        this.#sql.exec("DELETE FROM outbox WHERE id = ?", id);
        return;
      }
      const pauseMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempts, 10)) * (0.5 + Math.random());
      const dueAt = Math.ceil(nowMs + pauseMs);
      this.#sql.exec("UPDATE outbox SET attempts = attempts + 1, due_at = ? WHERE id = ?", dueAt, id);
      count("objectErrors", "outbox");
      logEvent("warn", "outbox.retry", { attempts, pauseMs: Math.round(pauseMs), error });
    }
  }
}
