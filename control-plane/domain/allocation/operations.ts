import type { AllocateRequest, ProblemCode } from "../../../protocol/index.ts";
import { toBase64Url } from "../clusters/sharding.ts";

/**
 * An allocation as `PlayerSession` records it, one for each idempotency key:
 *
 * `recorded` → (a seat is reserved, a ticket signed) → `committed` → `consumed`; `recorded`, `committed` → `cancelled`, or
 * `revoked` by an operator.
 */
export const operationStates = ["recorded", "committed", "consumed", "cancelled", "revoked"] as const;
export type OperationState = (typeof operationStates)[number];

export interface Operation {
  readonly key: string;
  /** Of the request, so that a key cannot be used for two. */
  readonly bodyHash: string;
  readonly reservationId: string;
  readonly generation: number;
  readonly state: OperationState;
  /** The shard that was asked last; it may hold a seat for this operation. */
  readonly shard: string | undefined;
  /** The queue of the waiting room that it has been to. */
  readonly queue: string | undefined;
  readonly clusterId: string | undefined;
  /** Expiry of the ticket, in seconds since 1970. */
  readonly expiresAt: number | undefined;
  /** The answer as it was given: a retry gets the same bytes. */
  readonly answer: string | undefined;
  readonly recordedAtMs: number;
}

/** An operation without its answer, which is long: for looking through all of them. */
export type OperationSummary = Omit<Operation, "answer">;

/** What to do about a request to allocate. */
export type OperationStep =
  | { readonly kind: "begin" }
  | { readonly kind: "resume"; readonly operation: Operation }
  | { readonly kind: "answer"; readonly answer: string; readonly reservationId: string }
  | {
      readonly kind: "refuse";
      readonly code: ProblemCode;
      readonly detail: string;
      readonly retryAfterSeconds?: number;
    };

/** How long the outcome of an operation is remembered after its ticket has expired. */
export const operationRetentionMs = 24 * 60 * 60 * 1_000;

/**
 * The same for the newest ticket, as long as nobody has said that it joined: it may have, on a cluster that cannot reach the master. Were it forgotten,
 * whoever plays by it would be taken for an impostor when that cluster is back.
 */
export const unreportedRetentionMs = 30 * 24 * 60 * 60 * 1_000;

/** The greatest number of operations kept for a player. Stops one who invents keys from filling the object. */
export const maxOperations = 64;

/**
 * @param known the operation recorded under the key of the request
 * @param inFlight whether a call is working on an operation of this player right now: `same` key, or an `other` one
 */
export function nextOperationStep(
  known: Operation | undefined,
  request: { readonly bodyHash: string; readonly nowMs: number; readonly inFlight: "none" | "same" | "other" },
): OperationStep {
  if (known !== undefined && known.bodyHash !== request.bodyHash) {
    return refuse(
      "IDEMPOTENCY_KEY_REUSED",
      "Use a new Idempotency-Key for each new request, and the old one for retries only.",
    );
  }
  if (known !== undefined && known.state !== "recorded") return outcomeOf(known, request.nowMs);
  if (request.inFlight !== "none") {
    const which = request.inFlight === "same" ? "This allocation" : "Another allocation of this player";
    return refuse("ALLOCATION_IN_PROGRESS", `${which} is still being made. Repeat the request.`, 1);
  }
  return known === undefined ? { kind: "begin" } : { kind: "resume", operation: known };
}

function outcomeOf(operation: Operation, nowMs: number): OperationStep {
  const { state, answer, expiresAt } = operation;
  if (state === "consumed")
    return refuse("TICKET_CONSUMED", "The ticket of this allocation has joined. Allocate with a new key.");
  if (state === "revoked") {
    return refuse("TICKET_REVOKED", "An operator has ended this allocation. Allocate with a new key.");
  }
  if (state === "cancelled") {
    return refuse(
      "RESERVATION_CANCELLED",
      "The seat was given back, or a newer allocation took its place. Allocate with a new key.",
    );
  }
  if (answer === undefined || expiresAt === undefined || nowMs >= expiresAt * 1_000) {
    return refuse("TICKET_EXPIRED", "The ticket of this allocation was not used in time. Allocate with a new key.");
  }
  return { kind: "answer", answer, reservationId: operation.reservationId };
}

