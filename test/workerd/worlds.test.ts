import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createLocalJWKSet, decodeJwt } from "jose";
import { describe, expect, it } from "vitest";
import { verifyPeerTicket } from "../../auth/peer-ticket.ts";
import { maxAnnouncedFragments, maxAssignments } from "../../control-plane/domain/worlds/world-map.ts";
import type { WorldOverview } from "../../control-plane/domain/worlds/world-overview.ts";
import { encodePlayerState } from "../../data-plane/authority/player-state.ts";
import { openDesks } from "../../control-plane/objects/shard/shard-desks.ts";
import type { ToSession } from "../../protocol/handover/messages.ts";
import { openStreams } from "../../protocol/handover/streams.ts";
import { maxFragmentsPerCluster } from "../../protocol/index.ts";
import type {
  AllocateRequest,
  FragmentArea,
  PeerTicketGrant,
  PlayerSessionTokens,
  RegisterRequest,
  WorldMapView,
} from "../../protocol/index.ts";
import {
  enrolledKey,
  registration,
  requestRegistration,
  assertionOf,
  seatOf,
  startCluster,
} from "./support/clusters.ts";
import type { TestCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { askSession } from "./support/sessions.ts";
import { hasTables, insertRow } from "./support/storage.ts";
import { Waiter } from "./support/waiting.ts";
import { eventually } from "../support/eventually.ts";

const area = (name: string, x = 0): FragmentArea => ({ name, min: [x, 0, 0], max: [x + 10, 10, 10] });

/** The same in each region: the cluster's shard follows from its region and key. */
async function startIn(world: string | undefined, names: readonly string[], changes: Partial<RegisterRequest> = {}) {
  const fragments = names.map((name, index) => area(name, index * 10));
  const peer = { host: "127.0.0.1", port: 6300 };
  return startCluster({ ...changes, world: world === undefined ? { fragments } : { name: world, fragments, peer } });
}

async function mapOf(cluster: TestCluster): Promise<WorldMapView> {
  return expectJson(await call("GET", `/v1/clusters/${cluster.id}/world`, { token: cluster.token }), 200);
}

async function carriersOf(cluster: TestCluster): Promise<Record<string, string>> {
  const { fragments } = await mapOf(cluster);
  return Object.fromEntries(fragments.map(({ name, clusterId }) => [name, clusterId]));
}

// Short enough for a tag.
const newWorld = () => `w-${crypto.randomUUID().slice(0, 18)}`;

/** Asks until the world's word has come to the shard, which is a moment after the registration. */
async function allocatedIn(request: AllocateRequest): Promise<string> {
  return eventually(async () => (await allocate(await logIn(), request)).cluster.id);
}

/** The player enters a cluster, which saves it as standing in that fragment. */
async function saveIn(fragment: string, cluster: TestCluster, player: PlayerSessionTokens) {
  const { playerId, generation } = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
  expect(await askSession(cluster, playerId, { type: "enter", generation })).toMatchObject([{ type: "entered" }]);
  const placement = { x: 1, y: 0, z: 1, heading: 0 };
  const carried = { values: {}, saved: undefined, carried: new Uint8Array(0), parts: new Map<string, Uint8Array>() };
  const saved = encodePlayerState({ ...carried, placement, fragment });
  const save = { type: "save", generation, version: 1, state: btoa(String.fromCharCode(...saved)) } as const;
  expect(await askSession(cluster, playerId, save)).toMatchObject([{ type: "saved" }]);
  return { playerId };
}

/** A cluster that carries two fragments, and another one that can carry the first of them. */
async function startOverlapping() {
  const world = newWorld();
  const [shared, own] = [`${world}-n`, `${world}-s`];
  const carrier = await startIn(world, [shared, own]);
  await eventually(async () => expect(await carriersOf(carrier)).toEqual({ [shared]: carrier.id, [own]: carrier.id }));
  const other = await startIn(world, [shared], { region: "eu" });
  return { shared, own, carrier, other };
}

describe("a world on several clusters", () => {
  it("[WORLD-5] [ALLOC-13] gives the cluster that carries the fragment, on whatever shard, and says so in the ticket", async () => {
    const world = newWorld();
    const [north, south, east] = [`${world}-n`, `${world}-s`, `${world}-e`];
    const a = await startIn(world, [north], { region: "eu" });
    const b = await startIn(world, [south, east], { region: "eu" });
    const c = await startIn(world, [`${world}-w`]);
    for (const [fragment, cluster] of [
      [north, a],
      [south, b],
      [east, b],
      [`${world}-w`, c],
    ] as const) {
      expect(await allocatedIn({ fragment })).toBe(cluster.id);
      const { ticket } = await allocate(await logIn(), { fragment });
      expect(decodeJwt(ticket)["frag"]).toBe(fragment);
    }
    await expectProblem(
      await requestAllocation(await logIn(), { fragment: `${world}-nowhere` }),
      "NO_CLUSTER_AVAILABLE",
    );
    await expectProblem(
      await requestAllocation(await logIn(), { fragment: north, clusterId: b.id }),
      "NO_CLUSTER_AVAILABLE",
    );
  });

  it("[ALLOC-16] [WORLD-5] gives who asks for no place the cluster that carries the fragment in which the player was saved, while it has room", async () => {
    const world = newWorld();
    const [north, south] = [`${world}-n`, `${world}-s`];
    const a = await startIn(world, [north]);
    // Nothing but what was saved leads to this one: it is of another shard, and fuller than others.
    const b = await startIn(world, [south], { region: "eu", capacity: 100 });
    await b.report({ full: true, players: 95 });
    await allocatedIn({ fragment: south });
    const player = await logIn();
    const { playerId } = await saveIn(south, a, player);
    await abortAllDurableObjects();
    const { cluster, ticket } = await allocate(player, {});
    expect([cluster.id, decodeJwt(ticket)["frag"]]).toEqual([b.id, ""]);
    expect((await allocate(player, { clusterId: a.id })).cluster.id).toBe(a.id);
    expect((await allocate(player, { fragment: north })).cluster.id).toBe(a.id);
    expect((await allocate(player, { avoid: [b.id] })).cluster.id).not.toBe(b.id);
    expect((await allocate(player, { region: "default" })).cluster.id).not.toBe(b.id);
    await b.report({ full: true, players: 100 });
    expect((await allocate(player, {})).cluster.id, "there is no room").not.toBe(b.id);
    expect((await call("DELETE", "/v1/me", { token: player.accessToken })).status).toBe(204);
    await runInDurableObject(env.PLAYER_SESSION.getByName(playerId), (_, { storage }) => {
      expect(storage.sql.exec("SELECT saved_fragment FROM session").one()).toEqual({ saved_fragment: null });
    });
  });

  it("[ALLOC-16] gives the same to who had to wait until there was room", async () => {
    const world = newWorld();
    const [north, south] = [`${world}-n`, `${world}-s`];
    // On one shard, which is asked for both.
    const [a, b] = [
      await startIn(world, [north], { tags: [world], capacity: 10 }),
      await startIn(world, [south], { tags: [world], capacity: 10 }),
    ];
    await allocatedIn({ fragment: north });
    await allocatedIn({ fragment: south });
    const waiter = new Waiter(await logIn(), { selector: { tags: [world] } });
    await saveIn(south, await startCluster(), waiter.player);
    for (const cluster of [a, b]) await cluster.report({ full: true, players: 10 });
    expect(await waiter.ask()).toBeUndefined();
    // Who was never saved would be given the other one.
    await b.report({ full: true, players: 5 });
    await a.report({ full: true, players: 1 });
    const { cluster, ticket } = await waiter.served();
    expect([cluster.id, decodeJwt(ticket)["frag"]]).toEqual([b.id, ""]);
  });

  it("[WORLD-1] [WORLD-2] lets a standby wait, and take over when the carrier goes", async () => {
    const world = newWorld();
    const fragment = `${world}-n`;
    // On one shard, so that an explanation shows both.
    const carrier = await startIn(world, [fragment], { tags: [world] });
    await eventually(async () => expect(await carriersOf(carrier)).toEqual({ [fragment]: carrier.id }));
    const standby = await startIn(world, [fragment], { tags: [world] });
    const link = await standby.openLink();
    expect(await allocatedIn({ fragment })).toBe(carrier.id);
    const operator = await logInOperator();
    const { explanation } = await allocate(operator, { selector: { tags: [world] }, explain: true });
    expect(explanation?.candidates.find(({ clusterId }) => clusterId === standby.id)?.reason).toBe("standby");
    const shown = await call("GET", `/v1/admin/clusters/${standby.id}`, { token: operator.accessToken });
    expect(await expectJson(shown, 200)).toMatchObject({ reason: expect.stringContaining("standby") });
    const { status } = await call("DELETE", `/v1/clusters/${carrier.id}`, { token: carrier.token });
    expect(status).toBe(204);
    await eventually(async () => expect(await carriersOf(standby)).toEqual({ [fragment]: standby.id }));
    expect(await allocatedIn({ fragment })).toBe(standby.id);
    await eventually(async () => {
      const command = await link.nextCommand();
      expect(command).toEqual({ type: "world", version: (await mapOf(standby)).version });
    });
    link.close();
  });

  it("[WORLD-3] gives nobody to a cluster before its world has answered, and keeps what it carried when it registers again", async () => {
    const world = newWorld();
    const fragment = `${world}-n`;
    const first = await startIn(world, [fragment]);
    await allocatedIn({ fragment });
    const details = registration({ world: { name: world, fragments: [area(fragment), area(`${world}-s`, 10)] } });
    const again = await startCluster(details, first.key);
    expect((await allocate(await logIn(), { fragment })).cluster.id).toBe(again.id);
    expect(await allocatedIn({ fragment: `${world}-s` })).toBe(again.id);
    const left = await startCluster(
      registration({ world: { name: world, fragments: [area(`${world}-s`)] } }),
      first.key,
    );
    await expectProblem(await requestAllocation(await logIn(), { fragment }), "NO_CLUSTER_AVAILABLE");
    expect((await allocate(await logIn(), { fragment: `${world}-s` })).cluster.id).toBe(left.id);
  });

  it("[WORLD-4] says the map's version with every acknowledgement, and sends the map once a version", async () => {
    const world = newWorld();
    const cluster = await startIn(world, [`${world}-n`]);
    await eventually(async () => expect((await mapOf(cluster)).fragments).toHaveLength(1));
    const path = `/v1/clusters/${cluster.id}/world`;
    const { headers } = await call("GET", path, { token: cluster.token });
    const known = await call("GET", path, {
      token: cluster.token,
      headers: { "if-none-match": headers.get("etag") ?? "" },
    });
    expect(known.status).toBe(304);
    await eventually(async () => {
      const [ack] = await cluster.report({ full: true });
      expect(ack).toMatchObject({ type: "ack", worldVersion: (await mapOf(cluster)).version });
    });
    const map = await mapOf(cluster);
    expect(map.clusters).toEqual([
      {
        clusterId: cluster.id,
        boot: cluster.registered.boot,
        peer: { host: "127.0.0.1", port: 6300, tls: cluster.details.tls },
      },
    ]);
  });

  it("loses nothing with the memory of all objects", async () => {
    const world = newWorld();
    const a = await startIn(world, [`${world}-n`], { region: "eu" });
    const b = await startIn(world, [`${world}-s`]);
    await abortAllDurableObjects();
    await eventually(async () => expect(await carriersOf(a)).toEqual({ [`${world}-n`]: a.id, [`${world}-s`]: b.id }));
    await abortAllDurableObjects();
    expect(await allocatedIn({ fragment: `${world}-s` })).toBe(b.id);
  });
});

describe("a peer ticket", () => {
  const ask = (from: TestCluster, clusterId: string) =>
    call("POST", `/v1/clusters/${from.id}/peer-tickets`, { token: from.token, body: { clusterId } });

  it("[PEER-3] is for one process of a cluster of the same world, from another", async () => {
    const world = newWorld();
    const [a, b] = [await startIn(world, ["n"]), await startIn(world, ["s"], { region: "eu" })];
    await eventually(async () => expect(await carriersOf(a)).toEqual({ n: a.id, s: b.id }));
    const { ticket } = await expectJson<PeerTicketGrant>(await ask(a, b.id), 200);
    const keys = createLocalJWKSet(await expectJson(await call("GET", "/.well-known/jwks.json"), 200));
    const verdict = await verifyPeerTicket(ticket, async (kid) => keys({ alg: "ES256", kid }), {
      issuer: masterUrl,
      clusterId: b.id,
      boot: b.registered.boot,
      world,
      now: Date.now() / 1_000,
    });
    expect(verdict).toEqual({
      ok: true,
      ticket: {
        world,
        source: { clusterId: a.id, boot: a.registered.boot },
        destination: { clusterId: b.id, boot: b.registered.boot },
      },
    });
  });

  it("[HAND-18] is also for a cluster that is locked: a lock does not close a border", async () => {
    const world = newWorld();
    const [a, b] = [await startIn(world, ["n"]), await startIn(world, ["s"], { region: "eu" })];
    await eventually(async () => expect(await carriersOf(a)).toEqual({ n: a.id, s: b.id }));
    const { accessToken: token } = await logInOperator();
    await expectJson(await call("PUT", `/v1/admin/clusters/${b.id}/lock`, { token, body: {} }), 200);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: b.id }), "NO_CLUSTER_AVAILABLE");
    await expectJson<PeerTicketGrant>(await ask(a, b.id), 200);
    const player = await logIn();
    const { ticket } = await allocate(player, { clusterId: a.id });
    const { generation, playerId } = seatOf(player.player, ticket);
    expect(await askSession(a, playerId, { type: "enter", generation })).toMatchObject([{ type: "entered" }]);
    const commit: ToSession<string> = {
      type: "commit",
      id: crypto.randomUUID().replaceAll("-", ""),
      destination: { clusterId: b.id, boot: b.registered.boot },
      members: [{ playerId, generation, snapshot: { state: "", streams: openStreams<string>(generation) } }],
    };
    expect(await askSession(a, playerId, commit)).toMatchObject([{ type: "committed" }]);
  });

  it("is not for clusters of other worlds, for those who carry nothing, or for strangers", async () => {
    const world = newWorld();
    const [a, standby] = [await startIn(world, ["n"]), await startIn(world, ["n"])];
    const other = await startIn(newWorld(), ["n"]);
    const alone = await startIn(undefined, ["n"]);
    await eventually(async () => expect(await carriersOf(a)).toEqual({ n: a.id }));
    for (const [from, to] of [
      [a, standby.id],
      [a, other.id],
      [a, a.id],
      [a, "eu.nobody"],
      [alone, a.id],
    ] as const) {
      await expectProblem(await ask(from, to), "CLUSTER_NOT_FOUND");
    }
    const path = `/v1/clusters/${a.id}/peer-tickets`;
    const refused = await call("POST", path, { token: other.token, body: { clusterId: standby.id } });
    await expectProblem(refused, "CLUSTER_SESSION_INVALID");
  });
});

