import { type BodyLength, maxCommitLength, maxSnapshotLength, snapshotsLength } from "./commit-length.ts";
import { canStep, generationAfterAbort, generationAfterCommit } from "./generation.ts";
import type { Save, ToSession } from "./messages.ts";
import { maxMembers } from "./parties.ts";
import { askLeader, decisionsToTell, stepMember } from "./session-group.ts";
import {
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  type SessionStep,
  toCluster,
  type WaitingRequest,
} from "./session-state.ts";

/**
 * `PlayerSession`'s production step: pure, and total. Every change of authority is a compare-and-set of the generation. [HAND-3]
 *
 * @param lengthOf what bodies take up where the state is kept; as if nothing where that has no bound [HAND-21]
 */
export function stepSession<Body>(
  state: SessionState<Body>,
  event: SessionEvent<Body>,
  lengthOf: BodyLength<Body> = () => 0,
): SessionStep<Body> {
  switch (event.type) {
    case "request":
      if (event.message.type === "enlist") return enlist(state, event.clusterId, event.message, lengthOf);
      return requested(state, event.clusterId, event.message);
    case "commit":
      return commit(state, event, lengthOf);
    case "member":
      return serveWaiting(state, stepMember(state, event.message));
    case "timeout":
      return { state, effects: decisionsToTell(state) };
  }
}

function requested<Body>(
  state: SessionState<Body>,
  clusterId: string,
  message: Exclude<ToSession<Body>, { type: "commit" | "enlist" }>,
): SessionStep<Body> {
  switch (message.type) {
    case "enter":
    case "abort":
      if (state.enlistment !== undefined) return waitForLeader(state, { clusterId, message });
      return message.type === "enter"
        ? enter(state, clusterId, message.generation)
        : abort(state, clusterId, message.generation);
    case "save":
      return save(state, clusterId, message);
    case "joined":
      return joined(state, clusterId, message.generation);
  }
}

/** A ticket was used. Who had authority is fenced before the newest save is read: nothing newer can appear. [HAND-3] */
function enter<Body>(state: SessionState<Body>, clusterId: string, generation: number): SessionStep<Body> {
  const { playerId, last } = state;
  const repeated = generation === state.generation && clusterId === state.holder;
  if (!repeated && (generation <= state.generation || generation > state.issued)) {
    return { state, effects: [toCluster(clusterId, { type: "superseded", playerId, generation })] };
  }
  const older = new Set<string>();
  if (!repeated && state.holder !== undefined) older.add(state.holder);
  if (!repeated && last?.outcome === "committed" && generationAfterCommit(last.from) === state.generation) {
    older.add(last.source);
  }
  older.delete(clusterId);
  const after: SessionState<Body> = repeated
    ? state
    : { ...state, generation, holder: clusterId, previousGeneration: state.generation };
  const { previousGeneration, save } = after;
  return {
    state: after,
    effects: [
      toCluster(clusterId, { type: "entered", playerId, generation, previousGeneration, save }),
      ...[...older].map((cluster) => toCluster<Body>(cluster, { type: "fence", playerId, generation })),
    ],
  };
}

