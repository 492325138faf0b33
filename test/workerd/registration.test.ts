import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { decodeProtectedHeader, SignJWT } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { assertionType } from "../../auth/cluster-assertion.ts";
import { maxRegionsPerKey } from "../../control-plane/domain/clusters/region-cap.ts";
import { shardsForCluster } from "../../control-plane/domain/clusters/sharding.ts";
import { readMasterSettings, readStoreSettings } from "../../control-plane/settings.ts";
import { revokeClusterKey } from "../../control-plane/store/cluster-keys.ts";
import type { RegistryShard } from "../../control-plane/worker.ts";
import { linkCloseCodes, problems } from "../../protocol/index.ts";
import {
  assertionOf,
  createKey,
  enrolledKey,
  registration,
  requestRegistration,
  startCluster,
  TestCluster,
  type TestKey,
} from "./support/clusters.ts";
import { cutOff } from "./support/cut-off.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function forgedAssertion(key: TestKey, claims: Record<string, unknown>, header: Record<string, unknown> = {}) {
  const now = Math.floor(Date.now() / 1_000);
  const all = {
    iss: key.keyId,
    sub: key.keyId,
    aud: masterUrl,
    inst: "main",
    iat: now,
    exp: now + 60,
    jti: "j",
    ...claims,
  };
  return new SignJWT(all)
    .setProtectedHeader({ alg: "Ed25519", typ: assertionType, kid: key.keyId, ...header })
    .sign(key.privateKey);
}

describe("a registration", () => {
  it("tells the cluster all that it needs", async () => {
    const cluster = await startCluster({ region: "eu", instance: "two" });
    expect(cluster.registered).toMatchObject({
      clusterId: expect.stringMatching(/^eu\.[\w-]{22}$/),
      issuer: masterUrl,
      game: "default",
      leaseMs: 30_000,
      pingIntervalMs: 10_000,
      reportIntervalMs: 1_000,
    });
    expect(Math.abs(cluster.registered.boot - Date.now())).toBeLessThan(10_000);
    const published = await expectJson(await call("GET", "/.well-known/jwks.json"), 200);
    expect(cluster.registered.jwks).toEqual(published);
  });

  it("of an unknown key is refused", async () => {
    const key = await createKey();
    const response = await requestRegistration(registration(), await assertionOf(key, "main"));
    const problem = await expectProblem(response, "CLUSTER_KEY_UNKNOWN");
    expect(problem.detail).toContain(key.keyId);
  });

  it("of a revoked key is refused, at the latest a minute after", async () => {
    const cluster = await startCluster();
    expect(await revokeClusterKey(readStoreSettings(env), cluster.key.keyId)).toBe(true);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    const response = await requestRegistration(registration(), await assertionOf(cluster.key, "main"));
    await expectProblem(response, "CLUSTER_KEY_UNKNOWN");
  });

  it("without an assertion, or with one that is none, is refused", async () => {
    await expectProblem(await call("POST", "/v1/clusters/register", { body: registration() }), "ASSERTION_INVALID");
    await expectProblem(await requestRegistration(registration(), "x"), "ASSERTION_INVALID");
    await expectProblem(await requestRegistration(registration(), "e30.e30.e30"), "ASSERTION_INVALID");
  });

  it("with an assertion made by hand is accepted, when it is made well", async () => {
    const key = await enrolledKey();
    expect((await requestRegistration(registration(), await forgedAssertion(key, {}))).status).toBe(200);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["for another master", { aud: "https://other.example" }, {}],
    ["that has expired", { iat: Date.now() / 1_000 - 120, exp: Date.now() / 1_000 - 60 }, {}],
    ["from the future", { iat: Date.now() / 1_000 + 600, exp: Date.now() / 1_000 + 660 }, {}],
    ["that lives too long", { exp: Date.now() / 1_000 + 3_600 }, {}],
    ["of another subject", { sub: "other" }, {}],
    ["for another instance", { inst: "other" }, {}],
    ["without an id", { jti: undefined }, {}],
    ["of another type", {}, { typ: "JWT" }],
  ])("with an assertion %s is refused", async (_, claims, header) => {
    const key = await enrolledKey();
    const response = await requestRegistration(registration(), await forgedAssertion(key, claims, header));
    await expectProblem(response, "ASSERTION_INVALID");
  });

  it("with an assertion that another key has signed is refused", async () => {
    const [enrolled, other] = [await enrolledKey(), await createKey()];
    const forged = { ...other, keyId: enrolled.keyId };
    expect(decodeProtectedHeader(await assertionOf(forged, "main")).kid).toBe(enrolled.keyId);
    await expectProblem(
      await requestRegistration(registration(), await assertionOf(forged, "main")),
      "ASSERTION_INVALID",
    );
  });

  it.each(["default", "eu", "brought-region"])("[SEC-39] takes an assertion once, also in %s", async (region) => {
    const key = await enrolledKey();
    const assertion = await assertionOf(key, "main");
    expect((await requestRegistration(registration(), assertion)).status).toBe(200);
    await expectProblem(await requestRegistration(registration({ region }), assertion), "ASSERTION_REPLAYED");
  });

  it("of protocol versions that this master does not speak is refused", async () => {
    const key = await enrolledKey();
    for (const protocol of [
      { min: 2, max: 3 },
      { min: 3, max: 1 },
    ]) {
      const response = await requestRegistration(registration({ protocol }), await assertionOf(key, "main"));
      expect((await expectProblem(response, "INVALID_FIELD")).errors).toMatchObject([{ field: "protocol" }]);
    }
  });
});

