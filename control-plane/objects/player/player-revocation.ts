import type { RevocationReason } from "../../../protocol/index.ts";
import { nextSessionGeneration } from "../../../protocol/handover/generation.ts";
import { limits } from "../../../protocol/index.ts";
import {
  type Ban,
  banInForce,
  describeBan,
  goodStanding,
  isSignedOut,
  type Standing,
} from "../../domain/players/standing.ts";
import { type KnownOrder, stepOfOrder, withOrder } from "../../domain/players/known-orders.ts";
import { isUnused } from "../../domain/allocation/operations.ts";
import type { Outbox } from "../outbox.ts";
import { databaseTarget, identityTarget, type PlayerMessage } from "./player-message.ts";
import type { SessionRow } from "./player-row.ts";
import type { PlayerTables } from "./player-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";

/** Part of the schema of a player's session, as it was at first: see `playerRowSchema`. */
export const playerRevocationSchema = `
  CREATE TABLE revocation (
    floor INTEGER NOT NULL DEFAULT 0,
    floor_reason TEXT NOT NULL DEFAULT 'kicked',
    floor_at INTEGER NOT NULL DEFAULT 0,
    signed_out_at INTEGER,
    ban_id TEXT,
    ban_reason TEXT,
    ban_until INTEGER,
    banned_at INTEGER
  ) STRICT;
  INSERT INTO revocation DEFAULT VALUES;
`;

/** The next part of that schema. */
export const playerOrdersSchema = "ALTER TABLE revocation ADD COLUMN orders TEXT NOT NULL DEFAULT '[]';";

/** What an operator, or the player, has decided. */
export type RevokeOrder = {
  readonly playerId: string;
  /** Names the order, and who gives it: given again under it, it is the same one. Without it each is a new one. */
  readonly orderKey?: string | undefined;
} & (
  | {
      readonly action: "ban";
      readonly reason: string;
      readonly untilMs: number | undefined;
      /** For operators alone. */
      readonly note: string;
      readonly operatorId: string;
    }
  | { readonly action: "kick" }
  | {
      readonly action: "sign-out";
      /**
       * Names a sign-out by the player, of which the caller tells the identity service itself: see `signOutTold`. Without it that is told
       * from here, at once.
       */
      readonly signOutId?: string;
      /**
       * Of the login by which a player wants it, seconds since 1970: one that has been ended ends nothing more. Absent from an operator, and from a
       * release before this one.
       */
      readonly authenticatedAt?: number;
    }
);

/** What was decided. */
export interface Revoked {
  /** The least generation that counts from now on. */
  readonly minGeneration: number;
  readonly ban: Ban | undefined;
}

type Carried = Revoked & { readonly ok: true; readonly seats: readonly SeatToWithdraw[] };

/** How long the caller has to tell the identity service of a sign-out, before that is told from here. */
const signOutTellingMs = 15_000;

/** With the account its logins go as well: the identity service has not to be asked for that. */
interface Deletion {
  readonly playerId: string;
  readonly action: "erase";
}

const reasonOf = { ban: "banned", kick: "kicked", "sign-out": "signed-out", erase: "signed-out" } as const;

/** A player's generation floor, ban and sign-out. Every method is one step without a wait in it. [SEC-72] */
export class PlayerRevocation {
  readonly #tables: PlayerTables;
  readonly #outbox: Outbox<PlayerMessage>;
  readonly #doubtfulSource: () => { readonly clusterId: string; readonly shard: string } | undefined;

  /** @param doubtfulSource a cluster that may still play the player, though another has authority */
  constructor(
    tables: PlayerTables,
    outbox: Outbox<PlayerMessage>,
    doubtfulSource: () => { readonly clusterId: string; readonly shard: string } | undefined,
  ) {
    this.#tables = tables;
    this.#outbox = outbox;
    this.#doubtfulSource = doubtfulSource;
  }

  standing(): Standing {
    const row = this.#tables.row.values;
    return { ban: banOf(row), signedOutAtMs: row.signed_out_at ?? undefined };
  }

  /** Why the player may have no ticket now; `undefined` when there is no reason. */
  refusal(nowMs: number): Refusal | undefined {
    return banRefusal(this.standing().ban, nowMs);
  }

  /** The same for who comes by a login from then (in seconds since 1970): it may have been ended. [SEC-75] */
  refusalOfLogin(authenticatedAt: number, nowMs: number): Refusal | undefined {
    const refusal = this.refusal(nowMs);
    if (refusal !== undefined || !isSignedOut(this.standing(), authenticatedAt)) return refusal;
    return loginEnded();
  }

  /** Whether a login from then (in seconds since 1970) may delete the account: unless it was ended by anything but a deletion. */
  mayErase(authenticatedAt: number): boolean {
    const before = this.#isErased ? this.#tables.row.values.signed_out_before : this.#tables.row.values.signed_out_at;
    return !isSignedOut({ ...goodStanding, signedOutAtMs: before ?? undefined }, authenticatedAt);
  }

