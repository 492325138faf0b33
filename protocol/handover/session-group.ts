import { generationAfterAbort, generationAfterCommit } from "./generation.ts";
import type { BetweenSessions, Decision } from "./messages.ts";
import { isSameMember, type MemberRef } from "./parties.ts";
import { type SessionEffect, type SessionState, type SessionStep, toMember } from "./session-state.ts";

/**
 * How the `PlayerSession`s of a group come to one decision: the first member's decides by its own compare-and-set, the others
 * are bound to it before, and ask. What it does not remember as committed is aborted. [HAND-11]
 */
export function stepMember<Body>(state: SessionState<Body>, message: BetweenSessions<Body>): SessionStep<Body> {
  switch (message.type) {
    case "decide":
      return decide(state, message);
    case "decision":
      return decided(state, message.leader, message.member, message.decision);
    case "decisionKept": {
      const groups = state.groups
        .map((group) =>
          group.from === message.leaderGeneration
            ? { ...group, members: group.members.filter((member) => !isSameMember(member, message.member)) }
            : group,
        )
        .filter((group) => group.members.length > 0);
      return { state: { ...state, groups }, effects: [] };
    }
  }
}

/** The question of a bound member to its leader; nothing for a player who is bound to nobody. */
export function askLeader<Body>(state: SessionState<Body>): SessionEffect<Body>[] {
  const { playerId, enlistment, last } = state;
  const leader = enlistment?.leader ?? last?.leader;
  const generation = enlistment === undefined ? last?.from : state.generation;
  const source = enlistment === undefined ? last?.source : state.holder;
  if (leader === undefined || generation === undefined || source === undefined) return [];
  const member = { playerId, generation };
  return [toMember(leader.playerId, { type: "decide", leaderGeneration: leader.generation, member, source })];
}

/** What this session has decided for others who have not confirmed it. */
export function decisionsToTell<Body>(state: SessionState<Body>): SessionEffect<Body>[] {
  return state.groups.flatMap((group) =>
    group.members.map((member) => tell(state, group.from, member, committed(group, member))),
  );
}

function decide<Body>(
  state: SessionState<Body>,
  message: Extract<BetweenSessions<Body>, { readonly type: "decide" }>,
): SessionStep<Body> {
  const { leaderGeneration, member, source } = message;
  const answer = (decision: Decision<Body>): SessionEffect<Body>[] => [tell(state, leaderGeneration, member, decision)];
  const group = state.groups.find((one) => one.from === leaderGeneration);
  const pending = group?.members.find((one) => isSameMember(one, member));
  if (group !== undefined && pending !== undefined) return { state, effects: answer(committed(group, pending)) };
  const { last, holder } = state;
  // Whom the commit has left out it will never move: a cluster that names a member to it all the same must not bind that one for good.
  const isLeftOut = last?.followers?.some((one) => isSameMember(one, member)) === false;
  if (last?.from === leaderGeneration && !isLeftOut) {
    if (last.outcome === "settled") return { state, effects: answer({ outcome: "final" }) };
    // The member has it; only the source can have it taken back, by asking here.
    if (last.outcome === "committed") return { state, effects: [] };
  }
  // A cluster that does not hold this player could not have it committed: what it names this player for is nothing to us.
  if (state.generation !== leaderGeneration || holder !== source) {
    return { state, effects: answer({ outcome: "aborted" }) };
  }
  const aborted: SessionState<Body> = {
    ...state,
    generation: generationAfterAbort(leaderGeneration),
    last: { id: "", from: leaderGeneration, source, outcome: "aborted", token: undefined, leader: undefined },
  };
  return { state: aborted, effects: answer({ outcome: "aborted" }) };
}

function decided<Body>(
  state: SessionState<Body>,
  leader: MemberRef,
  member: MemberRef,
  decision: Decision<Body>,
): SessionStep<Body> {
  const kept = toMember<Body>(leader.playerId, { type: "decisionKept", leaderGeneration: leader.generation, member });
  const effects = decision.outcome === "committed" ? [kept] : [];
  const { enlistment, last, holder } = state;
  if (enlistment !== undefined && isSameMember(enlistment.leader, leader) && state.generation === member.generation) {
    if (decision.outcome === "final" || holder === undefined) return { state, effects };
    const outcome = decision.outcome;
    const released: SessionState<Body> = {
      ...state,
      enlistment: undefined,
      last: {
        id: enlistment.id,
        from: member.generation,
        source: holder,
        outcome,
        token: undefined,
        leader,
        followers: [],
      },
    };
    if (decision.outcome === "aborted") {
      return { state: { ...released, generation: generationAfterAbort(member.generation) }, effects };
    }
    const generation = generationAfterCommit(member.generation);
    const save = { generation, version: 0, ...decision.snapshot };
    return { state: { ...released, generation, holder: decision.destination.clusterId, save }, effects };
  }
  const ours = last?.from === member.generation && last.leader !== undefined && isSameMember(last.leader, leader);
  if (!ours || last.outcome !== "committed" || decision.outcome === "committed") return { state, effects };
  if (decision.outcome === "final") return { state: { ...state, last: { ...last, outcome: "settled" } }, effects };
  const undone: SessionState<Body> = { ...state, last: { ...last, outcome: "aborted" } };
  if (state.generation !== generationAfterCommit(member.generation)) return { state: undone, effects };
  return {
    state: { ...undone, generation: generationAfterAbort(member.generation), holder: last.source },
    effects,
  };
}

function committed<Body>(
  group: SessionState<Body>["groups"][number],
  member: SessionState<Body>["groups"][number]["members"][number],
): Decision<Body> {
  return { outcome: "committed", id: group.id, destination: group.destination, snapshot: member.snapshot };
}

function tell<Body>(
  state: SessionState<Body>,
  leaderGeneration: number,
  member: MemberRef,
  decision: Decision<Body>,
): SessionEffect<Body> {
  const leader = { playerId: state.playerId, generation: leaderGeneration };
  const { playerId, generation } = member;
  return toMember(playerId, { type: "decision", leader, member: { playerId, generation }, decision });
}
