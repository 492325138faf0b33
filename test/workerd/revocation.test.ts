import { env } from "cloudflare:workers";
import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { watchFailpoints } from "../../control-plane/failpoint.ts";
import { registryShard } from "../../control-plane/objects/remote.ts";
import * as worker from "../../control-plane/worker.ts";
import type { PlayerSession, RegistryShard } from "../../control-plane/worker.ts";
import { generationAfterAbort, generationAfterCommit } from "../../protocol/handover/generation.ts";
import type { ToSession } from "../../protocol/handover/messages.ts";
import { openStreams } from "../../protocol/handover/streams.ts";
import {
  limits,
  type LinkCommand,
  linkCloseCodes,
  type PlayerSessionTokens,
  type Problem,
} from "../../protocol/index.ts";
import { seatOf, startCluster, startOn, type TestCluster } from "./support/clusters.ts";
import { cutOff } from "./support/cut-off.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { pushed, requestBan, revokedIn, toldOf } from "./support/revocations.ts";
import { askSession } from "./support/sessions.ts";
import { eventually } from "../support/eventually.ts";

/** Anew each time: one from before all objects were aborted is of no use after it. */
const shard = () => env.REGISTRY_SHARD.getByName("default.0");

afterEach(() => {
  watchFailpoints(undefined);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A player in the game. */
async function playingOn(cluster: TestCluster) {
  const player = await logIn();
  const seat = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
  await cluster.report({ full: true, players: 1, joined: [seat] });
  // The shard tells the player's session behind its answer; until then the order goes by the ticket that is out.
  return { player, id: player.player.id, seat };
}

/** A player in the game on the first of two clusters, which could hand it over, and an operator. */
async function playingBesideAnother() {
  const [a, b] = [await startCluster(), await startCluster()];
  const operator = await logInOperator();
  const { id: playerId, seat } = await playingOn(a);
  const { generation } = seat;
  expect(await askSession(a, playerId, { type: "enter", generation })).toMatchObject([{ type: "entered" }]);
  return { a, b, operator, playerId, seat, generation };
}

/** What a cluster asks that hands this player over. */
function commitOf(playerId: string, generation: number, to: TestCluster): ToSession<string> {
  const snapshot = { state: btoa("moving"), streams: openStreams<string>(generation) };
  const destination = { clusterId: to.id, boot: to.registered.boot };
  return { type: "commit", id: "0".repeat(32), destination, members: [{ playerId, generation, snapshot }] };
}

/** Holds up what is signed with the master's key until it is let go. */
function holdSigning() {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const sign = crypto.subtle.sign.bind(crypto.subtle);
  let isAsked = false;
  vi.spyOn(crypto.subtle, "sign").mockImplementation(async (algorithm, ...rest) => {
    if (typeof algorithm === "object" && algorithm.name === "ECDSA") {
      isAsked = true;
      await held;
    }
    return sign(algorithm, ...rest);
  });
  return { begun: async () => eventually(() => expect(isAsked).toBe(true)), letGo };
}

async function listed(cluster: TestCluster): Promise<number> {
  return runInDurableObject(
    shard(),
    (_: RegistryShard, { storage }) =>
      storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM revocations WHERE cluster_id = ?", cluster.id).one().n,
  );
}

describe("a player who is revoked while shard after shard is asked for a seat", () => {
  it("[SEC-72] gets a seat at none of those that are asked after it", async () => {
    const tags = ["revoked-between-shards"];
    const clusters = await Promise.all((["eu.0", "eu.1"] as const).map((name) => startOn(name, { capacity: 1, tags })));
    const player = await logIn();
    const asked = vi.spyOn(worker.RegistryShard.prototype, "reserve");
    asked.mockImplementationOnce(async () => {
      const order = { playerId: player.player.id, action: "kick" } as const;
      await env.PLAYER_SESSION.getByName(player.player.id).revoke(order);
      return { ok: false, code: "NO_CLUSTER_AVAILABLE", detail: "stopped by the test" };
    });
    const wish = { region: "eu", selector: { tags } };
    await expectProblem(await requestAllocation(player, wish), "TICKET_REVOKED");
    expect(asked).toHaveBeenCalledOnce();
    for (const { id: clusterId } of clusters) await allocate(await logIn(), { clusterId });
  });
});

describe("[SEC-72] a ban", () => {
  it("is told over the link within a second of the operator's call", async () => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const link = await cluster.openLink();
    const lagsMs: number[] = [];
    for (let index = 0; index < 7; index += 1) {
      const { id, seat } = await playingOn(cluster);
      const calledAtMs = Date.now();
      const told = pushed(link, id).then((command) => ({ ...command, atMs: Date.now() }));
      expect(await expectJson(await requestBan(operator, id), 200)).toMatchObject({ reason: "cheating", until: null });
      const { version, players, atMs } = await told;
      lagsMs.push(atMs - calledAtMs);
      expect(players.find(({ playerId }) => playerId === id)?.minGeneration).toBeGreaterThan(seat.generation);
      link.send(cluster.nextReport({ full: true, players: 0, left: [seat], revocations: version }));
    }
    // The one in the middle: a machine that does something else for a moment says nothing about the way.
    expect(lagsMs.toSorted((a, b) => a - b)[3]).toBeLessThan(1_000);
    link.close();
  });

  it("[ALLOC-20] says to the player why and until when, and nothing of what is for operators", async () => {
    const operator = await logInOperator();
    const player = await logIn();
    const until = new Date(Date.now() + 3_600_000).toISOString();
    await requestBan(operator, player.player.id, { reason: "cheating", until, note: "reported by three others" });
    const response = await requestAllocation(player, {});
    const text = await response.clone().text();
    const problem: Problem = await expectProblem(response, "BANNED");
    expect(problem.ban).toEqual({ reason: "cheating", until });
    expect(text).not.toContain("three others");
    expect(text).not.toContain(operator.player.id);
  });

  it("turns logins and refreshes away", async () => {
    const operator = await logInOperator();
    const email = `${crypto.randomUUID()}@players.test`;
    const account = { email, password: "correct horse battery" };
    const { player } = await expectJson<{ player: { id: string } }>(
      await call("POST", "/v1/signup", { body: account }),
      201,
    );
    const { refreshToken } = await expectJson<{ refreshToken: string }>(
      await call("POST", "/v1/login", { body: account }),
      200,
    );
    await requestBan(operator, player.id);
    await expectProblem(await call("POST", "/v1/login", { body: account }), "BANNED");
    await expectProblem(await call("POST", "/v1/refresh", { body: { refreshToken } }), "BANNED");
  });

  it("ends by itself at its time, with new tickets above the floor", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster();
    const operator = await logInOperator();
    const { player, id, seat } = await playingOn(cluster);
    await requestBan(operator, id, { reason: "spam", until: new Date(Date.now() + 60_000).toISOString() });
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }), "BANNED");
    vi.setSystemTime(Date.now() + 60_000);
    await cluster.report({ left: [seat] });
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    const { minGeneration } = await toldOf(cluster, id);
    expect(seatOf(player.player, ticket).generation).toBeGreaterThanOrEqual(minGeneration);
  });

  it("that comes while a ticket is being signed lets it out no more", async () => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const player = await logIn();
    const key = crypto.randomUUID();
    const signing = holdSigning();
    const slow = requestAllocation(player, { clusterId: cluster.id }, key);
    await signing.begun();
    await requestBan(operator, player.player.id);
    signing.letGo();
    await expectProblem(await slow, "BANNED");
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "BANNED");
  });

  it("is ordered anew when a join of before is reported after all: it never counts", async () => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const player = await logIn();
    const seat = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    await call("POST", `/v1/admin/players/${player.player.id}/kick`, { token: operator.accessToken });
    await toldOf(cluster, player.player.id);
    // What a shard knows goes with a cluster that moves to another one: here it has forgotten.
    await runInDurableObject(shard(), (_: RegistryShard, { storage }) => {
      storage.sql.exec("DELETE FROM revocations WHERE cluster_id = ?", cluster.id);
    });
    await cluster.report({ full: true, players: 1, joined: [seat] });
    const { minGeneration, reason } = await toldOf(cluster, player.player.id);
    expect(minGeneration).toBeGreaterThan(seat.generation);
    expect(reason).toBe("kicked");
  });

  it("[HAND-3] has nobody handed over any more, alone or in a group", async () => {
    const { a, b, operator, playerId, generation } = await playingBesideAnother();
    await requestBan(operator, playerId);
    const id = "0".repeat(32);
    const enlist = { type: "enlist", id, generation, leader: { playerId: crypto.randomUUID(), generation } } as const;
    expect(await askSession(a, playerId, enlist)).toEqual([{ type: "enlistRefused", id, playerId }]);
    const reached: string[] = [];
    watchFailpoints((name) => reached.push(name));
    expect(await askSession(a, playerId, commitOf(playerId, generation, b))).toEqual([{ type: "commitRefused", id }]);
    expect(reached, "nothing is signed for it").not.toContain("handover.signed");
    // It is where it was, to be told there that it has to go.
    expect(await askSession(a, playerId, { type: "joined", generation })).toMatchObject([{ type: "settled" }]);
    expect(await toldOf(a, playerId)).toMatchObject({ reason: "banned" });
  });

  it("[HAND-3] that comes while a handover is being signed has it refused: the token does not leave", async () => {
    const { a, b, operator, playerId, generation } = await playingBesideAnother();
    const signing = holdSigning();
    const slow = askSession(a, playerId, commitOf(playerId, generation, b));
    await signing.begun();
    await requestBan(operator, playerId);
    signing.letGo();
    expect(await slow).toEqual([{ type: "commitRefused", id: "0".repeat(32) }]);
    expect(await askSession(a, playerId, { type: "joined", generation })).toMatchObject([{ type: "settled" }]);
  });

  it("[HAND-3] lets nobody enter any more with a ticket of before", async () => {
    const cluster = await startCluster();
    const [operator, player] = [await logInOperator(), await logIn()];
    const { id: playerId } = player.player;
    const { generation } = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    await requestBan(operator, playerId);
    expect(await askSession(cluster, playerId, { type: "enter", generation })).toEqual([
      { type: "superseded", playerId, generation },
    ]);
  });

  it("is told where a ticket can still be shown, by the slowest of clocks, and not where none can any more", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const [operator, player] = [await logInOperator(), await logIn()];
    const { id } = player.player;
    const [old, late, present] = [await startCluster(), await startCluster(), await startCluster()];
    const endOf = async (cluster: TestCluster): Promise<number> =>
      (await allocate(player, { clusterId: cluster.id })).expiresAt * 1_000 + limits.clockSkewMs;
    const oldEndMs = await endOf(old);
    vi.setSystemTime(Date.now() + 1_000);
    const lateEndMs = await endOf(late);
    expect(lateEndMs).toBeGreaterThan(oldEndMs);
    await endOf(present);
    vi.setSystemTime(oldEndMs);
    await requestBan(operator, id);
    await toldOf(late, id);
    await toldOf(present, id);
    // All of them are on one shard, and the oldest is told first.
    expect(revokedIn(await old.report(), id)).toEqual([]);
  });

  it("[HAND-3] is told to the cluster to which its player was handed over, however that came about", async () => {
    const { a, b, operator, playerId, seat, generation } = await playingBesideAnother();
    expect(await askSession(a, playerId, commitOf(playerId, generation, b))).toMatchObject([{ type: "committed" }]);
    await requestBan(operator, playerId);
    await toldOf(b, playerId);
    await runInDurableObject(shard(), (_: RegistryShard, { storage }) => {
      storage.sql.exec("DELETE FROM revocations WHERE cluster_id = ?", b.id);
    });
    const moved = { ...seat, generation: generationAfterCommit(generation) };
    await b.report({ full: true, players: 1, joined: [moved] });
    expect((await toldOf(b, playerId)).minGeneration).toBeGreaterThan(moved.generation);
  });

  it("[HAND-5] is told to the cluster that takes its player back, though the order went to another", async () => {
    const { a, b, operator, playerId, seat, generation } = await playingBesideAnother();
    // Nothing leads to the first cluster by then but the handover.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 70_000 });
    await a.report({ full: true, players: 1, joined: [seat] });
    expect(await askSession(a, playerId, commitOf(playerId, generation, b))).toMatchObject([{ type: "committed" }]);
    await requestBan(operator, playerId);
    await toldOf(b, playerId);
    expect(await askSession(a, playerId, { type: "abort", generation })).toMatchObject([{ type: "aborted" }]);
    const back = { ...seat, generation: generationAfterAbort(generation) };
    await a.report({ full: true, players: 1, joined: [back] });
    expect((await toldOf(a, playerId)).minGeneration).toBeGreaterThan(back.generation);
  });

  it("[HAND-11] is told to the cluster to which a group takes its player", async () => {
    const { a, b, operator, playerId, seat, generation } = await playingBesideAnother();
    const { id: leaderId, seat: leading } = await playingOn(a);
    await a.report({ full: true, players: 2, joined: [seat, leading] });
    const leader = { playerId: leaderId, generation: leading.generation };
    await askSession(a, leaderId, { type: "enter", generation: leading.generation });
    const commit = commitOf(leaderId, leading.generation, b);
    const follower = commitOf(playerId, generation, b);
    if (commit.type !== "commit" || follower.type !== "commit") throw new Error("no commits");
    const { id } = commit;
    expect(await askSession(a, playerId, { type: "enlist", id, generation, leader })).toMatchObject([
      { type: "enlisted" },
    ]);
    await requestBan(operator, playerId);
    await toldOf(a, playerId);
    const members = [...commit.members, ...follower.members];
    expect(await askSession(a, leaderId, { ...commit, members })).toMatchObject([{ type: "committed" }]);
    expect((await toldOf(b, playerId)).minGeneration).toBeGreaterThan(generationAfterCommit(generation));
  });

  it("is told to the cluster that has just handed its player over, and plays on in doubt", async () => {
    const { a, b, operator, playerId, seat, generation } = await playingBesideAnother();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 70_000 });
    await a.report({ full: true, players: 1, joined: [seat] });
    expect(await askSession(a, playerId, commitOf(playerId, generation, b))).toMatchObject([{ type: "committed" }]);
    await requestBan(operator, playerId);
    expect((await toldOf(a, playerId)).minGeneration).toBeGreaterThan(generation);
  });

  it("is for operators, whose action is in the log", async () => {
    const [operator, player] = [await logInOperator(), await logIn()];
    const { id } = player.player;
    await expectProblem(await requestBan(player, id), "FORBIDDEN");
    await requestBan(operator, id);
    const { rows } = await expectJson<{ rows: { action: string; outcome: string }[] }>(
      await call("GET", `/v1/admin/audit?target=player:${id}`, { token: operator.accessToken }),
      200,
    );
    expect(rows.map(({ action, outcome }) => `${action} ${outcome}`).toSorted()).toEqual([
      "player.ban done",
      "player.ban intended",
    ]);
  });

  it.each([
    ["no reason", {}],
    ["a reason that is no code", { reason: "He cheats!" }],
    ["an unknown field", { reason: "spam", more: true }],
    ["an end in the past", { reason: "spam", until: "2020-01-01T00:00:00Z" }],
    ["an end that is no time", { reason: "spam", until: "tomorrow" }],
    ["an end in a thousand years", { reason: "spam", until: "3020-01-01T00:00:00Z" }],
    ["a long note", { reason: "spam", note: "x".repeat(501) }],
  ])("refuses %s", async (_, body) => {
    await expectProblem(await requestBan(await logInOperator(), crypto.randomUUID(), body), "INVALID_FIELD");
  });
});

