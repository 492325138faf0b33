import { env } from "cloudflare:workers";
import {
  abortAllDurableObjects,
  evictAllDurableObjects,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { decodeJwt } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { shardOfCluster, parseShardMap } from "../../control-plane/domain/clusters/sharding.ts";
import { Party, RegistryShard, WaitingRoom } from "../../control-plane/worker.ts";
import type { PartyView, Waiting } from "../../protocol/index.ts";
import { seatOf, startCluster, startOn, type TestCluster, testShards } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { requestJoin, requestParty, startParty, type TestParty } from "./support/parties.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { requestBan } from "./support/revocations.ts";
import { expectFirst, fill, leave, newWaiter } from "./support/waiting.ts";
import { eventually, eventuallySome } from "../support/eventually.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function seatsOf(cluster: TestCluster): Promise<{ seats: number; rows: number }> {
  const map = parseShardMap(env.SHARDS);
  const shard = map === undefined ? undefined : shardOfCluster(map, cluster.id);
  if (shard === undefined) throw new Error("a cluster has a shard");
  return runInDurableObject(env.REGISTRY_SHARD.getByName(shard), (_, { storage }) => {
    const { seats } = storage.sql
      .exec<{ seats: number }>("SELECT seats FROM clusters WHERE cluster_id = ?", cluster.id)
      .one();
    const { rows } = storage.sql
      .exec<{ rows: number }>("SELECT count(*) AS rows FROM seats WHERE cluster_id = ?", cluster.id)
      .one();
    return { seats, rows };
  });
}

/** The next seats are held, and nobody hears of it. */
function loseAnswerToHold(): void {
  vi.spyOn(RegistryShard.prototype, "hold").mockImplementationOnce(async function lost(this: RegistryShard, request) {
    // Mocked once: this is the real one.
    await this.hold(request);
    throw new Error("stopped by the test");
  });
}

/** Lets the time of the party's hold run out. */
async function endHold(party: TestParty): Promise<void> {
  vi.setSystemTime(Date.now() + 76_000);
  await runDurableObjectAlarm(env.PARTY.getByName(party.view.id));
}

