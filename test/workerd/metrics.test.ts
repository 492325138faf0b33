import { env } from "cloudflare:workers";
import { createExecutionContext, evictAllDurableObjects } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { createApp } from "../../control-plane/http/app.ts";
import { RecordKeeper, RegistryShard } from "../../control-plane/worker.ts";
import type { RegisterRequest } from "../../protocol/index.ts";
import { type Exposition, parseExposition } from "../support/exposition.ts";
import { seatOf, startCluster } from "./support/clusters.ts";
import { cutOff } from "./support/cut-off.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import type { Provided } from "./support/provided.ts";
import { writeRecordsNow } from "./support/records.ts";
import { askSession } from "./support/sessions.ts";
import { requestBan, toldOf } from "./support/revocations.ts";
import { eventually } from "../support/eventually.ts";

const bindings: Provided["workerBindings"] = inject("workerBindings");
const token = bindings["METRICS_TOKEN"];

/** What is cached is not asked for again for some seconds: each look is at another time. */
let nowMs = Date.now();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function scrape(): Promise<Exposition> {
  nowMs += 6_000;
  vi.setSystemTime(nowMs);
  const response = await call("GET", "/metrics", { token });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parseExposition(await response.text());
}

function grown(before: Exposition, after: Exposition, name: string): number {
  return (after.samples.get(name) ?? 0) - (before.samples.get(name) ?? 0);
}

