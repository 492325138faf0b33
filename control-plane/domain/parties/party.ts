import type { ProblemCode } from "../../../protocol/index.ts";
import type { PartyAllocation } from "./party-allocation.ts";

/** Players who want to be on one cluster together. Each of them has joined by a call of their own: nobody is in it unasked. */
export interface Party {
  readonly id: string;
  /** Most members. */
  readonly size: number;
  /** In the order in which they joined. The first leads. */
  readonly members: readonly PartyMember[];
  /** Who was sent away, and may not come back. */
  readonly removed: readonly string[];
  readonly allocation: PartyAllocation | undefined;
  /** Keys of allocations that have ended, the last of them: they do not begin another one. */
  readonly endedKeys: readonly string[];
  /** When it ends unless something happens in it. */
  readonly expiresAtMs: number;
}

export interface PartyMember {
  readonly playerId: string;
  readonly displayName: string;
}

export const maxPartySize = 16;
/** How long a party lasts in which nothing happens. */
export const partyLifeMs = 30 * 60 * 1_000;
/** Most players that a party remembers to have sent away. Past it, it takes in nobody new. */
const maxRemoved = 64;

/** What a call does to a party: it is another one now, or it is refused. */
export type PartyChange = { readonly ok: true; readonly party: Party } | PartyRefusal;
export interface PartyRefusal {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly retryAfterSeconds?: number;
}

export function createParty(id: string, leader: PartyMember, size: number, nowMs: number): Party {
  return {
    id,
    size,
    members: [leader],
    removed: [],
    allocation: undefined,
    endedKeys: [],
    expiresAtMs: nowMs + partyLifeMs,
  };
}

export function isMember(party: Party, playerId: string): boolean {
  return party.members.some((member) => member.playerId === playerId);
}

export function isLeader(party: Party, playerId: string): boolean {
  return party.members[0]?.playerId === playerId;
}

/**
 * Whether seats are held, waited for or being asked for. Where they were refused, or whoever asked was lost, nobody has been told of any.
 * `inFlight`: whether a call is asking right now.
 */
export function isBeingAllocated({ allocation }: Party, inFlight: boolean): boolean {
  return allocation !== undefined && (inFlight || allocation.hold !== undefined || allocation.queue !== undefined);
}

/** A player joins. Repeating it changes nothing. */
export function joinParty(party: Party, member: PartyMember, nowMs: number, inFlight: boolean): PartyChange {
  if (isMember(party, member.playerId)) return { ok: true, party };
  if (party.removed.includes(member.playerId)) return refuseParty("PARTY_NOT_FOUND");
  // Who is in the line for so many seats, or has them, stays so many.
  if (isBeingAllocated(party, inFlight)) {
    return refuseParty("PARTY_BUSY", "The party is being allocated. Join when its seats are taken or given up.", 5);
  }
  if (party.members.length >= party.size || party.removed.length >= maxRemoved) return refuseParty("PARTY_FULL");
  const members = [...party.members, member];
  // Should a shard hold seats that nobody was told of, they are too few now. The key begins again, for all.
  return { ok: true, party: { ...party, members, allocation: undefined, expiresAtMs: nowMs + partyLifeMs } };
}

/**
 * A member leaves, or is sent away by the leader, who cannot come back then. The one who joined next leads when the leader leaves.
 * Whoever has claimed a seat can leave, but not be sent away: the ticket is theirs. With the last member the party ends.
 */
export function leaveParty(party: Party, playerId: string, by: string): PartyChange {
  if (playerId === by && !isMember(party, by)) return { ok: true, party };
  if (!isMember(party, by)) return refuseParty("PARTY_NOT_FOUND");
  if (playerId !== by && !isLeader(party, by)) return refuseParty("PARTY_LEADER_ONLY");
  if (!isMember(party, playerId)) return { ok: true, party };
  const claims = party.allocation?.claims ?? {};
  if (playerId !== by && Object.hasOwn(claims, playerId)) {
    return refuseParty("PARTY_BUSY", "This member has claimed the seat already, and cannot be sent away now.", 60);
  }
  const members = party.members.filter((member) => member.playerId !== playerId);
  const removed = playerId === by ? party.removed : [...party.removed, playerId];
  return { ok: true, party: { ...party, members, removed } };
}

const details = {
  PARTY_NOT_FOUND: "There is no such party, or you are not in it. Ask its leader for the code.",
  PARTY_FULL: "This party takes no more members.",
  PARTY_LEADER_ONLY: "Only the leader of the party may do this.",
} as const;

export function refuseParty(code: keyof typeof details): PartyRefusal;
export function refuseParty(code: ProblemCode, detail: string, retryAfterSeconds?: number): PartyRefusal;
export function refuseParty(code: ProblemCode, detail?: string, retryAfterSeconds?: number): PartyRefusal {
  const text = detail ?? (isKnown(code) ? details[code] : code);
  return { ok: false, code, detail: text, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}

function isKnown(code: string): code is keyof typeof details {
  return Object.hasOwn(details, code);
}
