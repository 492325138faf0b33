import { describe, expect, it } from "vitest";
import { answerUnknown, beginReservation, type DestinationEvent, stepDestination } from "./destination.ts";
import { stepsPerSession } from "./generation.ts";
import type { CommitClaims, MemberTransfer } from "./parties.ts";
import { openStreams } from "./streams.ts";

type Event = DestinationEvent<string>;

const generation = stepsPerSession;
const self = { clusterId: "B", boot: 4 };
const members = [{ playerId: "p", generation }];
const streams = { ...openStreams<string>(generation), lastInput: 5, lastOutput: 2, unacknowledged: ["two"] };
const transfers: MemberTransfer<string>[] = [
  { playerId: "p", generation, key: "key", snapshot: { state: "s", streams } },
];
const claims: CommitClaims = { id: "h", source: "A", destination: self, members };

const reserved: Event = { type: "reserved" };
const transfer: Event = { type: "source", message: { type: "transfer", id: "h", members: transfers } };
const admitted: Event = { type: "admitted" };
const commit: Event = { type: "commit", claims, from: "source" };
const abort: Event = { type: "source", message: { type: "abort", id: "h" } };
const finished: Event = { type: "source", message: { type: "finished", id: "h" } };

function forward(index: number, playerId = "p"): Event {
  return {
    type: "source",
    message: { type: "forward", id: "h", playerId, index, item: { kind: "output", body: `${index}` } },
  };
}

function after(...events: readonly Event[]) {
  let { state, effects } = beginReservation<string>({ type: "prepare", id: "h", members }, "A", self);
  const all = [...effects];
  for (const event of events) {
    ({ state, effects } = stepDestination(state, event));
    all.push(...effects);
  }
  return { state, effects: all, last: effects };
}

const untilHolding = [reserved, transfer, admitted] as const;

