import { describe, expect, it } from "vitest";
import { stepsPerSession } from "./generation.ts";
import type { ToSession } from "./messages.ts";
import { stepSession } from "./session.ts";
import { claimsOf, openSession, type SessionEvent, type SessionState } from "./session-state.ts";
import { openStreams } from "./streams.ts";

type Event = SessionEvent<string>;
type Commit = Extract<ToSession<string>, { readonly type: "commit" }>;

const generation = stepsPerSession;
const streams = openStreams<string>(generation);

function request(clusterId: string, message: Exclude<ToSession<string>, { type: "commit" }>): Event {
  return { type: "request", clusterId, message };
}

function commitMessage(from: number): Commit {
  const member = { playerId: "p", generation: from, snapshot: { state: `as of ${from}`, streams } };
  return { type: "commit", id: `h${from}`, destination: { clusterId: "B", boot: 1 }, members: [member] };
}

function commit(from = generation, clusterId = "A", token = "token"): Event {
  return { type: "commit", clusterId, message: commitMessage(from), token };
}

function abort(from = generation, clusterId = "A"): Event {
  return request(clusterId, { type: "abort", generation: from });
}

function save(from: number, version: number, clusterId: string): Event {
  return request(clusterId, { type: "save", generation: from, version, state: `save ${version}` });
}

function joined(from: number, clusterId: string): Event {
  return request(clusterId, { type: "joined", generation: from });
}

/** A player in the game on A, after some events; two more tickets have been issued. */
function after(...events: readonly Event[]) {
  let state: SessionState<string> = { ...openSession("p"), issued: 3 * generation };
  let effects: ReturnType<typeof stepSession<string>>["effects"] = [];
  for (const event of [request("A", { type: "enter", generation }), ...events]) {
    ({ state, effects } = stepSession(state, event));
  }
  return { state, effects, answers: effects.map((effect) => effect.message.type) };
}

