import { decodeProtectedHeader } from "jose";
import { signTicket } from "../../../auth/ticket.ts";
import type { Allocation, Waiting } from "../../../protocol/index.ts";
import {
  forgettableOperations,
  nextOperationStep,
  type Operation,
  type OperationSummary,
  reservationIdOf,
  supersededBy,
} from "../../domain/allocation/operations.ts";
import { toBase64Url } from "../../domain/clusters/sharding.ts";
import { createTicketClaims } from "../../domain/allocation/ticket-claims.ts";
import { queueOf } from "../../domain/waiting/waiting-queue.ts";
import { failpoint } from "../../failpoint.ts";
import { readLimits } from "../../limit-settings.ts";
import { readMasterSettings } from "../../settings.ts";
import type { AllocationOrder } from "./allocation-order.ts";
import type { PlayerCosts } from "./player-costs.ts";
import type { PlayerReleases } from "./player-releases.ts";
import type { PlayerRevocation } from "./player-revocation.ts";
import type { SessionRow } from "./player-row.ts";
import { type PlayerSeats, takenOver } from "./player-seats.ts";
import type { PlayerTables } from "./player-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { currentSigningKey, isRevokedKey, noteRevokedKeys } from "../key/signing-key.ts";

/** The allocation as JSON text: the same bytes for every retry. */
export type AllocationAnswer =
  | { readonly ok: true; readonly answer: string; readonly reservationId: string }
  | { readonly ok: true; readonly waiting: Waiting }
  | Refusal;

/** A call that is being worked on. It lives in memory alone: when the object stops, so does the call. */
interface Attempt {
  readonly key: string;
  readonly startedAtMs: number;
  /** An older operation that waits for the same: its place is this one's, whatever the key. */
  readonly kept: OperationSummary | undefined;
}

/** What an allocation counts as: a new one, or another try at one that has come to nothing yet. */
const allocationCosts = { begin: ["allocatePerPlayer", "allocationsPerHour"], resume: ["allocatePerPlayer"] } as const;

/** After this an attempt counts as lost, and another may begin; the lost one can no longer commit. */
const attemptTimeoutMs = 30_000;

export interface PlayerAllocationParts {
  readonly env: Env;
  readonly tables: PlayerTables;
  readonly costs: PlayerCosts;
  readonly seats: PlayerSeats;
  readonly revocation: PlayerRevocation;
  readonly releases: PlayerReleases;
  /** Sees to what is due after something was stored. */
  readonly settle: () => Promise<void>;
}

/**
 * How a player comes to a ticket, in three steps: the operation gets its name, a seat is found for it, and the ticket is stored with it. Whatever
 * stops in between, the next call with the key carries on: the name is stored ahead, or follows from what is. See docs/adr/0019.
 */
export class PlayerAllocation {
  readonly #parts: PlayerAllocationParts;
  #attempt: Attempt | undefined;

  constructor(parts: PlayerAllocationParts) {
    this.#parts = parts;
  }

