import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { decodeJwt } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { registryMigrations } from "../../control-plane/objects/shard/registry-rows.ts";
import { migrateStorage } from "../../control-plane/objects/schema.ts";
import type { AllocateRequest, Allocation, PlayerSessionTokens } from "../../protocol/index.ts";
import {
  assertionOf,
  enrolledKey,
  registration,
  requestRegistration,
  startCluster,
  startOn,
  testShards,
} from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

const shards = testShards;

/** Which cluster each of `count` new players is given, one after the other. */
async function placesOf(request: AllocateRequest, count: number): Promise<string[]> {
  const places: string[] = [];
  for (let index = 0; index < count; index += 1) {
    places.push((await allocate(await logIn(), request)).cluster.id);
  }
  return places;
}

function countOf(places: readonly string[], clusterId: string): number {
  return places.filter((place) => place === clusterId).length;
}

// First, while there are no other clusters: of shards, the fullest cluster of all counts, whatever a selector wants.
it("[ALLOC-4] packed fills one cluster before the next", async () => {
  const clusters = await Promise.all(shards.map((shard) => startOn(shard, { capacity: 4 })));
  const places = await placesOf({ policy: "packed" }, 8);
  const counts = clusters.map(({ id }) => countOf(places, id)).toSorted((a, b) => a - b);
  expect(counts).toEqual([0, 4, 4]);
});

describe("a crowd", () => {
  let players: readonly PlayerSessionTokens[];

  beforeAll(async () => {
    players = await logInMany(200);
  });

  it.each(["load", "packed", "distributed", "latency"] as const)(
    "[ALLOC-7] of 200 gets exactly the 100 seats of three shards in two regions, by %s",
    async (policy) => {
      const tag = `crowd-${policy}`;
      const sizes = shards.flatMap((shard, index) =>
        [10, index === 0 ? 24 : 23].map((capacity) => ({ shard, capacity })),
      );
      const clusters = await Promise.all(sizes.map(({ shard, capacity }) => startOn(shard, { capacity, tags: [tag] })));
      expect(sizes.reduce((sum, { capacity }) => sum + capacity, 0)).toBe(100);
      const request: AllocateRequest = {
        policy,
        selector: { tags: [tag] },
        ...(policy === "latency" ? { latencies: { eu: 20, default: 30 } } : {}),
      };
      const responses = await Promise.all(players.map((player) => requestAllocation(player, request)));
      const granted = responses.filter(({ status }) => status === 200);
      const given = await Promise.all(granted.map((response) => response.json<Allocation>()));
      expect(given).toHaveLength(100);
      expect(new Set(given.map(({ reservationId }) => reservationId)).size).toBe(100);
      for (const { id, details } of clusters) {
        expect(given.filter(({ cluster }) => cluster.id === id)).toHaveLength(details.capacity);
      }
      for (const response of responses.filter(({ status }) => status !== 200)) {
        await expectProblem(response, "NO_CLUSTER_AVAILABLE");
      }
    },
    60_000,
  );
});

describe("clusters to be avoided", () => {
  it.each(["load", "packed", "distributed", "latency"] as const)(
    "[ALLOC-12] are given only where no other can be, by %s",
    async (policy) => {
      const tag = `avoid-${policy}`;
      const selector = { tags: [tag] };
      const [first, second] = [
        await startOn("eu.0", { capacity: 8, tags: [tag] }),
        await startOn("eu.1", { capacity: 2, tags: [tag] }),
      ];
      const latencies = policy === "latency" ? { latencies: { [first.id]: 1, [second.id]: 100 } } : {};
      const request = { policy, selector, avoid: [first.id], ...latencies };
      // Then the other is full.
      expect(await placesOf(request, 3)).toEqual([second.id, second.id, first.id]);
    },
  );

  it("[ALLOC-12] are told in an explanation", async () => {
    const tag = "avoid-explained";
    const dead = await startOn("default.0", { tags: [tag] });
    const alive = await startOn("default.0", { tags: [tag] });
    const request: AllocateRequest = { region: "default", selector: { tags: [tag] }, avoid: [dead.id], explain: true };
    const { cluster, explanation } = await allocate(await logInOperator(), request);
    expect(cluster.id).toBe(alive.id);
    const reasons = new Map(explanation?.candidates.map(({ clusterId, reason }) => [clusterId, reason]));
    expect([reasons.get(alive.id), reasons.get(dead.id)]).toEqual(["won", "avoided"]);
  });

  it("[ALLOC-12] do not matter where one cluster is asked for; nine are too many", async () => {
    const cluster = await startOn("eu.0");
    const player = await logIn();
    const given = await allocate(player, { clusterId: cluster.id, avoid: [cluster.id] });
    expect(given.cluster.id).toBe(cluster.id);
    const avoid = Array.from({ length: 9 }, (_, index) => `eu.${index}`);
    await allocate(player, { avoid: avoid.slice(1), region: "eu" });
    const problem = await expectProblem(await requestAllocation(player, { avoid }), "INVALID_FIELD");
    expect(problem.errors).toMatchObject([{ field: "avoid" }]);
  });
});

