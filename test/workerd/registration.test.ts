import { env } from "cloudflare:workers";
import { decodeProtectedHeader, SignJWT } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { assertionType } from "../../auth/cluster-assertion.ts";
import { shardsForCluster } from "../../control-plane/domain/sharding.ts";
import { readMasterSettings, readStoreSettings } from "../../control-plane/settings.ts";
import { revokeClusterKey } from "../../control-plane/store/cluster-keys.ts";
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
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { allocate, logIn } from "./support/players.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** From here on the database does not answer. */
function cutOffDatabase(): void {
  const { url } = readStoreSettings(env);
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const address = input instanceof Request ? input.url : String(input);
    return address.startsWith(url) ? Promise.reject(new TypeError("cut off by the test")) : real(input, init);
  });
}

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

  it.each(["default", "eu", "brought-region"])("takes an assertion once, also in %s", async (region) => {
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

describe("without the database", () => {
  it("a known cluster registers again, players allocate, and an unknown one is told to wait", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    cutOffDatabase();
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
  it("fences the first: its link is closed, its calls are refused", async () => {
    const first = await startCluster();
    const link = await first.openLink();
    const second = await startCluster({ port: 7000 }, first.key);
    expect(second.id).toBe(first.id);
    expect(second.registered.boot).toBeGreaterThan(first.registered.boot);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
    const path = `/v1/clusters/${first.id}`;
    await expectProblem(await first.requestLink(), "CLUSTER_FENCED");
    const body = first.nextReport({ players: 99 });
    await expectProblem(await call("POST", `${path}/heartbeat`, { token: first.token, body }), "CLUSTER_FENCED");
    await expectProblem(await call("DELETE", path, { token: first.token }), "CLUSTER_FENCED");
    expect((await allocate(await logIn(), { clusterId: first.id })).cluster.port).toBe(7000);
    await second.report();
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

  it("ends with deregistration", async () => {
    const cluster = await startCluster();
    const link = await cluster.openLink();
    const response = await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token });
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