describe("metrics", () => {
  it("[REC-6] are for who has the token alone, and off without one", async () => {
    await expectProblem(await call("GET", "/metrics"), "UNAUTHENTICATED");
    await expectProblem(await call("GET", "/metrics", { token: `${token}x` }), "UNAUTHENTICATED");
    await expectProblem(await call("GET", "/metrics", { token: token?.slice(0, -1) }), "UNAUTHENTICATED");
    await expectProblem(await call("GET", "/metrics", { token: (await logIn()).accessToken }), "UNAUTHENTICATED");
    await expectProblem(await call("POST", "/metrics", { token }), "METHOD_NOT_ALLOWED");
    const request = (given: string) =>
      new Request(`${masterUrl}/metrics`, { headers: given === "" ? {} : { authorization: `Bearer ${given}` } });
    for (const METRICS_TOKEN of [undefined, ""]) {
      for (const given of ["", "x", String(METRICS_TOKEN)]) {
        const answer = createApp().fetch(request(given), { ...env, METRICS_TOKEN }, createExecutionContext());
        await expectProblem(await answer, "SWITCHED_OFF");
      }
    }
    const short = createApp().fetch(request("short"), { ...env, METRICS_TOKEN: "short" }, createExecutionContext());
    await expectProblem(await short, "INTERNAL");
  });

  it("count allocations, logins, registrations and joins by what came of them", async () => {
    const before = await scrape();
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    await expectProblem(await requestAllocation(other, { clusterId: cluster.id }), "CLUSTER_FULL");
    const body = { email: "nobody@example.com", password: "wrong password" };
    await expectProblem(await call("POST", "/v1/login", { body }), "INVALID_CREDENTIALS");
    await cluster.report({ full: true, players: 1, joined: [seatOf(player.player, ticket)] });
    await eventually(async () => {
      const after = await scrape();
      const growth = (name: string) => grown(before, after, `sustenet_master_${name}`);
      expect(growth("joins_total")).toBe(1);
      expect(growth('allocations_total{outcome="ticket"}')).toBe(1);
      expect(growth('allocations_total{outcome="CLUSTER_FULL"}')).toBe(1);
      expect(growth("allocation_seconds_count")).toBe(2);
      expect(growth('logins_total{way="anonymous",outcome="ok"}')).toBe(2);
      expect(growth('logins_total{way="password",outcome="INVALID_CREDENTIALS"}')).toBe(1);
      expect(growth('registrations_total{outcome="ok"}')).toBe(1);
      expect(growth('problems_total{code="CLUSTER_FULL"}')).toBe(1);
      expect(growth('requests_total{status="4xx"}')).toBe(2);
      expect(growth('clusters{region="default",state="ready"}')).toBe(1);
      expect(growth('seats{region="default",state="joined"}')).toBe(1);
      expect(growth('players{region="default"}')).toBe(1);
      expect(growth('capacity{region="default"}')).toBe(1);
      expect(after.samples.get("sustenet_master_scrape_complete")).toBe(1);
      expect(after.samples.get('sustenet_master_scrape_sources{of="shard",answered="true"}')).toBe(3);
    });
  });

  it("count the places of clusters that are offered, and not of those that are locked or stand by", async () => {
    const operator = await logInOperator();
    const admin = async (method: string, path: string, body?: unknown) =>
      expectJson<{ readonly total?: { readonly capacity: number } }>(
        await call(method, `/v1/admin${path}`, {
          token: operator.accessToken,
          ...(body === undefined ? {} : { body }),
        }),
        200,
      );
    const told = async () => (await admin("GET", "/capacity")).total?.capacity ?? 0;
    const [before, toldBefore] = [await scrape(), await told()];
    const locked = await startCluster({ capacity: 40, instance: "locked" });
    await admin("PUT", `/clusters/${locked.id}/lock`, {});
    const world = {
      name: `w-${crypto.randomUUID()}`,
      fragments: [{ name: "north", min: [0, 0, 0], max: [9, 9, 9] }],
      peer: { host: "127.0.0.1", port: 6300 },
    } satisfies RegisterRequest["world"];
    await startCluster({ capacity: 3, instance: "carrier", world });
    await eventually(async () => expect((await told()) - toldBefore).toBe(3));
    await startCluster({ capacity: 500, instance: "standby", world });
    await eventually(async () => {
      expect((await told()) - toldBefore).toBe(3);
      expect(grown(before, await scrape(), 'sustenet_master_capacity{region="default"}')).toBe(3);
    });
  });

  it("say how long a cluster took to hold that a player was banned", async () => {
    const cluster = await startCluster();
    const [operator, player] = [await logInOperator(), await logIn()];
    const seat = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    const before = await scrape();
    expect((await requestBan(operator, player.player.id)).status).toBe(200);
    await toldOf(cluster, player.player.id);
    nowMs += 2_000;
    vi.setSystemTime(nowMs);
    const told = (await cluster.report()).find(({ type }) => type === "revoke");
    await cluster.report({ players: 0, left: [seat], revocations: told?.type === "revoke" ? told.version : 0 });
    await eventually(async () => {
      const after = await scrape();
      expect(grown(before, after, "sustenet_master_revocation_seconds_count")).toBe(1);
      expect(grown(before, after, "sustenet_master_revocation_seconds_sum")).toBeGreaterThanOrEqual(2);
    });
  });

  it("say how many records of players wait for the database: of logins, and of what was saved", async () => {
    const cluster = await startCluster();
    const waiting = 'sustenet_master_records_waiting{of="players"}';
    await eventually(async () => {
      await writeRecordsNow();
      expect((await scrape()).samples.get(waiting)).toBe(0);
    });
    cutOff(String(Reflect.get(env, "TURSO_DATABASE_URL")));
    const player = await logIn();
    await eventually(async () => expect((await scrape()).samples.get(waiting)).toBe(1));
    const { generation } = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    await askSession(cluster, player.player.id, { type: "enter", generation });
    const save = { type: "save", generation, version: 1, state: btoa("gold") } as const;
    expect(await askSession(cluster, player.player.id, save)).toMatchObject([{ type: "saved" }]);
    await eventually(async () => expect((await scrape()).samples.get(waiting)).toBe(2));
  });

  it("never shrink, even when the memory of all objects is lost", async () => {
    await logIn();
    const before = await scrape();
    await evictAllDurableObjects();
    const after = await scrape();
    const counted = [...before.samples].filter(([name]) => /_(?:total|bucket|count|sum)(?:\{|$)/.test(name));
    const fallen = counted.filter(([name, value]) => (after.samples.get(name) ?? -1) < value);
    expect(fallen).toEqual([]);
  });

  it("are gathered once in five seconds, however often they are asked for", async () => {
    const asked = vi.spyOn(RegistryShard.prototype, "gauges");
    await scrape();
    const once = asked.mock.calls.length;
    expect(once).toBeGreaterThan(0);
    await call("GET", "/metrics", { token });
    vi.setSystemTime(nowMs + 4_900);
    await call("GET", "/metrics", { token });
    expect(asked.mock.calls.length).toBe(once);
  });

  it("say so when an object has not answered", async () => {
    vi.spyOn(RecordKeeper.prototype, "backlog").mockImplementation(() => {
      throw new Error("broken by the test");
    });
    const { samples } = await scrape();
    expect(samples.get("sustenet_master_scrape_complete")).toBe(0);
    expect(samples.get('sustenet_master_scrape_sources{of="record-keeper",answered="false"}')).toBe(4);
    expect(samples.get('sustenet_master_scrape_sources{of="shard",answered="true"}')).toBe(3);
    expect(samples.get('sustenet_master_clusters{region="default",state="ready"}')).toBeDefined();
  });

  it("have a bounded number of series, whatever strangers send", async () => {
    await scrape();
    const before = (await scrape()).samples.size;
    for (let index = 0; index < 40; index += 1) {
      const headers = { "x-request-id": `made-up-${index}`, "x-device-id": `device-${index}` };
      await call("GET", `/nowhere/${index}`, { headers });
      await call("POST", "/v1/login", { headers, body: { provider: `p${index}`, token: "x" } });
      await call("POST", "/v1/allocate", { headers, body: { [`f${index}`]: 1 } });
    }
    const after = (await scrape()).samples.size;
    // A few codes may have come for the first time.
    expect(after - before).toBeLessThan(10);
  });
});