describe("a party", () => {
  it("[PARTY-3] [ALLOC-11] [ALLOC-13] starts where its leader has asked for: each ticket names that fragment, and lasts as long as it says", async () => {
    const fragment = `f-${crypto.randomUUID().slice(0, 18)}`;
    const area = { name: fragment, min: [0, 0, 0], max: [10, 10, 10], ticketLifetimeSeconds: 20 } as const;
    const elsewhere = { name: `${fragment}-else`, min: [10, 0, 0], max: [20, 10, 10] } as const;
    const cluster = await startCluster({ world: { fragments: [elsewhere, area] } });
    const party = await startParty(2);
    expect((await party.hold({ fragment })).cluster.id).toBe(cluster.id);
    await abortAllDurableObjects();
    for (const member of party.members) {
      const { ticket } = await party.claim(member);
      const { frag, iat = 0, exp = 0 } = decodeJwt<{ frag: string }>(ticket);
      expect(frag).toBe(fragment);
      expect(exp - iat).toBeLessThanOrEqual(20);
    }
    const other = await startParty(1);
    await other.hold({ clusterId: cluster.id });
    expect(decodeJwt((await other.claim(other.leader)).ticket)["frag"]).toBe("");
  });

  it("[PARTY-1] [PARTY-3] gets one seat for each member on one cluster, and each claims a ticket of their own", async () => {
    const tags = ["party-together"];
    await Promise.all(testShards.map((shard) => startOn(shard, { capacity: 2, tags })));
    const large = await startOn("eu.1", { capacity: 5, tags });
    const party = await startParty(4);
    const key = crypto.randomUUID();
    const held = await party.hold({ selector: { tags } }, key);
    expect(held.cluster.id).toBe(large.id);
    expect(held.members.toSorted()).toEqual(party.members.map(({ player }) => player.id).toSorted());
    expect(await party.hold({ selector: { tags } }, key)).toEqual(held);
    expect(await seatsOf(large)).toEqual({ seats: 4, rows: 4 });
    const keys = party.members.map(() => crypto.randomUUID());
    const tickets = await Promise.all(party.members.map((member, index) => party.claim(member, keys[index])));
    for (const [index, member] of party.members.entries()) {
      expect(tickets[index]?.cluster.id).toBe(large.id);
      expect(decodeJwt(tickets[index]?.ticket ?? "").sub).toBe(member.player.id);
      expect(await party.claim(member, keys[index])).toEqual(tickets[index]);
    }
    expect(await seatsOf(large)).toEqual({ seats: 4, rows: 4 });
    expect((await party.show()).members.every(({ claimed }) => claimed)).toBe(true);
    // Another key is another ticket for the same seat.
    const again = await party.claim(party.leader);
    expect(again.ticket).not.toBe(tickets[0]?.ticket);
    await allocate(await logIn(), { clusterId: large.id });
    await expectProblem(await requestAllocation(await logIn(), { clusterId: large.id }), "CLUSTER_FULL");
    const seats = party.members.map(({ player }, index) =>
      seatOf(player, index === 0 ? again.ticket : (tickets[index]?.ticket ?? "")),
    );
    await large.report({ full: true, players: 4, joined: seats });
    await large.report({ players: 0, left: seats });
    // Beside the newcomer's: the leader's other ticket could still join.
    expect((await seatsOf(large)).seats).toBe(2);
  });

  it("[PARTY-3] has its seats for as long as it is told, also when it has to ask again", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(2);
    const key = crypto.randomUUID();
    loseAnswerToHold();
    await expectProblem(await party.requestHold({ clusterId: cluster.id }, key), "INTERNAL");
    vi.setSystemTime(Date.now() + 25_000);
    await cluster.report({ players: 0 });
    const { expiresAt } = await party.hold({ clusterId: cluster.id }, key);
    vi.setSystemTime(expiresAt * 1_000 - 1_000);
    await cluster.report({ players: 0 });
    await cluster.report({ players: 0 });
    for (const member of party.members) expect((await party.claim(member)).cluster.id).toBe(cluster.id);
    expect(await seatsOf(cluster)).toEqual({ seats: 2, rows: 2 });
  });

  it("[PARTY-3] gets all or none when it asks again after its seats have ended, also where a member is in the game there", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(2);
    const playing = seatOf(party.leader.player, (await allocate(party.leader, { clusterId: cluster.id })).ticket);
    await cluster.report({ full: true, players: 1, joined: [playing] });
    const key = crypto.randomUUID();
    loseAnswerToHold();
    await expectProblem(await party.requestHold({ clusterId: cluster.id }, key), "INTERNAL");
    vi.setSystemTime(Date.now() + 80_000);
    for (let count = 0; count < 2; count += 1) await cluster.report({ players: 1 });
    expect(await seatsOf(cluster)).toEqual({ seats: 1, rows: 1 });
    const guest = await logIn();
    const taken = await allocate(guest, { clusterId: cluster.id });
    await expectProblem(await party.requestHold({ clusterId: cluster.id }, key), "CLUSTER_FULL");
    await leave(cluster, [{ player: guest, allocation: taken }]);
    expect(new Set((await party.hold({ clusterId: cluster.id }, key)).members)).toEqual(
      new Set(party.members.map(({ player }) => player.id)),
    );
    for (const member of party.members) expect((await party.claim(member)).cluster.id).toBe(cluster.id);
  });

  it("[PARTY-3] gets all or none, however many ask at once", async () => {
    const clusters = await Promise.all([0, 1].map(() => startCluster({ capacity: 5, tags: ["party-crowd"] })));
    const parties = await Promise.all(Array.from({ length: 6 }, () => startParty(2)));
    const request = { selector: { tags: ["party-crowd"] } };
    const answers = await Promise.all(parties.map((party) => party.requestHold(request)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      await expectProblem(answer, "NO_CLUSTER_AVAILABLE");
    }
    for (const cluster of clusters) expect(await seatsOf(cluster)).toEqual({ seats: 4, rows: 4 });
  });

  it("[PARTY-5] loses all seats that nobody claimed at once, and can be allocated again", async () => {
    const cluster = await startCluster({ capacity: 3 });
    const party = await startParty(3);
    await party.hold({ clusterId: cluster.id });
    const { ticket } = await party.claim(party.member(1));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    await cluster.report({ full: true, players: 1, joined: [seatOf(party.member(1).player, ticket)] });
    vi.setSystemTime(Date.now() + 60_001);
    await expectProblem(await party.requestClaim(party.leader), "PARTY_HOLD_ENDED");
    expect((await seatsOf(cluster)).seats).toBe(3);
    await endHold(party);
    await eventually(async () => expect(await seatsOf(cluster)).toEqual({ seats: 1, rows: 1 }));
    await expectProblem(await party.requestClaim(party.leader), "PARTY_NOT_READY");
    expect((await party.show()).state).toBe("open");
    await cluster.report({ players: 1 });
    // The one who is in the game has a seat already.
    await party.hold({ clusterId: cluster.id });
    expect((await seatsOf(cluster)).seats).toBe(3);
  });

  it.each(Object.entries({ evicted: evictAllDurableObjects, aborted: abortAllDurableObjects }))(
    "[PARTY-3] outlives that all objects are %s",
    async (_, lose) => {
      const cluster = await startCluster({ capacity: 2 });
      const party = await startParty(2);
      await lose();
      const key = crypto.randomUUID();
      const held = await party.hold({ clusterId: cluster.id }, key);
      await lose();
      expect(await party.hold({ clusterId: cluster.id }, key)).toEqual(held);
      const claimKey = crypto.randomUUID();
      const ticket = await party.claim(party.leader, claimKey);
      await lose();
      expect(await party.claim(party.leader, claimKey)).toEqual(ticket);
      await party.claim(party.member(1));
      expect(await seatsOf(cluster)).toEqual({ seats: 2, rows: 2 });
    },
    60_000,
  );
});

