import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createLocalJWKSet, decodeJwt } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { verifyHandoverToken } from "../../auth/handover-token.ts";
import { shardOfToken } from "../../control-plane/objects/session-token.ts";
import { watchFailpoints } from "../../control-plane/failpoint.ts";
import { readStoreSettings } from "../../control-plane/settings.ts";
import { findSave } from "../../control-plane/store/saves.ts";
import type { PlayerSession } from "../../control-plane/worker.ts";
import type { ToSession } from "../../protocol/handover/messages.ts";
import { generationAfterAbort, generationAfterCommit } from "../../protocol/handover/generation.ts";
import { maxCommitLength, snapshotsLength } from "../../protocol/handover/commit-length.ts";
import { openStreams } from "../../protocol/handover/streams.ts";
import type { Allocation, PlayerSessionTokens } from "../../protocol/index.ts";
import { createKey, seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn } from "./support/players.ts";
import { writeRecordsNow } from "./support/records.ts";
import { askSession } from "./support/sessions.ts";
import { eventually } from "../support/eventually.ts";

afterEach(() => {
  watchFailpoints(undefined);
  vi.useRealTimers();
});

/** A player with a ticket for a cluster, not used yet. */
interface Ticketed {
  readonly tokens: PlayerSessionTokens;
  readonly playerId: string;
  readonly generation: number;
  readonly allocation: Allocation;
}

async function ticketFor(cluster: TestCluster, tokens?: PlayerSessionTokens): Promise<Ticketed> {
  const player = tokens ?? (await logIn());
  const allocation = await allocate(player, { clusterId: cluster.id });
  const { gen } = decodeJwt<{ gen: number }>(allocation.ticket);
  return { tokens: player, playerId: player.player.id, generation: gen ?? 0, allocation };
}

const state = (text: string): string => btoa(text);
const snapshot = (text: string, tenure: number) => ({ state: state(text), streams: openStreams<string>(tenure) });
const newId = (): string => crypto.randomUUID().replaceAll("-", "");

/** In the game on `cluster`. */
async function enter(cluster: TestCluster): Promise<Ticketed> {
  const player = await ticketFor(cluster);
  const [answer] = await askSession(cluster, player.playerId, { type: "enter", generation: player.generation });
  expect(answer).toMatchObject({ type: "entered", generation: player.generation });
  return player;
}