  /**
   * Allocates, or answers a retry with what its key has come to.
   *
   * @param bodyHash of the request: see `hashAllocateRequest`
   */
  async allocate(order: AllocationOrder, bodyHash: string): Promise<AllocationAnswer> {
    const { idempotencyKey: key, request } = order;
    const { env, tables, costs, revocation, settle } = this.#parts;
    const wanted = request.wait === true ? (await queueOf(request)).name : undefined;
    const nowMs = Date.now();
    const refusal = revocation.refusalOfLogin(order.authenticatedAt, nowMs);
    if (refusal !== undefined) return refusal;
    const known = tables.operation(key);
    const step = nextOperationStep(known, { bodyHash, nowMs, inFlight: this.#inFlight(key, nowMs) });
    if (step.kind === "answer") {
      const { answer, reservationId } = step;
      if (!isSignedByRevokedKey(answer)) return { ok: true, answer, reservationId };
      tables.endOperation(key, "revoked");
      return refuse("TICKET_REVOKED", "The key of this ticket was revoked. Allocate with a new key.");
    }
    if (step.kind === "refuse") return refuse(step.code, step.detail, step.retryAfterSeconds);
    if (request.after !== undefined && revocation.covers(request.after)) {
      return refuse("KICKED", "An operator has ended this session. Join again only if the player asks to.");
    }
    const cost = costs.weigh(allocationCosts[step.kind], readLimits(env), nowMs);
    if (!cost.allowed) {
      return refuse("RATE_LIMITED", "Too many allocations. Wait before the next one.", cost.retryAfterSeconds);
    }
    const waiting = tables.operations().find(({ state, queue }) => state === "recorded" && queue !== undefined);
    const kept = waiting?.queue === wanted ? waiting : undefined;
    const attempt: Attempt = { key, startedAtMs: nowMs, kept };
    this.#attempt = attempt;
    try {
      const counted = costs.after(cost);
      if (step.kind === "resume") tables.row.change(counted);
      const operation = step.kind === "resume" ? step.operation : this.#record(order, bodyHash, attempt, counted);
      // A place that was left is free for others whatever comes of this.
      if (waiting !== kept) await settle();
      failpoint("allocate.recorded");
      return await this.#carryOut(operation, order, attempt);
    } finally {
      if (this.#attempt === attempt) this.#attempt = undefined;
      failpoint("allocate.keeping");
      // What came to no ticket is stored now: a retry is another try at it.
      tables.keepDraft(key);
    }
  }

  /** Whatever is being worked on comes to nothing. */
  giveUp(): void {
    this.#attempt = undefined;
  }

  #inFlight(key: string, nowMs: number): "none" | "same" | "other" {
    const attempt = this.#attempt;
    if (attempt === undefined || nowMs - attempt.startedAtMs > attemptTimeoutMs) return "none";
    return attempt.key === key ? "same" : "other";
  }

  /** Step 1: the operation, its name and generation, and the end of older ones that never came to a ticket. */
  #record(
    { playerId, idempotencyKey: key, request }: AllocationOrder,
    bodyHash: string,
    { startedAtMs: nowMs, kept }: Attempt,
    counted: Pick<SessionRow, "costs">,
  ): Operation {
    const { tables, releases } = this.#parts;
    const drawn = tables.row.values.next_seed;
    const seed = drawn === null ? newSeed() : new Uint8Array(drawn);
    const operation: Operation = {
      key,
      bodyHash,
      reservationId: reservationIdOf(seed, bodyHash),
      generation: tables.nextGeneration(),
      state: "recorded",
      shard: undefined,
      queue: undefined,
      clusterId: undefined,
      expiresAt: undefined,
      answer: undefined,
      recordedAtMs: nowMs,
    };
    const change = { ...counted, generation: operation.generation, next_seed: newSeed().buffer };
    const abandoned = tables.operations().filter(({ state }) => state === "recorded");
    // A party keeps the name of who has claimed from it.
    if (drawn !== null && abandoned.length === 0 && request.party === undefined) {
      tables.draftOperation(operation, change);
      return operation;
    }
    tables.atomically(() => {
      for (const older of abandoned) {
        tables.endOperation(older.key, "cancelled");
        if (older.key !== kept?.key) releases.leaveQueue(older, playerId);
      }
      tables.addOperation(operation, change);
      tables.deleteOperations(forgettableOperations(tables.operations(), nowMs));
    });
    for (const { shard, reservationId: id } of abandoned)
      if (shard !== undefined) releases.withdraw(shard, id, playerId);
    return operation;
  }

  async #carryOut(operation: Operation, order: AllocationOrder, attempt: Attempt): Promise<AllocationAnswer> {
    const { env, seats, tables } = this.#parts;
    // Nothing more is asked for one that has ended: what was asked last is given back already.
    const isCurrent = (): boolean => this.#attempt === attempt && tables.operation(operation.key)?.state === "recorded";
    const seat = await seats.find(operation, order, isCurrent);
    if (!seat.ok) return this.#refusalOfRevoked(operation.key) ?? seat;
    if ("waiting" in seat) return seat;
    failpoint("allocate.seated");
    noteRevokedKeys(seat.revokedKeys ?? []);
    const settings = readMasterSettings(env);
    const signingKey = await currentSigningKey(env, Date.now());
    const { boot, protocol, ...cluster } = seat.cluster;
    const { reservationId, generation } = operation;
    const { expiresAt, lifetimeSeconds, explanation } = seat;
    const claims = createTicketClaims({
      issuer: settings.masterUrl,
      game: settings.gameId,
      lifetimeSeconds,
      cluster: { id: cluster.id, boot, protocol },
      fragment: seat.fragment ?? order.request.fragment ?? "",
      player: { id: order.playerId, displayName: order.displayName },
      reservation: { id: reservationId, generation, expiresAt },
      ticketId: toBase64Url(crypto.getRandomValues(new Uint8Array(16))),
      requestId: order.requestId,
    });
    const ticket = await signTicket(claims, signingKey);
    failpoint("allocate.signed");
    const explained = explanation === undefined ? {} : { explanation };
    const allocation: Allocation = { ticket, reservationId, generation, expiresAt, cluster, ...explained };
    return this.#commit(operation, order, attempt, allocation, seat.gaveBack ?? []);
  }