function commit<Body>(
  state: SessionState<Body>,
  { clusterId, message, token }: Extract<SessionEvent<Body>, { readonly type: "commit" }>,
  lengthOf: BodyLength<Body>,
): SessionStep<Body> {
  const { id, destination, members } = message;
  const [self, ...followers] = members;
  const { last } = state;
  const done = last?.id === id && last.source === clusterId && last.outcome !== "aborted" && last.token !== undefined;
  if (done && state.generation === generationAfterCommit(last.from)) {
    // The answer was lost: the same bytes again.
    return { state, effects: [toCluster(clusterId, { type: "committed", id, token: last.token })] };
  }
  if (
    self?.playerId !== state.playerId ||
    self.generation !== state.generation ||
    state.holder !== clusterId ||
    state.enlistment !== undefined ||
    members.length > maxMembers ||
    !canStep(self.generation)
  ) {
    return { state, effects: [toCluster(clusterId, { type: "commitRefused", id })] };
  }
  const length = snapshotsLength(
    members.map(({ snapshot }) => snapshot),
    lengthOf,
  );
  if (length + pendingLength(state, lengthOf) > maxCommitLength) {
    // Decided here and now: nobody has to ask again what has become of it.
    const aborted = abort(state, clusterId, self.generation);
    const refused = toCluster<Body>(clusterId, { type: "commitRefused", id, reason: "tooLarge" });
    return { state: aborted.state, effects: [refused, ...aborted.effects] };
  }
  const generation = generationAfterCommit(self.generation);
  const decided = followers.length === 0 ? [] : [{ id, from: self.generation, destination, members: followers }];
  const after: SessionState<Body> = {
    ...state,
    generation,
    holder: destination.clusterId,
    save: { generation, version: 0, ...self.snapshot },
    last: {
      id,
      from: self.generation,
      source: clusterId,
      outcome: "committed",
      token,
      leader: undefined,
      followers: followers.map(({ playerId, generation: from }) => ({ playerId, generation: from })),
    },
    groups: [...state.groups, ...decided],
  };
  // What was decided before was told then, and is again when its time is up.
  const effects = decisionsToTell({ ...after, groups: decided });
  return { state: after, effects: [toCluster(clusterId, { type: "committed", id, token }), ...effects] };
}

/** What this session keeps for members of groups that have not confirmed it. */
function pendingLength<Body>({ groups }: SessionState<Body>, lengthOf: BodyLength<Body>): number {
  return snapshotsLength(
    groups.flatMap(({ members }) => members.map(({ snapshot }) => snapshot)),
    lengthOf,
  );
}

/** Takes a handover back, decided or not, unless the destination has acted on it. [HAND-5] */
function abort<Body>(state: SessionState<Body>, clusterId: string, generation: number): SessionStep<Body> {
  const { playerId, last } = state;
  const newGeneration = generationAfterAbort(generation);
  const aborted = toCluster<Body>(clusterId, { type: "aborted", playerId, generation, newGeneration });
  const superseded = toCluster<Body>(clusterId, { type: "superseded", playerId, generation });
  if (state.generation === generation && state.holder === clusterId) {
    const decided = { id: "", from: generation, source: clusterId, outcome: "aborted" as const, token: undefined };
    return {
      state: { ...state, generation: newGeneration, last: { ...decided, leader: undefined } },
      effects: [aborted],
    };
  }
  if (last?.from !== generation || last.source !== clusterId || last.outcome === "settled") {
    return { state, effects: [superseded] };
  }
  if (last.outcome === "aborted") {
    return { state, effects: [state.generation === newGeneration ? aborted : superseded] };
  }
  // Of a group only the first one's session may take back what it has decided.
  if (last.leader !== undefined) return waitForLeader(state, { clusterId, message: { type: "abort", generation } });
  const undone: SessionState<Body> = {
    ...state,
    last: { ...last, outcome: "aborted", token: undefined },
    groups: state.groups.filter((group) => group.from !== generation),
  };
  if (state.generation !== generationAfterCommit(generation)) return { state: undone, effects: [superseded] };
  return { state: { ...undone, generation: newGeneration, holder: clusterId }, effects: [aborted] };
}

function enlist<Body>(
  state: SessionState<Body>,
  clusterId: string,
  message: Extract<ToSession<Body>, { readonly type: "enlist" }>,
  lengthOf: BodyLength<Body>,
): SessionStep<Body> {
  const { playerId, enlistment } = state;
  const { id, generation, leader } = message;
  const free = enlistment === undefined || enlistment.id === id;
  const authorised = generation === state.generation && clusterId === state.holder && canStep(generation);
  // Its own snapshot, which the decision brings, has to find room.
  const hasRoom = pendingLength(state, lengthOf) + maxSnapshotLength <= maxCommitLength;
  if (!free || !authorised || leader.playerId === playerId || !hasRoom) {
    return { state, effects: [toCluster(clusterId, { type: "enlistRefused", id, playerId })] };
  }
  return {
    state: { ...state, enlistment: { id, leader } },
    effects: [toCluster(clusterId, { type: "enlisted", id, playerId })],
  };
}