describe("PlayerSession", () => {
  it("[HAND-3] commits once: authority and the snapshot move in one step", () => {
    const { state, effects } = after(commit());
    expect(state).toMatchObject({
      generation: generation + 1,
      holder: "B",
      save: { generation: generation + 1, version: 0, state: `as of ${generation}`, streams },
    });
    expect(effects).toEqual([
      { type: "toCluster", clusterId: "A", message: { type: "committed", id: `h${generation}`, token: "token" } },
    ]);
  });

  it("[HAND-3] repeats a commit's answer byte for byte, and to nobody else", () => {
    const again = after(commit(), commit(generation, "A", "signed again"));
    expect(again.effects).toMatchObject([{ message: { type: "committed", token: "token" } }]);
    expect(after(commit(), commit(generation, "C")).effects).toEqual([
      { type: "toCluster", clusterId: "C", message: { type: "commitRefused", id: `h${generation}` } },
    ]);
  });

  it.each<[string, Event[], Event]>([
    ["another cluster", [], commit(generation, "C")],
    ["an older generation", [request("B", { type: "enter", generation: 2 * generation })], commit()],
    ["a newer generation", [], commit(2 * generation)],
    ["a handover that was aborted", [abort()], commit()],
    ["a session without a generation to step to", [], commit(2 * generation - 1)],
  ])("[HAND-3] refuses the commit of %s", (_name, before, event) => {
    const { state } = after(...before);
    const refused = stepSession(state, event);
    expect(refused.state).toEqual(state);
    expect(refused.effects).toMatchObject([{ message: { type: "commitRefused" } }]);
  });

  it("[HAND-4] signs for exactly what was committed, and without the keys", () => {
    expect(claimsOf("A", commitMessage(generation))).toEqual({
      id: `h${generation}`,
      source: "A",
      destination: { clusterId: "B", boot: 1 },
      members: [{ playerId: "p", generation }],
    });
  });

  it("[HAND-5] aborts before a commit and after it, with the same result however often it is asked", () => {
    for (const events of [[abort()], [abort(), abort()], [commit(), abort()], [commit(), abort(), abort()]]) {
      const { state, effects } = after(...events);
      expect(state).toMatchObject({ generation: generation + 2, holder: "A" });
      const message = { type: "aborted", playerId: "p", generation, newGeneration: generation + 2 };
      expect(effects).toEqual([{ type: "toCluster", clusterId: "A", message }]);
    }
  });

  it.each<[string, Event[]]>([
    ["has saved", [save(generation + 1, 1, "B")]],
    ["has been reported", [joined(generation + 1, "B")]],
    ["has handed the player on", [commit(generation + 1, "B")]],
  ])("[HAND-5] does not take a handover back from a destination that %s", (_name, acts) => {
    const before = after(commit(), ...acts);
    const { state, effects } = stepSession(before.state, abort());
    expect(state).toEqual(before.state);
    expect(effects).toMatchObject([{ clusterId: "A", message: { type: "superseded", generation } }]);
  });

  it("[HAND-5] aborts only for the source", () => {
    for (const events of [[], [commit()]]) {
      const { state } = after(...events);
      expect(stepSession(state, abort(generation, "C")).state).toEqual(state);
    }
  });

  it("[HAND-2] [HAND-3] lets a newer ticket in whatever handover is going on, and fences both sides", () => {
    const { state, effects } = after(commit(), request("C", { type: "enter", generation: 2 * generation }));
    expect(state).toMatchObject({ generation: 2 * generation, holder: "C" });
    const fence = { type: "fence", playerId: "p", generation: 2 * generation };
    expect(effects).toEqual([
      {
        type: "toCluster",
        clusterId: "C",
        message: {
          type: "entered",
          playerId: "p",
          generation: 2 * generation,
          previousGeneration: generation + 1,
          save: state.save,
        },
      },
      { type: "toCluster", clusterId: "B", message: fence },
      { type: "toCluster", clusterId: "A", message: fence },
    ]);
    expect(stepSession(state, abort()).effects).toMatchObject([{ message: { type: "superseded" } }]);
  });

  it("[HAND-3] answers a repeated entry in the same way, and refuses an older or an invented ticket", () => {
    const enter = request("B", { type: "enter", generation: 2 * generation });
    const { state, effects } = after(enter);
    expect(stepSession(state, enter)).toEqual({ state, effects: [effects[0]] });
    for (const wrong of [generation, 9 * generation]) {
      const refused = stepSession(state, request("C", { type: "enter", generation: wrong }));
      expect(refused.state).toEqual(state);
      expect(refused.effects).toMatchObject([{ clusterId: "C", message: { type: "superseded" } }]);
    }
  });

  it("[HAND-8] saves for the newest generation on its own cluster alone", () => {
    expect(after(save(generation, 1, "A")).state.save).toMatchObject({ generation, version: 1, state: "save 1" });
    const { state } = after(commit(), joined(generation + 1, "B"));
    for (const wrong of [save(generation, 2, "A"), save(generation + 1, 1, "C"), save(generation, 2, "B")]) {
      const refused = stepSession(state, wrong);
      expect(refused.state).toEqual(state);
      expect(refused.effects).toMatchObject([{ message: { type: "fence", generation: generation + 1 } }]);
    }
    expect(stepSession(state, save(generation + 1, 1, "B")).state.save).toMatchObject({ version: 1, state: "save 1" });
  });

  it("[HAND-8] a save that was overtaken changes nothing, and is as good as done", () => {
    const { state } = after(save(generation, 2, "A"));
    const late = stepSession(state, save(generation, 1, "A"));
    expect(late.state).toEqual(state);
    expect(late.effects).toMatchObject([{ message: { type: "saved", version: 1 } }]);
  });

  it("[HAND-8] tells a source whose handover may still be aborted to save later", () => {
    expect(after(commit(), save(generation, 2, "A")).answers).toEqual(["saveLater"]);
  });

  it("tells a cluster that is behind, but not a source whose handover may still be aborted", () => {
    expect(after(commit(), joined(generation, "A")).answers).toEqual(["settled"]);
    expect(after(commit(), joined(generation, "C")).answers).toEqual(["fence"]);
    expect(after(joined(generation, "C")).answers).toEqual(["fence"]);
    expect(after(joined(generation + 1, "B")).answers).toEqual([]);
  });
});