function refuse(code: ProblemCode, detail: string, retryAfterSeconds?: number): OperationStep {
  return { kind: "refuse", code, detail, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}

/** The operations that the commit of `committed` ends: every older one whose ticket was not used, and still could be. */
export function supersededBy(
  operations: readonly OperationSummary[],
  committed: OperationSummary,
  nowMs: number,
): readonly OperationSummary[] {
  return operations.filter((operation) => operation.generation < committed.generation && isUnused(operation, nowMs));
}

/** Of the operations that `newer` supersedes, those whose tickets are for clusters of one shard. */
export function replacedAt(
  shard: string,
  operations: readonly OperationSummary[],
  newer: OperationSummary,
  nowMs: number,
): readonly { readonly clusterId: string; readonly reservationId: string }[] {
  return supersededBy(operations, newer, nowMs).flatMap(({ state, shard: at, clusterId, reservationId }) =>
    state === "committed" && at === shard && clusterId !== undefined ? [{ clusterId, reservationId }] : [],
  );
}

/** Whether an operation has, or may come to, a ticket that can still join. */
export function isUnused(operation: OperationSummary, nowMs: number): boolean {
  if (operation.state === "recorded") return true;
  return operation.state === "committed" && nowMs < (operation.expiresAt ?? 0) * 1_000;
}

/** From when on nothing is asked any more about each operation, in ms. */
function forgetTimes(operations: readonly OperationSummary[]): ReadonlyMap<OperationSummary, number> {
  let newest: OperationSummary | undefined;
  for (const operation of operations) {
    const hadTicket = operation.state === "committed" || operation.state === "consumed";
    if (hadTicket && operation.generation > (newest?.generation ?? 0)) newest = operation;
  }
  return new Map(
    operations.map((operation) => {
      const { expiresAt, recordedAtMs, state } = operation;
      const isUnreported = operation === newest && state === "committed";
      const endMs = expiresAt === undefined ? recordedAtMs : expiresAt * 1_000;
      return [operation, endMs + (isUnreported ? unreportedRetentionMs : operationRetentionMs)];
    }),
  );
}

/** When the first operation may be forgotten, in ms; `undefined` without operations. */
export function nextForgetAtMs(operations: readonly OperationSummary[]): number | undefined {
  return operations.length === 0 ? undefined : Math.min(...forgetTimes(operations).values());
}

/**
 * The keys of the operations to forget: those past their time, and the oldest beyond the bound that have no live ticket.
 *
 * @param operations the oldest first
 */
export function forgettableOperations(operations: readonly OperationSummary[], nowMs: number): readonly string[] {
  const [oldest] = operations;
  if (oldest === undefined) return [];
  // None is forgotten sooner after it was recorded: most often there is no more to look at.
  if (operations.length <= maxOperations && nowMs < oldest.recordedAtMs + operationRetentionMs) return [];
  const times = forgetTimes(operations);
  const isForgettable = (operation: OperationSummary): boolean => nowMs >= (times.get(operation) ?? 0);
  const expired = operations.filter(isForgettable);
  const kept = operations.filter((operation) => !isForgettable(operation)).sort((a, b) => a.generation - b.generation);
  const surplus = kept
    .slice(0, Math.max(0, kept.length - maxOperations))
    .filter((operation) => operation.state !== "committed" || nowMs >= (operation.expiresAt ?? 0) * 1_000);
  return [...expired, ...surplus].map((operation) => operation.key);
}

/**
 * A digest of all that is asked for, independent of the order of its fields; a place that comes with it is no part of it. Requests of the first release hash as they did then:
 * an allocation that a deploy interrupts can be repeated.
 */
export async function hashAllocateRequest(request: AllocateRequest): Promise<string> {
  const { clusterId, region, place: _, ...more } = request;
  const rest = canonical(more);
  const text = JSON.stringify([clusterId ?? null, region ?? null, ...(rest === "{}" ? [] : [rest])]);
  const known = knownHashes.get(text);
  if (known !== undefined) return known;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", textEncoder.encode(text)));
  const hash = digest.reduce((hex, byte) => hex + hexOfByte[byte], "");
  if (knownHashes.size >= maxKnownHashes) knownHashes.clear();
  if (text.length <= maxKnownChars) knownHashes.set(text, hash);
  return hash;
}

/** Most players of a game ask for the same few things. What is long is each player's own. */
const knownHashes = new Map<string, string>();
const maxKnownHashes = 1_024;
const maxKnownChars = 256;

/**
 * The name of an operation and its reservation. `seed` is stored before it is used: whoever makes the request anew, after all memory of it was
 * lost, finds the seat that it has. Another request has another name, also from the same seed: nothing was handed out under either.
 *
 * @param seed 16 random bytes, replaced with what was handed out under a name made of them
 * @param bodyHash see {@link hashAllocateRequest}
 */
export function reservationIdOf(seed: Uint8Array, bodyHash: string): string {
  return toBase64Url(seed.map((byte, index) => byte ^ Number.parseInt(bodyHash.slice(2 * index, 2 * index + 2), 16)));
}

const textEncoder = new TextEncoder();
const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** JSON with the fields of every object in one order, and without those that are `undefined`. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(",")}}`;
}