describe("the policy", () => {
  it("[ALLOC-3] load goes by tick time where there is no limit", async () => {
    const tag = "ticks";
    const slow = await startOn("eu.0", { capacity: 0, tags: [tag] });
    const quick = await startOn("eu.0", { capacity: 0, tags: [tag] });
    await slow.report({ full: true, tickMs: 25 });
    await quick.report({ full: true, tickMs: 5, players: 500 });
    expect(new Set(await placesOf({ selector: { tags: [tag] } }, 6))).toEqual(new Set([quick.id]));
    await quick.report({ tickMs: 32 });
    expect(await placesOf({ selector: { tags: [tag] } }, 1)).toEqual([slow.id]);
  });

  it("[ALLOC-5] distributed evens out players, whatever the sizes", async () => {
    const tag = "spread";
    const sizes = [4, 8, 100, 1_000];
    const clusters = await Promise.all(sizes.map((capacity) => startOn("eu.1", { capacity, tags: [tag] })));
    const places = await placesOf({ policy: "distributed", region: "eu", selector: { tags: [tag] } }, 12);
    expect(clusters.map(({ id }) => countOf(places, id))).toEqual([3, 3, 3, 3]);
  });

  it("[ALLOC-6] latency takes the nearest region or cluster, and another when that is full", async () => {
    const tag = "near";
    const selector = { tags: [tag] };
    const home = await startOn("default.0", { capacity: 100, tags: [tag] });
    const second = await startOn("eu.1", { capacity: 100, tags: [tag] });
    // What shards say of themselves may be a moment old: then one that had no room is asked last.
    const finds = (latencies: Record<string, number>, clusterId: string) =>
      eventually(async () => expect(await placesOf({ latencies, selector }, 2)).toEqual([clusterId, clusterId]));
    await finds({ eu: 150, default: 20 }, home.id);
    await finds({ eu: 20, default: 150 }, second.id);
    // One cluster alone was measured: it is nearer than all that were not.
    const first = await startOn("eu.0", { capacity: 2, tags: [tag] });
    await finds({ [first.id]: 0.5 }, first.id);
    // And a client that claims to be next to it does not get in any more.
    const places = await placesOf({ latencies: { [first.id]: 0.001, eu: 20, default: 90 }, selector }, 2);
    expect(places).toEqual([second.id, second.id]);
  });

  it("[ALLOC-8] load shares among equally loaded clusters", async () => {
    const tag = "equals";
    const clusters = await Promise.all(Array.from({ length: 4 }, () => startOn("eu.0", { capacity: 50, tags: [tag] })));
    const players = await logInMany(40);
    const given = await Promise.all(players.map((player) => allocate(player, { selector: { tags: [tag] } })));
    const places = given.map(({ cluster }) => cluster.id);
    expect(clusters.map(({ id }) => countOf(places, id))).toEqual([10, 10, 10, 10]);
  });
});

