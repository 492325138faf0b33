import { base64url, type CryptoKey } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  activeKey,
  generateStoredKey,
  KeyRingError,
  openSigningKey,
  parseKeyEncryptionKey,
  parseStoredKey,
  publishedKeySet,
  type StoredKey,
} from "./key-ring.ts";
import { PublicKeySet } from "./key-set.ts";
import { signTicket, verifyTicket } from "./ticket.ts";

const now = 1_800_000_000;
const secret = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const otherSecret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

let kek: CryptoKey;
let otherKek: CryptoKey;
let stored: StoredKey;

beforeAll(async () => {
  kek = await parseKeyEncryptionKey(secret);
  otherKek = await parseKeyEncryptionKey(otherSecret);
  stored = await generateStoredKey({ kek, state: "active", now });
});

async function errorOf(promise: Promise<unknown>): Promise<KeyRingError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof KeyRingError)) throw new Error("it did not fail with a KeyRingError", { cause: error });
  return error;
}

describe("the key-encryption key", () => {
  it("may be written in base64 or base64url, with or without padding and a line's end", async () => {
    const plus = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=";
    const forms = [plus, plus.replace("=", ""), plus.replaceAll("+", "-").replaceAll("/", "_"), `${plus}\n`];
    const key = await generateStoredKey({ kek: await parseKeyEncryptionKey(plus), state: "next", now });
    for (const form of forms) {
      expect((await openSigningKey(key, await parseKeyEncryptionKey(form))).kid).toBe(key.kid);
    }
  });

  it("cannot be read out again", () => {
    expect(kek.extractable).toBe(false);
  });

  it.each([
    "short-secret",
    "A".repeat(42),
    "A".repeat(44),
    `${"A".repeat(42)}B=`,
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
    `${secret}${secret}`,
    "!".repeat(43),
    "00".repeat(32),
  ])("[SEC-28] is refused from %j, and not repeated in the error", async (text) => {
    const error = await errorOf(parseKeyEncryptionKey(text));
    expect(error.code).toBe("KEK_MALFORMED");
    expect(error.message).toContain("KEY_ENCRYPTION_KEY must be 32 random bytes in base64");
    expect(`${error.message} ${error.stack}`).not.toContain(text);
  });

  it("is refused from an empty secret", async () => {
    expect((await errorOf(parseKeyEncryptionKey(""))).code).toBe("KEK_MALFORMED");
  });
});

describe("a stored key", () => {
  it("is plain data without the private half", async () => {
    expect(parseStoredKey(JSON.parse(JSON.stringify(stored)))).toEqual(stored);
    const { key } = await openSigningKey(stored, kek);
    expect(key.type).toBe("private");
    expect(JSON.stringify(stored)).not.toContain('"d"');
    expect(atob(stored.encryptedPrivateJwk.replaceAll("-", "+").replaceAll("_", "/"))).not.toContain("crv");
  });

  it("[SEC-25] has a 96-bit IV that is never used twice, and a key pair of its own", async () => {
    const keys = await Promise.all(
      Array.from({ length: 20 }, async () => generateStoredKey({ kek, state: "next", now })),
    );
    expect(keys.every(({ iv }) => base64url.decode(iv).length === 12)).toBe(true);
    expect(new Set(keys.map(({ iv }) => iv)).size).toBe(20);
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(20);
  });

  it("knows when it was made and whether it signs", async () => {
    expect(stored).toMatchObject({ state: "active", createdAt: now, activatedAt: now, retiredAt: null });
    const next = await generateStoredKey({ kek, state: "next", now });
    expect(next).toMatchObject({ state: "next", createdAt: now, activatedAt: null, retiredAt: null });
  });

  it("[SEC-26] opens to a key that signs and cannot be exported", async () => {
    const { key, kid } = await openSigningKey(stored, kek);
    expect([kid, key.extractable, key.usages]).toEqual([stored.kid, false, ["sign"]]);
    await expect(crypto.subtle.exportKey("jwk", key)).rejects.toThrow(/extractable/);
  });

  it.each<[string, (key: StoredKey, other: StoredKey) => StoredKey]>([
    ["another kid", (key, other) => ({ ...key, kid: other.kid })],
    ["another iv", (key, other) => ({ ...key, iv: other.iv })],
    ["an iv of another length", (key) => ({ ...key, iv: key.iv.slice(0, 8) })],
    ["no iv", (key) => ({ ...key, iv: "" })],
    ["another private half", (key, other) => ({ ...key, encryptedPrivateJwk: other.encryptedPrivateJwk })],
    ["another public half", (key, other) => ({ ...key, publicJwk: { ...other.publicJwk, kid: key.kid } })],
    ["a changed byte", (key) => ({ ...key, encryptedPrivateJwk: `A${key.encryptedPrivateJwk.slice(1)}` })],
    ["a byte cut off", (key) => ({ ...key, encryptedPrivateJwk: key.encryptedPrivateJwk.slice(0, -4) })],
    ["no ciphertext", (key) => ({ ...key, encryptedPrivateJwk: "" })],
    ["text that is no base64url", (key) => ({ ...key, encryptedPrivateJwk: "§" })],
  ])("[SEC-25] does not open with %s", async (_, change) => {
    const other = await generateStoredKey({ kek, state: "next", now });
    let key = stored;
    // One record in 64 begins with an A already: changing it to one would change nothing.
    while (key.encryptedPrivateJwk.startsWith("A")) key = await generateStoredKey({ kek, state: "active", now });
    expect((await errorOf(openSigningKey(change(key, other), kek))).code).toBe("KEY_UNREADABLE");
  });

  it("[SEC-25] does not open with another key-encryption key, and the error leaks nothing", async () => {
    const error = await errorOf(openSigningKey(stored, otherKek));
    expect([error.code, error.cause]).toEqual(["KEY_UNREADABLE", undefined]);
    expect(error.message).toContain("KEY_ENCRYPTION_KEY is not the one that it was stored with");
    for (const text of [stored.encryptedPrivateJwk, stored.iv, secret, otherSecret]) {
      expect(`${error.message} ${error.stack}`).not.toContain(text);
    }
  });

  it("[SEC-25] does not open when what was encrypted is no private JWK, and does not quote it", async () => {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const additionalData = new TextEncoder().encode(stored.kid);
    for (const text of ["top-secret", "{}", JSON.stringify({ ...stored.publicJwk, d: "top-secret" })]) {
      const plaintext = new TextEncoder().encode(text);
      const encrypted = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, kek, plaintext);
      const encryptedPrivateJwk = base64url.encode(new Uint8Array(encrypted));
      const error = await errorOf(openSigningKey({ ...stored, iv: base64url.encode(iv), encryptedPrivateJwk }, kek));
      expect(error.code).toBe("KEY_UNREADABLE");
      expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain("top-secret");
    }
  });

  it.each([undefined, null, "key", {}, { kid: "" }])("is not read back from %j", (value) => {
    expect(() => parseStoredKey(value)).toThrow(KeyRingError);
  });

  it.each([{ state: "lost" }, { createdAt: "now" }, { kid: 1 }, { publicJwk: {} }, { retiredAt: undefined }])(
    "is not read back with %j",
    (change) => {
      expect(() => parseStoredKey({ ...stored, ...change })).toThrow(KeyRingError);
    },
  );
});