describe("[SEC-72] what a cluster was told", () => {
  it("comes again with every report until it says that it holds it, and while the player still sits there", async () => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const { id, seat } = await playingOn(cluster);
    await requestBan(operator, id);
    await toldOf(cluster, id);
    const told = await cluster.report();
    const command = told.find((one): one is Extract<LinkCommand, { type: "revoke" }> => one.type === "revoke");
    expect(command).toBeDefined();
    // One that knows no revocations understands this.
    expect(told).toContainEqual({ type: "fence", playerId: id, generation: command?.players[0]?.minGeneration });
    const version = command?.version ?? 0;
    // It says that it holds it, but the player is still there.
    expect(revokedIn(await cluster.report({ revocations: version }), id)).toHaveLength(1);
    expect(revokedIn(await cluster.report({ revocations: version, left: [seat] }), id)).toEqual([]);
  });

  it.each([
    ["more than there is", 1_000_000],
    ["nothing", 0],
  ])("comes in full to one that says that it holds %s", async (_, revocations) => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const { id, seat } = await playingOn(cluster);
    await requestBan(operator, id);
    await toldOf(cluster, id);
    expect(revokedIn(await cluster.report({ left: [seat], revocations }), id)).toHaveLength(1);
  });

  it("comes again over the link while it does not answer", async () => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const { id } = await playingOn(cluster);
    const link = await cluster.openLink();
    const first = pushed(link, id);
    await requestBan(operator, id);
    const { version } = await first;
    expect((await pushed(link, id)).version).toBe(version);
    expect((await pushed(link, id)).version).toBe(version);
    link.close();
  });

  it("reaches a process that registers again, and one whose shard has lost its memory", async () => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const { id } = await playingOn(cluster);
    await requestBan(operator, id);
    await toldOf(cluster, id);
    await abortAllDurableObjects();
    const told = await toldOf(cluster, id);
    const again = await startCluster({}, cluster.key);
    expect(await toldOf(again, id)).toEqual(told);
  });

  it("finds a cluster that has moved to another shard: told there what came before, and what comes after", async () => {
    const [first, second] = ["eu.0", "eu.1"] as const;
    const cluster = await startCluster({ region: "eu" });
    const order = {
      clusterId: cluster.id,
      playerId: crypto.randomUUID(),
      minGeneration: 9,
      reason: "kicked",
      ticketsUntilMs: Date.now() + 60_000,
      revokedAtMs: Date.now(),
    } as const;
    // Whichever of the two it is not at passes the order on.
    await registryShard(env, first).revoke(order);
    await registryShard(env, second).revoke(order);
    expect((await toldOf(cluster, order.playerId)).minGeneration).toBe(9);
  });

  it("cannot be held on its behalf by a stale process of the same key", async () => {
    const stale = await startCluster();
    const operator = await logInOperator();
    const { id } = await playingOn(stale);
    const link = await stale.openLink();
    const present = await startCluster({}, stale.key);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
    await requestBan(operator, id);
    const response = await call("POST", `/v1/clusters/${stale.id}/heartbeat`, {
      token: stale.token,
      body: stale.nextReport({ revocations: 1_000 }),
    });
    await expectProblem(response, "CLUSTER_FENCED");
    await toldOf(present, id);
  });

  it("is forgotten when no ticket of before can be shown and nobody sits there", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster();
    const operator = await logInOperator();
    const { id, seat } = await playingOn(cluster);
    await requestBan(operator, id);
    await toldOf(cluster, id);
    const sweep = async () => runInDurableObject(shard(), async (instance: RegistryShard) => instance.alarm());
    vi.setSystemTime(Date.now() + 66_000);
    // Still in the game, by its own word.
    for (let index = 0; index < 2; index += 1) await cluster.report({ revocations: 1_000 });
    await sweep();
    expect(await listed(cluster)).toBe(1);
    await cluster.report({ left: [seat] });
    await cluster.report();
    await sweep();
    expect(await listed(cluster)).toBe(0);
  });
});

