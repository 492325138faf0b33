import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { createSupabaseKeySet } from "../supabase-keys.ts";
import { describeTestUser, refusal, reply, type Responder, scriptFetch } from "../testing/scripted-fetch.ts";
import { createSupabaseTokenProvider } from "./supabase-token.ts";

const now = 1_800_000_000;
const url = "https://project.supabase.co";
const user = describeTestUser();
let key: CryptoKey;
let keySet: unknown;

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  key = privateKey;
  keySet = { keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" }] };
});

function sign(changes: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const claims = {
    iss: `${url}/auth/v1`,
    sub: String(user["id"]),
    aud: "authenticated",
    role: "authenticated",
    session_id: "session-1",
    iat: now,
    exp: now + 3_600,
  };
  return new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg: "ES256", kid: "k1" }).sign(key);
}

function createFixture(whoIs: Responder, published: Responder = reply(keySet)) {
  const { fetch, requests } = scriptFetch({
    "GET /auth/v1/.well-known/jwks.json": published,
    "GET /auth/v1/user": whoIs,
  });
  const project = { url, publishableKey: "sb_publishable_key", fetch };
  const keys = createSupabaseKeySet({ ...project, now: () => now * 1_000 });
  return { provider: createSupabaseTokenProvider({ project, keys, now: () => now }), requests };
}

describe("a token that the client brings", () => {
  it("is verified, and its session must live", async () => {
    const { provider, requests } = createFixture(reply(user));
    const token = await sign();
    expect(await provider.login({ token, refreshToken: "kept" })).toEqual({
      accessToken: token,
      refreshToken: "kept",
      expiresAt: now + 3_600,
      player: { id: user["id"], email: "ada@example.com", anonymous: false, displayName: "Ada" },
    });
    expect(requests.map(({ route }) => route)).toEqual(["GET /auth/v1/.well-known/jwks.json", "GET /auth/v1/user"]);
    expect((await provider.login({ token })).refreshToken).toBe("");
  });

  it.each([
    ["signed out", refusal(403, "session_not_found")],
    ["deleted", refusal(403, "user_not_found")],
  ])("[SEC-29] is of no use when its owner has %s, though it verifies", async (_what, whoIs) => {
    const { provider } = createFixture(whoIs);
    await expect(provider.login({ token: await sign() })).rejects.toMatchObject({ code: "PROVIDER_TOKEN_INVALID" });
  });

  it.each([{ exp: now - 60 }, { iss: "https://other.supabase.co/auth/v1" }, { role: "service_role" }])(
    "Supabase is not asked about one with %j",
    async (changes) => {
      const { provider, requests } = createFixture(reply(user));
      const failure = provider.login({ token: await sign(changes) });
      await expect(failure).rejects.toMatchObject({ code: "PROVIDER_TOKEN_INVALID" });
      expect(requests.some(({ route }) => route === "GET /auth/v1/user")).toBe(false);
    },
  );

  it("cannot be checked while Supabase is away: that is not the player's fault", async () => {
    const away = () => new Response(null, { status: 503 });
    const token = await sign();
    const noKeys = createFixture(reply(user), away).provider.login({ token });
    await expect(noKeys).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE" });
    const noAnswer = createFixture(away).provider.login({ token });
    await expect(noAnswer).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE" });
  });
});