describe("a region that the map does not name", () => {
  const home = env.REGISTRY_SHARD.getByName("default.0");

  async function knownRegions(): Promise<readonly string[]> {
    return (await home.digest("default.0")).regions;
  }

  async function registerIn(key: TestKey, region: string): Promise<Response> {
    return requestRegistration(registration({ region }), await assertionOf(key, "main"));
  }

  it("[SEC-39] is not noted for an assertion that was used, wherever it was used", async () => {
    const key = await enrolledKey();
    for (const [first, second] of [
      ["default", "replayed-one"],
      ["brought-first", "replayed-two"],
    ] as const) {
      const assertion = await assertionOf(key, "main");
      expect((await requestRegistration(registration({ region: first }), assertion)).status).toBe(200);
      for (const region of [second, `${second}-more`]) {
        await expectProblem(await requestRegistration(registration({ region }), assertion), "ASSERTION_REPLAYED");
        expect(await knownRegions()).not.toContain(region);
      }
    }
    expect(await knownRegions()).toContain("brought-first");
  });

  it("[SEC-40] is refused when its key has brought too many, and taken again when one has no cluster any more", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const key = await enrolledKey();
    const first = await startCluster({ region: "capped-0" }, key);
    for (let index = 1; index < maxRegionsPerKey; index += 1) {
      expect((await registerIn(key, `capped-${index}`)).status).toBe(200);
      vi.setSystemTime(Date.now() + 1_000);
    }
    await expectProblem(await registerIn(key, "capped-more"), "TOO_MANY_REGIONS");
    expect(await knownRegions()).toContain("capped-0");
    expect(await knownRegions()).not.toContain("capped-more");
    expect((await registerIn(key, "capped-0")).status).toBe(200);
    expect((await registerIn(await enrolledKey(), "capped-1")).status).toBe(200);
    vi.setSystemTime(Date.now() + 61_000);
    await expectProblem(await registerIn(key, "capped-more"), "TOO_MANY_REGIONS");
    const again = await startCluster({ region: "capped-0" }, key);
    expect(again.id).toBe(first.id);
    expect((await call("DELETE", `/v1/clusters/${again.id}`, { token: again.token })).status).toBe(204);
    vi.setSystemTime(Date.now() + 61_000);
    expect((await registerIn(key, "capped-more")).status).toBe(200);
    expect(await knownRegions()).not.toContain("capped-0");
  });

  it("[SEC-41] is not needed by a session that there is", async () => {
    const cluster = await startCluster({ region: "forgotten" });
    await runInDurableObject(home, (_: RegistryShard, { storage }) => {
      storage.sql.exec("DELETE FROM regions WHERE region = 'forgotten'");
    });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2_000 });
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_NOT_FOUND");
    await cluster.report();
  });
});