/** Only the newest generation can save, and only onto what was saved before. [HAND-8] */
function save<Body>(
  state: SessionState<Body>,
  clusterId: string,
  message: Extract<ToSession<Body>, { readonly type: "save" }>,
): SessionStep<Body> {
  const { playerId, save: known } = state;
  const { generation, version } = message;
  const answer = (type: "saved" | "saveLater"): SessionStep<Body> => ({
    state,
    effects: [
      toCluster(clusterId, type === "saved" ? { type, playerId, generation, version } : { type, playerId, generation }),
    ],
  });
  if (generation !== state.generation || clusterId !== state.holder) {
    return isUndecidedSource(state, clusterId, generation) ? answer("saveLater") : fence(state, clusterId, generation);
  }
  if (state.enlistment !== undefined) return answer("saveLater");
  // A repeated save, or one that a newer one has overtaken.
  if (known !== undefined && known.generation === generation && known.version >= version) return answer("saved");
  const newest: Save<Body> = { generation, version, state: message.state, streams: undefined };
  return { state: { ...settle(state), save: newest }, effects: answer("saved").effects };
}

function joined<Body>(state: SessionState<Body>, clusterId: string, generation: number): SessionStep<Body> {
  const { playerId, last } = state;
  const handedOn = last?.from === generation && last.source === clusterId;
  if ((generation === state.generation && clusterId === state.holder) || handedOn) {
    // Who began a handover from a generation had it for good.
    const effects = [toCluster<Body>(clusterId, { type: "settled", playerId, generation })];
    return { state: handedOn ? state : settle(state), effects };
  }
  return fence(state, clusterId, generation);
}

/** Tells a cluster that is behind. One that is ahead has yet to enter. */
function fence<Body>(state: SessionState<Body>, clusterId: string, generation: number): SessionStep<Body> {
  const { playerId } = state;
  if (generation > state.generation) return { state, effects: [] };
  return { state, effects: [toCluster(clusterId, { type: "fence", playerId, generation: state.generation })] };
}

function settle<Body>(state: SessionState<Body>): SessionState<Body> {
  const { last } = state;
  if (last?.outcome !== "committed" || generationAfterCommit(last.from) !== state.generation) return state;
  return { ...state, last: { ...last, outcome: "settled" } };
}

/** Whether a source that is behind may yet get its authority back. */
function isUndecidedSource(state: SessionState<unknown>, clusterId: string, generation: number): boolean {
  const { last } = state;
  return (
    last?.outcome === "committed" &&
    last.from === generation &&
    last.source === clusterId &&
    state.generation === generationAfterCommit(generation)
  );
}

function waitForLeader<Body>(state: SessionState<Body>, request: WaitingRequest): SessionStep<Body> {
  const others = state.waiting.filter((one) => one.message.type !== request.message.type);
  const same = state.waiting.find((one) => one.message.type === request.message.type);
  const keep = same !== undefined && same.message.generation > request.message.generation ? same : request;
  const after: SessionState<Body> = { ...state, waiting: [...others, keep] };
  return { state: after, effects: askLeader(after) };
}

/** Answers what waited for a decision, once there is one. */
function serveWaiting<Body>(before: SessionState<Body>, step: SessionStep<Body>): SessionStep<Body> {
  if (step.state === before || step.state.enlistment !== undefined) return step;
  let state: SessionState<Body> = { ...step.state, waiting: [] };
  const effects: SessionEffect<Body>[] = [...step.effects];
  for (const { clusterId, message } of step.state.waiting) {
    const served = requested(state, clusterId, message);
    state = served.state;
    effects.push(...served.effects);
  }
  return { state, effects };
}
