import { env } from "cloudflare:workers";
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from "jose";
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import { readIdentitySettings } from "../../control-plane/settings.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logIn, requestAllocation } from "./support/players.ts";
import type { Provided } from "./support/provided.ts";

const password = "correct horse battery";

afterEach(() => {
  vi.restoreAllMocks();
});

function newEmail(): string {
  return `${crypto.randomUUID()}@example.com`;
}

async function signUp(email: string): Promise<PlayerSessionTokens> {
  const body = { email, password, displayName: "Ada" };
  return expectJson(await call("POST", "/v1/signup", { body }), 201);
}

describe("an account", () => {
  it("is made, logged in to, refreshed and logged out of", async () => {
    const email = newEmail();
    const first = await signUp(email);
    expect(first.player).toEqual({ id: first.player.id, email, anonymous: false, displayName: "Ada" });
    const second = await expectJson<PlayerSessionTokens>(
      await call("POST", "/v1/login", { body: { email, password } }),
      200,
    );
    expect(second.player).toEqual(first.player);
    const { refreshToken } = second;
    const third = await expectJson<PlayerSessionTokens>(
      await call("POST", "/v1/refresh", { body: { refreshToken } }),
      200,
    );
    expect(third.player).toEqual(first.player);
    expect(third.refreshToken).not.toBe(refreshToken);
    expect((await call("POST", "/v1/logout", { token: third.accessToken })).status).toBe(204);
    const response = await call("POST", "/v1/refresh", { body: { refreshToken: third.refreshToken } });
    await expectProblem(response, "REFRESH_TOKEN_INVALID");
  });

  it("is made once", async () => {
    const email = newEmail();
    await signUp(email);
    await expectProblem(await call("POST", "/v1/signup", { body: { email, password } }), "ACCOUNT_EXISTS");
  });

  it("needs a password that is not weak", async () => {
    const body = { email: newEmail(), password: "abc" };
    await expectProblem(await call("POST", "/v1/signup", { body }), "WEAK_PASSWORD");
  });

  it("that does not exist looks like a wrong password", async () => {
    const email = newEmail();
    await signUp(email);
    const wrong = await expectProblem(
      await call("POST", "/v1/login", { body: { email, password: "wrong password" } }),
      "INVALID_CREDENTIALS",
    );
    const unknown = await expectProblem(
      await call("POST", "/v1/login", { body: { email: newEmail(), password } }),
      "INVALID_CREDENTIALS",
    );
    expect({ ...unknown, requestId: "" }).toEqual({ ...wrong, requestId: "" });
  });

  it("is not refreshed with nonsense", async () => {
    const body = { refreshToken: "nonsense" };
    await expectProblem(await call("POST", "/v1/refresh", { body }), "REFRESH_TOKEN_INVALID");
  });
});

describe("an anonymous player", () => {
  it("needs nothing, and may have a name", async () => {
    const { player } = await logIn("Nobody");
    expect(player).toMatchObject({ email: null, anonymous: true, displayName: "Nobody" });
    const body = { anonymous: true };
    const unnamed = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/login", { body }), 200);
    expect(unnamed.player.displayName).toMatch(/^Player-/);
  });
});

describe("an access token", () => {
  const guarded = [
    ["GET", "/v1/me"],
    ["POST", "/v1/logout"],
    ["POST", "/v1/allocate"],
    ["DELETE", "/v1/allocate/AAAAAAAAAAAAAAAAAAAAAA"],
  ] as const;

  async function expectRefused(token: string | undefined): Promise<void> {
    for (const [method, path] of guarded) {
      const headers = { "idempotency-key": crypto.randomUUID() };
      const body = path === "/v1/allocate" ? {} : undefined;
      const response = await call(method, path, { token, headers, body });
      await expectProblem(response, "UNAUTHENTICATED");
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
    }
  }

  it("is needed", async () => {
    await expectRefused(undefined);
  });

  it.each(["expired", "of another issuer", "for another audience", "of the anonymous role"])(
    "that is %s is refused",
    async (fault) => {
      const tokens: Provided["badTokens"] = inject("badTokens");
      const token = tokens[fault];
      expect(token).toBeDefined();
      await expectRefused(token);
    },
  );

  it("is refused when it is not one at all", async () => {
    await expectRefused("nonsense");
    await expectRefused("e30.e30.e30");
  });

  it("that another key has signed is refused, even under the kid of a good one", async () => {
    const { accessToken } = await logIn();
    const { kid } = decodeProtectedHeader(accessToken);
    const claims = decodeJwt(accessToken);
    const { privateKey } = await generateKeyPair("ES256");
    for (const name of [kid ?? "", "another"]) {
      await expectRefused(await new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: name }).sign(privateKey));
    }
    const secret = new TextEncoder().encode("a secret that is long enough for it");
    await expectRefused(await new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: kid ?? "" }).sign(secret));
  });

  it("is good while the identity service is away, but nobody can log in", async () => {
    const player = await logIn();
    const { url } = readIdentitySettings(env);
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const address = input instanceof Request ? input.url : String(input);
      return address.startsWith(url) ? Promise.reject(new TypeError("cut off by the test")) : real(input, init);
    });
    expect((await call("GET", "/v1/me", { token: player.accessToken })).status).toBe(200);
    await expectProblem(await requestAllocation(player, { region: "nowhere" }), "REGION_NOT_FOUND");
    const problem = await expectProblem(
      await call("POST", "/v1/login", { body: { anonymous: true } }),
      "IDENTITY_UNAVAILABLE",
    );
    expect(problem.retryAfterSeconds).toBeGreaterThan(0);
  });
});