describe("the destination", () => {
  it("goes step by step: reserve, admit, hold, activate", () => {
    const { state, effects } = after(...untilHolding, commit, finished);
    const steps = effects.map((effect) => ("message" in effect ? effect.message.type : effect.type));
    expect(steps).toEqual(["reserve", "prepared", "admit", "ready", "activate", "activated", "joined"]);
    expect(state.phase).toBe("ended");
  });

  it("[HAND-12] says over a new link once more that it has taken over, until the source has finished", () => {
    const up: Event = { type: "linkUp" };
    const answer = { type: "toSource", message: { type: "activated", id: "h", superseded: [] } };
    expect(after(...untilHolding, commit, up).last).toEqual([answer]);
    for (const events of [[], [reserved], untilHolding, [...untilHolding, commit, finished]]) {
      expect(after(...events, up).last).toEqual([]);
    }
  });

  it("[HAND-4] lets nobody play before the commit", () => {
    for (const events of [[], [reserved], [reserved, transfer], untilHolding]) {
      expect(after(...events).effects.some((effect) => effect.type === "activate")).toBe(false);
    }
  });

  it.each<[string, CommitClaims]>([
    ["another handover", { ...claims, id: "other" }],
    ["another source", { ...claims, source: "C" }],
    ["another cluster", { ...claims, destination: { clusterId: "C", boot: 4 } }],
    ["another boot", { ...claims, destination: { clusterId: "B", boot: 5 } }],
    ["another generation", { ...claims, members: [{ playerId: "p", generation: generation + 2 }] }],
    ["another player", { ...claims, members: [{ playerId: "q", generation }] }],
    ["more players", { ...claims, members: [...members, { playerId: "q", generation }] }],
  ])("[HAND-4] does not act on a commit for %s", (_name, other) => {
    const fromSource = after(...untilHolding, { type: "commit", claims: other, from: "source" });
    expect(fromSource.state.phase).toBe("ended");
    expect(fromSource.last).toContainEqual({
      type: "toSource",
      message: { type: "refused", id: "h", reason: "invalid" },
    });
    // A client with a foreign token does not spoil the handover.
    expect(after(...untilHolding, { type: "commit", claims: other, from: "client" })).toMatchObject({
      state: { phase: "holding" },
      last: [],
    });
  });

  it("[HAND-4] takes the commit from the client's hands as well, and says so when the source's comes", () => {
    const first = after(...untilHolding, { type: "commit", claims, from: "client" });
    expect(first.state.phase).toBe("active");
    const second = stepDestination(first.state, commit);
    expect(second).toEqual({
      state: first.state,
      effects: [{ type: "toSource", message: { type: "activated", id: "h", superseded: [] } }],
    });
  });

  it("[HAND-4] having said no, or given up, it never says yes", () => {
    for (const end of [abort, { type: "timeout" } as const, finished]) {
      const { state } = after(...untilHolding, end);
      expect(state.phase).toBe("ended");
      expect(stepDestination(state, commit)).toEqual({ state, effects: [] });
    }
    expect(answerUnknown({ type: "commit", id: "gone", token: "t" })).toEqual({
      type: "refused",
      id: "gone",
      reason: "unknown",
    });
    expect(answerUnknown({ type: "finished", id: "gone" })).toBeUndefined();
  });

  it("carries the streams on under its own tenure", () => {
    const activate = after(...untilHolding, commit).last.find((effect) => effect.type === "activate");
    expect(activate).toMatchObject({
      playerId: "p",
      generation: generation + 1,
      snapshot: {
        state: "s",
        streams: {
          tenure: generation + 1,
          past: [{ tenure: generation, lastInput: 5, lastOutput: 2 }],
          lastInput: 5,
          lastOutput: 2,
          unacknowledged: ["two"],
        },
      },
    });
  });

  it("[HAND-14] gives the client's key to whoever lets the client in", () => {
    expect(after(...untilHolding, commit).last).toContainEqual(
      expect.objectContaining({ type: "activate", key: "key" }),
    );
  });

  it("[HAND-5] once active it is not asked back by the source, nor by time", () => {
    const { state } = after(...untilHolding, commit);
    expect(stepDestination(state, abort)).toEqual({ state, effects: [] });
    expect(stepDestination(state, { type: "timeout" }).state).toEqual(state);
  });

  it("[HAND-5] does not forget that it is active before PlayerSession knows", () => {
    const joined = { type: "toSession", playerId: "p", message: { type: "joined", generation: generation + 1 } };
    const active = after(...untilHolding, commit);
    expect(active.last).toContainEqual(joined);
    expect(stepDestination(active.state, { type: "timeout" }).effects).toEqual([joined]);
    expect(stepDestination(active.state, { type: "abandon" }).state.phase).toBe("active");
    const { state } = stepDestination(active.state, { type: "settled", playerId: "p", generation: generation + 1 });
    expect(stepDestination(state, { type: "timeout" }).effects).toEqual([]);
    expect(stepDestination(state, { type: "abandon" }).state.phase).toBe("ended");
  });

  it("[HAND-7] takes each forwarded item over once, in order", () => {
    const { effects } = after(...untilHolding, commit, forward(1), forward(3), forward(1), forward(2));
    const taken = effects.flatMap((effect) => (effect.type === "deliver" ? [effect.item] : []));
    expect(taken).toEqual([
      { kind: "output", body: "1" },
      { kind: "output", body: "2" },
    ]);
    expect(after(...untilHolding, forward(1)).last).toEqual([]);
    expect(after(...untilHolding, commit, forward(1, "q")).last).toEqual([]);
  });

  it("gives way to a newer session of the player", () => {
    const fence: Event = { type: "fence", playerId: "p", generation: 2 * stepsPerSession };
    const waiting = after(...untilHolding, fence);
    expect(waiting).toMatchObject({ state: { phase: "ended" }, last: [{ type: "unreserve" }] });
    const active = after(...untilHolding, commit, fence, forward(1));
    expect(active.last).toEqual([
      { type: "toSource", message: { type: "forwarded", id: "h", playerId: "p", index: 1 } },
    ]);
  });

  it.each<[string, readonly Event[]]>([
    ["full", [{ type: "notReserved", reason: "full" }]],
    ["invalid", [{ type: "notReserved", reason: "invalid" }]],
    ["invalid", [reserved, transfer, { type: "notAdmitted", reason: "invalid" }]],
    ["full", [reserved, transfer, { type: "notAdmitted", reason: "full" }]],
    ["invalid", [reserved, { type: "source", message: { type: "transfer", id: "h", members: [] } }]],
  ])("refuses, and says why: %s", (reason, events) => {
    const { state, last } = after(...events);
    expect(state.phase).toBe("ended");
    expect(last).toContainEqual({ type: "toSource", message: { type: "refused", id: "h", reason } });
  });

  it("[HAND-15] refuses a group that is empty, too large or names a player twice", () => {
    const twice = [...members, ...members];
    const many = Array.from({ length: 17 }, (_, index) => ({ playerId: `p${index}`, generation }));
    for (const wrong of [[], twice, many]) {
      const { effects } = beginReservation<string>({ type: "prepare", id: "h", members: wrong }, "A", self);
      expect(effects).toEqual([{ type: "toSource", message: { type: "refused", id: "h", reason: "invalid" } }]);
    }
  });
});
