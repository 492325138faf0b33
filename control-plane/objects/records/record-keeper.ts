import { DurableObject } from "cloudflare:workers";
import type { StoreRecord } from "../../domain/store-record.ts";
import { logEvent } from "../../log.ts";
import { readRecordSettings } from "../../record-settings.ts";
import { readStoreSettings } from "../../settings.ts";
import { DatabaseError } from "../../store/database.ts";
import { writeRecords } from "../../store/records.ts";
import { forgetErasedPlayers, pruneRecords } from "../../store/retention.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import {
  type RecordBacklog,
  recordKeySchema,
  recordNumberSchema,
  RecordOutbox,
  recordOutboxSchema,
} from "./record-outbox.ts";
import { migrateStorage } from "../schema.ts";

/** Append-only: see `migrateStorage`. */
export const recordKeeperMigrations: readonly string[] = [
  `
  ${recordOutboxSchema}
  CREATE TABLE upkeep (next_at INTEGER NOT NULL) STRICT;
  INSERT INTO upkeep (next_at) VALUES (0);
  `,
  recordNumberSchema,
  recordKeySchema,
];

const dayMs = 24 * 60 * 60 * 1_000;
const firstUpkeepMs = 60 * 60 * 1_000;
/** Records that a longer outage has held up may bring back a player whose account was deleted meanwhile. */
const maxDelayMs = 90 * dayMs;
const pruneBatch = 1_000;
/** Between two batches: what is too old is many days old, and others want the database too. */
const prunePauseMs = 10_000;

/** Records of players, their logins and what is saved of them, of which no other object writes any; and the end of records that are too old. */
export class RecordKeeper extends DurableObject<Env> {
  readonly #records: RecordOutbox;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    migrateStorage(context.storage, recordKeeperMigrations);
    this.#records = new RecordOutbox({
      sql: context.storage.sql,
      now: Date.now,
      write: async (records: readonly StoreRecord[]) => writeRecords(readStoreSettings(env), records),
      schedule: () => this.#schedule(),
      newest: { keyOf: (record) => (record.kind === "save" ? record.playerId : undefined), isNewer: isNewerSave },
    });
  }

  /** Once this has answered, the records will be written. */
  async keep(records: readonly StoreRecord[]): Promise<void> {
    for (const record of records) this.#records.put(record);
    await this.#schedule();
  }

  backlog(): RecordBacklog {
    return this.#records.backlog();
  }

  override async alarm(): Promise<void> {
    try {
      await this.#records.writeDue();
      if (Date.now() >= this.#upkeepAtMs()) await this.#prune();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  async #prune(): Promise<void> {
    const nowMs = Date.now();
    const { retentionDays } = readRecordSettings(this.env);
    const address = readStoreSettings(this.env);
    let nextAtMs = nowMs + dayMs * (0.5 + Math.random());
    try {
      const removed = retentionDays === 0 ? 0 : await pruneRecords(address, nowMs - retentionDays * dayMs, pruneBatch);
      if (removed > 0) {
        logEvent("info", "records.pruned", { removed });
        nextAtMs = nowMs + prunePauseMs;
      } else {
        await forgetErasedPlayers(address, nowMs - maxDelayMs);
      }
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      logEvent("warn", "records.not_pruned", { error });
    }
    this.ctx.storage.sql.exec("UPDATE upkeep SET next_at = ?", Math.ceil(nextAtMs));
  }

  #upkeepAtMs(): number {
    const { sql } = this.ctx.storage;
    const { at } = sql.exec<{ at: number }>("SELECT next_at AS at FROM upkeep").one();
    if (at > 0) return at;
    const firstAtMs = Math.ceil(Date.now() + firstUpkeepMs * Math.random());
    sql.exec("UPDATE upkeep SET next_at = ?", firstAtMs);
    return firstAtMs;
  }

  async #schedule(): Promise<void> {
    await wakeAt(this.ctx.storage, [this.#records.nextDueAtMs(), this.#upkeepAtMs()]);
  }
}

/** As the database has it: see `SaveRecord`. */
function isNewerSave(record: StoreRecord, other: StoreRecord): boolean {
  if (record.kind !== "save" || other.kind !== "save") return true;
  return record.generation === other.generation ? record.version > other.version : record.generation > other.generation;
}
