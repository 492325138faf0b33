import { describe, expect, it } from "vitest";
import {
  beginAllocation,
  changeAllocation,
  claimMs,
  claimSeat,
  giveUpAllocation,
  holdEndsAtMs,
  nextPartyStep,
} from "./party-allocation.ts";
import { holdForParty } from "./party-seats.ts";
import { createParty, isLeader, joinParty, leaveParty, type Party, type PartyChange } from "./party.ts";
import { hasRoom, isVacant, reserveSeat } from "../clusters/seats.ts";
import { randomSource } from "../testing/random-source.ts";

const nowMs = 1_000_000;

function partyOf(...playerIds: string[]): Party {
  const [leader = "", ...others] = playerIds;
  return others.reduce(
    (party, playerId) => after(joinParty(party, { playerId, displayName: playerId }, nowMs, false)),
    createParty("party", { playerId: leader, displayName: leader }, 16, nowMs),
  );
}

function after(change: PartyChange): Party {
  if (!change.ok) throw new Error(change.code);
  return change.party;
}

function held(party: Party, playerIds = party.members.map(({ playerId }) => playerId)): Party {
  const begun = beginAllocation(party, { key: "key", bodyHash: "body", holdId: "hold" }, nowMs);
  const hold = { shard: "eu.0", clusterId: "c", playerIds, claimUntilMs: nowMs + claimMs, answer: "answer" };
  const changed = changeAllocation(begun, "hold", { hold });
  if (changed === undefined) throw new Error("it was just begun");
  return changed;
}

describe("the leader's request", () => {
  const request = { by: "a", key: "key", bodyHash: "body", inFlight: false };

  it("[PARTY-3] begins, goes on, and is answered the same ever after", () => {
    const party = partyOf("a", "b");
    expect(nextPartyStep(party, request)).toEqual({ kind: "begin" });
    const begun = beginAllocation(party, { key: "key", bodyHash: "body", holdId: "hold" }, nowMs);
    expect(nextPartyStep(begun, request).kind).toBe("resume");
    expect(nextPartyStep(held(party), request)).toEqual({ kind: "answer", answer: "answer" });
    expect(nextPartyStep(held(party), { ...request, inFlight: true })).toEqual({ kind: "answer", answer: "answer" });
  });

  it.each([
    ["PARTY_NOT_FOUND", { by: "x" }],
    ["PARTY_LEADER_ONLY", { by: "b" }],
    ["PARTY_BUSY", { key: "another", inFlight: true }],
    ["IDEMPOTENCY_KEY_REUSED", { bodyHash: "another" }],
    ["ALLOCATION_IN_PROGRESS", { inFlight: true }],
  ])("[PARTY-3] is refused with %s", (code, changes) => {
    const begun = beginAllocation(partyOf("a", "b"), { key: "key", bodyHash: "body", holdId: "hold" }, nowMs);
    expect(nextPartyStep(begun, { ...request, ...changes })).toMatchObject({ refusal: { code } });
  });

  it("[PARTY-3] gives way to another where it was refused or broken off, and to none while seats are asked or waited for", () => {
    const begun = beginAllocation(partyOf("a", "b"), { key: "key", bodyHash: "body", holdId: "hold" }, nowMs);
    const other = { ...request, key: "key2" };
    expect(nextPartyStep(begun, { ...other, inFlight: true })).toMatchObject({ refusal: { code: "PARTY_BUSY" } });
    for (const busy of [held(partyOf("a", "b")), changeAllocation(begun, "hold", { queue: "queue" })]) {
      if (busy === undefined) throw new Error("it was just begun");
      expect(nextPartyStep(busy, other)).toMatchObject({ refusal: { code: "PARTY_BUSY" } });
    }
    const asked = changeAllocation(begun, "hold", { shard: "eu.0" }) ?? begun;
    expect(nextPartyStep(asked, other)).toEqual({ kind: "begin" });
    const again = beginAllocation(asked, { key: "key2", bodyHash: "body", holdId: "hold2" }, nowMs);
    expect(nextPartyStep(again, request)).toMatchObject({ refusal: { code: "PARTY_HOLD_ENDED" } });
  });

  it("[PARTY-4] begins again, for all, where somebody joined after it was refused, and nobody joins meanwhile", () => {
    const begun = beginAllocation(partyOf("a", "b"), { key: "key", bodyHash: "body", holdId: "hold" }, nowMs);
    const newcomer = { playerId: "c", displayName: "" };
    for (const busy of [held(partyOf("a", "b")), changeAllocation(begun, "hold", { queue: "queue" })]) {
      if (busy === undefined) throw new Error("it was just begun");
      expect(joinParty(busy, newcomer, nowMs, false)).toMatchObject({ code: "PARTY_BUSY" });
    }
    expect(joinParty(begun, newcomer, nowMs, true)).toMatchObject({ code: "PARTY_BUSY" });
    const joined = after(joinParty(begun, newcomer, nowMs, false));
    expect(nextPartyStep(joined, request)).toEqual({ kind: "begin" });
  });

  it("[PARTY-3] that was given up is not brought back by a late answer", () => {
    const begun = beginAllocation(partyOf("a"), { key: "key", bodyHash: "body", holdId: "hold" }, nowMs);
    const given = after(giveUpAllocation(begun, "a"));
    expect(changeAllocation(given, "hold", { shard: "eu.0" })).toBeUndefined();
    expect(nextPartyStep(given, request)).toMatchObject({ refusal: { code: "PARTY_HOLD_ENDED" } });
    expect(nextPartyStep(given, { ...request, key: "key2" })).toEqual({ kind: "begin" });
    const again = beginAllocation(given, { key: "key2", bodyHash: "body", holdId: "hold2" }, nowMs);
    expect(changeAllocation(again, "hold", { shard: "eu.0" })).toBeUndefined();
  });
});