  /** Whether it was a deletion that has ended logins last. */
  get #isErased(): boolean {
    const { signed_out_at: signedOutAt, erased_at: erasedAt } = this.#tables.row.values;
    return erasedAt !== null && signedOutAt === erasedAt;
  }

  /** Whether a generation has been revoked. */
  covers(generation: number): boolean {
    return generation < this.#tables.row.values.floor;
  }

  /**
   * Ends every session and ticket that there is, places in the waiting room, and the membership of a party. The floor, what it does to
   * operations, and the orders to clusters become durable together: from then on no ticket below is signed, and none is counted. What was
   * ordered before under the same key is done, and ends nothing that has begun since. [SEC-98]
   *
   * @returns beside what was decided, the seats for which no ticket was handed out: they can go at once
   */
  revoke(order: RevokeOrder, nowMs: number): Carried | Refusal {
    const { orderKey: key } = order;
    const by = order.action === "sign-out" ? order.authenticatedAt : undefined;
    if (by !== undefined && isSignedOut(this.standing(), by)) return loginEnded();
    if (key === undefined) return this.#carryOut(order, nowMs);
    const content = contentOf(order);
    const known: readonly KnownOrder<Revoked>[] = JSON.parse(this.#tables.row.values.orders);
    const step = stepOfOrder(known, { key, content });
    if (step.kind === "clash") {
      return refuse("IDEMPOTENCY_KEY_REUSED", "Another order about this player was given under this key.");
    }
    if (step.kind === "repeat") return { ok: true, ...step.answer, seats: [] };
    return this.#tables.atomically(() => {
      const carried = this.#carryOut(order, nowMs);
      const { minGeneration, ban } = carried;
      const orders = withOrder(known, { key, content, answer: { minGeneration, ban } });
      this.#tables.row.change({ orders: JSON.stringify(orders) });
      return carried;
    });
  }

  /**
   * The account is deleted: every session and ticket that there is ends, and every login, as by a sign-out. What operators wrote with their orders
   * goes too; a ban that is in force stays.
   */
  erase(playerId: string, nowMs: number): Carried {
    return this.#tables.atomically(() => {
      const { signed_out_at: signedOutAt } = this.#tables.row.values;
      const before = this.#isErased ? {} : { signed_out_before: signedOutAt };
      this.#tables.row.change({ orders: "[]", erased_at: nowMs, ...before });
      return this.#carryOut({ action: "erase", playerId }, nowMs);
    });
  }

  #carryOut(order: RevokeOrder | Deletion, nowMs: number): Carried {
    const tables = this.#tables;
    return tables.atomically(() => {
      const minGeneration = Math.max(tables.row.values.floor, nextSessionGeneration(tables.generation()));
      const reason = reasonOf[order.action];
      tables.row.change({ floor: minGeneration, floor_reason: reason, floor_at: nowMs });
      const ban = order.action === "ban" ? this.#ban(order, nowMs) : undefined;
      if (order.action === "sign-out" || order.action === "erase") tables.row.change({ signed_out_at: nowMs });
      if (order.action === "sign-out") this.#tellIdentity(order);
      this.#orderClusters({ playerId: order.playerId, minGeneration, reason }, nowMs);
      const unused = tables.operations().filter((operation) => isUnused(operation, nowMs));
      for (const { key, queue, reservationId } of unused) {
        tables.endOperation(key, "revoked");
        if (queue !== undefined) this.#outbox.put(queue, { kind: "leave", visitor: order.playerId, reservationId });
      }
      const party = tables.party();
      if (party !== undefined) this.#outbox.put(party, { kind: "quit", playerId: order.playerId });
      const seats = unused.flatMap(({ state, shard, reservationId }) =>
        state === "recorded" && shard !== undefined ? [{ shard, reservationId }] : [],
      );
      return { ok: true, minGeneration, ban, seats };
    });
  }

  #tellIdentity({ playerId, signOutId }: Extract<RevokeOrder, { action: "sign-out" }>): void {
    const message = { kind: "sign-out", playerId } as const;
    if (signOutId === undefined) this.#outbox.put(identityTarget, message);
    else this.#outbox.put(identityTarget, message, signOutId, signOutTellingMs);
  }

  /** The identity service has heard of a sign-out, and ended every login of before: it need not hear of it, or of an earlier one, again. */
  signOutTold(signOutId: string): void {
    this.#outbox.dropUpTo(signOutId, identityTarget);
  }

  /** Ends a ban before its time. The floor stays: what it ended has ended. @returns whether there was one */
  unban(by: { readonly playerId: string; readonly operatorId: string }, nowMs: number): boolean {
    const { row } = this.#tables;
    const ban = banOf(row.values);
    if (ban === undefined) return false;
    this.#tables.atomically(() => {
      row.change({ ban_id: null, ban_reason: null, ban_until: null, banned_at: null });
      // One that has run out is over by itself.
      if (banInForce(ban, nowMs) === undefined) return;
      this.#outbox.put(databaseTarget, {
        kind: "ban",
        ...recordOf(ban, by.playerId),
        note: "",
        bannedBy: "",
        liftedAtMs: nowMs,
        liftedBy: by.operatorId,
      });
    });
    return banInForce(ban, nowMs) !== undefined;
  }

  /** A cluster reports the join of a generation that was revoked: it has not heard of that, or another shard has forgotten it. */
  orderAgain(
    use: { readonly playerId: string; readonly clusterId: string; readonly shard: string },
    nowMs: number,
  ): void {
    const row = this.#tables.row.values;
    this.#outbox.put(use.shard, {
      kind: "revoke",
      playerId: use.playerId,
      clusterId: use.clusterId,
      minGeneration: row.floor,
      reason: row.floor_reason,
      ticketsUntilMs: nowMs,
      revokedAtMs: row.floor_at,
    });
  }

  #ban(order: Extract<RevokeOrder, { action: "ban" }>, nowMs: number): Ban {
    const { playerId, reason, untilMs, note, operatorId } = order;
    const older = banInForce(banOf(this.#tables.row.values), nowMs);
    // The same once more, as after an answer that was lost.
    if (older?.reason === reason && older.untilMs === untilMs) return older;
    const ban: Ban = { id: crypto.randomUUID(), reason, untilMs, bannedAtMs: nowMs };
    this.#tables.row.change({ ban_id: ban.id, ban_reason: reason, ban_until: untilMs ?? null, banned_at: nowMs });
    if (older !== undefined) {
      const lifted = { note: "", bannedBy: "", liftedAtMs: nowMs, liftedBy: operatorId };
      this.#outbox.put(databaseTarget, { kind: "ban", ...recordOf(older, playerId), ...lifted });
    }
    const record = { note, bannedBy: operatorId, liftedAtMs: undefined, liftedBy: undefined };
    this.#outbox.put(databaseTarget, { kind: "ban", ...recordOf(ban, playerId), ...record });
    return ban;
  }

  /** Every cluster where the player is, or for which a ticket is out that can still be shown. */
  #orderClusters(
    revoked: { readonly playerId: string; readonly minGeneration: number; readonly reason: RevocationReason },
    nowMs: number,
  ): void {
    const until = new Map<string, { shard: string; clusterId: string; ticketsUntilMs: number }>();
    const authority = this.#tables.authority();
    const tickets = this.#tables.operations().flatMap(({ shard, clusterId, expiresAt }) => {
      if (shard === undefined || clusterId === undefined || expiresAt === undefined) return [];
      return [{ shard, clusterId, ticketsUntilMs: expiresAt * 1_000 + limits.clockSkewMs }];
    });
    const live = tickets.filter(({ ticketsUntilMs }) => ticketsUntilMs > nowMs);
    const players = [authority, this.#doubtfulSource()].filter((place) => place !== undefined);
    const places = [...live, ...players.map(({ shard, clusterId }) => ({ shard, clusterId, ticketsUntilMs: nowMs }))];
    for (const { shard, clusterId, ticketsUntilMs } of places) {
      const known = until.get(clusterId)?.ticketsUntilMs ?? 0;
      until.set(clusterId, { shard, clusterId, ticketsUntilMs: Math.max(known, ticketsUntilMs) });
    }
    for (const { shard, clusterId, ticketsUntilMs } of until.values()) {
      this.#outbox.put(shard, { kind: "revoke", ...revoked, clusterId, ticketsUntilMs, revokedAtMs: nowMs });
    }
  }
}

