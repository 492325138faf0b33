import { base64url, type CryptoKey, exportJWK, generateKeyPair, type JWK } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { accessTokenAlgorithms, verifyAccessToken } from "./access-token.ts";
import { PublicKeySet } from "./key-set.ts";

const now = 1_800_000_000;
const issuer = "https://project.supabase.co/auth/v1";
const playerId = "1f9c6f3a-93f5-4f0c-8a55-0d3d2d1f0a01";
const sessionId = "7a0f0a53-5bd5-44a6-a3ea-1d3a1b0c7f02";

const claims = {
  iss: issuer,
  sub: playerId,
  aud: "authenticated",
  exp: now + 3_600,
  iat: now,
  email: "ada@example.com",
  phone: "",
  app_metadata: { provider: "email", providers: ["email"] },
  user_metadata: { display_name: "Ada" },
  role: "authenticated",
  aal: "aal1",
  amr: [{ method: "password", timestamp: now }],
  session_id: sessionId,
  is_anonymous: false,
};

let ec: { privateKey: CryptoKey; publicKey: CryptoKey };
let rsa: { privateKey: CryptoKey; publicKey: CryptoKey };
let foreign: { privateKey: CryptoKey; publicKey: CryptoKey };
let published: JWK[];

beforeAll(async () => {
  ec = await generateKeyPair("ES256", { extractable: true });
  rsa = await generateKeyPair("RS256", { extractable: true });
  foreign = await generateKeyPair("ES256");
  published = [
    { ...(await exportJWK(ec.publicKey)), kid: "ec", alg: "ES256", use: "sig" },
    { ...(await exportJWK(rsa.publicKey)), kid: "rsa", alg: "RS256", use: "sig" },
  ];
});

function createKeys(fetchKeys: () => Promise<unknown> = async () => ({ keys: published })): PublicKeySet {
  return new PublicKeySet({
    fetchKeys,
    algorithms: accessTokenAlgorithms,
    refetchIntervalMs: 30_000,
    maxAgeMs: 600_000,
    now: () => 0,
  });
}

/** A JWS with any header and payload, signed with the algorithm of the key, whatever the header says. */
async function forge(options: { header?: object; claims?: object; key?: CryptoKey } = {}): Promise<string> {
  const header = { alg: "ES256", typ: "JWT", kid: "ec", ...options.header };
  const payload = { ...claims, ...options.claims };
  const input = `${base64url.encode(JSON.stringify(header))}.${base64url.encode(JSON.stringify(payload))}`;
  const key = options.key ?? ec.privateKey;
  const algorithm = { name: key.algorithm.name, hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(input));
  return `${input}.${base64url.encode(new Uint8Array(signature))}`;
}

async function verify(token: string, at = now) {
  return verifyAccessToken(token, createKeys(), { issuer, now: at });
}

/** `ok`, or the code of the refusal. */
async function outcome(token: string, at = now): Promise<string> {
  const verdict = await verify(token, at);
  return verdict.ok ? "ok" : verdict.code;
}

async function outcomeOf(changed: object): Promise<string> {
  return outcome(await forge({ claims: changed }));
}

describe("a good token", () => {
  it("says who its bearer is", async () => {
    expect(await verify(await forge())).toEqual({
      ok: true,
      claims: {
        playerId,
        sessionId,
        email: "ada@example.com",
        anonymous: false,
        displayName: "Ada",
        roles: [],
        expiresAt: now + 3_600,
        authenticatedAt: expect.any(Number),
      },
    });
  });

  it("may be signed with RS256", async () => {
    expect(await outcome(await forge({ header: { alg: "RS256", kid: "rsa" }, key: rsa.privateKey }))).toBe("ok");
  });

  it("may be anonymous, with an empty e-mail address and no name", async () => {
    const verdict = await verify(await forge({ claims: { email: "", is_anonymous: true, user_metadata: {} } }));
    const expected = { email: null, anonymous: true, displayName: "Player-1f9c6f" };
    expect(verdict).toMatchObject({ ok: true, claims: expected });
  });

  it.each([undefined, null, "Ada", ["Ada"], { display_name: 1 }, { display_name: "\u202E" }])(
    "never shows the e-mail address when user_metadata is %j",
    async (metadata) => {
      const verdict = await verify(await forge({ claims: { user_metadata: metadata } }));
      expect(verdict).toMatchObject({ ok: true, claims: { displayName: "Player-1f9c6f" } });
    },
  );
});