it("[SEC-72] a cluster is told of a ban also where its shard was away for days", async () => {
  const cluster = await startCluster();
  const { id } = await playingOn(cluster);
  const session = env.PLAYER_SESSION.getByName(id);
  /** How many orders have been tried in vain; they are due again, and old. */
  const triedInVain = async () =>
    runInDurableObject(session, (_: PlayerSession, { storage }) => {
      storage.sql.exec("UPDATE outbox SET due_at = 1, created_at = created_at - ?", 3 * 86_400_000);
      const tried = "SELECT count(*) AS n FROM outbox WHERE attempts > 1 AND payload ->> 'kind' = 'revoke'";
      return storage.sql.exec<{ n: number }>(tried).one().n;
    });
  const away = vi.spyOn(worker.RegistryShard.prototype, "revoke").mockImplementation(async () => {
    throw new Error("away");
  });
  await expectJson(await requestBan(await logInOperator(), id), 200);
  await eventually(async () => {
    expect(await triedInVain()).toBe(1);
    await runInDurableObject(session, async (instance: PlayerSession) => instance.alarm());
  });
  away.mockRestore();
  await runInDurableObject(session, async (instance: PlayerSession) => instance.alarm());
  expect((await toldOf(cluster, id)).reason).toBe("banned");
});

