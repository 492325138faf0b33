import {
  isBeingAllocated,
  isLeader,
  isMember,
  type Party,
  type PartyChange,
  partyLifeMs,
  type PartyRefusal,
  refuseParty,
} from "./party.ts";

/**
 * The seats of a party: `recorded` → `held` → gone, with the hold's end or when it is given up. While it is recorded it may wait in
 * a queue. A party has one at a time.
 */
export interface PartyAllocation {
  readonly key: string;
  readonly bodyHash: string;
  /** Names the seats at their shard; all of them are held under it. */
  readonly holdId: string;
  /** The shard that was asked last; it may hold seats. */
  readonly shard: string | undefined;
  /** The queue of the waiting room that it has been to. */
  readonly queue: string | undefined;
  readonly hold: PartyHold | undefined;
  /** Who has claimed a seat, with the reservation that it became. */
  readonly claims: Readonly<Record<string, string>>;
}

export interface PartyHold {
  readonly shard: string;
  readonly clusterId: string;
  /** Where the leader has asked to start, if anywhere: each member's ticket names it. */
  readonly fragment?: string | undefined;
  readonly playerIds: readonly string[];
  /** Until when members may claim. */
  readonly claimUntilMs: number;
  /** The answer as it was given: a retry gets the same bytes. */
  readonly answer: string;
}

const maxEndedKeys = 32;

/** How long members may claim their seats. */
export const claimMs = 60_000;
/** How much longer the seats are held: a claim that was taken in time has to get through. */
export const claimGraceMs = 15_000;

export type PartyStep =
  | { readonly kind: "begin" }
  | { readonly kind: "resume"; readonly allocation: PartyAllocation }
  | { readonly kind: "answer"; readonly answer: string }
  | { readonly kind: "refuse"; readonly refusal: PartyRefusal };

/** What to do about a leader's request to allocate. `inFlight`: whether a call is working on it right now. */
export function nextPartyStep(
  party: Party,
  request: { readonly by: string; readonly key: string; readonly bodyHash: string; readonly inFlight: boolean },
): PartyStep {
  const refusal = (refused: PartyRefusal): PartyStep => ({ kind: "refuse", refusal: refused });
  if (!isMember(party, request.by)) return refusal(refuseParty("PARTY_NOT_FOUND"));
  if (!isLeader(party, request.by)) return refusal(refuseParty("PARTY_LEADER_ONLY"));
  const { allocation } = party;
  if (party.endedKeys.includes(request.key)) {
    return refusal(
      refuseParty("PARTY_HOLD_ENDED", "The seats of this key were given up, or their time was up. Use a new key."),
    );
  }
  if (allocation === undefined) return { kind: "begin" };
  if (allocation.key !== request.key) {
    if (!isBeingAllocated(party, request.inFlight)) return { kind: "begin" };
    return refusal(
      refuseParty("PARTY_BUSY", "The party is being allocated under another key. Give that up first, or wait.", 5),
    );
  }
  if (allocation.bodyHash !== request.bodyHash) {
    return refusal(
      refuseParty(
        "IDEMPOTENCY_KEY_REUSED",
        "Use a new Idempotency-Key for each new request, and the old one for retries.",
      ),
    );
  }
  if (allocation.hold !== undefined) return { kind: "answer", answer: allocation.hold.answer };
  if (request.inFlight) {
    return refusal(
      refuseParty("ALLOCATION_IN_PROGRESS", "This allocation is still being made. Repeat the request.", 1),
    );
  }
  return { kind: "resume", allocation };
}

/** In place of one that has come to nothing, whose key then has ended. */
export function beginAllocation(
  party: Party,
  names: Pick<PartyAllocation, "key" | "bodyHash" | "holdId">,
  nowMs: number,
): Party & { readonly allocation: PartyAllocation } {
  const allocation = { ...names, shard: undefined, queue: undefined, hold: undefined, claims: {} };
  return { ...withoutAllocation(party), allocation, expiresAtMs: nowMs + partyLifeMs };
}

/** The party with its allocation changed, if that is still the one. */
export function changeAllocation(
  party: Party | undefined,
  holdId: string,
  changes: Partial<Pick<PartyAllocation, "shard" | "queue" | "hold">>,
): Party | undefined {
  const { allocation } = party ?? {};
  if (party === undefined || allocation?.holdId !== holdId || allocation.hold !== undefined) return undefined;
  return { ...party, allocation: { ...allocation, ...changes } };
}

/** What the hold gives a member who claims. */
export type Claim =
  | ({ readonly ok: true; readonly party: Party; readonly holdId: string } & Pick<
      PartyHold,
      "shard" | "clusterId" | "fragment"
    >)
  | PartyRefusal;

/** A member claims the seat for an operation of their own. Repeating it changes nothing, and is good beyond the hold's end. */
export function claimSeat(party: Party, playerId: string, reservationId: string, nowMs: number): Claim {
  if (!isMember(party, playerId)) return refuseParty("PARTY_NOT_FOUND");
  const { allocation } = party;
  if (allocation?.hold === undefined) {
    return refuseParty("PARTY_NOT_READY", "No seats are held for the party yet. Repeat the request.", 2);
  }
  const { hold, claims, holdId } = allocation;
  const known = Object.hasOwn(claims, playerId) ? claims[playerId] : undefined;
  if (!hold.playerIds.includes(playerId) || (known !== reservationId && nowMs >= hold.claimUntilMs)) {
    return refuseParty(
      "PARTY_HOLD_ENDED",
      "The seats of the party are not held any more. Have its leader allocate again.",
    );
  }
  const changed = { ...allocation, claims: { ...claims, [playerId]: reservationId } };
  const { shard, clusterId, fragment } = hold;
  return { ok: true, party: { ...party, allocation: changed }, holdId, shard, clusterId, fragment };
}

/** The leader gives the wait or the hold up, as long as nobody has claimed a seat. */
export function giveUpAllocation(party: Party, by: string): PartyChange {
  if (!isMember(party, by)) return refuseParty("PARTY_NOT_FOUND");
  if (!isLeader(party, by)) return refuseParty("PARTY_LEADER_ONLY");
  if (Object.keys(party.allocation?.claims ?? {}).length > 0) {
    return refuseParty(
      "PARTY_BUSY",
      "Some have claimed their seats already: the others' are free with the hold's end.",
      60,
    );
  }
  return { ok: true, party: withoutAllocation(party) };
}

/** The party when its allocation has ended, in whatever way. */
export function withoutAllocation(party: Party): Party {
  if (party.allocation === undefined) return party;
  const endedKeys = [...party.endedKeys, party.allocation.key].slice(-maxEndedKeys);
  return { ...party, allocation: undefined, endedKeys };
}

/** When the seats that nobody has claimed are given back, all at once; `undefined` without a hold. */
export function holdEndsAtMs(party: Party): number | undefined {
  const hold = party.allocation?.hold;
  return hold === undefined ? undefined : hold.claimUntilMs + claimGraceMs;
}