it("[ALLOC-11] a ticket's lifetime is the fragment's own, else the cluster's", async () => {
  const [brief, usual] = [`b-${crypto.randomUUID()}`, `u-${crypto.randomUUID()}`];
  const fragments = [{ ...area(brief), ticketLifetimeSeconds: 7 }, area(usual, 10)];
  await startCluster({ ticketLifetimeSeconds: 20, world: { fragments } });
  for (const [fragment, seconds] of [
    [brief, 7],
    [usual, 20],
  ] as const) {
    const { iat = 0, exp = 0 } = decodeJwt((await allocate(await logIn(), { fragment })).ticket);
    expect(exp - iat).toBe(seconds);
  }
});

it("[WORLD-9] refuses a cluster that there is no room for, and takes it once there is", async () => {
  const world = newWorld();
  const map = env.WORLD_MAP.getByName(world);
  const many = Array.from({ length: maxAnnouncedFragments }, (_, index) => area(`${index}`));
  const crowd = { clusterId: "crowd.c", boot: 1, shard: "crowd.0", fragments: many, peer: undefined };
  expect(await map.announce(world, crowd)).toBe(true);
  const fragment = `${world}-n`;
  const late = await startIn(world, [fragment]);
  const { accessToken: token } = await logInOperator();
  // Orders that the world cannot take yet, for a process that it does not know.
  await expectJson(await call("PUT", `/v1/admin/clusters/${late.id}/lock`, { token, body: {} }), 200);
  await expectJson(await call("DELETE", `/v1/admin/clusters/${late.id}/lock`, { token }), 200);
  expect(await map.announce(world, { ...crowd, clusterId: "crowd.d" })).toBe(false);
  const shown: WorldMapView = await map.map(world);
  expect(shown.clusters.map(({ clusterId }) => clusterId)).toEqual([crowd.clusterId]);
  await expectProblem(await requestAllocation(await logIn(), { fragment }), "NO_CLUSTER_AVAILABLE");
  await map.withdraw(world, crowd.clusterId, crowd.boot);
  expect(await allocatedIn({ fragment })).toBe(late.id);
  expect(await carriersOf(late)).toEqual({ [fragment]: late.id });
});