describe("[SEC-72] while other services are away", () => {
  it("a ban holds at once, and its record comes when the database is back", { timeout: 60_000 }, async () => {
    const operator = await logInOperator();
    const player = await logIn();
    const { id } = player.player;
    const real = globalThis.fetch;
    const database = String(Reflect.get(env, "TURSO_DATABASE_URL"));
    const outage = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      if (url.startsWith(database)) throw new TypeError("the database is away");
      return real(input, init);
    });
    await expectJson(await requestBan(operator, id), 200);
    await expectProblem(await requestAllocation(player, {}), "BANNED");
    await expectProblem(
      await call("GET", `/v1/admin/bans?playerId=${id}`, { token: operator.accessToken }),
      "DATABASE_UNAVAILABLE",
    );
    await evictDurableObject(env.PLAYER_SESSION.getByName(id));
    outage.mockRestore();
    await eventually(async () => {
      const page = await call("GET", `/v1/admin/bans?playerId=${id}&inForce=true`, { token: operator.accessToken });
      const { bans } = await expectJson<{ bans: object[] }>(page, 200);
      expect(bans).toMatchObject([{ playerId: id, reason: "cheating", bannedBy: operator.player.id, liftedAt: null }]);
    });
  });

  it("[SEC-75] a sign-out everywhere holds at once, and ends the logins there when the identity service is back", async () => {
    const cluster = await startCluster();
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    await expectJson(await call("POST", "/v1/signup", { body: account }), 201);
    const player = await expectJson<Awaited<ReturnType<typeof logIn>>>(
      await call("POST", "/v1/login", { body: account }),
      200,
    );
    await allocate(player, { clusterId: cluster.id });
    cutOff(String(Reflect.get(env, "SUPABASE_URL")));
    const everywhere = "/v1/logout?scope=everywhere";
    expect((await call("POST", everywhere, { token: player.accessToken })).status).toBe(204);
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }), "UNAUTHENTICATED");
    // A token that was signed out signs nobody out any more.
    await expectProblem(await call("POST", everywhere, { token: player.accessToken }), "UNAUTHENTICATED");
    expect((await toldOf(cluster, player.player.id)).reason).toBe("signed-out");
    vi.restoreAllMocks();
    // The session does not wait for its turn.
    await runInDurableObject(
      env.PLAYER_SESSION.getByName(player.player.id),
      async (session: PlayerSession, { storage }) => {
        storage.sql.exec("UPDATE outbox SET due_at = 1");
        await session.alarm();
      },
    );
    await eventually(async () => {
      const { refreshToken } = player;
      await expectProblem(await call("POST", "/v1/refresh", { body: { refreshToken } }), "REFRESH_TOKEN_INVALID");
    });
    await eventually(async () => {
      const again = await expectJson<typeof player>(await call("POST", "/v1/login", { body: account }), 200);
      await allocate(again, { clusterId: cluster.id });
    });
  });
});