describe("members", () => {
  it("[PARTY-2] join by the code, once, and are in one party at a time", async () => {
    const party = await startParty(2, { size: 3 });
    expect(await expectJson<PartyView>(await requestParty(party.leader), 200)).toEqual(await party.show());
    const player = await logIn();
    await expectProblem(await requestJoin(player, { ...party.view, code: "A".repeat(16) }), "PARTY_NOT_FOUND");
    await expectProblem(await requestJoin(player, { ...party.view, id: "A".repeat(22) }), "PARTY_NOT_FOUND");
    await expectJson(await requestJoin(player, party.view), 200);
    await expectJson(await requestJoin(player, party.view), 200);
    expect((await party.show(player)).members.map(({ playerId }) => playerId)).toEqual([
      ...party.members.map((member) => member.player.id),
      player.player.id,
    ]);
    await expectProblem(await requestJoin(await logIn(), party.view), "PARTY_FULL");
    const other = await startParty(1);
    await expectProblem(await requestJoin(player, other.view), "IN_ANOTHER_PARTY");
    await expectProblem(await requestParty(player), "IN_ANOTHER_PARTY");
    expect((await party.remove(player, player)).status).toBe(204);
    expect((await party.remove(player, player)).status).toBe(204);
    await expectJson(await requestJoin(player, other.view), 200);
  });

  it("[PARTY-2] who join several parties at once end up in one", async () => {
    const parties = await Promise.all(Array.from({ length: 3 }, () => startParty(1)));
    const player = await logIn();
    await Promise.all(parties.map((party) => requestJoin(player, party.view)));
    const views = await Promise.all(parties.map((party) => party.show()));
    expect(views.filter(({ members }) => members.some(({ playerId }) => playerId === player.player.id))).toHaveLength(
      1,
    );
  });

  it("[PARTY-4] who leave or are sent away lose their seat, unless they have claimed it", async () => {
    const cluster = await startCluster({ capacity: 4 });
    const party = await startParty(4);
    await party.hold({ clusterId: cluster.id });
    await party.claim(party.member(1));
    await expectProblem(await party.remove(party.member(1), party.leader), "PARTY_BUSY");
    await expectProblem(await party.remove(party.member(2), party.member(3)), "PARTY_LEADER_ONLY");
    expect((await party.remove(party.member(2), party.leader)).status).toBe(204);
    expect((await party.remove(party.member(3), party.member(3))).status).toBe(204);
    for (const index of [2, 3]) {
      await expectProblem(await party.requestClaim(party.member(index)), "PARTY_NOT_FOUND");
    }
    await eventually(async () => expect(await seatsOf(cluster)).toEqual({ seats: 2, rows: 2 }));
    await expectProblem(await requestJoin(party.member(3), party.view), "PARTY_BUSY");
    await expectProblem(await requestJoin(party.member(2), party.view), "PARTY_NOT_FOUND");
  });

  it("[PARTY-2] are led by the next one when their leader leaves, until nobody is left", async () => {
    const party = await startParty(2);
    expect((await party.remove(party.leader, party.leader)).status).toBe(204);
    expect((await party.show(party.member(1))).leaderId).toBe(party.member(1).player.id);
    expect((await party.remove(party.member(1), party.member(1))).status).toBe(204);
    await expectProblem(await call("GET", party.path, { token: party.member(1).accessToken }), "PARTY_NOT_FOUND");
    await expectProblem(await requestJoin(await logIn(), party.view), "PARTY_NOT_FOUND");
  });

  it("[PARTY-2] are free when their party is disbanded, or nothing has happened in it for half an hour", async () => {
    const [ended, old] = [await startParty(2), await startParty(2)];
    await expectProblem(await call("DELETE", ended.path, { token: ended.member(1).accessToken }), "PARTY_LEADER_ONLY");
    expect((await call("DELETE", ended.path, { token: ended.leader.accessToken })).status).toBe(204);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_800_000 - 60_000 });
    await expectJson(await call("GET", old.path, { token: old.leader.accessToken }), 200);
    vi.setSystemTime(Date.now() + 120_000);
    for (const party of [ended, old]) {
      await expectJson(await requestParty(party.member(1)), 200);
      await expectProblem(await call("GET", party.path, { token: party.leader.accessToken }), "PARTY_NOT_FOUND");
    }
  });
});