describe("entering", () => {
  it("[HAND-3] gives authority to the cluster whose ticket was used, and says what was saved", async () => {
    const [a, b] = [await startCluster(), await startCluster({ region: "eu" })];
    const first = await ticketFor(a);
    const { playerId, generation } = first;
    const entered = { type: "entered", playerId, generation, previousGeneration: 0 };
    expect(await askSession(a, playerId, { type: "enter", generation })).toEqual([entered]);
    expect(await askSession(a, playerId, { type: "enter", generation })).toEqual([entered]);
    expect(await askSession(a, playerId, { type: "save", generation, version: 1, state: state("gold") })).toEqual([
      { type: "saved", playerId, generation, version: 1 },
    ]);
    const link = await a.openLink();
    await a.report({ full: true, players: 1, joined: [seatOf(first.tokens.player, first.allocation.ticket)] });
    const second = await ticketFor(b, first.tokens);
    expect(await askSession(b, playerId, { type: "enter", generation: second.generation })).toEqual([
      {
        type: "entered",
        playerId,
        generation: second.generation,
        previousGeneration: generation,
        save: { generation, version: 1, state: state("gold") },
      },
    ]);
    await eventually(async () => {
      const command = await link.nextCommand();
      expect(command).toEqual({ type: "fence", playerId, generation: second.generation });
    });
    link.close();
  });

  it("does not fence the cluster that the newest is on when that reports an older ticket late", async () => {
    const [a, b] = [await startCluster(), await startCluster({ region: "eu" })];
    const first = await enter(a);
    const second = await ticketFor(a, first.tokens);
    const { playerId, generation } = second;
    expect(await askSession(a, playerId, { type: "enter", generation })).toMatchObject([{ type: "entered" }]);
    const link = await a.openLink();
    await a.report({ full: true, players: 1, joined: [seatOf(first.tokens.player, first.allocation.ticket)] });
    await eventually(async () => {
      expect(
        await askSession(a, playerId, { type: "save", generation, version: 1, state: state("gold") }),
      ).toMatchObject([{ type: "saved" }]);
    });
    const third = await ticketFor(b, first.tokens);
    await askSession(b, playerId, { type: "enter", generation: third.generation });
    expect(await link.nextCommand()).toEqual({ type: "fence", playerId, generation: third.generation });
    link.close();
  });

  it("fences a cluster that has been given the player, and has not said yet that it plays", async () => {
    const [a, b, c] = [await startCluster(), await startCluster({ region: "eu" }), await startCluster()];
    const { tokens, playerId, generation } = await enter(a);
    const link = await b.openLink();
    const destination = { clusterId: b.id, boot: b.registered.boot };
    const members = [{ playerId, generation, snapshot: snapshot("left", generation) }];
    expect(await askSession(a, playerId, { type: "commit", id: newId(), destination, members })).toMatchObject([
      { type: "committed" },
    ]);
    const newer = await ticketFor(c, tokens);
    const [answer] = await askSession(c, playerId, { type: "enter", generation: newer.generation });
    expect(answer).toMatchObject({ type: "entered", previousGeneration: generationAfterCommit(generation) });
    expect(await link.nextCommand()).toEqual({ type: "fence", playerId, generation: newer.generation });
    link.close();
  });

  it("[SEC-44] is for the cluster that the ticket was made for, under a generation that there is", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const { playerId, generation } = await ticketFor(a);
    const superseded = (of: number) => [{ type: "superseded", playerId, generation: of }];
    expect(await askSession(b, playerId, { type: "enter", generation })).toEqual(superseded(generation));
    const forged = generation + 2 ** 20;
    expect(await askSession(a, playerId, { type: "enter", generation: forged })).toEqual(superseded(forged));
    expect(await askSession(a, crypto.randomUUID(), { type: "enter", generation: 1 })).toEqual([]);
  });

  it("is the same whether the cluster asks, or its report says that the ticket was used", async () => {
    const a = await startCluster();
    const { tokens, allocation, playerId, generation } = await ticketFor(a);
    await a.report({ full: true, players: 1, joined: [seatOf(tokens.player, allocation.ticket)] });
    const save = { type: "save", generation, version: 1, state: state("x") } as const;
    await eventually(async () => expect(await askSession(a, playerId, save)).toMatchObject([{ type: "saved" }]));
  });
});

describe("saving", () => {
  it("[HAND-8] is for the newest generation on the cluster that holds it, and goes on from the save before", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const { tokens, playerId, generation } = await enter(a);
    const save = (cluster: TestCluster, of: number, version: number, text: string) =>
      askSession(cluster, playerId, { type: "save", generation: of, version, state: state(text) });
    expect(await save(a, generation, 2, "two")).toMatchObject([{ type: "saved", version: 2 }]);
    // Late, and again: neither changes anything.
    expect(await save(a, generation, 1, "one")).toMatchObject([{ type: "saved", version: 1 }]);
    expect(await save(b, generation, 3, "stolen")).toEqual([{ type: "fence", playerId, generation }]);
    const second = await ticketFor(b, tokens);
    const [entered] = await askSession(b, playerId, { type: "enter", generation: second.generation });
    expect(entered).toMatchObject({ save: { generation, version: 2, state: state("two") } });
    expect(await save(a, generation, 3, "late")).toEqual([{ type: "fence", playerId, generation: second.generation }]);
  });

  it("[HAND-8] reaches the database of record, the newest last, and goes with the account", async () => {
    const a = await startCluster();
    const { tokens, playerId, generation } = await enter(a);
    for (const version of [1, 2, 3]) {
      await askSession(a, playerId, { type: "save", generation, version, state: state(`v${version}`) });
    }
    await eventually(async () => {
      await writeRecordsNow();
      expect(await findSave(readStoreSettings(env), playerId)).toMatchObject({
        generation,
        version: 3,
        state: state("v3"),
      });
    });
    const exported = await call("GET", "/v1/me/export", { token: tokens.accessToken });
    expect(await expectJson(exported, 200)).toMatchObject({ save: { generation, version: 3, state: state("v3") } });
    const deleted = await call("DELETE", "/v1/me", { token: tokens.accessToken });
    expect(deleted.status).toBe(204);
    expect(await findSave(readStoreSettings(env), playerId)).toBeUndefined();
  });

  it("is durable before it is acknowledged", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const { tokens, playerId, generation } = await enter(a);
    await askSession(a, playerId, { type: "save", generation, version: 1, state: state("kept") });
    await abortAllDurableObjects();
    const second = await ticketFor(b, tokens);
    const [entered] = await askSession(b, playerId, { type: "enter", generation: second.generation });
    expect(entered).toMatchObject({ save: { state: state("kept") } });
  });
});

