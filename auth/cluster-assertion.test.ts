import { base64url, type CryptoKey, exportJWK, generateKeyPair } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  assertionType,
  claimedClusterIdentity,
  type ClusterPublicKey,
  clusterKeyId,
  parseClusterPublicKey,
  signClusterAssertion,
  verifyClusterAssertion,
} from "./cluster-assertion.ts";

const now = 1_800_000_000;
const masterUrl = "https://master.example";

let key: CryptoKey;
let publicKey: ClusterPublicKey;
let keyId: string;
let foreignKey: CryptoKey;
let foreignPublicKey: ClusterPublicKey;

async function createClusterKey(): Promise<{ key: CryptoKey; publicKey: ClusterPublicKey }> {
  const pair = await generateKeyPair("Ed25519", { extractable: true });
  const publicKey = parseClusterPublicKey(await exportJWK(pair.publicKey));
  if (publicKey === undefined) throw new Error("a fresh key does not parse");
  return { key: pair.privateKey, publicKey };
}

beforeAll(async () => {
  ({ key, publicKey } = await createClusterKey());
  ({ key: foreignKey, publicKey: foreignPublicKey } = await createClusterKey());
  keyId = await clusterKeyId(publicKey);
});

const goodHeader = () => ({ alg: "Ed25519", typ: assertionType, kid: keyId });

const goodClaims = () => ({
  iss: keyId,
  sub: keyId,
  aud: masterUrl,
  inst: "one",
  jti: "jti-1",
  iat: now,
  exp: now + 60,
});

/** A JWS with any header and payload, and an Ed25519 signature over them, whatever the header says. */
async function forge(options: { header?: object; claims?: object; payloadText?: string; key?: CryptoKey } = {}) {
  const payload = options.payloadText ?? JSON.stringify({ ...goodClaims(), ...options.claims });
  const input = `${base64url.encode(JSON.stringify({ ...goodHeader(), ...options.header }))}.${base64url.encode(payload)}`;
  const bytes = new TextEncoder().encode(input);
  const signature = await crypto.subtle.sign("Ed25519", options.key ?? key, bytes);
  return `${input}.${base64url.encode(new Uint8Array(signature))}`;
}

async function verify(assertion: string, changed: { masterUrl?: string; now?: number } = {}) {
  return verifyClusterAssertion(assertion, publicKey, { masterUrl, now, ...changed });
}

describe("a good assertion", () => {
  it("names key, instance and a fresh jti, and lives 60 s", async () => {
    const sign = async () => signClusterAssertion({ key, keyId, instance: "one", masterUrl, now });
    const first = await verify(await sign());
    expect(first).toMatchObject({ keyId, instance: "one", expiresAt: now + 60 });
    const second = await verify(await sign());
    expect(second?.jti).not.toBe(first?.jti);
  });

  it("says whose it claims to be before it is verified", async () => {
    const assertion = await signClusterAssertion({ key, keyId, instance: "one", masterUrl, now });
    expect(claimedClusterIdentity(assertion)).toEqual({ keyId, instance: "one" });
  });

  it("is bound to the master's origin, whatever the path and the slash", async () => {
    const sign = async (url: string) => signClusterAssertion({ key, keyId, instance: "one", masterUrl: url, now });
    expect(await verify(await sign("https://master.example/"))).toBeDefined();
    expect(await verify(await sign("https://MASTER.example:443/v1?x=1"))).toBeDefined();
  });
});