it.each(["sign-out", "kick", "ban"])(
  "[SEC-98] repeating a %s under its key ends nothing that came after it",
  async (action) => {
    const cluster = await startCluster();
    const operator = await logInOperator();
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    await expectJson(await call("POST", "/v1/signup", { body: account }), 201);
    const logInAgain = async (): Promise<PlayerSessionTokens> =>
      expectJson(await call("POST", "/v1/login", { body: account }), 200);
    const player = await logInAgain();
    await allocate(player, { clusterId: cluster.id });
    const { id } = player.player;
    const order = async (key: string, as = operator, reason = "cheating") =>
      call("POST", `/v1/admin/players/${id}/${action}`, {
        token: as.accessToken,
        headers: { "idempotency-key": key },
        ...(action === "ban" ? { body: { reason } } : {}),
      });
    const key = crypto.randomUUID();
    const first = await order(key);
    const answer = await first.text();
    expect(first.ok, answer).toBe(true);
    // Of no account but after a ban.
    expect((await call("DELETE", `/v1/admin/players/${id}/ban`, { token: operator.accessToken })).status).toBe(204);
    // A login counts from the second after a sign-out.
    const [back, { ticket }] = await eventually(async () => {
      const tokens = await logInAgain();
      return [tokens, await allocate(tokens, { clusterId: cluster.id })] as const;
    });
    const { generation } = seatOf(back.player, ticket);
    const again = await order(key);
    expect([again.status, await again.text()]).toEqual([first.status, answer]);
    expect((await toldOf(cluster, id)).minGeneration).toBeLessThanOrEqual(generation);
    await allocate(back, { clusterId: cluster.id });
    if (action === "ban") await expectProblem(await order(key, operator, "spam"), "IDEMPOTENCY_KEY_REUSED");
    await expectProblem(await order("short"), "IDEMPOTENCY_KEY_REQUIRED");
    // Another operator's order is another one, whatever it is called; so is one under a new key.
    expect((await order(key, await logInOperator())).ok).toBe(true);
    await eventually(async () => expect((await toldOf(cluster, id)).minGeneration).toBeGreaterThan(generation));
  },
);

