import type { AllocateRequest, Allocation } from "../../protocol/index.ts";
import type { ClientAllocation } from "./allocation.ts";
import type { WaitOptions } from "./asking.ts";
import { backoffMs, type Clock, notBeforeMs, wait } from "./clock.ts";
import { type CloseEvent, closeEventOfError } from "./close-event.ts";
import type { Joined } from "./opening.ts";
import type { SessionMemory } from "./session-memory.ts";
import { SustenetError } from "./error.ts";
import { isImpostor, isUnreachable } from "./unreachable-clusters.ts";

/** How hard to try to come back after a cluster asked for it, or a connection was lost. */
export interface RejoinPolicy {
  /** Tries before it gives up. A session that held for `maxDelayMs` starts to count anew. */
  readonly attempts: number;
  /** Longest wait before a try. Where a cluster or the master asks for a longer one, it gives up at once. */
  readonly maxDelayMs: number;
}

/** A try that is about to be made. */
export interface RejoinAttempt {
  /** From 1. */
  readonly attempt: number;
  /** How long it waits before. */
  readonly delayMs: number;
  /** Why it is needed. */
  readonly reason: CloseEvent;
}

/** What it takes to get into the game. */
export interface Entrance {
  readonly allocate: (request: AllocateRequest, options: WaitOptions) => Promise<ClientAllocation>;
  /** `earlier`: the session that went before. */
  readonly open: (allocation: Allocation, signal?: AbortSignal, earlier?: SessionMemory) => Promise<Joined>;
  /** Undefined: one try, and no more. */
  readonly policy: RejoinPolicy | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** In the game, and what was asked for to get there. */
export interface Entered extends Joined {
  readonly request: AllocateRequest;
  /** Of the ticket; `undefined` where the master says none. */
  readonly generation: number | undefined;
}

/** A session that comes back by itself. */
export interface Return {
  readonly memory: SessionMemory;
  /** Of the ticket by which it came, where that is known. */
  readonly generation: number | undefined;
}

const baseDelayMs = 500;

/** Codes that say that the cluster which was asked for cannot be had. */
const unavailable: ReadonlySet<string> = new Set(["CLUSTER_NOT_FOUND", "CLUSTER_FULL", "NO_CLUSTER_AVAILABLE"]);

/**
 * Joins with the ticket, or with one that it gets. Where the cluster says "allocate again", as after its restart
 * (`STALE_BOOT`), or another answers at its address, it does so by itself, within the policy.
 *
 * @throws SustenetError of the master at once; of the cluster when the policy is used up.
 */
export async function enter(
  entrance: Entrance,
  allocation: Allocation | undefined,
  request: AllocateRequest,
  signal?: AbortSignal,
): Promise<Entered> {
  const first = allocation ?? (await entrance.allocate(request, { signal }));
  try {
    return { ...(await entrance.open(first, signal)), request, generation: first.generation };
  } catch (error) {
    if (!(error instanceof SustenetError)) throw error;
    if (!isImpostor(error) && !mayPass(error)) throw error;
    return enterAgain(entrance, { request, failure: error, failedAt: first.cluster.id, attempt: 1 }, signal);
  }
}

/**
 * Allocates and joins again after `failure`. Waits grow and are jittered. A cluster that was chosen is asked for first; when it
 * cannot be had, or not be reached, any other. Where another answers at a cluster's address, that cluster is tried no more: unless
 * the master has others, that is the end. A session that comes back by itself does not end a newer one of its player. [ALLOC-21]
 *
 * @throws SustenetError the last failure.
 */
export async function enterAgain(
  entrance: Entrance,
  start: {
    readonly request: AllocateRequest;
    readonly failure: SustenetError;
    /** The cluster that it failed at, where that is known. */
    readonly failedAt?: string | undefined;
    readonly attempt: number;
    readonly earlier?: Return | undefined;
  },
  signal?: AbortSignal,
  onAttempt?: (attempt: RejoinAttempt) => void,
): Promise<Entered> {
  const { policy, clock, random } = entrance;
  const { earlier } = start;
  const { clusterId, ...anywhere } = start.request;
  let { request, failure, failedAt } = start;
  let after = earlier === undefined ? undefined : sessionBefore(earlier);
  const impostors = new Set<string>();
  for (let attempt = start.attempt; ; attempt++) {
    if (policy === undefined || attempt > policy.attempts || failure.retryAfterMs > policy.maxDelayMs) throw failure;
    const growing = backoffMs(attempt, { baseMs: baseDelayMs, maxMs: policy.maxDelayMs }, random);
    const delayMs = Math.min(policy.maxDelayMs, Math.max(notBeforeMs(failure.retryAfterMs, random), growing));
    onAttempt?.({ attempt, delayMs, reason: closeEventOfError(failure) });
    if (isImpostor(failure) && failedAt !== undefined) impostors.add(failedAt);
    failedAt = undefined;
    await wait(clock, delayMs, signal);
    try {
      let allocation: ClientAllocation;
      try {
        allocation = await entrance.allocate(after === undefined ? request : { ...request, after }, { signal });
      } catch (error) {
        if (after === undefined || !isUnknownField(error, "after")) throw error;
        after = undefined;
        allocation = await entrance.allocate(request, { signal });
      }
      const { generation } = allocation;
      failedAt = allocation.cluster.id;
      // It may have joined by this one, and not have heard of it.
      if (after !== undefined) after = Math.max(after, generation ?? 0);
      return { ...(await entrance.open(allocation, signal, earlier?.memory)), request, generation };
    } catch (error) {
      if (!(error instanceof SustenetError)) throw error;
      const isChosen = clusterId !== undefined && request === start.request;
      const isChosenGone = isChosen && (unavailable.has(error.code) || isUnreachable(error));
      const isNewImpostor = isImpostor(error) && failedAt !== undefined && !impostors.has(failedAt);
      if (!isChosenGone && !isNewImpostor && !mayPass(error)) throw error;
      if (isChosenGone) request = anywhere;
      failure = error;
    }
  }
}

/**
 * What to ask for by who has been in the game. The seats of a party are for its members to come with, a minute long: nothing gives them again.
 * And in a world of several clusters the player may be elsewhere by now than where it chose to begin: who names no cluster, and no fragment but
 * the one where it was let in last, comes back to the cluster that has the session, or the place. [ALLOC-14] [ALLOC-16]
 */
export function requestToReturn(
  { party: _claimed, ...request }: AllocateRequest,
  { canMove, welcome }: SessionMemory,
): AllocateRequest {
  const { clusterId: _chosen, fragment, ...anywhere } = request;
  if (!canMove) return request;
  return fragment === welcome.fragment ? { ...anywhere, fragment } : anywhere;
}

/** The newest session that is known to be this one: handovers count on from its ticket. */
function sessionBefore({ memory, generation }: Return): number | undefined {
  return generation === undefined ? undefined : Math.max(generation, memory.tenure);
}

/** Refused by a master of the release before, as one that is taken back to it: there it goes without. */
function isUnknownField(error: unknown, name: string): boolean {
  const isInvalid = error instanceof SustenetError && error.code === "INVALID_FIELD";
  return isInvalid && error.fields.some(({ field }) => field === name);
}

function mayPass(error: SustenetError): boolean {
  return error.advice === "allocate" || error.advice === "retry";
}