describe("an operator", () => {
  it("[WORLD-2] decides who carries a fragment, and what clusters are told follows", async () => {
    const world = newWorld();
    const [first, second] = [await startIn(world, ["n"]), await startIn(world, ["n"], { region: "eu" })];
    await eventually(async () => expect(await carriersOf(first)).toEqual({ n: first.id }));
    const { accessToken: token } = await logInOperator();
    const path = `/v1/admin/worlds/${world}/fragments/n`;
    const assigned = await expectJson<WorldOverview>(
      await call("PUT", path, { token, body: { clusterId: second.id } }),
      200,
    );
    expect(assigned.fragments.map(({ clusterId }) => clusterId)).toEqual([second.id]);
    await eventually(async () =>
      expect((await allocate(await logIn(), { region: "eu", fragment: "n" })).cluster.id).toBe(second.id),
    );
    const left = await expectJson<WorldOverview>(await call("PUT", path, { token, body: { clusterId: null } }), 200);
    expect(assigned.assigned).toEqual([{ fragment: "n", clusterId: second.id }]);
    expect(left).toEqual({ ...assigned, assigned: [] });
    const shown = await call("GET", `/v1/admin/worlds/${world}`, { token });
    expect(await expectJson(shown, 200)).toEqual(left);
  });

  it("[WORLD-11] leaves to the rules again as often as they like what there is, and is told of a name that there is not", async () => {
    const world = newWorld();
    const first = await startIn(world, ["n"]);
    await eventually(async () => expect(await carriersOf(first)).toEqual({ n: first.id }));
    const { accessToken: token } = await logInOperator();
    const leave = (of: string, fragment: string) =>
      call("PUT", `/v1/admin/worlds/${of}/fragments/${fragment}`, { token, body: { clusterId: null } });
    for (let time = 0; time < 2; time += 1) {
      const { fragments } = await expectJson<WorldOverview>(await leave(world, "n"), 200);
      expect(fragments).toMatchObject([{ name: "n", clusterId: first.id }]);
    }
    const mistyped = newWorld();
    for (const [of, fragment] of [
      [world, "nn"],
      [mistyped, "n"],
    ] as const) {
      const { detail } = await expectProblem(await leave(of, fragment), "FRAGMENT_NOT_FOUND");
      expect(detail).toContain(`${fragment} in the world ${of}`);
    }
    const isStored = await runInDurableObject(env.WORLD_MAP.getByName(mistyped), (_, { storage }) =>
      hasTables(storage),
    );
    expect(isStored, "whoever asks").toBe(false);
  });

  it("[WORLD-6] drains a cluster with moving, and another that can carries its fragments", async () => {
    const { shared, own, carrier, other } = await startOverlapping();
    const { accessToken: token } = await logInOperator();
    const path = `/v1/admin/clusters/${carrier.id}/drain`;
    const drain = async (movePlayers: boolean) =>
      expectJson(await call("PUT", path, { token, body: { deadlineSeconds: 600, movePlayers } }), 200);
    await drain(true);
    await eventually(async () => expect(await carriersOf(carrier)).toEqual({ [shared]: other.id, [own]: carrier.id }));
    expect(await allocatedIn({ fragment: shared })).toBe(other.id);
    // A process in its place before the deadline leaves as well, and one that comes after the drain gets nothing back.
    const again = await startCluster(carrier.details, carrier.key);
    await eventually(async () =>
      expect((await mapOf(again)).clusters.map(({ boot }) => boot)).toContain(again.registered.boot),
    );
    expect(await carriersOf(again)).toEqual({ [shared]: other.id, [own]: again.id });
    await expectJson(await call("DELETE", path, { token }), 200);
    await call("DELETE", `/v1/clusters/${other.id}`, { token: other.token });
    await eventually(async () => expect(await carriersOf(again)).toEqual({ [shared]: again.id, [own]: again.id }));
  });

  it("[WORLD-7] has what a carrier leaves go to one that is well, and locks only against what they have not assigned", async () => {
    const world = newWorld();
    const carrier = await startIn(world, ["n"]);
    await eventually(async () => expect(await carriersOf(carrier)).toEqual({ n: carrier.id }));
    const [locked, full] = [
      await startIn(world, ["n"], { region: "eu" }),
      await startIn(world, ["n"], { capacity: 1 }),
    ];
    const well = await startIn(world, ["n"], { region: "eu" });
    const { accessToken: token } = await logInOperator();
    await expectJson(await call("PUT", `/v1/admin/clusters/${locked.id}/lock`, { token, body: {} }), 200);
    await full.report({ full: true, players: 1 });
    const shown = async () => {
      const answer = await call("GET", `/v1/admin/worlds/${world}`, { token });
      const { announced, provisional } = await expectJson<WorldOverview>(answer, 200);
      return { reasons: announced.map(({ clusterId, reasons }) => [clusterId, reasons.join()]), provisional };
    };
    const all = [
      [carrier.id, ""],
      [locked.id, "locked"],
      [full.id, "full"],
      [well.id, ""],
    ];
    await eventually(async () => expect(await shown()).toEqual({ reasons: all, provisional: [] }));
    const leave = async (cluster: TestCluster) => {
      await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token });
    };
    await leave(carrier);
    await eventually(async () => expect(await carriersOf(locked)).toEqual({ n: well.id }));
    await leave(well);
    await eventually(async () => expect(await carriersOf(locked)).toEqual({ n: full.id }));
    await leave(full);
    await eventually(async () =>
      expect(await shown()).toEqual({ reasons: [[locked.id, "locked"]], provisional: ["n"] }),
    );
    expect(await carriersOf(locked), "it stands in").toEqual({ n: locked.id });
    const late = await startIn(world, ["n"]);
    await eventually(async () => expect(await carriersOf(locked)).toEqual({ n: late.id }));
    const path = `/v1/admin/worlds/${world}/fragments/n`;
    const body = { clusterId: locked.id };
    const assigned = await expectJson<WorldOverview>(await call("PUT", path, { token, body }), 200);
    expect(assigned.fragments.map(({ clusterId }) => clusterId)).toEqual([locked.id]);
    expect(assigned.provisional).toEqual([]);
  });

  it("[WORLD-10] is told that too many fragments are assigned, and clusters' announcements are taken all the same", async () => {
    const world = newWorld();
    const first = await startIn(world, ["n"]);
    await eventually(async () => expect(await carriersOf(first)).toEqual({ n: first.id }));
    await runInDurableObject(env.WORLD_MAP.getByName(world), (_, { storage }) => {
      for (let index = 0; index < maxAssignments; index += 1) {
        insertRow(storage, "assignments", { fragment: `f${index}`, cluster_id: "gone.c" });
      }
    });
    const { accessToken: token } = await logInOperator();
    const assign = (fragment: string, clusterId: string | null) =>
      call("PUT", `/v1/admin/worlds/${world}/fragments/${fragment}`, { token, body: { clusterId } });
    const problem = await expectProblem(await assign("n", first.id), "TOO_MANY_ASSIGNMENTS");
    expect(problem.detail).toContain("4096");
    const second = await startIn(world, ["s"]);
    await eventually(async () => expect(await carriersOf(second)).toEqual({ n: first.id, s: second.id }));
    const freed = await expectJson<WorldOverview>(await assign("f0", null), 200);
    expect(freed.assigned).toHaveLength(maxAssignments - 1);
    const { assigned } = await expectJson<WorldOverview>(await assign("n", first.id), 200);
    expect(assigned.find(({ fragment }) => fragment === "n")).toEqual({ fragment: "n", clusterId: first.id });
  });

  it("is told of fragments that overlap, and of clusters that cannot carry what they are given", async () => {
    const world = newWorld();
    const [a] = [await startIn(world, ["n"]), await startIn(world, ["m"])];
    const { accessToken: token } = await logInOperator();
    await eventually(async () => {
      const shown = await call("GET", `/v1/admin/worlds/${world}`, { token });
      expect(await expectJson(shown, 200)).toMatchObject({ overlaps: [["n", "m"]], moreOverlaps: false });
    });
    const path = `/v1/admin/worlds/${world}/fragments/m`;
    await expectProblem(await call("PUT", path, { token, body: { clusterId: a?.id } }), "CLUSTER_NOT_FOUND");
    const missing = await expectProblem(await call("PUT", path, { token, body: {} }), "INVALID_FIELD");
    expect(missing.detail).toContain("null");
    const { accessToken } = await logIn();
    await expectProblem(await call("PUT", path, { token: accessToken, body: { clusterId: null } }), "FORBIDDEN");
  });

  it("is told of a fragment that two clusters announce with different bounds, until they agree", async () => {
    const world = newWorld();
    const announced = (right: number) => ({
      world: { name: world, fragments: [{ name: "n", min: [0, 0, 0], max: [right, 10, 10] } as const] },
    });
    const key = await enrolledKey();
    const [first, second] = [await startCluster(announced(10)), await startCluster(announced(11), key)];
    const { accessToken: token } = await logInOperator();
    const isTold = (disagreements: readonly object[]) =>
      eventually(async () => {
        const shown = await expectJson<WorldOverview>(await call("GET", `/v1/admin/worlds/${world}`, { token }), 200);
        expect([shown.announced.length, shown.disagreements]).toEqual([2, disagreements]);
      });
    await isTold([{ fragment: "n", clusterIds: [first.id, second.id] }]);
    await startCluster(announced(10), key);
    await isTold([]);
  });

  it("is told of some overlaps, and that there are more, where there are very many", async () => {
    const world = newWorld();
    const everywhere = (prefix: string) =>
      Array.from({ length: maxFragmentsPerCluster }, (_, index) => ({
        name: `${prefix}${index}`,
        min: [0, 0, 0] as const,
        max: [10, 10, 10] as const,
      }));
    await startCluster({ world: { name: world, fragments: everywhere("a") } });
    await startCluster({ world: { name: world, fragments: everywhere("b") } });
    const { accessToken: token } = await logInOperator();
    await eventually(async () => {
      const shown = await call("GET", `/v1/admin/worlds/${world}`, { token });
      const { fragments, overlaps, moreOverlaps } = await expectJson<WorldOverview>(shown, 200);
      expect(fragments).toHaveLength(2 * maxFragmentsPerCluster);
      expect([overlaps.length, moreOverlaps]).toEqual([100, true]);
    });
  });
});

