import { logEvent } from "../log.ts";
import { count } from "../metrics.ts";
import { withDeadline } from "./deadline.ts";

/** A message to another object that has to arrive, recorded together with what caused it. */
export interface OutboxMessage<Payload> {
  /** The name of the object that it is for. */
  readonly target: string;
  readonly payload: Payload;
}

interface OutboxRow extends Record<string, SqlStorageValue> {
  id: number;
  target: string;
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
/** Deliveries at a time, in all and to one target: one that hangs holds up what is for itself. */
const parallelDeliveries = 32;
const parallelPerTarget = 4;
/** How many are looked up together, in all and for one target. */
const batchSize = 256;
const batchPerTarget = 64;
/** Longest that a delivery may take, whatever it waits for. */
const deliveryTimeoutMs = 30_000;
/** How long one run takes up what comes to be due: an alarm that waits for it must end. */
const maxRunMs = 60_000;

/**
 * Delivers messages at least once, with growing, jittered pauses, for a day. Receivers treat a repeated message as none.
 * Put a message in within the transaction that makes it necessary; deliver after it. Sources take turns, so that one with many
 * messages does not keep those of others waiting; nor does a target that hangs keep those for others.
 */
export class Outbox<Payload> {
  readonly #sql: SqlStorage;
  readonly #deliver: (message: OutboxMessage<Payload>) => Promise<void>;
  readonly #now: () => number;
  readonly #mayGiveUp: (payload: Payload) => boolean;
  #delivering: Promise<void> | undefined;
  /** The messages that are being delivered, and their targets. */
  readonly #onTheWay = new Map<number, string>();
  /** What goes next, unless something new has come. */
  #chosen: OutboxRow[] = [];
  /** What went wrong at the storage, rather than at a target: it ends the run. */
  #fault: unknown;
  /** Has the run look for what is due. */
  #look: () => void = () => undefined;
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

  /**
   * @param source who has caused it
   * @param afterMs how long it waits before it is delivered for the first time
   */
  put(target: string, payload: Payload, source = "", afterMs = 0): void {
    const nowMs = this.#now();
    this.#isEmpty = false;
    this.#sql.exec(
      "INSERT INTO outbox (target, payload, attempts, due_at, created_at, source) VALUES (?, ?, 0, ?, ?, ?)",
      target,
      JSON.stringify(payload),
      nowMs + afterMs,
      nowMs,
      source,
    );
  }

  /** The same, where a message makes all earlier ones to this target needless. */
  putLatest(target: string, payload: Payload): void {
    this.#sql.exec("DELETE FROM outbox WHERE target = ?", target);
    this.put(target, payload);
  }

  /** The same, where a message makes all earlier ones of its source to this target needless. */
  putLatestOf(source: string, target: string, payload: Payload): void {
    this.#sql.exec("DELETE FROM outbox WHERE source = ? AND target = ?", source, target);
    this.put(target, payload, source);
  }

  /** Takes back the messages of a source to this target, and all earlier ones to it. Where none of the source waits, none goes. */
  dropUpTo(source: string, target: string): void {
    this.#sql.exec(
      "DELETE FROM outbox WHERE target = ? AND id <= (SELECT max(id) FROM outbox WHERE source = ? AND target = ?)",
      target,
      source,
      target,
    );
  }

  /** How many messages of a source have not arrived yet. */
  pending(source: string): number {
    return this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM outbox WHERE source = ?", source).one()
      .count;
  }

  /** Whether something waits that is for this target. */
  isWaitingFor(target: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE target = ? LIMIT 1", target).toArray().length > 0;
  }

  /** When the next message is due, in ms; `undefined` when there is none. Not to be called in a transaction that may be undone. */
  nextDueAtMs(): number | undefined {
    if (this.#isEmpty) return undefined;
    const { due } = this.#sql.exec<{ due: number | null }>("SELECT min(due_at) AS due FROM outbox").one();
    this.#isEmpty = due === null;
    return due ?? undefined;
  }

  /**
   * Tries every message that is due, also those that come to be while it does, and resolves when none is on its way. Does not throw: what fails
   * is tried again later.
   */
  async deliverDue(): Promise<void> {
    this.#chosen = [];
    this.#look();
    this.#delivering ??= this.#deliverAll().finally(() => {
      this.#delivering = undefined;
    });
    return this.#delivering;
  }

  async #deliverAll(): Promise<void> {
    const untilMs = this.#now() + maxRunMs;
    while (true) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#look = resolve;
      if (this.#now() < untilMs) this.#begin();
      if (this.#onTheWay.size === 0) return;
      // What comes to be due meanwhile does not wait for a target that hangs.
      const timer = setTimeout(() => {
        this.#chosen = [];
        resolve();
      }, firstRetryMs);
      await promise;
      clearTimeout(timer);
      if (this.#fault !== undefined) throw this.#takeFault();
    }
  }

  /** Sends what is due, as far as it may go now. */
  #begin(): void {
    const targets = new Map<string, number>();
    for (const target of this.#onTheWay.values()) targets.set(target, (targets.get(target) ?? 0) + 1);
    if (this.#chosen.length === 0) this.#chosen = this.#choose(targets);
    this.#chosen = this.#chosen.filter((row) => {
      const onTheWay = targets.get(row.target) ?? 0;
      if (onTheWay >= parallelPerTarget || this.#onTheWay.size >= parallelDeliveries) return true;
      targets.set(row.target, onTheWay + 1);
      void this.#send(row);
      return false;
    });
  }

  /** What goes next, of targets that take more: sources in turn, and not too much of one target. */
  #choose(targets: ReadonlyMap<string, number>): OutboxRow[] {
    const full = [...targets].filter(([, count]) => count >= parallelPerTarget).map(([target]) => target);
    return this.#sql
      .exec<OutboxRow>(
        `SELECT id, target, attempts, created_at FROM (
           SELECT *, row_number() OVER (PARTITION BY target ORDER BY turn, id) AS place FROM (
             SELECT id, target, attempts, created_at, row_number() OVER (PARTITION BY source ORDER BY id) AS turn
             FROM outbox WHERE due_at <= ? AND ${notIn("id")} AND ${notIn("target")}
           )
         ) WHERE place <= ${batchPerTarget} ORDER BY turn, id LIMIT ${batchSize}`,
        this.#now(),
        JSON.stringify([...this.#onTheWay.keys()]),
        JSON.stringify(full),
      )
      .toArray();
  }

  async #send(row: OutboxRow): Promise<void> {
    this.#onTheWay.set(row.id, row.target);
    try {
      await this.#attempt(row);
    } catch (error) {
      this.#fault = error;
    }
    this.#onTheWay.delete(row.id);
    this.#look();
  }

  #takeFault(): unknown {
    const fault = this.#fault;
    this.#fault = undefined;
    return fault;
  }

  async #attempt(row: OutboxRow): Promise<void> {
    const { id, target, attempts } = row;
    const nowMs = this.#now();
    const [stored] = this.#sql.exec<{ payload: string }>("SELECT payload FROM outbox WHERE id = ?", id).toArray();
    // A later one has taken its place.
    if (stored === undefined) return;
    // Written by `put`, in this object: it has the shape that it had there.
    const payload: Payload = JSON.parse(stored.payload);
    try {
      await withDeadline(this.#deliver({ target, payload }), deliveryTimeoutMs, "a delivery");
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

/** A condition with one parameter: a list as JSON. */
function notIn(column: string): string {
  return `${column} NOT IN (SELECT value FROM json_each(?))`;
}
