import { describe, expect, it } from "vitest";
import { type BodyLength, maxCommitLength, maxSnapshotLength, snapshotsLength } from "./commit-length.ts";
import { stepsPerSession } from "./generation.ts";
import type { BetweenSessions, ToSession } from "./messages.ts";
import { stepSession } from "./session.ts";
import { openSession, type SessionEffect, type SessionEvent, type SessionState } from "./session-state.ts";
import { openStreams } from "./streams.ts";

const generation = stepsPerSession;
const leader = { playerId: "p", generation };
const follower = { playerId: "q", generation };
const snapshot = { state: "as it stood", streams: openStreams<string>(generation) };
const commit: Extract<SessionEvent<string>, { readonly type: "commit" }> = {
  type: "commit",
  clusterId: "A",
  token: "token",
  message: {
    type: "commit",
    id: "h",
    destination: { clusterId: "B", boot: 1 },
    members: [
      { ...leader, snapshot },
      { ...follower, snapshot },
    ],
  },
};
const abort: SessionEvent<string> = request({ type: "abort", generation });

function request(message: Exclude<ToSession<string>, { type: "commit" }>, clusterId = "A"): SessionEvent<string> {
  return { type: "request", clusterId, message };
}

/** The sessions of two players in the game on A; what they tell each other arrives, unless it is kept back. */
class Sessions {
  readonly states = new Map<string, SessionState<string>>();
  /** Between sessions, not yet delivered. */
  post: { playerId: string; message: BetweenSessions<string> }[] = [];
  /** How long every body is. */
  lengthOf: BodyLength<string> = () => 0;
  /** Answers to clusters. */
  readonly answers: Extract<SessionEffect<string>, { readonly type: "toCluster" }>[] = [];

  constructor() {
    for (const playerId of ["p", "q"]) {
      this.states.set(playerId, { ...openSession<string>(playerId), issued: 2 * generation });
      this.step(playerId, request({ type: "enter", generation }));
    }
    this.step("q", request({ type: "enlist", id: "h", generation, leader }));
    this.answers.length = 0;
  }

  of(playerId: string): SessionState<string> {
    return this.states.get(playerId) ?? openSession(playerId);
  }

  step(playerId: string, event: SessionEvent<string>): void {
    const { state, effects } = stepSession(this.of(playerId), event, this.lengthOf);
    this.states.set(playerId, state);
    for (const effect of effects) {
      if (effect.type === "toCluster") this.answers.push(effect);
      else this.post.push(effect);
    }
  }

  deliver(): void {
    for (let next = this.post.shift(); next !== undefined; next = this.post.shift()) {
      this.step(next.playerId, { type: "member", message: next.message });
    }
  }

  get lastAnswer() {
    return this.answers.at(-1)?.message;
  }
}

/** Of a group's commit, what the two snapshots have room for. */
const room = maxCommitLength - snapshotsLength([snapshot, snapshot], () => 0);

