import { env } from "cloudflare:workers";
import {
  createExecutionContext,
  evictAllDurableObjects,
  listDurableObjectIds,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../control-plane/http/app.ts";
import { playerSession } from "../../control-plane/objects/remote.ts";
import type { RateLimiter, RegistryShard } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { assertionOf, enrolledKey, registration, requestRegistration, startCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Moves the clock that the limits look at, and nothing else. */
function advance(seconds: number): void {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(now + seconds * 1_000);
}

let places = 0;
/** An address that no other test comes from. */
const newAddress = () => {
  places += 1;
  return `100.64.${places >> 8}.${places & 255}`;
};
const newNetwork = () => {
  places += 1;
  return `2001:db8:${places.toString(16)}:1`;
};
const from = (address: string, more: Record<string, string> = {}) => ({ "cf-connecting-ip": address, ...more });

const wrong = (email: string) => ({ email, password: "wrong password" });
const logInFrom = (headers: Record<string, string>, body: unknown = wrong(`${crypto.randomUUID()}@example.com`)) =>
  call("POST", "/v1/login", { headers, body });

/** How many of `times` attempts pass before one is limited. */
async function passed(times: number, attempt: () => Promise<Response>): Promise<number> {
  for (let count = 0; count < times; count++) {
    const answer = await attempt();
    if (answer.status === 429) {
      await expectLimited(answer);
      return count;
    }
    await answer.body?.cancel();
  }
  return times;
}

async function expectLimited(answer: Response): Promise<number> {
  const header = answer.headers.get("retry-after");
  const problem = await expectProblem(answer, "RATE_LIMITED");
  expect(header).toBe(String(problem.retryAfterSeconds));
  expect(problem.retryAfterSeconds).toBeGreaterThan(0);
  return problem.retryAfterSeconds ?? 0;
}

describe("logins", () => {
  it("[SEC-34] from one address are limited, and no other address suffers", async () => {
    const address = newAddress();
    expect(await passed(61, () => logInFrom(from(address)))).toBe(60);
    expect((await logInFrom(from(newAddress()))).status).toBe(401);
    const retryAfter = await expectLimited(await logInFrom(from(address)));
    advance(retryAfter);
    expect((await logInFrom(from(address))).status).toBe(401);
  });

  it("[SEC-34] are limited just as well when they come all at once", async () => {
    const address = newAddress();
    const answers = await Promise.all(Array.from({ length: 80 }, () => logInFrom(from(address))));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(60);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20);
  });

  it("[SEC-35] from one IPv6 network count as one", async () => {
    const network = newNetwork();
    let host = 0;
    expect(await passed(61, () => logInFrom(from(`${network}::${(++host).toString(16)}`)))).toBe(60);
    await expectLimited(await logInFrom(from(`${network}:ffff:ffff:ffff:ffff`)));
    expect((await logInFrom(from(`${newNetwork()}::1`))).status).toBe(401);
  });

  it("[SEC-35] are not told apart by headers that anybody can write", async () => {
    const address = newAddress();
    const spoofed = () =>
      from(address, { "x-forwarded-for": newAddress(), forwarded: `for=${newAddress()}`, "x-real-ip": newAddress() });
    expect(await passed(61, () => logInFrom(spoofed()))).toBe(60);
  });

  it("[SEC-37] to one account are limited wherever they come from, and whether or not there is one", async () => {
    const email = `${crypto.randomUUID()}@example.com`;
    const body = { email, password: "correct horse" };
    expect((await call("POST", "/v1/signup", { body })).status).toBe(201);
    const known = await passed(25, () => logInFrom(from(newAddress()), wrong(email)));
    const nobody = `${crypto.randomUUID()}@example.com`;
    // The sign-up counted as well.
    expect((await logInFrom(from(newAddress()), wrong(nobody))).status).toBe(401);
    const unknown = await passed(25, () => logInFrom(from(newAddress()), wrong(nobody)));
    expect([known, unknown]).toEqual([19, 19]);
    const [one, other] = await Promise.all([
      logInFrom(from(newAddress()), wrong(email)),
      logInFrom(from(newAddress()), wrong(nobody.toUpperCase())),
    ]);
    const answers = [await expectProblem(one, "RATE_LIMITED"), await expectProblem(other, "RATE_LIMITED")];
    const shown = answers.map(({ title, status, code, detail }) => [title, status, code, detail]);
    expect(shown[0]).toEqual(shown[1]);
    // The right password is of no help either: else the limit would tell which one it is.
    await expectLimited(await logInFrom(from(newAddress()), body));
  });

  it("from one device are limited, if it says which one it is", async () => {
    const device = crypto.randomUUID();
    const attempt = () => logInFrom(from(newAddress(), { "x-device-id": device }));
    expect(await passed(31, attempt)).toBe(30);
    expect((await logInFrom(from(newAddress(), { "x-device-id": crypto.randomUUID() }))).status).toBe(401);
    expect((await logInFrom(from(newAddress(), { "x-device-id": "?" }))).status).toBe(401);
  });

  it("in every way count", async () => {
    const address = newAddress();
    const bodies = [
      { provider: "steam", token: "00" },
      { provider: "epic", token: "a.b.c" },
      { provider: "supabase", token: "a.b.c" },
    ];
    let count = 0;
    const attempt = () => logInFrom(from(address), bodies[count++ % bodies.length]);
    expect(await passed(61, attempt)).toBe(60);
    const finish = { code: "x", codeVerifier: "v".repeat(43) };
    await expectLimited(await call("POST", "/v1/login/oauth/finish", { headers: from(address), body: finish }));
  });

  it("by an address in another header count by that one, where the platform writes it", async () => {
    const address = newAddress();
    const app = createApp();
    const attempt = async (): Promise<Response> => {
      const request = new Request(`${masterUrl}/v1/login`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-proxy-client": address, "cf-connecting-ip": newAddress() },
        body: JSON.stringify({ provider: "steam", token: "00" }),
      });
      const settings = { ...env, CLIENT_ADDRESS_HEADER: "x-proxy-client" };
      return app.fetch(request, settings, createExecutionContext());
    };
    expect(await passed(61, attempt)).toBe(60);
  });
});