describe("a selector", () => {
  it("[ALLOC-9] finds the clusters that have all of it, on whatever shard", async () => {
    const common = { tags: ["select", "pvp"], labels: { mode: "ctf", map: "dust" }, gameBuild: "1.4.2", capacity: 9 };
    const match = await startOn("eu.1", { ...common, counters: { rooms: 3, level: -1.5 } });
    await startOn("eu.1", { ...common, labels: { mode: "race" }, counters: { rooms: 3 } });
    await startOn("eu.0", { ...common, gameBuild: "1.4.3", counters: { rooms: 3 } });
    await startOn("default.0", { ...common, tags: ["select"], counters: { rooms: 3 } });
    await startOn("default.0", { ...common, counters: { rooms: 1 } });
    const selector = {
      labels: { mode: "ctf" },
      tags: ["select", "pvp"],
      counters: { rooms: { min: 2, max: 3 } },
      gameBuild: "1.4.2",
    };
    expect(new Set(await placesOf({ selector }, 4))).toEqual(new Set([match.id]));
    const level = { tags: ["select"], counters: { level: { max: -1 } } };
    expect(await placesOf({ selector: level }, 1)).toEqual([match.id]);
    // Reports change counters, and take away those that they do not name.
    await match.report({ full: true, counters: { rooms: 4 } });
    for (const each of [selector, level]) {
      await expectProblem(await requestAllocation(await logIn(), { selector: each }), "NO_CLUSTER_AVAILABLE");
    }
  });

  it("[ALLOC-9] finds one of many that have everything but one thing in common", async () => {
    const region = "many";
    const key = await enrolledKey();
    const all = await Promise.all(
      Array.from({ length: 80 }, (_, index) =>
        startCluster({ region, instance: `i${index}`, tags: ["many"], labels: { n: `${index}` } }, key),
      ),
    );
    const wanted = all[77];
    expect(await placesOf({ region, selector: { tags: ["many"], labels: { n: "77" } } }, 1)).toEqual([wanted?.id]);
    // No facet is rare here: the counter has to be looked for.
    await wanted?.report({ full: true, counters: { free: 1 } });
    const selector = { tags: ["many"], counters: { free: { min: 1 } } };
    for (const policy of ["load", "packed", "distributed"] as const) {
      expect(await placesOf({ region, policy, selector }, 1)).toEqual([wanted?.id]);
    }
    // Of so many, distributed draws some: the first few players meet nobody.
    expect(new Set(await placesOf({ region, policy: "distributed" }, 8)).size).toBe(8);
  }, 60_000);

  it("[ALLOC-9] holds for a cluster that is asked for by its id, and for what it says of itself by now", async () => {
    const cluster = await startCluster({ gameBuild: "1.0", tags: ["old"] });
    const ask = async (gameBuild: string) =>
      requestAllocation(await logIn(), { clusterId: cluster.id, selector: { gameBuild } });
    const problem = await expectProblem(await ask("2.0"), "NO_CLUSTER_AVAILABLE");
    expect(problem.detail).toContain("game build");
    expect((await ask("1.0")).status).toBe(200);
    await startCluster({ gameBuild: "2.0" }, cluster.key);
    expect((await ask("2.0")).status).toBe(200);
    const old = { region: "default", selector: { tags: ["old"] } };
    await expectProblem(await requestAllocation(await logIn(), old), "NO_CLUSTER_AVAILABLE");
  });
});

