import { DurableObject } from "cloudflare:workers";
import { activeKey, generateStoredKey, parseStoredKey, publishedKeySet, type StoredKey } from "../../auth/key-ring.ts";
import { applyRotationStep, planRotation, type RotationPolicy, type RotationStep } from "../../auth/key-rotation.ts";
import type { JsonWebKeySet } from "../../protocol/index.ts";
import { logEvent } from "../log.ts";
import { retryAlarm } from "./alarm.ts";
import { keyEncryptionKey } from "./key-encryption-key.ts";
import { migrateStorage } from "./schema.ts";
import { signerCacheSeconds } from "./signing-key.ts";

/** Append-only: see `migrateStorage`. */
const migrations: readonly string[] = [
  "CREATE TABLE keys (kid TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID",
];

const policy: RotationPolicy = {
  activeSeconds: 30 * 24 * 60 * 60,
  // Clusters fetch an unknown key at once; everyone else may keep the set for as long as its answer says, and then some.
  cacheSeconds: 60 * 60,
  // The longest lifetime that the settings allow, and the tolerance of the clocks.
  ticketSeconds: 305,
  signerCacheSeconds,
};

/** The keys that sign tickets, encrypted, and their rotation. */
export class KeyRing extends DurableObject<Env> {
  /** Nothing is to be done before this time, in seconds. Memory only: after a restart it is found out again. */
  #nothingDueUntil = 0;
  #rotating: Promise<void> | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    migrateStorage(context.storage, migrations);
  }

  /** The key that signs now, still encrypted. */
  async signingKey(): Promise<StoredKey> {
    await this.#bringUpToDate();
    const key = activeKey(this.#keys());
    if (key === undefined) throw new Error("the key ring has no active key");
    return key;
  }

  /** Every public key with which a valid ticket may be signed, now or soon. */
  async publishedKeys(): Promise<JsonWebKeySet> {
    await this.#bringUpToDate();
    return publishedKeySet(this.#keys());
  }

  override async alarm(): Promise<void> {
    try {
      await this.#bringUpToDate();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  async #bringUpToDate(): Promise<void> {
    if (Math.floor(Date.now() / 1_000) < this.#nothingDueUntil) return;
    this.#rotating ??= this.#rotate().finally(() => {
      this.#rotating = undefined;
    });
    await this.#rotating;
  }

  async #rotate(): Promise<void> {
    const now = Math.floor(Date.now() / 1_000);
    const { steps, lookAgainAt } = planRotation(this.#keys(), now, policy);
    for (const step of steps) await this.#carryOut(step, now);
    await this.ctx.storage.setAlarm(lookAgainAt * 1_000);
    this.#nothingDueUntil = lookAgainAt;
  }

  async #carryOut(step: RotationStep, now: number): Promise<void> {
    if (step.do === "create") {
      const kek = await keyEncryptionKey(this.env);
      this.#replace([...this.#keys(), await generateStoredKey({ kek, state: step.state, now })]);
    } else {
      this.#replace(applyRotationStep(this.#keys(), step, now));
    }
    logEvent("info", "key_ring.step", { step });
  }

  #keys(): readonly StoredKey[] {
    return this.ctx.storage.sql
      .exec<{ record: string }>("SELECT record FROM keys")
      .toArray()
      .map((row) => parseStoredKey(JSON.parse(row.record)));
  }

  #replace(keys: readonly StoredKey[]): void {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      storage.sql.exec("DELETE FROM keys");
      for (const key of keys) {
        storage.sql.exec("INSERT INTO keys (kid, record) VALUES (?, ?)", key.kid, JSON.stringify(key));
      }
    });
  }
}
