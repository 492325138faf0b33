import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { IdentityError } from "../identity.ts";
import { reply, scriptFetch } from "../testing/scripted-fetch.ts";
import { createEpicKeySet, verifyEpicIdToken } from "./epic.ts";

const now = 1_800_000_000;
const epic = { clientIds: ["xyza7891", "xyza7892"] };
const account = "0123456789abcdef0123456789abcdef";
const claims = {
  iss: "https://api.epicgames.dev/epic/oauth/v2",
  sub: account,
  aud: "xyza7891",
  iat: now - 60,
  exp: now + 7_140,
  t: "id_token",
  dn: "Ada",
};

let key: CryptoKey;
let otherKey: CryptoKey;
let keySet: unknown;

beforeAll(async () => {
  const pair = await generateKeyPair("RS256", { extractable: true });
  key = pair.privateKey;
  keySet = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: "epic-1", alg: "RS256", use: "sig" }] };
  otherKey = (await generateKeyPair("RS256")).privateKey;
});

function sign(changes: Readonly<Record<string, unknown>> = {}, header: object = {}, by = key): Promise<string> {
  const present = Object.fromEntries(Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== null));
  return new SignJWT(present).setProtectedHeader({ alg: "RS256", kid: "epic-1", ...header }).sign(by);
}

function createKeys() {
  const { fetch, requests } = scriptFetch({ "GET /epic/oauth/v2/.well-known/jwks.json": reply(keySet) });
  return { keys: createEpicKeySet({ now: () => now * 1_000, fetch }), requests };
}

async function codeOf(
  token: string,
  at = now,
  settings: Parameters<typeof verifyEpicIdToken>[2] = epic,
): Promise<string> {
  const error = await verifyEpicIdToken(token, createKeys().keys, settings, at).then(
    () => "accepted",
    (error: unknown) => error,
  );
  return error instanceof IdentityError ? error.code : String(error);
}

const invalid = "PROVIDER_TOKEN_INVALID";

describe("an Epic ID token", () => {
  it("tells the account and its name, against Epic's published keys", async () => {
    const { keys, requests } = createKeys();
    expect(await verifyEpicIdToken(await sign(), keys, epic, now)).toEqual({ accountId: account, displayName: "Ada" });
    expect(requests.map(({ url }) => url.href)).toEqual([
      "https://api.epicgames.dev/epic/oauth/v2/.well-known/jwks.json",
    ]);
  });

  it.each([
    [{ iss: "https://api.epicgames.dev/epic/oauth/v1" }],
    [{ aud: "xyza7892" }],
    [{ t: null }],
    [{ dn: null }],
    [{ exp: now - 4 }],
    [{ iat: now + 4 }],
    [{ iat: now - 4 * 3_600 }],
    [{ nbf: now + 4 }],
  ])("[SEC-29] passes with %j", async (changes) => {
    expect(await codeOf(await sign(changes))).toBe("accepted");
  });

  it.each([
    [{ iss: "https://api.epicgames.dev/auth/v1/oauth" }],
    [{ iss: "https://api.epicgames.dev.evil.example/epic/oauth/v2" }],
    [{ iss: null }],
    [{ aud: "xyza789" }],
    [{ aud: null }],
    [{ t: "epic_id" }],
    [{ t: 1 }],
    [{ sub: null }],
    [{ sub: "" }],
    [{ sub: "a/b" }],
    [{ sub: "a".repeat(65) }],
    [{ sub: 7 }],
    [{ exp: now - 6 }],
    [{ exp: null }],
    [{ iat: null }],
    [{ iat: now - 4 * 3_600 - 6 }],
    [{ iat: now + 6 }],
    [{ nbf: now + 6 }],
  ])("[SEC-29] does not with %j", async (changes) => {
    expect(await codeOf(await sign(changes))).toBe(invalid);
  });

  it("[SEC-29] is good only under Epic's key and algorithm", async () => {
    const token = await sign();
    const [header = "", payload = "", signature = ""] = token.split(".");
    const encode = (value: unknown) =>
      btoa(JSON.stringify(value)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
    const hmac = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid: "epic-1" })
      .sign(new TextEncoder().encode(JSON.stringify(keySet).padEnd(64)));
    const bad = [
      "",
      "nonsense",
      `${header}.${payload}`,
      `${header}.${encode({ ...claims, sub: "fe" })}.${signature}`,
      `${encode({ alg: "none", kid: "epic-1" })}.${payload}.`,
      `${encode({ alg: "none", kid: "epic-1" })}.${payload}.${signature}`,
      `${encode({ alg: ["RS256"], kid: "epic-1" })}.${payload}.${signature}`,
      `${encode("x")}.${payload}.${signature}`,
      hmac,
      await sign({}, {}, otherKey),
      await sign({}, { kid: "epic-2" }),
      await sign({}, { kid: "" }),
      await sign({ padding: "x".repeat(8_192) }),
    ];
    for (const each of bad) expect(await codeOf(each), each.slice(0, 40)).toBe(invalid);
  });

  it("may come from another issuer where one is set, and then from no other", async () => {
    const settings = { ...epic, issuers: ["http://127.0.0.1:9"] };
    expect(await codeOf(await sign({ iss: "http://127.0.0.1:9" }), now, settings)).toBe("accepted");
    expect(await codeOf(await sign(), now, settings)).toBe(invalid);
  });

  it("cannot be checked while Epic's keys cannot be had: that is not the player's fault", async () => {
    const { fetch } = scriptFetch({
      "GET /epic/oauth/v2/.well-known/jwks.json": () => new Response(null, { status: 503 }),
    });
    const keys = createEpicKeySet({ now: () => now * 1_000, fetch });
    const failure = verifyEpicIdToken(await sign(), keys, epic, now);
    await expect(failure).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE" });
  });
});