describe("roles", () => {
  it.each([
    [{ roles: ["operator", "viewer"] }, ["operator", "viewer"]],
    [{ role: "operator" }, ["operator"]],
    [{ role: "operator", roles: ["viewer", "operator"] }, ["operator", "viewer"]],
    [{ roles: "operator" }, []],
    [{ roles: [1, null, "", {}, "viewer"] }, ["viewer"]],
    [undefined, []],
    [null, []],
    ["operator", []],
  ])("[SEC-12] come from app_metadata %j", async (metadata, roles) => {
    const verdict = await verify(await forge({ claims: { app_metadata: metadata } }));
    expect(verdict).toMatchObject({ ok: true, claims: { roles } });
  });

  it("[SEC-12] never come from user_metadata, which the player writes, nor from the top", async () => {
    const forged = { user_metadata: { role: "operator", roles: ["operator"] }, roles: ["operator"] };
    expect(await verify(await forge({ claims: forged }))).toMatchObject({ ok: true, claims: { roles: [] } });
  });

  it("are 32 at most", async () => {
    const roles = Array.from({ length: 40 }, (_, index) => `role-${index}`);
    const verdict = await verify(await forge({ claims: { app_metadata: { roles } } }));
    expect(verdict).toMatchObject({ ok: true, claims: { roles: roles.slice(0, 32) } });
  });
});

