import { DurableObject } from "cloudflare:workers";
import { failpoint } from "../failpoint.ts";
import { logEvent } from "../log.ts";
import { readStoreSettings } from "../settings.ts";
import { revokeClusterKey } from "../store/cluster-keys.ts";
import { retryAlarm, wakeAt } from "./alarm.ts";
import { objectCallTimeoutMs, withDeadline } from "./deadline.ts";
import { announce } from "./events.ts";
import { Outbox, outboxSchema, type OutboxMessage, outboxSourceSchema } from "./outbox.ts";
import { registryShard } from "./remote.ts";
import { hasSchema, migrateStorage } from "./schema.ts";
import { shardsIn } from "./shard-directory.ts";

const migrations: readonly string[] = [
  `
  CREATE TABLE key (
    key_id TEXT NOT NULL,
    retires_at INTEGER,
    revoked_at INTEGER,
    recorded INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  ${outboxSchema}
  ${outboxSourceSchema}
  `,
];

interface KeyRow extends Record<string, SqlStorageValue> {
  key_id: string;
  retires_at: number | null;
  revoked_at: number | null;
  /** 1 once the database knows that it was revoked. */
  recorded: number;
}

/** What a revocation has come to so far. */
export interface RevocationState {
  readonly revokedAtMs: number;
  /** How many shards have not been told yet. */
  readonly pendingShards: number;
}

const databaseRetryMs = 5_000;

/**
 * The end of one cluster key: revoked by an operator, or by the clock when another has taken its place. Once it is recorded here it
 * holds: shards that cannot be reached now are told later, and every shard asks here before it takes the key from the database.
 */
export class ClusterKeyRecord extends DurableObject<Env> {
  readonly #outbox: Outbox<Record<string, never>>;
  #isKnown: boolean;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#isKnown = hasSchema(context.storage);
    if (this.#isKnown) migrateStorage(context.storage, migrations);
    this.#outbox = new Outbox(context.storage.sql, Date.now, (message) => this.#deliver(message));
  }

  isRevoked(): boolean {
    return this.#row() !== undefined && this.#row()?.revoked_at !== null;
  }

  /** Withdraws the key, for good. Repeating it changes nothing, and tries again what did not get through. */
  async revoke(keyId: string): Promise<RevocationState> {
    this.#makeKnown(keyId);
    const revokedAtMs = await this.#revoke(keyId);
    await this.#schedule();
    failpoint("revoke-key.scheduled");
    await this.#carryOut();
    return { revokedAtMs, pendingShards: this.#outbox.pending("") };
  }

  /** Another key has taken its place: it ends at that time, or at an earlier one that was said before. */
  async retire(keyId: string, atMs: number): Promise<{ readonly retiresAtMs: number }> {
    this.#makeKnown(keyId);
    const retiresAtMs = Math.min(atMs, this.#row()?.retires_at ?? atMs);
    this.ctx.storage.sql.exec("UPDATE key SET retires_at = ?", retiresAtMs);
    failpoint("retire-key.recorded");
    await this.#schedule();
    return { retiresAtMs };
  }

  async #revoke(keyId: string): Promise<number> {
    const known = this.#row()?.revoked_at;
    if (known !== null && known !== undefined) return known;
    // Asked before anything is written: a shard that is made after this asks here by itself.
    const shards = await shardsIn(this.env, undefined);
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.sql.exec("UPDATE key SET revoked_at = ? WHERE revoked_at IS NULL", nowMs);
      for (const shard of shards) this.#outbox.put(shard, {});
    });
    failpoint("revoke-key.recorded");
    announce(this.env, (work) => this.ctx.waitUntil(work), [
      { type: "key.revoked", subject: `key:${keyId}`, data: { shards: shards.length } },
    ]);
    return nowMs;
  }

  override async alarm(): Promise<void> {
    try {
      const row = this.#row();
      if (row === undefined) return;
      if (row.revoked_at === null && row.retires_at !== null && row.retires_at <= Date.now()) {
        await this.#revoke(row.key_id);
      }
      await this.#carryOut();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  /** Tells the shards, which is what matters, and then the database. */
  async #carryOut(): Promise<void> {
    await this.#outbox.deliverDue();
    const row = this.#row();
    if (row === undefined || row.revoked_at === null || row.recorded === 1) return;
    try {
      await revokeClusterKey(readStoreSettings(this.env), row.key_id);
      this.ctx.storage.sql.exec("UPDATE key SET recorded = 1");
      failpoint("revoke-key.stored");
    } catch (error) {
      logEvent("warn", "key.not_recorded", { keyId: row.key_id, error });
    }
  }

  async #schedule(): Promise<void> {
    const row = this.#row();
    if (row === undefined) return;
    const unrecorded = row.revoked_at !== null && row.recorded === 0;
    await wakeAt(this.ctx.storage, [
      this.#outbox.nextDueAtMs(),
      row.revoked_at === null ? (row.retires_at ?? undefined) : undefined,
      unrecorded ? Date.now() + Math.round(databaseRetryMs * (0.5 + Math.random())) : undefined,
    ]);
  }

  async #deliver({ target }: OutboxMessage<Record<string, never>>): Promise<void> {
    const keyId = this.#row()?.key_id;
    if (keyId === undefined) return;
    await withDeadline(registryShard(this.env, target).revokeKey(keyId), objectCallTimeoutMs, "a registry shard");
    failpoint("revoke-key.delivered");
  }

  #makeKnown(keyId: string): void {
    if (!this.#isKnown) migrateStorage(this.ctx.storage, migrations);
    this.#isKnown = true;
    if (this.#row() === undefined) this.ctx.storage.sql.exec("INSERT INTO key (key_id) VALUES (?)", keyId);
  }

  #row(): KeyRow | undefined {
    return this.#isKnown ? this.ctx.storage.sql.exec<KeyRow>("SELECT * FROM key").toArray()[0] : undefined;
  }
}
