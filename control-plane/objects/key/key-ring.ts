import { DurableObject } from "cloudflare:workers";
import { rotateNow, withoutKey } from "../../../auth/key-commands.ts";
import {
  activeKey,
  generateStoredKey,
  type KeyState,
  publishedKeySet,
  type StoredKey,
} from "../../../auth/key-ring.ts";
import { applyRotationStep, planRotation, type RotationStep } from "../../../auth/key-rotation.ts";
import type { JsonWebKeySet } from "../../../protocol/index.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { readRotationPolicy } from "../../rotation-settings.ts";
import { readStoreSettings } from "../../settings.ts";
import { DatabaseError } from "../../store/database.ts";
import { findKeyCopies, saveKeyCopies } from "../../store/signing-keys.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { announceKeys, type KeyRingMessage } from "./key-announcement.ts";
import { keyEncryptionKey } from "./key-encryption-key.ts";
import { KeyRingTables, keyRingMigrations } from "./key-ring-tables.ts";
import { Outbox, type OutboxMessage } from "../outbox.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { migrateStorage } from "../schema.ts";

/** A key of the ring as operators see it. Times in seconds since 1970. */
export interface KeyListing {
  readonly kid: string;
  readonly state: KeyState;
  readonly createdAt: number;
  readonly activatedAt: number | null;
  readonly retiredAt: number | null;
}

/** The ring as operators see it. */
export interface RingListing {
  readonly keys: readonly KeyListing[];
  readonly revoked: readonly string[];
}

/** What is due leaves at the latest after this, should it not leave at once. */
const firstDeliveryMs = 1_000;