describe("refusals", () => {
  it.each([
    "https://other.example",
    "http://master.example",
    "https://master.example:8443",
    "https://master.example.evil",
  ])("[SEC-16] refuses one that is for %s", async (url) => {
    const assertion = await signClusterAssertion({ key, keyId, instance: "one", masterUrl: url, now });
    expect(await verify(assertion)).toBeUndefined();
  });

  it.each([[[masterUrl]], [[masterUrl, "https://other.example"]], [undefined], [1], [`${masterUrl}/`]])(
    "[SEC-16] refuses aud %j",
    async (aud) => {
      expect(await verify(await forge({ claims: { aud } }))).toBeUndefined();
    },
  );

  it.each(["master.example:6256", "ftp://master.example", "not a URL"])(
    "[SEC-16] takes %s for no master's URL",
    async (url) => {
      const options = { key, keyId, instance: "one", now };
      await expect(signClusterAssertion({ ...options, masterUrl: url })).rejects.toThrow(TypeError);
      await expect(verify(await forge(), { masterUrl: url })).rejects.toThrow(TypeError);
    },
  );

  it("[SEC-15] refuses the signature of another key, and a genuine one of another cluster", async () => {
    expect(await verify(await forge({ key: foreignKey }))).toBeUndefined();
    const foreignId = await clusterKeyId(foreignPublicKey);
    const foreign = await signClusterAssertion({ key: foreignKey, keyId: foreignId, instance: "one", masterUrl, now });
    expect(await verify(foreign)).toBeUndefined();
    expect(await verifyClusterAssertion(foreign, foreignPublicKey, { masterUrl, now })).toBeDefined();
  });

  it.each(["iss", "sub"])("[SEC-15] refuses one whose %s is another key's", async (claim) => {
    expect(await verify(await forge({ claims: { [claim]: await clusterKeyId(foreignPublicKey) } }))).toBeUndefined();
    expect(await verify(await forge({ claims: { [claim]: undefined } }))).toBeUndefined();
  });

  it("[SEC-15] refuses one whose kid is another key's", async () => {
    const kid = await clusterKeyId(foreignPublicKey);
    expect(await verify(await forge({ header: { kid } }))).toBeUndefined();
    expect(await verify(await forge({ header: { kid: undefined } }))).toBeUndefined();
  });

  it("[SEC-17] lasts until 5 s after exp", async () => {
    expect(await verify(await forge(), { now: now + 64 })).toBeDefined();
    expect(await verify(await forge(), { now: now + 65 })).toBeUndefined();
  });

  it("[SEC-17] allows iat 5 s ahead and no more", async () => {
    expect(await verify(await forge({ claims: { iat: now + 5 } }))).toBeDefined();
    expect(await verify(await forge({ claims: { iat: now + 6 } }))).toBeUndefined();
  });

  it("refuses one that is not valid yet", async () => {
    expect(await verify(await forge({ claims: { nbf: now + 5 } }))).toBeDefined();
    expect(await verify(await forge({ claims: { nbf: now + 6 } }))).toBeUndefined();
  });

  it("[SEC-17] refuses a lifetime over 60 s", async () => {
    expect(await verify(await forge({ claims: { iat: now - 5, exp: now + 55 } }))).toBeDefined();
    expect(await verify(await forge({ claims: { iat: now, exp: now + 61 } }))).toBeUndefined();
    expect(await verify(await forge({ claims: { iat: now - 70, exp: now + 60 } }))).toBeUndefined();
  });

  it.each(["iat", "exp", "jti", "inst"])("refuses one without %s", async (claim) => {
    expect(await verify(await forge({ claims: { [claim]: undefined } }))).toBeUndefined();
  });

  it.each(["inst", "jti"])("[SEC-17] refuses a %s that is no text of 1 to 128 characters", async (claim) => {
    expect(await verify(await forge({ claims: { [claim]: "x".repeat(128) } }))).toBeDefined();
    for (const value of ["x".repeat(129), "", 1, null, ["one"], {}]) {
      expect(await verify(await forge({ claims: { [claim]: value } })), JSON.stringify(value)).toBeUndefined();
    }
  });

  it.each(["none", "EdDSA", "HS256", "ES256", "RS256", "ed25519", undefined])(
    "[SEC-15] refuses alg %s",
    async (alg) => {
      expect(await verify(await forge({ header: { alg } }))).toBeUndefined();
    },
  );

  it.each([undefined, "JWT", "sustenet-ticket+jwt"])("refuses typ %s", async (typ) => {
    expect(await verify(await forge({ header: { typ } }))).toBeUndefined();
  });

  it("refuses one that was signed with the public key as an HMAC secret", async () => {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const secret = Uint8Array.from(base64url.decode(publicKey.x));
    const hmacKey = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
    const header = base64url.encode(JSON.stringify({ ...goodHeader(), alg: "HS256" }));
    const input = `${header}.${base64url.encode(JSON.stringify(goodClaims()))}`;
    const signature = new Uint8Array(await crypto.subtle.sign(hmac, hmacKey, new TextEncoder().encode(input)));
    expect(await verify(`${input}.${base64url.encode(signature)}`)).toBeUndefined();
  });

  it("refuses a key that the assertion brings along", async () => {
    expect(await verify(await forge({ header: { jwk: foreignPublicKey }, key: foreignKey }))).toBeUndefined();
  });

  it("refuses a crit extension", async () => {
    expect(await verify(await forge({ header: { crit: ["x"], x: 1 } }))).toBeUndefined();
  });

  it.each(["", "..", "a.b.c", "a.b.c.d", "é.é.é"])("refuses %j, and takes no identity from it", async (text) => {
    expect(await verify(text)).toBeUndefined();
    expect(claimedClusterIdentity(text)).toBeUndefined();
  });

  it.each(["[]", "null", "{", '{"exp":1e999}'])("refuses the payload %s", async (payloadText) => {
    const assertion = await forge({ payloadText });
    expect(await verify(assertion)).toBeUndefined();
    expect(claimedClusterIdentity(assertion)).toBeUndefined();
  });

  it("[SEC-17] refuses more than 2,048 characters", async () => {
    let [fitting, long] = ["", await forge()];
    for (let length = 1_000; long.length <= 2_048; length++) {
      fitting = long;
      long = await forge({ claims: { padding: "x".repeat(length) } });
    }
    // base64url leaves some lengths out.
    expect([fitting.length >= 2_046, long.length <= 2_050]).toEqual([true, true]);
    expect(await verify(long)).toBeUndefined();
    expect(claimedClusterIdentity(long)).toBeUndefined();
    expect(await verify(fitting)).toBeDefined();
    expect(claimedClusterIdentity(fitting)).toEqual({ keyId, instance: "one" });
  });

  it("refuses a changed or truncated assertion", async () => {
    const assertion = await forge();
    const [header, , signature] = assertion.split(".");
    const payload = base64url.encode(JSON.stringify({ ...goodClaims(), inst: "two" }));
    expect(await verify(`${header}.${payload}.${signature}`)).toBeUndefined();
    expect(await verify(assertion.slice(0, -3))).toBeUndefined();
    expect(await verify(assertion.slice(0, assertion.lastIndexOf(".") + 1))).toBeUndefined();
  });
});

describe("public keys", () => {
  it("have their RFC 7638 thumbprint for an id", async () => {
    // RFC 8037, appendix A.3.
    const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    expect(await clusterKeyId({ kty: "OKP", crv: "Ed25519", x })).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  });

  it("lose members that are none of theirs, as the private half", () => {
    expect(parseClusterPublicKey({ ...publicKey, d: "secret", kid: "x" })).toEqual(publicKey);
  });

  it("[SEC-18] have one form only", () => {
    // The last character of 32 bytes in base64url carries two bits that say nothing.
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const { x } = publicKey;
    const forms = Array.from(alphabet, (last) => parseClusterPublicKey({ ...publicKey, x: x.slice(0, -1) + last }));
    expect(forms.filter((form) => form !== undefined)).toHaveLength(16);
    expect(forms).toContainEqual(publicKey);
  });

  it.each([
    undefined,
    null,
    "key",
    [],
    {},
    { kty: "OKP", crv: "Ed25519" },
    { kty: "OKP", crv: "X25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    { kty: "EC", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR" },
    { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURoo" },
    { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    { kty: "OKP", crv: "Ed25519", x: 1 },
  ])("do not parse from %j", (value) => {
    expect(parseClusterPublicKey(value)).toBeUndefined();
  });
});