describe("a claim", () => {
  it("[PARTY-5] is taken until the hold's time is up, and repeated after it", () => {
    const party = held(partyOf("a", "b"));
    const claim = claimSeat(party, "a", "r1", nowMs + claimMs - 1);
    expect(claim).toMatchObject({ ok: true, holdId: "hold", shard: "eu.0", clusterId: "c" });
    const claimed = claim.ok ? claim.party : party;
    expect(claimSeat(claimed, "a", "r1", nowMs + claimMs).ok).toBe(true);
    expect(claimSeat(claimed, "a", "r2", nowMs + claimMs)).toMatchObject({ code: "PARTY_HOLD_ENDED" });
    expect(claimSeat(claimed, "b", "r3", nowMs + claimMs)).toMatchObject({ code: "PARTY_HOLD_ENDED" });
    expect(holdEndsAtMs(claimed)).toBeGreaterThan(nowMs + claimMs);
  });

  it("[PARTY-4] is for who is in the party and was in it when the seats were held", () => {
    const party = held(partyOf("a", "b"), ["a"]);
    expect(claimSeat(party, "b", "r", nowMs)).toMatchObject({ code: "PARTY_HOLD_ENDED" });
    expect(claimSeat(party, "x", "r", nowMs)).toMatchObject({ code: "PARTY_NOT_FOUND" });
    expect(claimSeat(party, "constructor", "r", nowMs)).toMatchObject({ code: "PARTY_NOT_FOUND" });
    expect(claimSeat(partyOf("a"), "a", "r", nowMs)).toMatchObject({ code: "PARTY_NOT_READY" });
  });
});

describe("a seat that is held for a party", () => {
  const cluster = { capacity: 1, seats: 1, joined: 0, players: 0 };
  const request = { reservationId: "r1", playerId: "a", generation: 1, expiresAt: nowMs / 1_000 + 60 };

  it("[PARTY-3] becomes its member's own, and none is left over when the ticket's time is up", () => {
    const seat = holdForParty(undefined, { holdId: "hold", playerId: "a", untilMs: nowMs + 500_000 });
    expect(hasRoom(cluster)).toBe(false);
    const outcome = reserveSeat(cluster, seat, { ...request, holdId: "hold" });
    expect(outcome).toMatchObject({
      ok: true,
      seat: { hold: { reservationId: "r1", generation: 1 }, earlierUntilMs: 0 },
    });
    expect(outcome.ok && isVacant(outcome.seat, nowMs + 66_000)).toBe(true);
  });

  it("[PARTY-3] leaves tickets that were made before as they were", () => {
    const before = reserveSeat({ ...cluster, seats: 0 }, undefined, { ...request, generation: 7 });
    if (!before.ok) throw new Error("there was room");
    const seat = holdForParty(before.seat, { holdId: "hold", playerId: "a", untilMs: nowMs + 1 });
    expect(isVacant(seat, nowMs + 60_000)).toBe(false);
    const claim = { ...request, reservationId: "r2", holdId: "hold" };
    const older = reserveSeat(cluster, seat, { ...claim, generation: 6 });
    expect(older).toEqual({ ok: false, reason: "superseded" });
    expect(reserveSeat(cluster, seat, { ...claim, generation: 8 }).ok).toBe(true);
    // Of the same generation is what was forgotten before there was a ticket: it is not newer than the claim.
    expect(reserveSeat(cluster, seat, { ...claim, generation: 7 }).ok).toBe(true);
  });
});

it.each(Array.from({ length: 60 }, (_, seed) => seed))(
  "[PARTY-2] [PARTY-4] no history gives a seat to who did not join (seed %i)",
  (seed) => {
    const random = randomSource(seed);
    const name = () => `p${random.below(6)}`;
    let party = createParty("party", { playerId: "p0", displayName: "" }, 2 + random.below(3), nowMs);
    let now = nowMs;
    /** Who has agreed, and not left or been sent away since. */
    let agreed = new Set(["p0"]);
    let stolen = 0;
    for (let step = 0; step < 200 && agreed.size > 0; step += 1) {
      now += random.below(20_000);
      const [player, by] = [name(), name()];
      switch (random.below(6)) {
        case 0: {
          const change = joinParty(party, { playerId: player, displayName: "" }, now, false);
          if (change.ok) [party, agreed] = [change.party, new Set([...agreed, player])];
          break;
        }
        case 1: {
          const change = leaveParty(party, player, by);
          if (change.ok) [party, agreed] = [change.party, new Set([...agreed].filter((each) => each !== player))];
          break;
        }
        case 2: {
          const request = { by, key: `k${random.below(2)}`, bodyHash: "", inFlight: false };
          if (nextPartyStep(party, request).kind !== "begin") break;
          party = held(party);
          break;
        }
        case 3: {
          const change = giveUpAllocation(party, by);
          if (change.ok) party = change.party;
          break;
        }
        default: {
          const claim = claimSeat(party, player, `r${step}`, nowMs);
          if (!claim.ok) break;
          party = claim.party;
          if (!agreed.has(player)) stolen += 1;
        }
      }
      const ids = party.members.map(({ playerId }) => playerId);
      expect(new Set(ids)).toEqual(agreed);
      expect(ids).toHaveLength(agreed.size);
      expect(ids.length).toBeLessThanOrEqual(party.size);
      expect(ids.filter((id) => isLeader(party, id))).toHaveLength(Math.min(1, ids.length));
      const seats = new Set(party.allocation?.hold?.playerIds);
      expect(Object.keys(party.allocation?.claims ?? {}).every((id) => seats.has(id))).toBe(true);
    }
    expect(stolen).toBe(0);
  },
);