describe("an explanation", () => {
  it("[ALLOC-10] tells an operator why each candidate won or lost, the same for every retry", async () => {
    const tags = ["explained"];
    const [best, busy, full, other, locked] = await Promise.all([
      startOn("eu.0", { capacity: 10, tags, labels: { a: "1" } }),
      startOn("eu.0", { capacity: 2, tags, labels: { a: "1" } }),
      startOn("eu.0", { capacity: 1, tags, labels: { a: "1" } }),
      startOn("eu.0", { capacity: 1, tags, labels: { a: "2" } }),
      startOn("eu.0", { capacity: 1, tags, labels: { a: "1" } }),
    ]);
    for (const { id } of [busy, full]) await allocate(await logIn(), { clusterId: id });
    await runInDurableObject(env.REGISTRY_SHARD.getByName("eu.0"), (_, { storage }) => {
      storage.sql.exec("UPDATE clusters SET locked = 1 WHERE cluster_id = ?", locked.id);
    });
    const operator = await logInOperator();
    const key = crypto.randomUUID();
    const request = { region: "eu", policy: "load", selector: { tags, labels: { a: "1" } }, explain: true } as const;
    const first = await requestAllocation(operator, request, key);
    const text = await first.clone().text();
    const { explanation, cluster } = await expectJson<Allocation>(first, 200);
    expect(cluster.id).toBe(best.id);
    expect(explanation?.policy).toBe("load");
    expect(explanation?.shards.map(({ shard }) => shard).toSorted()).toEqual(["eu.0", "eu.1"]);
    expect(explanation?.shards).toContainEqual({ shard: "eu.0", outcome: "gave" });
    const reasons = new Map(explanation?.candidates.map(({ clusterId, reason }) => [clusterId, reason]));
    expect([best, busy, full, other, locked].map(({ id }) => reasons.get(id))).toEqual([
      "won",
      "outscored",
      "full",
      "label",
      "locked",
    ]);
    expect(explanation?.candidates).toContainEqual({
      clusterId: busy.id,
      shard: "eu.0",
      reason: "outscored",
      load: 0.5,
      places: 1,
      capacity: 2,
      score: 0.5,
    });
    expect(await (await requestAllocation(operator, request, key)).text()).toBe(text);
  });

  it("[ALLOC-10] comes with a refusal as well", async () => {
    const cluster = await startOn("eu.1", { tags: ["refused"], gameBuild: "1" });
    const request = { region: "eu", selector: { tags: ["refused"], gameBuild: "2" }, explain: true };
    const operator = await logInOperator();
    const { explanation } = await expectProblem(await requestAllocation(operator, request), "NO_CLUSTER_AVAILABLE");
    expect(explanation?.shards.map(({ outcome }) => outcome)).toEqual(["refused", "refused"]);
    expect(explanation?.candidates).toContainEqual(
      expect.objectContaining({ clusterId: cluster.id, reason: "game-build" }),
    );
    const asked = { clusterId: cluster.id, selector: { gameBuild: "2" }, explain: true };
    const refused = await expectProblem(await requestAllocation(operator, asked), "NO_CLUSTER_AVAILABLE");
    expect(refused.explanation?.candidates.find(({ clusterId }) => clusterId === cluster.id)?.reason).toBe(
      "game-build",
    );
  });

  it("[ALLOC-10] is not for players, and takes no seat from them", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const asked = { clusterId: cluster.id, explain: true };
    await expectProblem(await requestAllocation(player, asked), "FORBIDDEN");
    const allocation = await allocate(await logIn(), { clusterId: cluster.id, explain: false });
    expect(allocation.explanation).toBeUndefined();
  });
});

describe("a ticket's lifetime", () => {
  it("[ALLOC-11] is the cluster's own where it has one, and the master's where not", async () => {
    const short = await startCluster({ ticketLifetimeSeconds: 7 });
    const usual = await startCluster();
    for (const [{ id: clusterId }, seconds] of [
      [short, 7],
      [usual, 60],
    ] as const) {
      const { ticket, expiresAt } = await allocate(await logIn(), { clusterId });
      const { iat = 0, exp = 0 } = decodeJwt(ticket);
      expect(exp - iat).toBe(seconds);
      expect(expiresAt).toBe(exp);
      expect(Math.abs(iat - Date.now() / 1_000)).toBeLessThan(5);
    }
  });
});