describe("without the database", () => {
  it("a known cluster registers again, players allocate, and an unknown one is told to wait", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    cutOff(readStoreSettings(env).url);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    const again = await startCluster({}, cluster.key);
    expect(again.id).toBe(cluster.id);
    await allocate(player, { clusterId: again.id });
    expect((await logIn()).player.anonymous).toBe(true);
    const stranger = await createKey();
    const response = await requestRegistration(registration(), await assertionOf(stranger, "main"));
    const problem = await expectProblem(response, "DATABASE_UNAVAILABLE");
    expect(problem.retryAfterSeconds).toBeGreaterThan(0);
  });
});

describe("a second process with the same key and instance", () => {
  it("[SEC-80] fences the first: its link is closed, its calls are refused", async () => {
    const first = await startCluster();
    const link = await first.openLink();
    const second = await startCluster({ port: 7000 }, first.key);
    expect(second.id).toBe(first.id);
    expect(second.registered.boot).toBeGreaterThan(first.registered.boot);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
    expect(link.closeReason).toBe("FENCED newer-process");
    const path = `/v1/clusters/${first.id}`;
    const refused = await expectProblem(await first.requestLink(), "CLUSTER_FENCED");
    expect(refused).toMatchObject({ fencedBy: "newer-process" });
    const body = first.nextReport({ players: 99 });
    await expectProblem(await call("POST", `${path}/heartbeat`, { token: first.token, body }), "CLUSTER_FENCED");
    await expectProblem(await call("DELETE", path, { token: first.token }), "CLUSTER_FENCED");
    expect((await allocate(await logIn(), { clusterId: first.id })).cluster.port).toBe(7000);
    await second.report();
    // What it was stopped for stays, also when the key ends later.
    const shard = env.REGISTRY_SHARD.getByName(first.token.split("~")[0] ?? "");
    await shard.revokeKey(first.key.keyId);
    expect(await expectProblem(await first.requestLink(), "CLUSTER_FENCED")).toMatchObject({
      fencedBy: "newer-process",
    });
  });

  it("with another instance name is another cluster", async () => {
    const first = await startCluster({ instance: "a" });
    const second = await startCluster({ instance: "b" }, first.key);
    expect(second.id).not.toBe(first.id);
    await first.report();
    await second.report();
  });

  it("gets epochs in order when many register at once", async () => {
    const key = await enrolledKey();
    const all = await Promise.all(Array.from({ length: 8 }, () => startCluster({}, key)));
    expect(new Set(all.map(({ registered }) => registered.boot)).size).toBe(8);
    const newest = all.toSorted((a, b) => b.registered.boot - a.registered.boot)[0];
    for (const cluster of all) {
      const response = await call("POST", `/v1/clusters/${cluster.id}/heartbeat`, {
        token: cluster.token,
        body: cluster.nextReport(),
      });
      expect(response.status).toBe(cluster === newest ? 200 : problems.CLUSTER_FENCED.status);
    }
  });
});