describe("new players", () => {
  it("from one address are limited, those who have an account already are not", async () => {
    const address = newAddress();
    const attempt = () => logInFrom(from(address), { anonymous: true });
    expect(await passed(61, attempt)).toBe(60);
    advance(6 * 60);
    await expectLimited(await attempt());
    expect((await logInFrom(from(address))).status).toBe(401);
    advance(66 * 60);
    expect((await attempt()).status).toBe(200);
  });
});

describe("refreshing", () => {
  it("is limited by address, far above what a player needs", async () => {
    const address = newAddress();
    const body = { refreshToken: "nonsense" };
    const attempt = () => call("POST", "/v1/refresh", { headers: from(address), body });
    expect(await passed(301, attempt)).toBe(300);
  });
});

describe("allocations", () => {
  it("[SEC-36] of one player are limited by the minute; others are not, and a retry costs nothing", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const key = crypto.randomUUID();
    const first = await allocate(player, { clusterId: cluster.id }, key);
    for (let count = 0; count < 70; count++) {
      expect(await allocate(player, { clusterId: cluster.id }, key)).toEqual(first);
    }
    expect(await passed(60, () => requestAllocation(player, { clusterId: cluster.id }))).toBe(59);
    const retryAfter = await expectLimited(await requestAllocation(player, { clusterId: cluster.id }));
    expect((await requestAllocation(await logIn(), { clusterId: cluster.id })).status).toBe(200);
    advance(retryAfter);
    await cluster.report();
    expect((await requestAllocation(player, { clusterId: cluster.id })).status).toBe(200);
  });

  it("[SEC-36] of one player are limited by the hour, also across restarts of the object", async () => {
    const player = await logIn();
    let total = 0;
    for (let minute = 0; minute < 5; minute++) {
      total += await passed(59, () => requestAllocation(player, { region: "nowhere" }));
      advance(70);
      await evictAllDurableObjects();
    }
    expect(total).toBe(240);
    const retryAfter = await expectLimited(await requestAllocation(player, { region: "nowhere" }));
    expect(retryAfter).toBeGreaterThan(50 * 60);
    advance(retryAfter);
    // Its access token has expired by then, so this goes past the door.
    const order = {
      playerId: player.player.id,
      displayName: "Ada",
      authenticatedAt: 0,
      idempotencyKey: crypto.randomUUID(),
    };
    const session = playerSession(env, player.player.id);
    expect(await session.allocate({ ...order, request: { region: "nowhere" } })).toMatchObject({
      code: "REGION_NOT_FOUND",
    });
  });
});