describe("what is not valid", () => {
  const clusterId = "eu.AAAAAAAAAAAAAAAAAAAAAA";
  const many = <T>(count: number, value: T): Record<string, T> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, value]));

  it.each([
    ["policy", { policy: "cheapest" }],
    ["latencies", { policy: "latency" }],
    ["latencies", { policy: "latency", latencies: {} }],
    ["latencies.eu", { latencies: { eu: 0 } }],
    ["latencies.eu", { latencies: { eu: -1 } }],
    ["latencies.eu", { latencies: { eu: 2_000.5 } }],
    ["latencies.eu", { latencies: { eu: "20" } }],
    [`latencies.${clusterId}`, { latencies: { [clusterId]: null } }],
    ["latencies.No where", { latencies: { "No where": 20 } }],
    ["latencies", { latencies: many(65, 20) }],
    ["selector.label", { selector: { label: {} } }],
    ["selector.labels.a b", { selector: { labels: { "a b": "c" } } }],
    ["selector.labels", { selector: { labels: many(17, "x") } }],
    ["selector.tags", { selector: { tags: Array.from({ length: 17 }, () => "x") } }],
    ["selector.counters.rooms", { selector: { counters: { rooms: { min: 2, max: 1 } } } }],
    ["selector.counters.rooms.least", { selector: { counters: { rooms: { least: 2 } } } }],
    ['selector.counters.a"', { selector: { counters: { 'a"': {} } } }],
    ["selector.gameBuild", { selector: { gameBuild: "" } }],
    ["explain", { explain: "yes" }],
  ])("names %s in an allocation", async (field, body) => {
    const player = await logIn();
    const headers = { "idempotency-key": crypto.randomUUID() };
    const response = await call("POST", "/v1/allocate", { token: player.accessToken, body, headers });
    const problem = await expectProblem(response, "INVALID_FIELD");
    expect(problem.errors?.map((error) => error.field)).toContain(field);
  });

  it("[ALLOC-6] [ALLOC-11] begins right beyond what is taken", async () => {
    const asked = { ...many(63, 0.001), eu: 2_000 };
    for (const ticketLifetimeSeconds of [5, 300]) {
      const cluster = await startCluster({ ticketLifetimeSeconds, counters: many(16, 1), labels: many(16, "x") });
      const selector = { labels: many(16, "x"), counters: many(16, { min: 1 }) };
      const { ticket } = await allocate(await logIn(), { clusterId: cluster.id, latencies: asked, selector });
      const { iat = 0, exp = 0 } = decodeJwt(ticket);
      expect(exp - iat).toBe(ticketLifetimeSeconds);
    }
  });

  it("[ALLOC-1] is a key that is used for a request which differs in one part of one field", async () => {
    await startCluster({ tags: ["same"], counters: { rooms: 1 } });
    const player = await logIn();
    const key = crypto.randomUUID();
    const ask = (min: number) => ({ selector: { tags: ["same"], counters: { rooms: { min } } } });
    const first = await allocate(player, ask(1), key);
    expect(await allocate(player, ask(1), key)).toEqual(first);
    await expectProblem(await requestAllocation(player, ask(0), key), "IDEMPOTENCY_KEY_REUSED");
  });

  it.each([
    ["ticketLifetimeSeconds", { ticketLifetimeSeconds: 4 }],
    ["ticketLifetimeSeconds", { ticketLifetimeSeconds: 301 }],
    ["labels.a b", { labels: { "a b": "c" } }],
    ["counters", { counters: many(17, 1) }],
    ["counters.rooms", { counters: { rooms: "3" } }],
    ["gameBuild", { gameBuild: "a build" }],
  ])("names %s in a registration", async (field, changes) => {
    const key = await enrolledKey();
    const response = await requestRegistration({ ...registration(), ...changes }, await assertionOf(key, "main"));
    const problem = await expectProblem(response, "INVALID_FIELD");
    expect(problem.errors?.map((error) => error.field)).toContain(field);
  });
});

it("a shard of an earlier schema keeps its clusters, and finds them by their tags", async () => {
  const cluster = await startCluster({ region: "upgraded", tags: ["kept", "too"] });
  const shard = env.REGISTRY_SHARD.getByName("upgraded.0");
  await runInDurableObject(shard, async (_, { storage }) => {
    const row = storage.sql.exec("SELECT * FROM clusters").one();
    await storage.deleteAll();
    migrateStorage(storage, registryMigrations.slice(0, 2));
    const columns = storage.sql.exec<{ name: string }>("SELECT name FROM pragma_table_info('clusters')").toArray();
    const names = columns.map(({ name }) => name);
    const values = names.map((name) => row[name] ?? null);
    storage.sql.exec(
      `INSERT INTO clusters (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
      ...values,
    );
  });
  await evictDurableObject(shard);
  expect(await placesOf({ region: "upgraded", selector: { tags: ["kept"] } }, 1)).toEqual([cluster.id]);
});
