/** Rules of the handover, each broken on purpose: the explorer has to find what goes wrong. */
import { type DestinationStep, stepDestination } from "../../protocol/handover/destination.ts";
import { type SessionState, type SessionStep } from "../../protocol/handover/session-state.ts";
import { stepSession } from "../../protocol/handover/session.ts";
import { type SourceMember, type SourceState, type SourceStep } from "../../protocol/handover/source-state.ts";
import { stepSource } from "../../protocol/handover/source.ts";
import { type Parts, faithful } from "./parts.ts";
import type { History } from "./world.ts";

export interface Mutant {
  readonly name: string;
  /** The scene in which it shows. */
  readonly scene: string;
  /** The law that it breaks there first. */
  readonly law: string;
  readonly parts: Parts;
}

export const mutants: readonly Mutant[] = [
  {
    name: "a source takes a timeout for an abort",
    scene: "nothing else",
    law: "HAND-13",
    parts: {
      ...faithful,
      stepSource: (state, event) =>
        state.phase === "committing" && event.type === "timeout" ? playOnAndForget(state) : stepSource(state, event),
    },
  },
  {
    name: "a source in doubt releases the token when it comes after all",
    scene: "two outputs",
    law: "HAND-10",
    parts: {
      ...faithful,
      stepSource: (state, event) => {
        const late = state.phase === "doubt" && event.type === "session" && event.message.type === "committed";
        return stepSource(late ? { ...state, phase: "committing" } : state, event);
      },
    },
  },
  {
    name: "a source plays on though the destination may have played before it died",
    scene: "a kill and an output",
    law: "HAND-9",
    parts: {
      ...faithful,
      stepSource: (state, event) =>
        stepSource(state.phase === "released" ? { ...state, linkedBoot: state.destination.boot } : state, event),
    },
  },
  {
    name: "a source forgets what came after the freeze",
    scene: "an input and an output",
    law: "HAND-9",
    parts: {
      ...faithful,
      stepSource: (state, event) =>
        event.type === "item" && event.item.kind === "output" ? keep(state) : stepSource(state, event),
    },
  },
  {
    name: "a destination takes over without a commit",
    scene: "an input and an output",
    law: "HAND-1",
    parts: { ...faithful, stepDestination: takeOverAtOnce },
  },
  {
    name: "a destination takes over each forwarded item again after a new link",
    scene: "a broken connection and an output",
    law: "HAND-9",
    parts: {
      ...faithful,
      stepDestination: (state, event) => {
        if (event.type !== "source" || event.message.type !== "forward") return stepDestination(state, event);
        const { playerId, index } = event.message;
        const members = state.members.map((one) =>
          one.playerId === playerId ? { ...one, forwarded: index - 1 } : one,
        );
        return stepDestination({ ...state, members }, event);
      },
    },
  },
  {
    name: "an input is applied whenever it comes",
    scene: "an input and an output",
    law: "HAND-9",
    parts: { ...faithful, judgeInput: () => "next" },
  },
  {
    name: "PlayerSession commits without comparing",
    scene: "a lost letter and an output",
    law: "HAND-1",
    parts: {
      ...faithful,
      stepSession: (state, event) => {
        const [self] = event.type === "commit" ? event.message.members : [];
        if (event.type !== "commit" || self === undefined || state.last?.id === event.message.id)
          return stepSession(state, event);
        return stepSession({ ...state, generation: self.generation, holder: event.clusterId }, event);
      },
    },
  },
  {
    name: "PlayerSession saves for whoever asks",
    scene: "a kill, a save and an output",
    law: "HAND-8",
    parts: { ...faithful, stepSession: saveForAnyone },
  },
  {
    name: "PlayerSession takes a handover back though the destination has acted",
    scene: "a kill, a save and an output",
    law: "HAND-8",
    parts: {
      ...faithful,
      stepSession: (state, event) => {
        const { last } = state;
        const abort = event.type === "request" && event.message.type === "abort";
        if (!abort || last?.outcome !== "settled") return stepSession(state, event);
        return stepSession({ ...state, last: { ...last, outcome: "committed" } }, event);
      },
    },
  },
  {
    name: "a member of a group is released without asking the first one",
    scene: "a group and a kill",
    law: "HAND-11",
    parts: {
      ...faithful,
      stepSession: (state, event) => {
        const alone = event.type === "request" && (event.message.type === "enter" || event.message.type === "abort");
        return stepSession(alone ? { ...state, enlistment: undefined } : state, event);
      },
    },
  },
  {
    name: "a group goes on without waiting for its members to be bound",
    scene: "a group and a lost letter",
    law: "HAND-1",
    parts: {
      ...faithful,
      stepSource: (state, event) => {
        const members = state.members.map((member) => ({ ...member, enlisted: true }));
        return stepSource({ ...state, members }, event);
      },
    },
  },
  {
    name: "a client is put on whatever streams there are",
    scene: "a kill and an output",
    law: "HAND-10",
    parts: {
      ...faithful,
      resumeStreams: (streams, position) => {
        const { lastOutput, lastInput, tenure, unacknowledged } = streams;
        const received = Math.min(Math.max(position.received, lastOutput - unacknowledged.length), lastOutput);
        const acknowledged = Math.min(position.acknowledged, lastInput);
        return faithful.resumeStreams(streams, { tenure, received, acknowledged });
      },
    },
  },
  {
    name: "a player who comes with a ticket is always loaded",
    scene: "a broken connection and an output",
    law: "HAND-10",
    parts: { ...faithful, chooseStart: (entered) => faithful.chooseStart(entered, undefined, undefined) },
  },
];

function keep(state: SourceState<History>): SourceStep<History> {
  return { state, effects: [] };
}

function playOnAndForget(state: SourceState<History>): SourceStep<History> {
  const effects = state.members.flatMap(({ playerId, generation, snapshot, held }: SourceMember<History>) =>
    snapshot === undefined ? [] : [{ type: "play" as const, playerId, generation, snapshot, items: held }],
  );
  return { state: { ...state, phase: "ended" }, effects };
}

function takeOverAtOnce(...[state, event]: Parameters<Parts["stepDestination"]>): DestinationStep<History> {
  const held = stepDestination(state, event);
  if (event.type !== "admitted" || held.state.phase !== "holding") return held;
  const { id, source, self, members } = held.state;
  const claims = { id, source, destination: self, members };
  const active = stepDestination(held.state, { type: "commit", claims, from: "source" });
  return { state: active.state, effects: [...held.effects, ...active.effects] };
}

function saveForAnyone(...[state, event]: Parameters<Parts["stepSession"]>): SessionStep<History> {
  if (event.type !== "request" || event.message.type !== "save") return stepSession(state, event);
  const { generation, version, state: history } = event.message;
  const saved: SessionState<History> = { ...state, save: { generation, version, state: history, streams: undefined } };
  return { state: saved, effects: [] };
}