describe("a process that is about to end", () => {
  const drain = (cluster: Pick<TestCluster, "id" | "token">, body: object = { deadlineMs: 10_000 }) =>
    call("POST", `/v1/clusters/${cluster.id}/drain`, { token: cluster.token, body });

  it("[WORLD-8] is given to nobody, and others carry what they can of its fragments; saying it again changes nothing", async () => {
    const { shared, own, carrier, other } = await startOverlapping();
    const link = await carrier.openLink();
    expect((await drain(carrier)).status).toBe(204);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: carrier.id }), "NO_CLUSTER_AVAILABLE");
    await eventually(async () => expect(await carriersOf(carrier)).toEqual({ [shared]: other.id, [own]: carrier.id }));
    await eventually(async () => {
      expect(await link.nextCommand()).toEqual({ type: "world", version: (await mapOf(carrier)).version });
    });
    expect(await allocatedIn({ fragment: shared })).toBe(other.id);
    const { accessToken: token } = await logInOperator();
    const path = `/v1/admin/clusters/${carrier.id}`;
    const shown = await expectJson<{ drainDeadlineAtMs: number }>(await call("GET", path, { token }), 200);
    expect(shown).toMatchObject({ state: "draining", reason: "it drains, as its process is about to end" });
    const { version } = await mapOf(carrier);
    expect((await drain(carrier, { deadlineMs: 60_000 })).status).toBe(204);
    // Nor do operators change it.
    await expectJson(await call("PUT", `${path}/lock`, { token }), 200);
    await expectJson(await call("DELETE", `${path}/lock`, { token }), 200);
    const again = await expectJson<{ drainDeadlineAtMs: number }>(await call("GET", path, { token }), 200);
    expect(again).toMatchObject({ state: "draining", drainDeadlineAtMs: shown.drainDeadlineAtMs });
    expect((await mapOf(carrier)).version).toBe(version);
    link.close();
  });

  it("[WORLD-8] [SEC-79] is one process: what comes in its place is offered, and the older one drains it no more", async () => {
    const world = newWorld();
    const fragment = `${world}-n`;
    const first = await startIn(world, [fragment]);
    expect(await allocatedIn({ fragment })).toBe(first.id);
    expect((await drain(first)).status).toBe(204);
    const again = await startCluster(first.details, first.key);
    await expectProblem(await drain(first), "CLUSTER_FENCED");
    expect(await allocatedIn({ fragment })).toBe(again.id);
    // The word about the older process does not reach the newer one's place in the map.
    await startIn(world, [fragment]);
    expect(await allocatedIn({ fragment })).toBe(again.id);
    await call("DELETE", `/v1/clusters/${again.id}`, { token: again.token });
    await expectProblem(await drain(again), "CLUSTER_SESSION_INVALID");
  });

  it("[WORLD-8] does not end what has come in its place, however late its word", async () => {
    await runInDurableObject(env.REGISTRY_SHARD.getByName("late.0"), (_, state) => {
      const { parts, orders } = openDesks(state, env, async () => undefined);
      const clusterId = "late.c";
      for (const boot of [1, 2]) {
        const place = { clusterId, shard: "late.0", boot, tokenHash: `${boot}`, state: "ready", nowMs: boot } as const;
        parts.tables.putCluster(place, registration());
      }
      orders.noteEnd({ clusterId, boot: 1 }, 5_000);
      expect(parts.tables.cluster(clusterId)).toMatchObject({ boot: 2, draining: 0, ends_by: 0 });
      orders.noteEnd({ clusterId, boot: 2 }, 6_000);
      expect(parts.tables.cluster(clusterId)).toMatchObject({ boot: 2, draining: 1, ends_by: 6_000 });
    });
  });

  it("[SEC-79] is nobody else's to name, and says no more than how long it takes", async () => {
    const [cluster, other] = [await startCluster(), await startCluster()];
    await expectProblem(await drain({ id: cluster.id, token: other.token }), "CLUSTER_SESSION_INVALID");
    await expectProblem(await drain({ id: cluster.id, token: (await logIn()).accessToken }), "CLUSTER_SESSION_INVALID");
    await expectProblem(
      await call("POST", `/v1/clusters/${cluster.id}/drain`, { body: { deadlineMs: 0 } }),
      "CLUSTER_SESSION_INVALID",
    );
    for (const body of [
      {},
      { deadlineMs: 1, movePlayers: true },
      { deadlineMs: -1 },
      { deadlineMs: 0.5 },
      { deadlineMs: 86_400_001 },
      { deadlineMs: "10" },
    ]) {
      await expectProblem(await drain(cluster, body), "INVALID_FIELD");
    }
    expect((await allocate(await logIn(), { clusterId: cluster.id })).cluster.id).toBe(cluster.id);
    for (const deadlineMs of [0, 86_400_000]) expect((await drain(cluster, { deadlineMs })).status).toBe(204);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "NO_CLUSTER_AVAILABLE");
  });
});