it("bans are listed page by page, the newest first, and end early", async () => {
  const operator = await logInOperator();
  const { accessToken: token } = operator;
  const players = [await logIn(), await logIn(), await logIn()];
  const ids = players.map(({ player }) => player.id);
  for (const id of ids) await expectJson(await requestBan(operator, id, { reason: "spam" }), 200);
  interface Page {
    readonly bans: { readonly playerId: string; readonly liftedBy: string | null }[];
    readonly next: string | null;
  }
  await eventually(async () => {
    const found: string[] = [];
    let cursor = "";
    do {
      const page = await expectJson<Page>(await call("GET", `/v1/admin/bans?limit=2${cursor}`, { token }), 200);
      found.push(...page.bans.map(({ playerId }) => playerId));
      cursor = page.next === null ? "" : `&cursor=${page.next}`;
    } while (cursor !== "");
    expect(found.filter((id) => ids.includes(id))).toEqual(ids.toReversed());
  });
  const [first = ""] = ids;
  expect((await call("DELETE", `/v1/admin/players/${first}/ban`, { token })).status).toBe(204);
  expect((await call("DELETE", `/v1/admin/players/${first}/ban`, { token })).status).toBe(204);
  await eventually(async () => {
    const { bans } = await expectJson<Page>(await call("GET", `/v1/admin/bans?playerId=${first}`, { token }), 200);
    expect(bans).toMatchObject([{ liftedBy: operator.player.id }]);
  });
  const [player] = players;
  if (player !== undefined) await startCluster().then(({ id }) => allocate(player, { clusterId: id }));
});

it("[SEC-98] what an operator wrote with an order goes with the account", async () => {
  const operator = await logInOperator();
  const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
  await expectJson(await call("POST", "/v1/signup", { body: account }), 201);
  const logInAgain = async (): Promise<PlayerSessionTokens> =>
    expectJson(await call("POST", "/v1/login", { body: account }), 200);
  const { id } = (await logInAgain()).player;
  const path = `/v1/admin/players/${id}/ban`;
  const token = operator.accessToken;
  const headers = { "idempotency-key": crypto.randomUUID() };
  const note = "seen by the whole guild";
  await expectJson(await call("POST", path, { token, headers, body: { reason: "cheating", note } }), 200);
  expect((await call("DELETE", path, { token })).status).toBe(204);
  const stored = async (): Promise<string> =>
    runInDurableObject(env.PLAYER_SESSION.getByName(id), (_: PlayerSession, { storage }) =>
      JSON.stringify(storage.sql.exec("SELECT orders FROM session").toArray()),
    );
  expect(await stored()).toContain(note);
  await eventually(async () => {
    const { accessToken: token } = await logInAgain();
    expect((await call("DELETE", "/v1/me", { token })).status).toBe(204);
  });
  expect(await stored()).not.toContain(note);
});
