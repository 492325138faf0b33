import { describe, expect, it } from "vitest";
import { stepsPerSession } from "./generation.ts";
import type { HeldItem } from "./messages.ts";
import { maxMembers, type Snapshot } from "./parties.ts";
import { answerForgotten, beginHandover, stepSource } from "./source.ts";
import {
  governsCopy,
  handoverHolding,
  maxHeldItems,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
} from "./source-state.ts";
import { openStreams } from "./streams.ts";

type Event = SourceEvent<string>;

const generation = stepsPerSession;
const destination = { clusterId: "B", boot: 4 };
const snapshot: Snapshot<string> = { state: "as it stood", streams: { ...openStreams(generation), lastInput: 5 } };

const prepared: Event = { type: "destination", message: { type: "prepared", id: "h" } };
const frozen: Event = { type: "frozen", snapshots: { p: snapshot, q: snapshot } };
const ready: Event = { type: "destination", message: { type: "ready", id: "h" } };
const committed: Event = { type: "session", message: { type: "committed", id: "h", token: "token" } };
const activated: Event = { type: "destination", message: { type: "activated", id: "h", superseded: [] } };
const refused: Event = { type: "destination", message: { type: "refused", id: "h", reason: "unknown" } };
const timeout: Event = { type: "timeout" };

function input(sequence: number): HeldItem<string> {
  return { kind: "input", sequence, body: `input ${sequence}` };
}

function item(sequence: number, playerId = "p"): Event {
  return { type: "item", playerId, item: input(sequence) };
}

function aborted(playerId = "p"): Event {
  return { type: "session", message: { type: "aborted", playerId, generation, newGeneration: generation + 2 } };
}

/** A handover of these players after some events, and everything that it asked for. */
function after(players: readonly string[], ...events: readonly Event[]) {
  const candidates = players.map((playerId) => ({ playerId, generation, key: `key ${playerId}`, clientHere: true }));
  let { state, effects }: { state: SourceState<string>; effects: readonly SourceEffect<string>[] } = beginHandover(
    "h",
    destination,
    candidates,
  );
  const all = [...effects];
  for (const event of events) {
    ({ state, effects } = stepSource(state, event));
    all.push(...effects);
  }
  return { state, effects: all, last: effects, types: effects.map((effect) => effect.type) };
}

const untilCommitting = [prepared, frozen, ready] as const;
const untilReleased = [...untilCommitting, committed] as const;

