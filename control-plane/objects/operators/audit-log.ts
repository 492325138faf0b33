import { DurableObject } from "cloudflare:workers";
import { BatchSize } from "../../domain/batch.ts";
import {
  type AuditDetails,
  type AuditHead,
  type AuditOutcome,
  type AuditRow,
  canonicalJson,
  firstPreviousHash,
  hashAuditRow,
} from "../../domain/operators/audit-chain.ts";
import { auditPage, type AuditPage, type AuditQuery } from "../../domain/operators/audit-query.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { readStoreSettings } from "../../settings.ts";
import { DatabaseError } from "../../store/database.ts";
import { insertAuditRows, selectAuditRows } from "../../store/audit.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { auditMigrations, AuditTables } from "./audit-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { migrateStorage } from "../schema.ts";

/** What is to be written down. */
export interface AuditEntry {
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly details: AuditDetails;
  readonly requestId: string;
  readonly outcome: AuditOutcome;
  readonly intent: number | null;
}

export type AuditReceipt = { readonly ok: true; readonly sequence: number } | Refusal;

/** Rows that wait for their turn to be hashed. Stops a flood from filling the memory. */
const maxWaiting = 256;
/** Twice what the longest request makes of it: settings are JSON within JSON, and a quote in them is four characters then. */
const maxDetailsChars = 16_384;
/** Most rows of one transaction. */
const batchRows = 100;
/** Rows that the database has are kept here as well, so that the newest can be read while it is away. */
const keptRows = 10_000;
/** What gathers until a batch is sent. */
const gatherMs = 250;
const firstRetryMs = 1_000;
const maxRetryMs = 60_000;

/**
 * The audit log of this master, and its only writer: each row carries the hash of the one before. Rows go on to the database in
 * batches, in their order; while it is away they wait here, however long.
 */
export class AuditLog extends DurableObject<Env> {
  readonly #tables: AuditTables;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #size: BatchSize | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    migrateStorage(context.storage, auditMigrations);
    this.#tables = new AuditTables(context.storage.sql);
    // Should the object have stopped between a row and its alarm.
    void context.blockConcurrencyWhile(async () => this.#schedule());
  }

  /** Writes a row; it is durable when the answer comes. */
  async append(entry: AuditEntry): Promise<AuditReceipt> {
    if (this.#waiting >= maxWaiting) {
      return refuse(
        "AUDIT_UNAVAILABLE",
        "The audit log has too much to write. Nothing was done; try again shortly.",
        2,
      );
    }
    this.#waiting += 1;
    const turn = this.#turn.then(() => this.#append(entry));
    this.#turn = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #append(entry: AuditEntry): Promise<AuditReceipt> {
    const details = canonicalJson(entry.details);
    if (details.length > maxDetailsChars) throw new Error("details of an audit entry are too long");
    const last = this.#tables.last();
    const unhashed = {
      ...entry,
      sequence: (last?.sequence ?? 0) + 1,
      // A clock that was set back does not turn the order around.
      atMs: Math.max(Date.now(), last?.atMs ?? 0),
      details,
      previousHash: last?.hash ?? firstPreviousHash,
    };
    this.#tables.insert({ ...unhashed, hash: await hashAuditRow(unhashed) });
    failpoint("audit.recorded");
    await this.#schedule();
    return { ok: true, sequence: unhashed.sequence };
  }

  /** The newest row: what a check of the chain has to end at. */
  head(): AuditHead {
    const { sequence, hash } = this.#tables.last() ?? { sequence: 0, hash: firstPreviousHash };
    return { sequence, hash };
  }

  /** How many rows the database does not have yet. */
  pending(): number {
    return this.head().sequence - this.#tables.delivered().upTo;
  }

  /** A page of the log: what is not here any more comes from the database. */
  async page(query: AuditQuery): Promise<{ readonly ok: true; readonly page: AuditPage } | Refusal> {
    const { limit, position, order } = query;
    const wanted = { ...query, limit: limit + 1 };
    const oldest = this.#tables.oldest() ?? 1;
    try {
      if (order === "desc") {
        const rows = this.#tables.select(wanted);
        const older = rows.length > limit ? [] : await this.#older(wanted, oldest, rows.length);
        return { ok: true, page: auditPage([...rows, ...older], limit) };
      }
      // Before the database is asked: what is here now may have been let go of when that has answered.
      const rows = this.#tables.select(wanted);
      const older = (position ?? 0) >= oldest - 1 ? [] : await this.#older(wanted, oldest, 0);
      return { ok: true, page: auditPage([...older, ...rows], limit) };
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      logEvent("warn", "audit.older_unavailable", { error });
      return refuse("DATABASE_UNAVAILABLE", "Older rows cannot be read now. Try again shortly.", 5);
    }
  }

  /** Rows that the database alone has, to fill up a page. */
  async #older(query: AuditQuery, below: number, have: number): Promise<readonly AuditRow[]> {
    if (below <= 1) return [];
    return selectAuditRows(readStoreSettings(this.env), { ...query, below, limit: query.limit - have });
  }

  override async alarm(): Promise<void> {
    try {
      await this.#deliver();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  async #deliver(): Promise<void> {
    const size = (this.#size ??= new BatchSize(batchRows, this.#tables.delivered().attempts));
    for (;;) {
      const rows = this.#tables.undelivered(size.rows);
      const last = rows.at(-1);
      if (last === undefined) return;
      try {
        await insertAuditRows(readStoreSettings(this.env), rows);
      } catch (error) {
        // Also where the database refuses a row for what it is: without it, the chain would not hold.
        size.noteFailure(rows.length);
        this.#tables.noteFailedDelivery();
        logEvent("warn", "audit.delivery_failed", { pending: this.pending(), error });
        return;
      }
      failpoint("audit.stored");
      this.#tables.setDelivered(last.sequence);
      size.noteSuccess();
      this.#tables.prune(keptRows);
    }
  }

  async #schedule(): Promise<void> {
    if (this.pending() === 0) return;
    const { attempts } = this.#tables.delivered();
    const pauseMs =
      attempts === 0
        ? gatherMs
        : Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempts - 1, 10)) * (0.5 + Math.random());
    await wakeAt(this.ctx.storage, [Math.ceil(Date.now() + pauseMs)]);
  }
}