describe("the published set", () => {
  it("[SEC-26] has the public half of every key, and nothing else of it", async () => {
    const next = await generateStoredKey({ kek, state: "next", now });
    const retired: StoredKey = { ...(await generateStoredKey({ kek, state: "active", now })), state: "retired" };
    const leaky: StoredKey = { ...stored, publicJwk: Object.assign({ d: "secret" }, stored.publicJwk) };
    const set = publishedKeySet([leaky, next, retired]);
    expect(set.keys.map(({ kid }) => kid)).toEqual([stored.kid, next.kid, retired.kid]);
    for (const key of set.keys) {
      expect(Object.keys(key).toSorted()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
      expect(key).toMatchObject({ kty: "EC", alg: "ES256", use: "sig", crv: "P-256" });
    }
  });

  it("verifies what the ring signs", async () => {
    const next = await generateStoredKey({ kek, state: "next", now });
    const keys = new PublicKeySet({
      fetchKeys: async () => JSON.parse(JSON.stringify(publishedKeySet([stored, next]))),
      algorithms: ["ES256"],
      refetchIntervalMs: 10_000,
      maxAgeMs: 600_000,
      now: () => 0,
    });
    const expected = { issuer: "m", clusterId: "c", game: "g", boot: 1, versions: { min: 1, max: 1 }, now };
    for (const record of [stored, next]) {
      const ticket = await signTicket(
        {
          iss: "m",
          aud: "c",
          sub: "p",
          jti: "AAAAAAAAAAAAAAAAAAAAAA",
          iat: now,
          nbf: now,
          exp: now + 60,
          game: "g",
          proto: { min: 1, max: 1 },
          boot: 1,
          gen: 1,
          rsv: "r",
          frag: "",
          name: "n",
        },
        await openSigningKey(record, kek),
      );
      const resolve = async (kid: string) => keys.resolve(kid);
      expect(await verifyTicket(ticket, resolve, { ...expected, maxLifetimeSeconds: 60 })).toMatchObject({ ok: true });
    }
  });

  it("names keys by their RFC 7638 thumbprint, so that a kid cannot stand for another key", async () => {
    const { x, y } = stored.publicJwk;
    const canonical = new TextEncoder().encode(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`);
    const hash = await crypto.subtle.digest("SHA-256", canonical);
    expect(stored.kid).toBe(base64url.encode(new Uint8Array(hash)));
  });
});

describe("the active key", () => {
  it("is the one that was activated last", async () => {
    const older: StoredKey = { ...stored, kid: "older", activatedAt: now - 1 };
    const next: StoredKey = { ...stored, kid: "next", state: "next", activatedAt: null };
    const retired: StoredKey = { ...stored, kid: "retired", state: "retired", activatedAt: now + 1 };
    expect(activeKey([retired, older, next, stored])?.kid).toBe(stored.kid);
    expect(activeKey([retired, next])).toBeUndefined();
  });
});