describe("a change of the number of shards", () => {
  it("moves a cluster when it registers again: at its old shard it is fenced, and not offered any more", async () => {
    const key = await enrolledKey();
    const details = registration({ region: "eu" });
    const first = await startCluster({ region: "eu" }, key);
    const [here = "", elsewhere = ""] = shardsForCluster(readMasterSettings(env).shards, first.id);
    expect(first.token.startsWith(`${here}~`)).toBe(true);
    // As it was registered when there were other shards.
    const old = await env.REGISTRY_SHARD.getByName(elsewhere).register({
      shard: elsewhere,
      clusterId: first.id,
      keyId: key.keyId,
      assertion: await assertionOf(key, details.instance),
      details: { ...details, port: 1 },
    });
    if (!old.ok) throw new Error(old.detail);
    const { sessionToken } = old;
    const oldCluster = new TestCluster(key, details, { ...first.registered, ...old });
    const link = await oldCluster.openLink();
    const second = await startCluster({ region: "eu", port: 2 }, key);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
    const body = oldCluster.nextReport();
    const response = await call("POST", `/v1/clusters/${first.id}/heartbeat`, { token: sessionToken, body });
    await expectProblem(response, "CLUSTER_FENCED");
    expect((await allocate(await logIn(), { clusterId: second.id })).cluster.port).toBe(2);
  });
});

describe("a cluster's session", () => {
  it("is opened by its token alone", async () => {
    const [cluster, other] = [await startCluster(), await startCluster()];
    const body = cluster.nextReport();
    const path = `/v1/clusters/${cluster.id}`;
    for (const token of [
      undefined,
      "x",
      other.token,
      `${cluster.token}x`,
      `default.0~${"A".repeat(43)}`,
      `nowhere.0~${"A".repeat(43)}`,
    ]) {
      await expectProblem(await call("POST", `${path}/heartbeat`, { token, body }), "CLUSTER_SESSION_INVALID");
      await expectProblem(await call("DELETE", path, { token }), "CLUSTER_SESSION_INVALID");
      const headers = { upgrade: "websocket" };
      await expectProblem(await call("GET", `${path}/link`, { token, headers }), "CLUSTER_SESSION_INVALID");
    }
    await cluster.report();
  });

  it("[SEC-42] is looked at before a report is: without it, nothing of the body counts, and no long one is read", async () => {
    const cluster = await startCluster();
    const path = `/v1/clusters/${cluster.id}/heartbeat`;
    const padded = (bytes: number): string => JSON.stringify(cluster.nextReport()).padEnd(bytes);
    for (const token of [undefined, "x", `default.0~${"A".repeat(43)}`, (await startCluster()).token]) {
      await expectProblem(await call("POST", path, { token, body: "{" }), "CLUSTER_SESSION_INVALID");
      await expectProblem(await call("POST", path, { token, body: padded(16_384) }), "CLUSTER_SESSION_INVALID");
      await expectProblem(await call("POST", path, { token, body: padded(16_385) }), "BODY_TOO_LARGE");
    }
    const { token } = cluster;
    await expectProblem(await call("POST", path, { token, body: "{" }), "MALFORMED_JSON");
    expect((await call("POST", path, { token, body: padded(16_385) })).status).toBe(200);
    expect((await call("POST", path, { token, body: padded(512 * 1_024) })).status).toBe(200);
    await expectProblem(await call("POST", path, { token, body: padded(512 * 1_024 + 1) }), "BODY_TOO_LARGE");
  });

  it("ends with deregistration, which the log has as every change of a state", async () => {
    const cluster = await startCluster();
    const link = await cluster.openLink();
    const lines = vi.spyOn(console, "info");
    const response = await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token });
    const logged = lines.mock.calls.map(([line]): unknown => JSON.parse(String(line)));
    const change = { event: "registry.cluster_state", clusterId: cluster.id, state: "gone", because: "deregistered" };
    expect(logged).toContainEqual(expect.objectContaining(change));
    expect(response.status).toBe(204);
    expect(await link.next()).toEqual({ closed: 1000 });
    await expectProblem(await cluster.requestLink(), "CLUSTER_SESSION_INVALID");
    const player = await logIn();
    const body = { clusterId: cluster.id };
    const headers = { "idempotency-key": crypto.randomUUID() };
    await expectProblem(
      await call("POST", "/v1/allocate", { token: player.accessToken, body, headers }),
      "CLUSTER_NOT_FOUND",
    );
  });
});