describe("a handover", () => {
  it("[HAND-4] is committed once: the token is signed for its destination, and a retry gets the same bytes", async () => {
    const [a, b] = [await startCluster(), await startCluster({ region: "eu" })];
    const { playerId, generation } = await enter(a);
    const id = newId();
    const destination = { clusterId: b.id, boot: b.registered.boot };
    const commit: ToSession<string> = {
      type: "commit",
      id,
      destination,
      members: [{ playerId, generation, snapshot: snapshot("moving", generation) }],
    };
    const [committed] = await askSession(a, playerId, commit);
    if (committed?.type !== "committed") throw new Error("it is committed");
    expect(await askSession(a, playerId, commit)).toEqual([committed]);
    const keys = createLocalJWKSet(await expectJson(await call("GET", "/.well-known/jwks.json"), 200));
    const verdict = await verifyHandoverToken(committed.token, async (kid) => keys({ alg: "ES256", kid }), {
      issuer: masterUrl,
      clusterId: b.id,
      now: Date.now() / 1_000,
    });
    expect(verdict).toEqual({
      ok: true,
      claims: { id, source: a.id, destination, members: [{ playerId, generation }] },
    });
    const moved = generationAfterCommit(generation);
    const { accessToken: token } = await logInOperator();
    const seen = await call("GET", `/v1/admin/players/${playerId}`, { token });
    expect(await expectJson(seen, 200)).toMatchObject({ playing: { clusterId: b.id, generation: moved } });
    expect(await askSession(b, playerId, { type: "joined", generation: moved })).toEqual([
      { type: "settled", playerId, generation: moved },
    ]);
    // The source is too late now, for saving and for taking it back.
    expect(await askSession(a, playerId, { type: "abort", generation })).toEqual([
      { type: "superseded", playerId, generation },
    ]);
    expect(await askSession(a, playerId, { type: "save", generation, version: 1, state: state("late") })).toEqual([
      { type: "fence", playerId, generation: moved },
    ]);
    expect(
      await askSession(b, playerId, { type: "save", generation: moved, version: 1, state: state("there") }),
    ).toMatchObject([{ type: "saved" }]);
  });

  it("[HAND-5] can be taken back until the destination has acted, also from a crash", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const { playerId, generation } = await enter(a);
    const commit: ToSession<string> = {
      type: "commit",
      id: newId(),
      destination: { clusterId: b.id, boot: b.registered.boot },
      members: [{ playerId, generation, snapshot: snapshot("moving", generation) }],
    };
    expect(await askSession(a, playerId, commit)).toMatchObject([{ type: "committed" }]);
    await abortAllDurableObjects();
    const newGeneration = generationAfterAbort(generation);
    const aborted = [{ type: "aborted", playerId, generation, newGeneration }];
    expect(await askSession(a, playerId, { type: "abort", generation })).toEqual(aborted);
    expect(await askSession(a, playerId, { type: "abort", generation })).toEqual(aborted);
    expect(await askSession(a, playerId, commit)).toMatchObject([{ type: "commitRefused" }]);
    expect(
      await askSession(b, playerId, { type: "joined", generation: generationAfterCommit(generation) }),
    ).toMatchObject([{ type: "fence", generation: newGeneration }]);
  });

  it("[HAND-11] of a group is one decision: each member's save is the snapshot of the one commit", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const [leader, follower] = [await enter(a), await enter(a)];
    const id = newId();
    const leaderRef = { playerId: leader.playerId, generation: leader.generation };
    const enlist = { type: "enlist", id, generation: follower.generation, leader: leaderRef } as const;
    expect(await askSession(a, follower.playerId, enlist)).toMatchObject([{ type: "enlisted" }]);
    const save = { type: "save", generation: follower.generation, version: 1, state: state("x") } as const;
    expect(await askSession(a, follower.playerId, save)).toMatchObject([{ type: "saveLater" }]);
    const commit: ToSession<string> = {
      type: "commit",
      id,
      destination: { clusterId: b.id, boot: b.registered.boot },
      members: [leader, follower].map(({ playerId, generation }) => ({
        playerId,
        generation,
        snapshot: snapshot(playerId, generation),
      })),
    };
    expect(await askSession(a, leader.playerId, commit)).toMatchObject([{ type: "committed" }]);
    const moved = generationAfterCommit(follower.generation);
    await eventually(async () => {
      expect(await askSession(b, follower.playerId, { type: "joined", generation: moved })).toEqual([
        { type: "settled", playerId: follower.playerId, generation: moved },
      ]);
    });
  });

  it("[HAND-11] of a group waits once for a member that cannot be reached, however often the leader's session wakes", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const [leader, follower] = [await enter(a), await enter(a)];
    const id = newId();
    const leaderRef = { playerId: leader.playerId, generation: leader.generation };
    const enlist = { type: "enlist", id, generation: follower.generation, leader: leaderRef } as const;
    await askSession(a, follower.playerId, enlist);
    const members = [leader, follower].map(({ playerId, generation }) => ({
      playerId,
      generation,
      snapshot: snapshot(playerId, generation),
    }));
    watchFailpoints((name) => {
      if (name === "handover.member") throw new Error("the member's session cannot be reached");
    });
    const destination = { clusterId: b.id, boot: b.registered.boot };
    expect(await askSession(a, leader.playerId, { type: "commit", id, destination, members })).toMatchObject([
      { type: "committed" },
    ]);
    // Nor does the next commit say it again.
    const back = { clusterId: a.id, boot: a.registered.boot };
    const moved = generationAfterCommit(leader.generation);
    const alone = [{ playerId: leader.playerId, generation: moved, snapshot: snapshot("on", moved) }];
    expect(
      await askSession(b, leader.playerId, { type: "commit", id: newId(), destination: back, members: alone }),
    ).toMatchObject([{ type: "committed" }]);
    const waiting = async (): Promise<number> =>
      runInDurableObject(
        env.PLAYER_SESSION.getByName(leader.playerId),
        (_: PlayerSession, { storage }) =>
          storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM outbox WHERE target = ?", follower.playerId).one()
            .n,
      );
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    for (let count = 0; count < 5; count += 1) {
      vi.setSystemTime(Date.now() + 40_000);
      const alarm = async (instance: PlayerSession) => instance.alarm();
      await runInDurableObject<PlayerSession, void>(env.PLAYER_SESSION.getByName(leader.playerId), alarm);
      expect(await waiting()).toBe(1);
    }
    vi.useRealTimers();
    watchFailpoints(undefined);
    const followed = generationAfterCommit(follower.generation);
    await eventually(async () => {
      const alarm = async (instance: PlayerSession) => instance.alarm();
      await runInDurableObject<PlayerSession, void>(env.PLAYER_SESSION.getByName(leader.playerId), alarm);
      expect(await askSession(b, follower.playerId, { type: "joined", generation: followed })).toMatchObject([
        { type: "settled" },
      ]);
    });
    expect(await waiting()).toBe(0);
  });

  it("[HAND-21] of a group is stored as long as it may be, and refused for good when it is any longer: nobody is moved, or bound", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const [leader, follower] = [await enter(a), await enter(a)];
    const members = (more: number) => {
      const empty = [leader, follower].map(({ generation }) => snapshot("", generation));
      const left = maxCommitLength - snapshotsLength(empty, (body) => body.length);
      // Two frames each: what stands before a frame counts too. Base64 comes in fours.
      const all = [left / 2 - 8, left - left / 2 - 8 + more].map((length) => {
        const first = Math.floor(length / 8) * 4;
        return ["A".repeat(first), "B".repeat(length - first)];
      });
      return [leader, follower].map(({ playerId, generation }, index) => {
        const { state: of, streams } = snapshot("", generation);
        return {
          playerId,
          generation,
          snapshot: { state: of, streams: { ...streams, unacknowledged: all[index] ?? [] } },
        };
      });
    };
    const commit = (id: string, more: number): ToSession<string> => ({
      type: "commit",
      id,
      destination: { clusterId: b.id, boot: b.registered.boot },
      members: members(more),
    });
    const enlist = (id: string): ToSession<string> => {
      const { playerId, generation } = leader;
      return { type: "enlist", id, generation: follower.generation, leader: { playerId, generation } };
    };
    const [tooLong, fits] = [newId(), newId()];
    expect(await askSession(a, follower.playerId, enlist(tooLong))).toMatchObject([{ type: "enlisted" }]);
    expect(await askSession(a, leader.playerId, commit(tooLong, 1))).toEqual([
      { type: "commitRefused", id: tooLong, reason: "tooLarge" },
      {
        type: "aborted",
        playerId: leader.playerId,
        generation: leader.generation,
        newGeneration: generationAfterAbort(leader.generation),
      },
    ]);
    await askSession(a, follower.playerId, { type: "abort", generation: follower.generation });
    for (const player of [leader, follower]) {
      const generation = generationAfterAbort(player.generation);
      const save = { type: "save", generation, version: 1, state: state("here") } as const;
      await eventually(async () =>
        expect(await askSession(a, player.playerId, save)).toMatchObject([{ type: "saved" }]),
      );
      Object.assign(player, { generation });
    }
    expect(await askSession(a, follower.playerId, enlist(fits))).toMatchObject([{ type: "enlisted" }]);
    const [committed] = await askSession(a, leader.playerId, commit(fits, 0));
    expect(committed).toMatchObject({ type: "committed" });
    await abortAllDurableObjects();
    expect(await askSession(a, leader.playerId, commit(fits, 0))).toEqual([committed]);
    for (const { playerId, generation } of [leader, follower]) {
      const joined = { type: "joined", generation: generationAfterCommit(generation) } as const;
      await eventually(async () => expect(await askSession(b, playerId, joined)).toMatchObject([{ type: "settled" }]));
    }
  });

  it.each(["nobody knows", "has no part in it"])(
    "[HAND-11] [SEC-44] binds nobody for good: a cluster names a leader who %s, and the player enters elsewhere",
    async (which) => {
      const [a, b] = [await startCluster(), await startCluster()];
      const { tokens, playerId, generation } = await enter(a);
      const other = which === "nobody knows" ? { playerId: crypto.randomUUID(), generation } : await enter(b);
      const leader = { playerId: other.playerId, generation: other.generation };
      const enlist = { type: "enlist", id: newId(), generation, leader } as const;
      expect(await askSession(a, playerId, enlist)).toMatchObject([{ type: "enlisted" }]);
      const second = await ticketFor(b, tokens);
      await eventually(async () => {
        const answers = await askSession(b, playerId, { type: "enter", generation: second.generation });
        expect(answers).toMatchObject([{ type: "entered", generation: second.generation }]);
      });
      // Whoever was named for it is where they were.
      if (which === "nobody knows") return;
      const save = { type: "save", generation: other.generation, version: 1, state: state("x") } as const;
      expect(await askSession(b, other.playerId, save)).toMatchObject([{ type: "saved" }]);
    },
  );

  it("[HAND-11] [SEC-44] binds nobody for good: a cluster names a leader whom it has moved alone, and the player enters elsewhere", async () => {
    const [liar, b, c] = [await startCluster(), await startCluster(), await startCluster()];
    const [alone, bound] = [await enter(liar), await enter(liar)];
    const leader = { playerId: alone.playerId, generation: alone.generation };
    const enlist = { type: "enlist", id: newId(), generation: bound.generation, leader } as const;
    expect(await askSession(liar, bound.playerId, enlist)).toMatchObject([{ type: "enlisted" }]);
    const destination = { clusterId: b.id, boot: b.registered.boot };
    const members = [{ ...leader, snapshot: snapshot("alone", alone.generation) }];
    expect(await askSession(liar, alone.playerId, { type: "commit", id: newId(), destination, members })).toMatchObject(
      [{ type: "committed" }],
    );
    const { playerId, generation } = await ticketFor(c, bound.tokens);
    await eventually(async () => {
      expect(await askSession(c, playerId, { type: "enter", generation })).toMatchObject([{ type: "entered" }]);
    });
    const save = { type: "save", generation, version: 1, state: state("elsewhere") } as const;
    expect(await askSession(c, playerId, save)).toMatchObject([{ type: "saved" }]);
  });

  it("[HAND-3] is nobody's but the holder's to decide", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const { playerId, generation } = await enter(a);
    const commit: ToSession<string> = {
      type: "commit",
      id: newId(),
      destination: { clusterId: b.id, boot: b.registered.boot },
      members: [{ playerId, generation, snapshot: snapshot("stolen", generation) }],
    };
    expect(await askSession(b, playerId, commit)).toMatchObject([{ type: "commitRefused" }]);
    expect(await askSession(b, playerId, { type: "abort", generation })).toMatchObject([{ type: "superseded" }]);
  });
});