describe("the PlayerSessions of a group", () => {
  it("[HAND-21] take as much with one commit as there is room for", () => {
    const sessions = new Sessions();
    sessions.lengthOf = () => room / 2;
    sessions.step("p", commit);
    sessions.deliver();
    expect(sessions.answers).toMatchObject([{ message: { type: "committed" } }]);
    expect(sessions.of("q")).toMatchObject({ generation: generation + 1, holder: "B" });
  });

  it("[HAND-21] refuse one that is any larger for good: it is aborted, and each member told so that asks", () => {
    const sessions = new Sessions();
    sessions.lengthOf = () => room / 2 + 1;
    sessions.step("p", commit);
    expect(sessions.answers.map(({ message }) => message)).toEqual([
      { type: "commitRefused", id: "h", reason: "tooLarge" },
      { type: "aborted", playerId: "p", generation, newGeneration: generation + 2 },
    ]);
    sessions.step("q", abort);
    sessions.deliver();
    expect(sessions.lastAnswer).toMatchObject({ type: "aborted", playerId: "q", newGeneration: generation + 2 });
    for (const playerId of ["p", "q"])
      expect(sessions.of(playerId)).toMatchObject({ holder: "A", save: undefined, groups: [] });
    // What was on its way twice decides nothing any more, though it would fit now.
    sessions.lengthOf = () => 0;
    sessions.step("p", commit);
    expect(sessions.lastAnswer).toEqual({ type: "commitRefused", id: "h" });
  });

  it("[HAND-21] count what is kept for members who have not confirmed an earlier one", () => {
    const sessions = new Sessions();
    const length = maxCommitLength - maxSnapshotLength - snapshotsLength([snapshot], () => 0);
    sessions.lengthOf = () => length;
    sessions.step("p", commit);
    sessions.post = [];
    sessions.step("p", request({ type: "joined", generation: generation + 1 }, "B"));
    const enlist = request({ type: "enlist", id: "i", generation: generation + 1, leader: follower }, "B");
    const { state } = stepSession(sessions.of("p"), enlist, () => length + 1);
    expect(state.enlistment).toBeUndefined();
    const alone = (of: number): SessionEvent<string> => ({
      type: "commit",
      clusterId: "B",
      token: "token",
      message: {
        type: "commit",
        id: "i",
        destination: { clusterId: "A", boot: 1 },
        members: [{ playerId: "p", generation: generation + 1, snapshot: { ...snapshot, state: "x".repeat(of) } }],
      },
    });
    const left = maxCommitLength - snapshotsLength([snapshot, snapshot], () => 0) - length;
    const lengthOf = (body: string): number => (body.startsWith("x") ? body.length : length);
    expect(stepSession(sessions.of("p"), alone(left + 1), lengthOf).effects).toMatchObject([
      { message: { type: "commitRefused", reason: "tooLarge" } },
      { message: { type: "aborted", newGeneration: generation + 3 } },
    ]);
    expect(stepSession(sessions.of("p"), alone(left), lengthOf).effects[0]).toMatchObject({
      message: { type: "committed" },
    });
    sessions.step("p", enlist);
    expect(sessions.lastAnswer).toMatchObject({ type: "enlisted" });
  });

  it("[HAND-11] move all members with one commit", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    sessions.deliver();
    for (const playerId of ["p", "q"]) {
      expect(sessions.of(playerId)).toMatchObject({
        generation: generation + 1,
        holder: "B",
        save: { generation: generation + 1, version: 0, state: "as it stood" },
        enlistment: undefined,
        groups: [],
      });
    }
  });

  it("[HAND-11] tell a decision again until the member has it", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    sessions.post = [];
    expect(sessions.of("p").groups).toHaveLength(1);
    sessions.step("p", { type: "timeout" });
    sessions.deliver();
    expect(sessions.of("q").generation).toBe(generation + 1);
    sessions.step("p", { type: "timeout" });
    expect(sessions.post).toEqual([]);
  });

  it("[HAND-11] abort for all when a member is wanted elsewhere before the decision", () => {
    const sessions = new Sessions();
    sessions.step("q", request({ type: "enter", generation: 2 * generation }, "C"));
    expect(sessions.answers).toEqual([]);
    sessions.deliver();
    expect(sessions.of("p")).toMatchObject({ generation: generation + 2, holder: "A" });
    expect(sessions.of("q")).toMatchObject({
      generation: 2 * generation,
      holder: "C",
      previousGeneration: generation + 2,
    });
    sessions.step("p", commit);
    expect(sessions.lastAnswer).toMatchObject({ type: "commitRefused" });
    sessions.step("p", abort);
    expect(sessions.lastAnswer).toMatchObject({ type: "aborted", newGeneration: generation + 2 });
  });

  it("[HAND-11] let a member in elsewhere with what was committed, though it had not heard of it", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    sessions.post = [];
    sessions.step("q", request({ type: "enter", generation: 2 * generation }, "C"));
    sessions.deliver();
    expect(sessions.answers.find((answer) => answer.clusterId === "C")?.message).toMatchObject({
      type: "entered",
      previousGeneration: generation + 1,
      save: { state: "as it stood" },
    });
  });

  it("[HAND-11] take a decision back for a member only when the first one has", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    sessions.deliver();
    sessions.step("q", abort);
    sessions.deliver();
    expect(sessions.of("q")).toMatchObject({ generation: generation + 1, holder: "B" });
    sessions.step("p", abort);
    sessions.step("q", abort);
    sessions.deliver();
    for (const playerId of ["p", "q"])
      expect(sessions.of(playerId)).toMatchObject({ generation: generation + 2, holder: "A" });
    expect(sessions.lastAnswer).toMatchObject({ type: "aborted", playerId: "q", newGeneration: generation + 2 });
  });

  it("[HAND-11] leave a member where it was moved though nobody knows whom the commit has moved, as a release before has stored it", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    sessions.deliver();
    const { last, ...stored } = sessions.of("p");
    if (last === undefined) throw new Error("nothing was decided");
    const { followers: _unknown, ...then } = last;
    sessions.states.set("p", { ...stored, last: then });
    sessions.step("q", abort);
    sessions.deliver();
    expect(sessions.of("q")).toMatchObject({ generation: generation + 1, holder: "B" });
  });

  it("[HAND-11] tell a member for good that it was moved, once the destination has acted", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    sessions.deliver();
    sessions.step("p", request({ type: "joined", generation: generation + 1 }, "B"));
    sessions.step("q", abort);
    sessions.deliver();
    expect(sessions.lastAnswer).toMatchObject({ type: "superseded", playerId: "q" });
    expect(sessions.of("q")).toMatchObject({ generation: generation + 1, holder: "B" });
  });

  it.each(["before", "after"])(
    "[HAND-11] let go of a member that the commit has left out, %s the destination has acted",
    (when) => {
      const sessions = new Sessions();
      const { message } = commit;
      sessions.step("p", { ...commit, message: { ...message, members: message.members.slice(0, 1) } });
      if (when === "after") sessions.step("p", request({ type: "joined", generation: generation + 1 }, "B"));
      const leading = sessions.of("p");
      sessions.step("q", request({ type: "enter", generation: 2 * generation }, "C"));
      sessions.deliver();
      expect(sessions.of("q")).toMatchObject({ generation: 2 * generation, holder: "C", enlistment: undefined });
      expect(sessions.of("p")).toEqual(leading);
    },
  );

  it("[HAND-11] let go of a member whose first one was moved by another", () => {
    const sessions = new Sessions();
    sessions.states.set("r", { ...openSession<string>("r"), issued: 2 * generation });
    sessions.step("r", request({ type: "enter", generation }));
    sessions.step("r", request({ type: "enlist", id: "i", generation, leader: follower }));
    sessions.step("p", commit);
    sessions.deliver();
    sessions.step("r", request({ type: "enter", generation: 2 * generation }, "C"));
    sessions.deliver();
    expect(sessions.of("r")).toMatchObject({ generation: 2 * generation, holder: "C" });
    expect(sessions.of("q")).toMatchObject({ generation: generation + 1, holder: "B" });
  });

  it("[HAND-11] a decision that arrives after it was taken back changes nothing", () => {
    const sessions = new Sessions();
    sessions.step("p", commit);
    const late = sessions.post;
    sessions.post = [];
    sessions.step("p", abort);
    sessions.step("q", abort);
    sessions.deliver();
    const before = sessions.of("q");
    expect(before.generation).toBe(generation + 2);
    sessions.post = late;
    sessions.deliver();
    expect(sessions.of("q")).toEqual(before);
  });

  it("[HAND-8] a member that is bound saves later", () => {
    const sessions = new Sessions();
    sessions.step("q", request({ type: "save", generation, version: 1, state: "s" }));
    expect(sessions.lastAnswer).toEqual({ type: "saveLater", playerId: "q", generation });
  });

  it("[HAND-11] binds a member for its holder only, to one handover at a time, and not to itself", () => {
    const other = { type: "enlist", id: "other", generation, leader } as const;
    const sessions = new Sessions();
    sessions.step("q", request(other));
    expect(sessions.lastAnswer).toMatchObject({ type: "enlistRefused", id: "other" });
    sessions.step("q", request({ ...other, id: "h" }));
    expect(sessions.lastAnswer).toMatchObject({ type: "enlisted", id: "h" });
    sessions.step("p", request(other, "C"));
    expect(sessions.lastAnswer).toMatchObject({ type: "enlistRefused" });
    sessions.step("p", request(other));
    expect(sessions.lastAnswer).toMatchObject({ type: "enlistRefused" });
  });

  it("[HAND-3] a cluster cannot abort for a player whom it does not hold by naming it as the first one", () => {
    const sessions = new Sessions();
    const before = sessions.of("p");
    const message = {
      type: "decide",
      leaderGeneration: generation,
      member: { playerId: "x", generation },
      source: "C",
    } as const;
    sessions.step("p", { type: "member", message });
    expect(sessions.of("p")).toEqual(before);
    expect(sessions.post).toMatchObject([{ playerId: "x", message: { decision: { outcome: "aborted" } } }]);
  });
});