/** The keys that sign tickets, encrypted, and their rotation: by schedule, and by command. */
export class KeyRing extends DurableObject<Env> {
  readonly #tables: KeyRingTables;
  readonly #outbox: Outbox<KeyRingMessage>;
  /** Nothing is to be done before this time, in seconds. Memory only: after a restart it is found out again. */
  #nothingDueUntil = 0;
  #rotating: Promise<void> | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    migrateStorage(context.storage, keyRingMigrations);
    this.#tables = new KeyRingTables(context.storage.sql);
    this.#outbox = new Outbox<KeyRingMessage>(
      context.storage.sql,
      Date.now,
      (message) => this.#deliver(message),
      // Neither a shard nor the record may go without.
      () => false,
    );
  }

  /** The key that signs now, still encrypted. */
  async signingKey(): Promise<StoredKey> {
    await this.#bringUpToDate();
    const key = activeKey(this.#tables.keys());
    if (key === undefined) throw new Error("the key ring has no active key");
    return key;
  }

  /** Every public key with which a valid ticket may be signed, now or soon. */
  async publishedKeys(): Promise<JsonWebKeySet> {
    await this.#bringUpToDate();
    return publishedKeySet(this.#tables.keys());
  }

  async listing(): Promise<RingListing> {
    await this.#bringUpToDate();
    const keys = this.#tables.keys().map(({ kid, state, createdAt, activatedAt, retiredAt }) => ({
      kid,
      state,
      createdAt,
      activatedAt,
      retiredAt,
    }));
    return { keys, revoked: this.#tables.revoked() };
  }

  /** The next key signs from now on; the active one retires, and is published until its last ticket has expired. */
  async rotate(): Promise<{ readonly ok: true; readonly kid: string } | Refusal> {
    await this.#bringUpToDate();
    const now = seconds();
    const order = rotateNow(this.#tables.keys(), now, readRotationPolicy(this.env));
    if (!order.ok) {
      const waitSeconds = Math.max(1, order.readyAt - now);
      const minutes = Math.ceil(waitSeconds / 60);
      const wait = minutes === 1 ? "a minute" : `${minutes} minutes`;
      const why = "The next key has not been published for long enough to be known everywhere.";
      return refuse("KEY_TOO_NEW", `${why} Repeat this in ${wait}.`, waitSeconds);
    }
    const armed = this.#store(order.keys, "changed");
    failpoint("rotate.promoted");
    await armed;
    await this.#bringUpToDate();
    failpoint("rotate.followed");
    this.ctx.waitUntil(this.#outbox.deliverDue());
    return { ok: true, kid: order.kid };
  }

  /**
   * A key has leaked: it signs and checks nothing from now on. The next one signs at once. Repeating it is harmless.
   *
   * @param kid the active one unless given
   */
  async revoke(kid: string | undefined): Promise<{ readonly ok: true; readonly kid: string } | Refusal> {
    await this.#bringUpToDate();
    const leaked = kid ?? activeKey(this.#tables.keys())?.kid ?? "";
    if (this.#tables.revoked().includes(leaked)) return { ok: true, kid: leaked };
    if (!this.#tables.keys().some((key) => key.kid === leaked)) {
      return refuse("NOT_FOUND", "The ring has no such key. GET /v1/admin/signing-keys lists those that there are.");
    }
    // Made before anything is changed: between the leaked key's end and the new one's beginning nothing may wait.
    const spare = withoutKey(this.#tables.keys(), leaked, seconds()) === undefined ? await this.#generate("next") : [];
    const keys = withoutKey([...this.#tables.keys(), ...spare], leaked, seconds());
    if (keys === undefined) throw new Error("a ring with a spare key has one to go on with");
    const armed = this.#store(keys, "revoked", leaked);
    failpoint("emergency.revoked");
    await armed;
    await this.#bringUpToDate();
    failpoint("emergency.followed");
    this.ctx.waitUntil(this.#outbox.deliverDue());
    logEvent("warn", "key_ring.revoked", { kid: leaked });
    return { ok: true, kid: leaked };
  }

  /**
   * Takes keys back from their copies in the database, for a ring whose object was lost. They check what they have signed; a key of
   * this ring goes on signing.
   */
  async restore(): Promise<{ readonly ok: true; readonly restored: number } | Refusal> {
    await this.#bringUpToDate();
    let copies: readonly StoredKey[];
    try {
      copies = await findKeyCopies(readStoreSettings(this.env));
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return refuse("DATABASE_UNAVAILABLE", "The copies cannot be read now. Try again shortly.", 5);
    }
    const keys = this.#tables.keys();
    const known = new Set([...keys.map(({ kid }) => kid), ...this.#tables.revoked()]);
    const missing = copies.filter(({ kid }) => !known.has(kid)).map(retiredNow);
    if (missing.length > 0) await this.#store([...keys, ...missing], "changed");
    this.ctx.waitUntil(this.#outbox.deliverDue());
    return { ok: true, restored: missing.length };
  }

  override async alarm(): Promise<void> {
    try {
      await this.#bringUpToDate();
      await this.#outbox.deliverDue();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  async #bringUpToDate(): Promise<void> {
    if (seconds() < this.#nothingDueUntil) return;
    this.#rotating ??= this.#rotate().finally(() => {
      this.#rotating = undefined;
    });
    await this.#rotating;
  }

  async #rotate(): Promise<void> {
    const now = seconds();
    const { steps, lookAgainAt } = planRotation(this.#tables.keys(), now, readRotationPolicy(this.env));
    for (const step of steps) await this.#carryOut(step, now);
    this.#nothingDueUntil = lookAgainAt;
    await this.#schedule();
    if (steps.length > 0) this.ctx.waitUntil(this.#outbox.deliverDue());
  }

  async #carryOut(step: RotationStep, now: number): Promise<void> {
    if (step.do === "create") {
      const made = await this.#generate(step.state);
      await this.#store([...this.#tables.keys(), ...made], "changed");
    } else {
      await this.#store(applyRotationStep(this.#tables.keys(), step, now), "changed");
    }
    logEvent("info", "key_ring.step", { step });
  }

  async #generate(state: "next" | "active"): Promise<readonly StoredKey[]> {
    const kek = await keyEncryptionKey(this.env);
    return [await generateStoredKey({ kek, state, now: seconds() })];
  }

  /** The ring as it is from now on, whom that has to be told, and the alarm that sees to it: durable together. */
  #store(keys: readonly StoredKey[], kind: "changed" | "revoked", revoked?: string): Promise<void> {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      this.#tables.replace(keys);
      this.#tables.raiseVersion(Date.now());
      if (revoked !== undefined) this.#tables.noteRevoked(revoked, seconds());
      this.#outbox.put("shards", { kind });
      this.#outbox.put("database", { kind: "copy" });
    });
    this.#nothingDueUntil = 0;
    return storage.setAlarm(Date.now() + firstDeliveryMs);
  }

  async #deliver({ payload: { kind } }: OutboxMessage<KeyRingMessage>): Promise<void> {
    const version = this.#tables.version();
    if (kind === "copy") {
      const firstVersion = this.#tables.firstVersion();
      await saveKeyCopies(readStoreSettings(this.env), this.#tables.keys(), {
        version,
        firstVersion,
        nowMs: Date.now(),
      });
    } else {
      await announceKeys(this.env, kind, { version, revoked: this.#tables.revoked() });
    }
  }

  async #schedule(): Promise<void> {
    await wakeAt(this.ctx.storage, [this.#outbox.nextDueAtMs(), this.#nothingDueUntil * 1_000]);
  }
}

function retiredNow(key: StoredKey): StoredKey {
  return { ...key, state: "retired", retiredAt: seconds() };
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}