it("a party is as it was stored where a step of it fails half way", async () => {
  const cluster = await startCluster();
  const party = await startParty(2);
  await party.hold({ clusterId: cluster.id });
  const rename = async (from: string, to: string) =>
    runInDurableObject(env.PARTY.getByName(party.view.id), (_, { storage }) => {
      storage.sql.exec(`ALTER TABLE ${from} RENAME TO ${to}`);
    });
  await rename("outbox", "lost");
  expect((await party.remove(party.member(1), party.leader)).status).toBe(500);
  await rename("lost", "outbox");
  expect((await party.show()).members).toHaveLength(2);
  expect((await party.remove(party.member(1), party.leader)).status).toBe(204);
  expect((await party.show()).members).toHaveLength(1);
});

it("[PARTY-2] whoever deletes the account leaves the party, and the line", async () => {
  const cluster = await startCluster({ capacity: 2 });
  await fill(cluster);
  const party = await startParty(2);
  const waiter = await newWaiter({ clusterId: cluster.id });
  const behind = await newWaiter({ clusterId: cluster.id });
  for (const { accessToken } of [party.member(1), waiter.player]) {
    expect((await call("DELETE", "/v1/me", { token: accessToken })).status).toBe(204);
  }
  await eventually(async () => {
    expect((await party.show()).members).toHaveLength(1);
    await behind.ask();
    expect(behind.waiting?.position).toBe(1);
  });
});