describe("the source", () => {
  it("goes step by step: prepare, freeze, transfer, commit, release, forward, finish", () => {
    const { state, effects } = after(["p"], ...untilReleased, activated, timeout);
    const steps = effects.map((effect) => ("message" in effect ? effect.message.type : effect.type));
    expect(steps).toEqual([
      "prepare",
      "freeze",
      "transfer",
      "commit",
      "commit",
      "depart",
      "redirect",
      "finished",
      "drop",
    ]);
    expect(state).toMatchObject({ phase: "ended", members: [{ outcome: "moved" }] });
  });

  it("[HAND-5] gives a lone player back at once as long as the commit was not sent", () => {
    expect(after(["p"], timeout).types).toEqual(["toDestination"]);
    for (const end of [timeout, refused, { type: "linkDown" }, { type: "cancel" }] satisfies Event[]) {
      const { state, effects, last } = after(["p"], prepared, frozen, item(6), end);
      expect(state).toMatchObject({ phase: "ended", members: [{ outcome: "stayed" }] });
      expect(effects.some((effect) => effect.type === "toSession")).toBe(false);
      expect(last).toContainEqual({ type: "play", playerId: "p", generation, snapshot, items: [input(6)] });
    }
  });

  it("[HAND-5] after the commit was sent, plays on and asks until PlayerSession has answered", () => {
    const doubt = after(["p"], ...untilCommitting, item(6), timeout);
    expect(doubt.state.phase).toBe("doubt");
    expect(doubt.last).toContainEqual({ type: "play", playerId: "p", generation, snapshot, items: [input(6)] });
    const question = { type: "toSession", playerId: "p", message: { type: "abort", generation } };
    expect(doubt.last).toContainEqual(question);
    const again = stepSource(doubt.state, timeout);
    expect(again).toEqual({ state: doubt.state, effects: [question] });
    const answer = stepSource(again.state, aborted());
    expect(answer.state.phase).toBe("ended");
    expect(answer.effects).toEqual([{ type: "adopt", playerId: "p", from: generation, generation: generation + 2 }]);
  });

  it("[HAND-5] does not release a token that comes when it has begun to doubt", () => {
    const late = after(["p"], ...untilCommitting, timeout, committed);
    expect(late).toMatchObject({ state: { phase: "doubt" }, last: [] });
  });

  it("[HAND-5] does not release to a destination that may have restarted meanwhile", () => {
    const linkUp: Event = { type: "linkUp", boot: 4 };
    const { state, last } = after(["p"], ...untilCommitting, { type: "linkDown" }, linkUp, committed);
    expect(state.phase).toBe("doubt");
    expect(last).toContainEqual({ type: "toSession", playerId: "p", message: { type: "abort", generation } });
  });

  it("[HAND-5] plays on when the process that prepared refuses, and stands still when another one does", () => {
    const same = after(["p"], ...untilReleased, refused);
    expect(same).toMatchObject({
      state: { phase: "doubt" },
      types: ["toDestination", "play", "toClient", "toSession"],
    });
    const other = after(["p"], ...untilReleased, { type: "linkDown" }, { type: "linkUp", boot: 5 }, item(6), refused);
    expect(other).toMatchObject({ state: { phase: "reclaiming" }, types: ["toSession"] });
    const back = stepSource(other.state, aborted());
    expect(back.effects).toEqual([
      { type: "play", playerId: "p", generation, snapshot, items: [input(6)] },
      { type: "toClient", playerId: "p", message: { type: "stay", id: "h" } },
      { type: "adopt", playerId: "p", from: generation, generation: generation + 2 },
    ]);
    const lost = stepSource(other.state, {
      type: "session",
      message: { type: "superseded", playerId: "p", generation },
    });
    expect(lost.effects).toEqual([{ type: "drop", playerId: "p", generation, outcome: "superseded" }]);
  });

  it("[HAND-6] holds what comes while the players stand still, each input once", () => {
    const output: Event = { type: "item", playerId: "p", item: { kind: "output", body: "o" } };
    const { state } = after(["p"], prepared, frozen, item(6), item(6), output, item(5), item(7));
    expect(state.members[0]?.held).toEqual([input(6), { kind: "output", body: "o" }, input(7)]);
    expect(after(["p"], prepared, item(6)).state.members[0]?.held).toEqual([]);
  });

  it("[HAND-7] forwards what it holds behind the token, again after a new link, until it is acknowledged", () => {
    const up: Event = { type: "linkUp", boot: 4 };
    const forwarded: Event = { type: "destination", message: { type: "forwarded", id: "h", playerId: "p", index: 1 } };
    const released = after(["p"], ...untilCommitting, item(6), committed, item(7));
    const sent = released.effects.flatMap((effect) => (effect.type === "toDestination" ? [effect.message] : []));
    expect(sent.slice(-3)).toEqual([
      { type: "commit", id: "h", token: "token" },
      { type: "forward", id: "h", playerId: "p", index: 1, item: input(6) },
      { type: "forward", id: "h", playerId: "p", index: 2, item: input(7) },
    ]);
    expect(stepSource(released.state, up).effects.map((effect) => "message" in effect && effect.message.type)).toEqual([
      "commit",
      "forward",
      "forward",
    ]);
    const acknowledged = after(
      ["p"],
      ...untilCommitting,
      item(6),
      committed,
      item(7),
      activated,
      forwarded,
      forwarded,
      up,
    );
    expect(acknowledged.last).toEqual([
      { type: "toDestination", message: { type: "forward", id: "h", playerId: "p", index: 2, item: input(7) } },
    ]);
    expect(stepSource(acknowledged.state, timeout).state.phase).toBe("released");
  });

  it("[HAND-7] leaves what comes for a player to the newest of its copy and its handovers", () => {
    const { state } = after(["p"], ...untilReleased);
    const newer = {
      ...state,
      id: "newer",
      members: state.members.map((one) => ({ ...one, generation: generation + 2 })),
    };
    expect(handoverHolding([state], "p", undefined)).toBe(state);
    expect(handoverHolding([state], "p", generation)).toBe(state);
    expect(handoverHolding([state], "p", generation + 2)).toBeUndefined();
    expect(handoverHolding([newer, state], "p", generation + 2)).toBe(newer);
    expect(handoverHolding([state], "q", undefined)).toBeUndefined();
  });

  it("[HAND-8] delays saves from the freeze until the decision; of a group, from the beginning", () => {
    expect(governsCopy(after(["p"]).state, "p")).toBe(false);
    expect(governsCopy(after(["p", "q"]).state, "q")).toBe(true);
    for (const events of [[prepared, frozen], untilCommitting, [...untilCommitting, timeout]]) {
      expect(governsCopy(after(["p"], ...events).state, "p")).toBe(true);
    }
    expect(governsCopy(after(["p"], ...untilCommitting, timeout, aborted()).state, "p")).toBe(false);
  });

  it("[HAND-11] freezes a group only when each member's PlayerSession is bound to the first one's", () => {
    const enlisted: Event = { type: "session", message: { type: "enlisted", id: "h", playerId: "q" } };
    const begun = after(["p", "q"], prepared);
    expect(begun.state.phase).toBe("preparing");
    expect(begun.effects).toContainEqual({
      type: "toSession",
      playerId: "q",
      message: { type: "enlist", id: "h", generation, leader: { playerId: "p", generation } },
    });
    expect(after(["p", "q"], prepared, enlisted).types).toEqual(["freeze"]);
  });

  it("[HAND-11] takes a group back by asking the first one's PlayerSession, and then the others'", () => {
    const doubt = after(["p", "q"], prepared, timeout);
    expect(doubt.last).toContainEqual({ type: "toSession", playerId: "p", message: { type: "abort", generation } });
    const first = stepSource(doubt.state, aborted("p"));
    expect(first.effects).toEqual([
      { type: "adopt", playerId: "p", from: generation, generation: generation + 2 },
      { type: "toSession", playerId: "q", message: { type: "abort", generation } },
    ]);
    expect(stepSource(first.state, aborted("q")).state.phase).toBe("ended");
  });

  it("lets go of a player whom a newer session has, in every phase, but not for its own two outcomes", () => {
    for (const events of [[], [prepared, frozen], untilCommitting, [...untilCommitting, timeout], untilReleased]) {
      const { state } = after(["p"], ...events);
      const fence = (newest: number): Event => ({
        type: "session",
        message: { type: "fence", playerId: "p", generation: newest },
      });
      expect(stepSource(state, fence(generation + 2)).state).toEqual(state);
      const fenced = stepSource(state, fence(2 * stepsPerSession));
      expect(fenced.state).toMatchObject({ phase: "ended", members: [{ outcome: "superseded" }] });
      expect(fenced.effects).toContainEqual({ type: "drop", playerId: "p", generation, outcome: "superseded" });
    }
  });

  it("[HAND-14] gives the key to the destination and to the client, and never to PlayerSession", () => {
    const { effects } = after(["p"], ...untilReleased);
    const keyed = effects.filter((effect) => JSON.stringify(effect).includes("key p"));
    expect(
      keyed.map((effect) => ("message" in effect ? `${effect.type} ${effect.message.type}` : effect.type)),
    ).toEqual(["toDestination transfer", "toClient redirect"]);
  });

  it("tells a client that comes back to the old side where to go", () => {
    const { last } = after(
      ["p"],
      ...untilReleased,
      { type: "clientGone", playerId: "p" },
      { type: "clientBack", playerId: "p" },
    );
    expect(last).toEqual([
      {
        type: "toClient",
        playerId: "p",
        message: { type: "redirect", id: "h", destination, key: "key p", token: "token" },
      },
    ]);
  });

  it("[HAND-15] plays a flooded player here rather than hold without end", () => {
    const flood = Array.from({ length: maxHeldItems }, (_, index) => item(6 + index));
    const almost = after(["p"], ...untilCommitting, ...flood.slice(1));
    expect(almost.state.phase).toBe("committing");
    const { state, last } = after(["p"], ...untilCommitting, ...flood);
    expect(state.phase).toBe("doubt");
    const played = last.find((effect) => effect.type === "play");
    expect(played?.type === "play" && played.items.length).toBe(maxHeldItems);
    const released = after(["p"], ...untilReleased, ...flood, item(6 + maxHeldItems));
    expect(released.state.members[0]?.held.length).toBe(maxHeldItems);
  });

  it("[HAND-15] takes a bounded group, of players whose session has generations left", () => {
    const candidate = { playerId: "p", generation, key: "k", clientHere: false };
    expect(() => beginHandover("h", destination, [])).toThrow(RangeError);
    expect(() =>
      beginHandover(
        "h",
        destination,
        Array.from({ length: maxMembers + 1 }, () => candidate),
      ),
    ).toThrow(RangeError);
    expect(() => beginHandover("h", destination, [{ ...candidate, generation: 2 * generation - 2 }])).toThrow(
      RangeError,
    );
  });

  it("answers for handovers that it has forgotten", () => {
    const answers = (["prepared", "ready"] as const).map((type) => answerForgotten({ type, id: "old" }));
    expect(answers).toMatchObject([{ message: { type: "abort" } }, { message: { type: "abort" } }]);
    expect(answerForgotten({ type: "activated", id: "old", superseded: [] })).toMatchObject({
      message: { type: "finished" },
    });
    expect(answerForgotten({ type: "refused", id: "old", reason: "full" })).toBeUndefined();
  });

  it("plays a player whose freeze came too late", () => {
    const { last } = after(["p"], prepared, timeout, frozen);
    expect(last).toEqual([{ type: "play", playerId: "p", generation, snapshot, items: [] }]);
  });
});