/** What somebody is told whose login was ended. */
export function loginEnded(): Refusal {
  return refuse("UNAUTHENTICATED", "This login was ended. Log in again.");
}

function contentOf(order: RevokeOrder): string {
  if (order.action !== "ban") return order.action;
  const { reason, untilMs, note } = order;
  return JSON.stringify([order.action, reason, untilMs ?? null, note]);
}

/** A reservation behind which there is no ticket. */
export interface SeatToWithdraw {
  readonly shard: string;
  readonly reservationId: string;
}

/** What a banned player is told. */
export function banRefusal(ban: Ban | undefined, nowMs: number): Refusal | undefined {
  const inForce = banInForce(ban, nowMs);
  if (inForce === undefined) return undefined;
  const { reason, until } = describeBan(inForce);
  const detail = until === null ? "This account is banned for good." : `This account is banned until ${until}.`;
  return { ...refuse("BANNED", detail), ban: { reason, until } };
}

function banOf(row: SessionRow): Ban | undefined {
  const { ban_id: id, ban_reason: reason, ban_until: until, banned_at: bannedAtMs } = row;
  if (id === null || reason === null || bannedAtMs === null) return undefined;
  return { id, reason, untilMs: until ?? undefined, bannedAtMs };
}

function recordOf(ban: Ban, playerId: string) {
  return { ...ban, playerId };
}