describe("refusals", () => {
  it.each([
    ["iss", "https://other.supabase.co/auth/v1"],
    ["iss", `${issuer}/`],
    ["iss", undefined],
    ["aud", "anon"],
    ["aud", ["other"]],
    ["aud", undefined],
    ["role", "anon"],
    ["role", "service_role"],
    ["role", undefined],
    ["sub", undefined],
    ["sub", ""],
    ["sub", 1],
    ["sub", "a/b"],
    ["sub", "x".repeat(65)],
    ["session_id", undefined],
    ["session_id", ""],
    ["session_id", { a: 1 }],
    ["session_id", "x".repeat(65)],
    ["exp", undefined],
    ["exp", null],
    ["exp", "1900000000"],
    ["nbf", now + 6],
  ])("[SEC-11] refuses %s %j", async (name, value) => {
    expect(await outcomeOf({ [name]: value })).toBe("UNAUTHENTICATED");
  });

  it.each([
    ["sub", "x".repeat(64)],
    ["session_id", "x".repeat(64)],
    ["nbf", now + 5],
  ])("[SEC-11] takes %s %j", async (name, value) => {
    expect(await outcomeOf({ [name]: value })).toBe("ok");
  });

  it("[SEC-11] lasts until 5 s after exp", async () => {
    const token = await forge({ claims: { exp: now } });
    expect(await outcome(token, now + 4)).toBe("ok");
    expect(await outcome(token, now + 5)).toBe("UNAUTHENTICATED");
  });

  it.each(["none", "HS256", "ES384", "RS512", "PS256", "EdDSA", "Ed25519", undefined, 1])(
    "[SEC-10] refuses alg %j",
    async (alg) => {
      expect(await outcome(await forge({ header: { alg } }))).toBe("UNAUTHENTICATED");
    },
  );

  it("[SEC-10] refuses a token without a signature", async () => {
    const payload = base64url.encode(JSON.stringify(claims));
    const header = base64url.encode(JSON.stringify({ alg: "none", typ: "JWT", kid: "ec" }));
    expect(await outcome(`${header}.${payload}.`)).toBe("UNAUTHENTICATED");
    expect(await outcome(`${header}.${payload}`)).toBe("UNAUTHENTICATED");
  });

  it("[SEC-10] refuses a token that was signed with a public key as an HMAC secret", async () => {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const secret = new TextEncoder().encode(JSON.stringify(published[0]));
    const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
    expect(await outcome(await forge({ header: { alg: "HS256" }, key }))).toBe("UNAUTHENTICATED");
    expect(await outcome(await forge({ key }))).toBe("UNAUTHENTICATED");
  });

  it("[SEC-10] refuses an algorithm that is not the key's, though both are allowed", async () => {
    expect(await outcome(await forge({ header: { alg: "RS256" } }))).toBe("UNAUTHENTICATED");
    expect(await outcome(await forge({ header: { kid: "rsa" } }))).toBe("UNAUTHENTICATED");
  });

  it("refuses the signature of another key", async () => {
    expect(await outcome(await forge({ key: foreign.privateKey }))).toBe("UNAUTHENTICATED");
  });

  it.each(["other", "", undefined, 1, "__proto__"])("refuses kid %j", async (kid) => {
    expect(await outcome(await forge({ header: { kid } }))).toBe("UNAUTHENTICATED");
  });

  it("refuses a key that the token brings along, and a crit extension", async () => {
    const jwk = await exportJWK(ec.publicKey);
    const brought = { jwk, jku: "https://evil.example/jwks.json" };
    expect(await outcome(await forge({ header: brought, key: foreign.privateKey }))).toBe("UNAUTHENTICATED");
    expect(await outcome(await forge({ header: { crit: ["x"], x: 1 } }))).toBe("UNAUTHENTICATED");
    expect(await outcome(await forge({ header: { crit: ["b64"], b64: false } }))).toBe("UNAUTHENTICATED");
  });

  it("[SEC-13] refuses more than 8,192 characters", async () => {
    let [fitting, long] = ["", await forge()];
    for (let length = 5_300; long.length <= 8_192; length++) {
      fitting = long;
      long = await forge({ claims: { padding: "x".repeat(length) } });
    }
    // base64url leaves some lengths out.
    expect([fitting.length >= 8_190, long.length <= 8_194]).toEqual([true, true]);
    expect(await outcome(fitting)).toBe("ok");
    expect(await outcome(long)).toBe("UNAUTHENTICATED");
  });

  it.each(["", ".", "..", "a.b.c", "a.b.c.d", "Bearer a.b.c", "é.é.é"])("refuses %j", async (text) => {
    expect(await outcome(text)).toBe("UNAUTHENTICATED");
  });

  it("refuses a changed or truncated token, and says nothing of what is in it", async () => {
    const token = await forge();
    const [header, , signature] = token.split(".");
    const payload = base64url.encode(JSON.stringify({ ...claims, app_metadata: { roles: ["operator"] } }));
    for (const text of [`${header}.${payload}.${signature}`, token.slice(0, -2), `${token}A`, ` ${token}`]) {
      const verdict = await verify(text);
      expect(verdict).toMatchObject({ ok: false, code: "UNAUTHENTICATED" });
      expect(verdict.ok ? "" : verdict.detail).not.toMatch(/ada@example|operator|eyJ/);
    }
  });
});

describe("an absent key set", () => {
  const away = async () => {
    throw new Error("away");
  };

  it("[SEC-14] is told from an invalid token", async () => {
    const verdict = await verifyAccessToken(await forge(), createKeys(away), { issuer, now });
    expect(verdict).toMatchObject({ ok: false, code: "IDENTITY_UNAVAILABLE" });
  });

  it("[SEC-14] does not excuse a token that is invalid whatever its key", async () => {
    const verdict = await verifyAccessToken(await forge({ header: { alg: "HS256" } }), createKeys(away), {
      issuer,
      now,
    });
    expect(verdict).toMatchObject({ ok: false, code: "UNAUTHENTICATED" });
  });
});