describe("what is asked", () => {
  it.each([
    ["nothing", { requests: [] }],
    [
      "too much",
      { requests: Array.from({ length: 33 }, () => ({ playerId: "p", message: { type: "joined", generation: 1 } })) },
    ],
    ["of a kind that there is not", { requests: [{ playerId: "p", message: { type: "take" } }] }],
    [
      "with a state that is no base64",
      { requests: [{ playerId: "p", message: { type: "save", generation: 1, version: 1, state: "!" } }] },
    ],
    [
      "with a field that is not known",
      { requests: [{ playerId: "p", message: { type: "joined", generation: 1, by: "me" } }] },
    ],
  ])("%s is refused", async (_, body) => {
    const cluster = await startCluster();
    const response = await call("POST", `/v1/clusters/${cluster.id}/sessions`, { token: cluster.token, body });
    await expectProblem(response, "INVALID_FIELD");
  });

  it("[SEC-76] may still be a save when the cluster has deregistered, so that what players leave with is kept; nobody enters there", async () => {
    const a = await startCluster();
    const { playerId, generation } = await enter(a);
    const other = await ticketFor(a);
    expect((await call("DELETE", `/v1/clusters/${a.id}`, { token: a.token })).status).toBe(204);
    const last = { type: "save", generation, version: 1, state: state("last") } as const;
    expect(await askSession(a, playerId, last)).toEqual([{ type: "saved", playerId, generation, version: 1 }]);
    expect(await askSession(a, other.playerId, { type: "enter", generation: other.generation })).toEqual([]);
    const newer = await startCluster({}, a.key);
    const body = { requests: [{ playerId, message: { ...last, version: 2 } }] };
    const late = await call("POST", `/v1/clusters/${a.id}/sessions`, { token: a.token, body });
    await expectProblem(late, "CLUSTER_FENCED");
    expect(await askSession(newer, playerId, { ...last, version: 2 })).toMatchObject([{ type: "saved" }]);
  });

  it("[SEC-76] of a cluster that has deregistered moves nobody: it neither hands players on, nor binds them, nor settles them", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const { playerId, generation } = await enter(a);
    expect((await call("DELETE", `/v1/clusters/${a.id}`, { token: a.token })).status).toBe(204);
    const commit: ToSession<string> = {
      type: "commit",
      id: newId(),
      destination: { clusterId: b.id, boot: b.registered.boot },
      members: [{ playerId, generation, snapshot: snapshot("gone", generation) }],
    };
    const leader = { playerId: crypto.randomUUID(), generation };
    expect(await askSession(a, playerId, { type: "enlist", id: newId(), generation, leader })).toEqual([]);
    expect(await askSession(a, playerId, { type: "joined", generation })).toEqual([]);
    expect(await askSession(a, playerId, commit)).toEqual([]);
    // What it has begun it may take back, so that what it saves counts.
    const newGeneration = generationAfterAbort(generation);
    expect(await askSession(a, playerId, { type: "abort", generation })).toMatchObject([{ type: "aborted" }]);
    const save = { type: "save", generation: newGeneration, version: 1, state: state("last") } as const;
    expect(await askSession(a, playerId, save)).toMatchObject([{ type: "saved" }]);
  });

  it("[SEC-76] is refused of a cluster that has deregistered and whose key is not known: it may have been revoked", async () => {
    const a = await startCluster();
    const { playerId, generation } = await enter(a);
    expect((await call("DELETE", `/v1/clusters/${a.id}`, { token: a.token })).status).toBe(204);
    const shard = (await shardOfToken(env, a.id, a.token)) ?? "";
    // As a registration with the first release has left it.
    await runInDurableObject(env.REGISTRY_SHARD.getByName(shard), (_, { storage }) => {
      storage.sql.exec("UPDATE clusters SET key_id = '' WHERE cluster_id = ?", a.id);
    });
    const message = { type: "save", generation, version: 1, state: state("forged") };
    const body = { requests: [{ playerId, message }] };
    const late = await call("POST", `/v1/clusters/${a.id}/sessions`, { token: a.token, body });
    await expectProblem(late, "CLUSTER_SESSION_INVALID");
  });

  it("[SEC-76] is refused once the key was revoked, also of a cluster that had deregistered before", async () => {
    const { accessToken: operator } = await logInOperator();
    const key = await createKey();
    const enrolled = { name: "left", publicKey: key.publicKey };
    await expectJson(await call("POST", "/v1/admin/keys", { token: operator, body: enrolled }), 200);
    const a = await startCluster({}, key);
    const { playerId, generation } = await enter(a);
    expect((await call("DELETE", `/v1/clusters/${a.id}`, { token: a.token })).status).toBe(204);
    await expectJson(await call("DELETE", `/v1/admin/keys/${key.keyId}`, { token: operator }), 200);
    const message = { type: "save", generation, version: 1, state: state("forged") };
    const body = { requests: [{ playerId, message }] };
    const late = await call("POST", `/v1/clusters/${a.id}/sessions`, { token: a.token, body });
    await expectProblem(late, "CLUSTER_FENCED");
  });

  it("is asked by a cluster's own session alone, and may be long only then", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const long = state("x".repeat(50_000));
    const body = { requests: [{ playerId: "p", message: { type: "save", generation: 1, version: 1, state: long } }] };
    const path = `/v1/clusters/${a.id}/sessions`;
    expect((await call("POST", path, { token: a.token, body })).status).toBe(200);
    await expectProblem(await call("POST", path, { token: b.token, body }), "BODY_TOO_LARGE");
    const short = { requests: [{ playerId: "p", message: { type: "joined", generation: 1 } }] };
    await expectProblem(await call("POST", path, { token: b.token, body: short }), "CLUSTER_SESSION_INVALID");
    const newer = await startCluster({}, a.key);
    await expectProblem(await call("POST", path, { token: a.token, body: short }), "CLUSTER_FENCED");
    expect(newer.id).toBe(a.id);
  });
});