describe("whoever is thrown out", () => {
  const requests = (party: TestParty, token: string, stranger: TestParty) => ({
    "makes no party": async () => call("POST", "/v1/parties", { token, body: {} }),
    "joins none": async () => call("POST", `${stranger.path}/members`, { token, body: { code: stranger.view.code } }),
    "does nothing with the one before": async () =>
      call("POST", `${party.path}/allocate`, { token, body: {}, headers: { "idempotency-key": crypto.randomUUID() } }),
    "does not even look at it": async () => call("GET", party.path, { token }),
  });

  it("[PARTY-7] [ALLOC-20] and is banned makes, joins and leads no party, and is in none any more", async () => {
    const cluster = await startCluster({ capacity: 2 });
    const operator = await logInOperator();
    const [party, other] = [await startParty(2), await startParty(1)];
    await party.hold({ clusterId: cluster.id });
    await expectJson(await requestBan(operator, party.leader.player.id), 200);
    for (const [what, request] of Object.entries(requests(party, party.leader.accessToken, other))) {
      const { ban } = await expectProblem(await request(), "BANNED");
      expect(ban?.reason, what).toBe("cheating");
    }
    // Its seat is free, and who joined next leads.
    await eventually(async () => expect(await seatsOf(cluster)).toEqual({ seats: 1, rows: 1 }));
    expect((await party.show(party.member(1))).leaderId).toBe(party.member(1).player.id);
    await party.claim(party.member(1));
  });

  it("[PARTY-7] and is banned while it is entering one is not in it, though the party hears of the ban first", async () => {
    const [operator, player] = [await logInOperator(), await logIn()];
    const party = await startParty(1, { size: 4 });
    vi.spyOn(Party.prototype, "join").mockImplementationOnce(async function late(this: Party, member) {
      await expectJson(await requestBan(operator, player.player.id), 200);
      await eventually(async () => {
        const session = env.PLAYER_SESSION.getByName(player.player.id);
        const waiting = await runInDurableObject(session, (_, { storage }) =>
          storage.sql.exec("SELECT 1 FROM outbox WHERE target = ?", party.view.id).toArray(),
        );
        expect(waiting).toEqual([]);
      });
      // Mocked once: this is the real one.
      return this.join(member);
    });
    await expectProblem(await requestJoin(player, party.view), "BANNED");
    await eventually(async () => expect((await party.show()).members).toHaveLength(1));
  });

  it("[PARTY-7] and was told to leave one comes back to it only when it has been heard that it left", async () => {
    const party = await startParty(2);
    const player = party.member(1);
    const session = env.PLAYER_SESSION.getByName(player.player.id);
    const leaving = vi.spyOn(Party.prototype, "leave").mockRejectedValue(new Error("stopped by the test"));
    const { accessToken: token } = await logInOperator();
    expect((await call("POST", `/v1/admin/players/${player.player.id}/kick`, { token, body: {} })).status).toBe(204);
    await eventually(() => expect(leaving).toHaveBeenCalled());
    expect((await expectProblem(await requestJoin(player, party.view), "PARTY_BUSY")).detail).toContain("leaves");
    leaving.mockRestore();
    await eventually(async () => {
      await runInDurableObject(session, (_, { storage }) => storage.sql.exec("UPDATE outbox SET due_at = 0").toArray());
      await runDurableObjectAlarm(session);
      await expectJson(await requestJoin(player, party.view), 200);
    });
    expect((await party.show()).members).toHaveLength(2);
  });

  it("[PARTY-7] [SEC-75] and is signed out everywhere does nothing with parties by a login of before", async () => {
    const [party, other] = [await startParty(2), await startParty(1)];
    const { accessToken: token } = party.leader;
    expect((await call("POST", "/v1/logout?scope=everywhere", { token })).status).toBe(204);
    for (const request of Object.values(requests(party, token, other))) {
      await expectProblem(await request(), "UNAUTHENTICATED");
    }
    await eventually(async () => expect((await party.show(party.member(1))).members).toHaveLength(1));
  });

  it("[PARTY-7] and leads a party that waits leaves the line to those behind", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 1 });
    const operator = await logInOperator();
    await fill(cluster);
    const party = await startParty(1);
    await expectJson(await party.requestHold({ clusterId: cluster.id, wait: true }), 202);
    const single = await newWaiter({ clusterId: cluster.id });
    await expectJson(await requestBan(operator, party.leader.player.id), 200);
    await expectFirst(single);
  });
});