describe("registrations", () => {
  it("with one key are limited; strangers who name the key do not use that up", async () => {
    const key = await enrolledKey();
    const stranger = await enrolledKey();
    const register = async (by: typeof key): Promise<Response> =>
      requestRegistration(registration(), await assertionOf({ ...by, keyId: key.keyId }, "main"));
    const home = env.REGISTRY_SHARD.getByName("default.0");
    await runInDurableObject(home, (shard: RegistryShard) => {
      const expiresAtMs = Date.now() + 60_000;
      for (let count = 0; count < 599; count++) {
        expect(shard.useAssertion(key.keyId, { jti: `${key.keyId}.${count}`, expiresAtMs })).toEqual({ ok: true });
      }
    });
    for (let count = 0; count < 3; count++) await expectProblem(await register(stranger), "ASSERTION_INVALID");
    expect((await register(key)).status).toBe(200);
    const retryAfter = await expectLimited(await register(key));
    expect((await requestRegistration(registration(), await assertionOf(stranger, "main"))).status).toBe(200);
    advance(retryAfter);
    expect((await register(key)).status).toBe(200);
  });
});

describe("changes of an account", () => {
  it("are limited by player", async () => {
    const player = await logIn();
    const attempt = () => call("GET", "/v1/me/export", { token: player.accessToken });
    expect(await passed(21, attempt)).toBe(20);
    await expectLimited(await call("DELETE", "/v1/me", { token: player.accessToken }));
    expect((await call("GET", "/v1/me/export", { token: (await logIn()).accessToken })).status).toBe(200);
  });
});

describe("what limits remember", () => {
  const limiters = async () => (await listDurableObjectIds(env.RATE_LIMITER)).map((id) => id.toString());

  async function newLimiter(act: () => Promise<unknown>): Promise<DurableObjectStub<RateLimiter>> {
    const before = new Set(await limiters());
    await act();
    const made = (await limiters()).filter((id) => !before.has(id));
    expect(made).toHaveLength(1);
    return env.RATE_LIMITER.get(env.RATE_LIMITER.idFromString(made[0] ?? ""));
  }

  it("is gone with the period, and holds no address", async () => {
    const address = newAddress();
    const limiter = await newLimiter(() => logInFrom(from(address), { provider: "steam", token: "00" }));
    const stored = await runInDurableObject(limiter, (_, { storage }) => [...storage.kv.list()]);
    expect(stored).toHaveLength(1);
    expect(JSON.stringify(stored)).not.toContain(address);
    const alarm = await runInDurableObject(limiter, async (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeGreaterThan(Date.now() + 5 * 60_000);
    expect(alarm).toBeLessThan(Date.now() + 15 * 60_000);
    expect(await runDurableObjectAlarm(limiter)).toBe(true);
    expect(await runInDurableObject(limiter, (_, { storage }) => [...storage.kv.list()])).toEqual([]);
    expect(await passed(61, () => logInFrom(from(address), { provider: "steam", token: "00" }))).toBe(60);
  });

  it("is not made for accounts by who is over the limit of the address", async () => {
    const address = newAddress();
    await passed(61, () => logInFrom(from(address), { provider: "steam", token: "00" }));
    const before = await limiters();
    for (let count = 0; count < 5; count++) await expectLimited(await logInFrom(from(address)));
    expect(await limiters()).toEqual(before);
  });

  it("is not made for this machine's own players, nor where there is no address", async () => {
    const before = await limiters();
    for (const headers of [from("127.0.0.1"), from("::1"), from("unknown"), {}]) {
      await expectJson<PlayerSessionTokens>(await logInFrom(headers, { anonymous: true }), 200);
    }
    expect(await limiters()).toEqual(before);
  });
});