  #refusalOfRevoked(key: string): Refusal | undefined {
    const { tables, revocation } = this.#parts;
    if (tables.operation(key)?.state !== "revoked") return undefined;
    const revoked = refuse("TICKET_REVOKED", "An operator has ended this allocation. Allocate with a new key.");
    return revocation.refusal(Date.now()) ?? revoked;
  }

  /** Step 3: the ticket is stored with its operation, and older tickets lose their seats. Only then may it leave. */
  async #commit(
    operation: Operation,
    { playerId }: AllocationOrder,
    attempt: Attempt,
    allocation: Allocation,
    gaveBack: readonly string[],
  ): Promise<AllocationAnswer> {
    const { tables, releases, settle } = this.#parts;
    const clusterId = allocation.cluster.id;
    const current = tables.operation(operation.key);
    const revoked = this.#refusalOfRevoked(operation.key);
    if (revoked !== undefined) return revoked;
    if (this.#attempt !== attempt || current?.state !== "recorded") {
      return takenOver();
    }
    const answer = JSON.stringify(allocation);
    const { expiresAt } = allocation;
    const nowMs = Date.now();
    const older = supersededBy(tables.operations(), current, nowMs);
    // The ticket first: whatever of the rest is missing, older tickets end by themselves, and so do places in queues.
    tables.inOrder(() => {
      tables.commitOperation(current, { clusterId, expiresAt, answer }, older);
      tables.deleteOperations(forgettableOperations(tables.operations(), nowMs));
      // Whoever had a place from before, and found a seat without asking the queue, needs it no more either.
      releases.leaveQueue(current.queue === undefined ? (attempt.kept ?? current) : current, playerId, clusterId);
      for (const each of older) {
        releases.leaveQueue(each, playerId);
        // On the same cluster the new ticket has taken the old one's seat.
        if (each.clusterId !== clusterId && !gaveBack.includes(each.reservationId)) releases.giveBack(each, playerId);
      }
    });
    failpoint("allocate.committed");
    await settle();
    return { ok: true, answer, reservationId: current.reservationId };
  }
}

/** What the next operation is named by. */
function newSeed(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(16));
}

/** Whether a stored answer's ticket would be refused everywhere. */
function isSignedByRevokedKey(answer: string): boolean {
  const { ticket }: Allocation = JSON.parse(answer);
  return isRevokedKey(decodeProtectedHeader(ticket).kid);
}