describe("a stranger", () => {
  it("[PARTY-4] [SEC-52] can do nothing with a party, and a member only what is a member's", async () => {
    const cluster = await startCluster({ capacity: 9 });
    const party = await startParty(2);
    const stranger = await logIn();
    await startParty(1).then(({ view }) => requestJoin(stranger, view));
    const token = stranger.accessToken;
    await expectProblem(await party.requestHold({ clusterId: cluster.id }, undefined, stranger), "PARTY_NOT_FOUND");
    await expectProblem(await call("GET", party.path, { token }), "PARTY_NOT_FOUND");
    await expectProblem(await call("DELETE", party.path, { token }), "PARTY_NOT_FOUND");
    await expectProblem(await party.remove(party.leader, stranger), "PARTY_NOT_FOUND");
    await expectProblem(await party.requestHold({}, undefined, party.member(1)), "PARTY_LEADER_ONLY");
    await party.hold({ clusterId: cluster.id });
    await expectProblem(await party.requestClaim(stranger), "PARTY_NOT_FOUND");
    expect((await seatsOf(cluster)).rows).toBe(2);
  });

  it.each([
    ["party", { party: "short" }],
    ["party", { party: "A".repeat(22), region: "eu" }],
    ["party", { party: "A".repeat(22), wait: true }],
  ])("[PARTY-3] names %s in a claim", async (field, body) => {
    const problem = await expectProblem(await requestAllocation(await logIn(), body), "INVALID_FIELD");
    expect(problem.errors?.map((error) => error.field)).toContain(field);
  });

  it.each([1, 16])("[PARTY-1] may have %i members", async (size) => {
    const { accessToken } = await logIn();
    const response = await call("POST", "/v1/parties", { token: accessToken, body: { size } });
    expect([response.status, await response.json()]).toMatchObject([200, { size }]);
  });

  it.each([
    ["size", { size: 17 }],
    ["size", { size: 0 }],
    ["members", { members: ["somebody"] }],
  ])("[PARTY-1] names %s in a party", async (field, body) => {
    const { accessToken } = await logIn();
    const problem = await expectProblem(
      await call("POST", "/v1/parties", { token: accessToken, body }),
      "INVALID_FIELD",
    );
    expect(problem.errors?.map((error) => error.field)).toContain(field);
  });

  it("[SEC-36] a leader's allocations are limited by the hour, and a retry is none", async () => {
    const party = await startParty(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const key = crypto.randomUUID();
    for (let count = 0; count < 50; count += 1) await party.requestHold({ region: "nowhere" }, key);
    let total = 0;
    for (let minute = 0; minute < 5; minute += 1) {
      vi.setSystemTime(Date.now() + 70_000);
      for (let count = 0; count < 59; count += 1) {
        await call("DELETE", `${party.path}/allocate`, { token: party.leader.accessToken });
        const { status } = await party.requestHold({ region: "nowhere" });
        if (status !== 429) total += 1;
      }
    }
    // The first key was one as well.
    expect(total).toBe(239);
    vi.useRealTimers();
  });

  it("[SEC-36] who makes party after party is stopped", async () => {
    const player = await logIn();
    const answers: Response[] = [];
    for (let index = 0; index < 61; index += 1) answers.push(await requestParty(player));
    expect(answers.slice(0, 60).every(({ status }) => status === 200)).toBe(true);
    await expectProblem(answers[60] ?? new Response(), "RATE_LIMITED");
  });
});

describe("the leader's key", () => {
  it("[PARTY-3] stands for one request, and gives way to another when it is given up", async () => {
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(2);
    const key = crypto.randomUUID();
    await party.hold({ clusterId: cluster.id }, key);
    await expectProblem(await party.requestHold({ region: "eu" }, key), "IDEMPOTENCY_KEY_REUSED");
    await expectProblem(await party.requestHold({ clusterId: cluster.id }), "PARTY_BUSY");
    await expectProblem(await party.requestHold({}, "short"), "IDEMPOTENCY_KEY_REQUIRED");
    const lost = await startParty(1);
    await expectProblem(await lost.requestHold({ region: "nowhere", wait: true }), "REGION_NOT_FOUND");
    for (let index = 0; index < 2; index += 1) {
      const given = await call("DELETE", `${party.path}/allocate`, { token: party.leader.accessToken });
      expect(given.status).toBe(204);
    }
    await eventually(async () => expect(await seatsOf(cluster)).toEqual({ seats: 0, rows: 0 }));
    await expectProblem(await party.requestHold({ clusterId: cluster.id }, key), "PARTY_HOLD_ENDED");
    await party.hold({ clusterId: cluster.id });
    await party.claim(party.member(1));
    const late = await call("DELETE", `${party.path}/allocate`, { token: party.leader.accessToken });
    await expectProblem(late, "PARTY_BUSY");
  });
});

describe("a party that waits", () => {
  it("[WAIT-9] [PARTY-6] is served whole, in its turn, and holds nobody up for whom there is room elsewhere", async () => {
    const cluster = await startCluster({ capacity: 3 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const party = await startParty(2);
    const key = crypto.randomUUID();
    const wish = { clusterId, wait: true };
    const ask = async () => party.requestHold(wish, key);
    const waiting = await expectJson<Waiting>(await ask(), 202);
    expect(waiting.position).toBe(1);
    expect((await party.show()).state).toBe("waiting");
    await expectProblem(await party.requestClaim(party.member(1)), "PARTY_NOT_READY");
    await expectProblem(await requestJoin(await logIn(), party.view), "PARTY_BUSY");
    const single = await newWaiter({ clusterId });
    expect(single.waiting?.position).toBe(2);
    // One seat: the party does not fit, and lets the other pass for a while.
    await leave(cluster, guests.slice(0, 1));
    expect((await single.served()).cluster.id).toBe(clusterId);
    await leave(cluster, guests.slice(1));
    const held = await eventuallySome(async () => (await ask()).status === 200);
    expect(held).toBe(true);
    for (const member of party.members) expect((await party.claim(member)).cluster.id).toBe(clusterId);
    await expectProblem(await requestAllocation(await logIn(), { clusterId }), "CLUSTER_FULL");
    expect(await seatsOf(cluster)).toEqual({ seats: 3, rows: 3 });
  });

  it("[WAIT-9] is not overtaken for ever", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 2 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const party = await startParty(2);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ clusterId, wait: true }, key);
    await expectJson(await ask(), 202);
    const single = await newWaiter({ clusterId });
    for (let index = 0; index < 4; index += 1) {
      vi.setSystemTime(Date.now() + 8_000);
      await cluster.report({ players: 2 });
      await ask();
      await single.ask();
    }
    await leave(cluster, guests.slice(0, 1));
    vi.setSystemTime(Date.now() + 1_500);
    expect((await ask()).status).toBe(202);
    expect(await single.ask()).toBeUndefined();
    vi.setSystemTime(Date.now() + 1_500);
    expect(await single.ask()).toBeUndefined();
    await leave(cluster, guests.slice(1));
    vi.setSystemTime(Date.now() + 1_500);
    await eventuallySome(async () => {
      vi.setSystemTime(Date.now() + 500);
      return (await ask()).status === 200;
    });
    expect(await single.ask()).toBeUndefined();
  });

  it("[WAIT-9] for which no cluster is large enough keeps nobody waiting, and is served when there is one", async () => {
    const tags = ["party-too-large"];
    const small = await startCluster({ capacity: 2, tags });
    const party = await startParty(3);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ selector: { tags }, wait: true }, key);
    await expectJson(await ask(), 202);
    expect((await allocate(await logIn(), { selector: { tags } })).cluster.id).toBe(small.id);
    await expectJson(await ask(), 202);
    expect((await allocate(await logIn(), { clusterId: small.id })).cluster.id).toBe(small.id);
    await startCluster({ capacity: 3, tags });
    await eventuallySome(async () => (await ask()).status === 200);
  });

  it("[WAIT-4] [WAIT-9] keeps others from clusters on which it can be, and from no others", async () => {
    const tags = ["party-among-sizes"];
    const wish = { selector: { tags } };
    const [small, large] = [await startCluster({ capacity: 1, tags }), await startCluster({ capacity: 3, tags })];
    const inLarge = await fill(large);
    const party = await startParty(3);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ ...wish, wait: true }, key);
    await expectJson(await ask(), 202);
    const player = await logIn();
    const allocation = await allocate(player, wish);
    expect(allocation.cluster.id).toBe(small.id);
    // Second in line, and first at the small one.
    const single = await newWaiter(wish);
    expect(single.waiting?.position).toBe(2);
    await leave(small, [{ player, allocation }]);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: small.id }), "CLUSTER_FULL");
    expect((await single.served()).cluster.id).toBe(small.id);
    await leave(large, inLarge.slice(1));
    await expectProblem(await requestAllocation(await logIn(), { clusterId: large.id }), "CLUSTER_FULL");
    await leave(large, inLarge.slice(0, 1));
    await eventuallySome(async () => (await ask()).status === 200);
  });

  it("[WAIT-9] keeps them from no others when it has waited for long, either", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const tags = ["party-among-sizes-for-long"];
    const wish = { selector: { tags } };
    const [small, large] = [await startCluster({ capacity: 2, tags }), await startCluster({ capacity: 3, tags })];
    const guests = [...(await fill(large)), ...(await fill(small))];
    const party = await startParty(3);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ ...wish, wait: true }, key);
    await expectJson(await ask(), 202);
    const single = await newWaiter(wish);
    for (let index = 0; index < 4; index += 1) {
      vi.setSystemTime(Date.now() + 8_000);
      await Promise.all([small.report({ players: 2 }), large.report({ players: 3 })]);
      await ask();
      await single.ask();
    }
    await leave(small, guests.slice(3));
    const served = await eventuallySome(async () => {
      vi.setSystemTime(Date.now() + 500);
      expect((await ask()).status).toBe(202);
      return single.ask();
    });
    expect(served.cluster.id).toBe(small.id);
    await leave(large, guests.slice(0, 1));
    vi.setSystemTime(Date.now() + 1_500);
    expect((await ask()).status).toBe(202);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: large.id }), "CLUSTER_FULL");
  });

  it("[WAIT-9] keeps its place when the cluster becomes too small at which its turn came", async () => {
    const tags = ["party-and-a-cluster-that-shrinks"];
    const shrinking = await startCluster({ capacity: 3, tags });
    const { accessToken: token } = await logInOperator();
    const guests = await fill(shrinking);
    const party = await startParty(3);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ selector: { tags }, wait: true }, key);
    await expectJson(await ask(), 202);
    const holding = vi.spyOn(RegistryShard.prototype, "hold").mockImplementationOnce(async function late(
      this: RegistryShard,
      request,
    ) {
      const path = `/v1/admin/clusters/${shrinking.id}/settings`;
      await expectJson(await call("PUT", path, { token, body: { settings: { capacity: 2 } } }), 200);
      // Mocked once: this is the real one.
      return this.hold(request);
    });
    await leave(shrinking, guests);
    const answers = new Set<number>();
    await eventually(async () => {
      answers.add((await ask()).status);
      expect(holding).toHaveBeenCalled();
    });
    expect([...answers]).toEqual([202]);
    await startCluster({ capacity: 3, tags });
    await eventuallySome(async () => (await ask()).status === 200);
  });

  it("[WAIT-9] that could never be on the cluster that its leader names is told so", async () => {
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(3);
    const answer = await party.requestHold({ clusterId: cluster.id, wait: true });
    expect((await expectProblem(answer, "PARTY_TOO_LARGE")).detail).toContain("takes 2 players, and the party has 3");
  });

  it.each([true, undefined])(
    "[PARTY-3] [PARTY-4] that was refused goes elsewhere, and may grow (wait: %s)",
    async (wait) => {
      const tags = ["party-elsewhere"];
      const small = await startCluster({ capacity: 2, tags });
      const party = await startParty(3);
      const key = crypto.randomUUID();
      const first = { clusterId: small.id, wait };
      await expectProblem(await party.requestHold(first, key), "PARTY_TOO_LARGE");
      expect((await party.show()).state).toBe("open");
      const newcomer = await logIn();
      await expectJson(await requestJoin(newcomer, party.view), 200);
      // Nothing has come of the key: it may be repeated.
      const again = await expectProblem(await party.requestHold(first, key), "PARTY_TOO_LARGE");
      expect(again.detail).toContain("the party has 4");
      await expectProblem(await party.requestHold({}, key), "IDEMPOTENCY_KEY_REUSED");
      const large = await startCluster({ capacity: 4, tags });
      const held = await party.hold({ clusterId: large.id, wait });
      expect(held.members).toContain(newcomer.player.id);
      expect(await seatsOf(large)).toEqual({ seats: 4, rows: 4 });
      expect((await party.claim(newcomer)).cluster.id).toBe(large.id);
      await expectProblem(await party.requestHold(first, key), "PARTY_HOLD_ENDED");
      await expectProblem(await requestJoin(await logIn(), party.view), "PARTY_BUSY");
    },
  );

  it("[PARTY-3] [WAIT-8] that finds no place to wait at is open again", async () => {
    const cluster = await startCluster({ capacity: 2 });
    await Promise.all((await logInMany(2)).map((player) => allocate(player, { clusterId: cluster.id })));
    const party = await startParty(2);
    const room = vi.spyOn(WaitingRoom.prototype, "visit").mockResolvedValueOnce({ kind: "full", retryAfterSeconds: 5 });
    await expectProblem(await party.requestHold({ clusterId: cluster.id, wait: true }), "WAITING_ROOM_FULL");
    room.mockRestore();
    expect((await party.show()).state).toBe("open");
    const other = await startCluster({ capacity: 2 });
    expect((await party.hold({ clusterId: other.id })).cluster.id).toBe(other.id);
  });

  it("[PARTY-3] that was refused a cluster is held seats on any", async () => {
    const small = await startCluster({ capacity: 1 });
    const party = await startParty(2);
    await expectProblem(await party.requestHold({ clusterId: small.id }), "PARTY_TOO_LARGE");
    const large = await startCluster({ capacity: 2, tags: ["party-anywhere"] });
    expect((await party.hold({ selector: { tags: ["party-anywhere"] } })).cluster.id).toBe(large.id);
  });

  it("[WAIT-7] [WAIT-9] that is larger than what its cluster takes at a time is let in whole", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 2, joinRatePerSecond: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster, 1);
    vi.setSystemTime(Date.now() + 1_500);
    guests.push(...(await fill(cluster, 1)));
    const party = await startParty(2);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ clusterId, wait: true }, key);
    await expectJson(await ask(), 202);
    const single = await newWaiter({ clusterId });
    await leave(cluster, guests);
    vi.setSystemTime(Date.now() + 1_500);
    await eventuallySome(async () => (await ask()).status === 200);
    expect(await seatsOf(cluster)).toEqual({ seats: 2, rows: 2 });
    expect(await single.ask()).toBeUndefined();
  });

  it("[WAIT-5] leaves the line when its leader gives up", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await fill(cluster);
    const party = await startParty(1);
    await expectJson(await party.requestHold({ clusterId: cluster.id, wait: true }), 202);
    const single = await newWaiter({ clusterId: cluster.id });
    const given = await call("DELETE", `${party.path}/allocate`, { token: party.leader.accessToken });
    expect(given.status).toBe(204);
    await eventually(async () => {
      await single.ask();
      expect(single.waiting?.position).toBe(1);
    });
  });
});