describe("a cluster without a shared world", () => {
  it("carries all its fragments, has no map, and may be one of many that do", async () => {
    const fragment = `f-${crypto.randomUUID()}`;
    const clusters = [await startIn(undefined, [fragment]), await startIn(undefined, [fragment], { region: "eu" })];
    expect(clusters.map(({ id }) => id)).toContain((await allocate(await logIn(), { fragment })).cluster.id);
    const response = await call("GET", `/v1/clusters/${clusters[0]?.id ?? ""}/world`, { token: clusters[0]?.token });
    await expectProblem(response, "NOT_FOUND");
  });
});

describe("an announcement", () => {
  it.each([
    ["a fragment twice", { fragments: [area("n"), area("n")] }],
    ["an empty box", { fragments: [{ name: "n", min: [0, 0, 0], max: [0, 1, 1] }] }],
    ["too many", { fragments: Array.from({ length: 257 }, (_, index) => area(`f${index}`)) }],
    ["a name that is none", { name: "a/b", fragments: [] }],
    ["a field that is not known", { fragments: [], owner: "me" }],
  ])("with %s is refused", async (_, world) => {
    const key = await enrolledKey();
    const body = { ...registration(), world };
    await expectProblem(await requestRegistration(body, await assertionOf(key, "main")), "INVALID_FIELD");
  });

  it("is for the cluster's own session to see", async () => {
    const cluster = await startIn(newWorld(), ["n"]);
    const other = await startCluster();
    const path = `/v1/clusters/${cluster.id}/world`;
    await expectProblem(await call("GET", path, { token: other.token }), "CLUSTER_SESSION_INVALID");
    await expectProblem(await call("GET", path), "CLUSTER_SESSION_INVALID");
  });
});
