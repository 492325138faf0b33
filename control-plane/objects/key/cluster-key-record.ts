import { DurableObject } from "cloudflare:workers";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { readStoreSettings } from "../../settings.ts";
import { revokeClusterKey } from "../../store/cluster-keys.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { announce } from "../operators/events.ts";
import { Outbox, outboxSchema, type OutboxMessage, outboxSourceSchema } from "../outbox.ts";
import { registryShard } from "../remote.ts";
import { migrateStorage, migrateStored } from "../schema.ts";
import { certainShards } from "../shard/shard-directory.ts";

/** Append-only: see `migrateStorage`. */
export const keyRecordMigrations: readonly string[] = [
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
  // What was revoked before has had its messages since it was recorded.
  `
  ALTER TABLE key ADD COLUMN fanned INTEGER NOT NULL DEFAULT 0;
  UPDATE key SET fanned = 1 WHERE revoked_at IS NOT NULL;
  `,
];

interface KeyRow extends Record<string, SqlStorageValue> {
  key_id: string;
  retires_at: number | null;
  revoked_at: number | null;
  /** 1 once there is a message to every shard. */
  fanned: number;
  /** 1 once the database knows that it was revoked. */
  recorded: number;
}

/** What a revocation has come to so far. */
export interface RevocationState {
  readonly revokedAtMs: number;
  /** How many shards have not been told yet; `undefined` while it is not known which there are. */
  readonly pendingShards: number | undefined;
}

const retryMs = 5_000;

/**
 * The end of one cluster key: revoked by an operator, or by the clock when another has taken its place. Once it is recorded here it
 * holds: shards that cannot be reached now are told later, and every shard asks here before it takes the key from the database.
 */
export class ClusterKeyRecord extends DurableObject<Env> {
  readonly #outbox: Outbox<Record<string, never>>;
  #isKnown: boolean;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#isKnown = migrateStored(context.storage, keyRecordMigrations);
    this.#outbox = new Outbox<Record<string, never>>(
      context.storage.sql,
      Date.now,
      (message) => this.#deliver(message),
      // No shard may go without, nor pass for one that was told.
      () => false,
    );
  }

  isRevoked(): boolean {
    return this.#row() !== undefined && this.#row()?.revoked_at !== null;
  }

  /** Withdraws the key, for good. Repeating it changes nothing, and tries again what did not get through. */
  async revoke(keyId: string): Promise<RevocationState> {
    this.#makeKnown(keyId);
    const revokedAtMs = this.#revoke(keyId);
    await this.#schedule();
    failpoint("revoke-key.scheduled");
    await this.#carryOut();
    await this.#schedule();
    const pendingShards = this.#row()?.fanned === 1 ? this.#outbox.pending("") : undefined;
    return { revokedAtMs, pendingShards };
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

  #revoke(keyId: string): number {
    const known = this.#row()?.revoked_at;
    if (known !== null && known !== undefined) return known;
    const nowMs = Date.now();
    this.ctx.storage.sql.exec("UPDATE key SET revoked_at = ? WHERE revoked_at IS NULL", nowMs);
    failpoint("revoke-key.recorded");
    announce(this.env, (work) => this.ctx.waitUntil(work), [
      { type: "key.revoked", subject: `key:${keyId}`, data: {} },
    ]);
    return nowMs;
  }

  /**
   * Asked for the shards only now: a registration at a shard that is not among them asks here whether its key holds after that shard was
   * made, and so after the revocation was recorded.
   */
  async #fanOut(): Promise<void> {
    const shards = await certainShards(this.env);
    this.ctx.storage.transactionSync(() => {
      if (this.#row()?.fanned === 1) return;
      for (const shard of shards) this.#outbox.put(shard, {});
      this.ctx.storage.sql.exec("UPDATE key SET fanned = 1");
    });
    failpoint("revoke-key.fanned");
  }

  override async alarm(): Promise<void> {
    try {
      const row = this.#row();
      if (row === undefined) return;
      if (row.revoked_at === null && row.retires_at !== null && row.retires_at <= Date.now()) {
        this.#revoke(row.key_id);
      }
      await this.#carryOut();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  /** Tells the shards, which is what matters, and then the database. */
  async #carryOut(): Promise<void> {
    const row = this.#row();
    if (row === undefined || row.revoked_at === null) return;
    try {
      if (row.fanned === 0) await this.#fanOut();
    } catch (error) {
      logEvent("warn", "key.not_told", { keyId: row.key_id, error });
    }
    await this.#outbox.deliverDue();
    if (row.recorded === 1) return;
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
    const unfinished = row.revoked_at !== null && (row.fanned === 0 || row.recorded === 0);
    await wakeAt(this.ctx.storage, [
      this.#outbox.nextDueAtMs(),
      row.revoked_at === null ? (row.retires_at ?? undefined) : undefined,
      unfinished ? Date.now() + Math.round(retryMs * (0.5 + Math.random())) : undefined,
    ]);
  }

  async #deliver({ target }: OutboxMessage<Record<string, never>>): Promise<void> {
    const keyId = this.#row()?.key_id;
    if (keyId === undefined) return;
    await withDeadline(registryShard(this.env, target).revokeKey(keyId), objectCallTimeoutMs, "a registry shard");
    failpoint("revoke-key.delivered");
  }

  #makeKnown(keyId: string): void {
    if (!this.#isKnown) migrateStorage(this.ctx.storage, keyRecordMigrations);
    this.#isKnown = true;
    if (this.#row() === undefined) this.ctx.storage.sql.exec("INSERT INTO key (key_id) VALUES (?)", keyId);
  }

  #row(): KeyRow | undefined {
    return this.#isKnown ? this.ctx.storage.sql.exec<KeyRow>("SELECT * FROM key").toArray()[0] : undefined;
  }
}
