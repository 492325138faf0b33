import { type CryptoKey, exportJWK, generateKeyPair, importJWK } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { checkByWebCrypto, type SignatureCheck } from "../../auth/ticket.ts";
import { checkAtOnce } from "./signature-check.ts";

const data = new Uint8Array([1, 2, 3]);
let key: CryptoKey;
let otherKey: CryptoKey;
let rsaKey: CryptoKey;
let signature: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  const pair = await generateKeyPair("ES256", { extractable: true });
  // As it comes from a key set.
  const imported = await importJWK(await exportJWK(pair.publicKey), "ES256");
  if (imported instanceof Uint8Array) throw new Error("not a public key");
  key = imported;
  otherKey = (await generateKeyPair("ES256")).publicKey;
  rsaKey = (await generateKeyPair("RS256")).publicKey;
  const signed = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, data);
  signature = new Uint8Array(signed);
});

describe.each([
  ["checkAtOnce", checkAtOnce],
  ["checkByWebCrypto", checkByWebCrypto],
] satisfies [string, SignatureCheck][])("[TICKET-3] %s", (_name, check) => {
  it("takes the signature of the data under the key", async () => {
    expect(await check(key, data, signature)).toBe(true);
    // A second time, from what it has kept.
    expect(await check(key, data, signature)).toBe(true);
  });

  it("takes no other data, key or signature, and never throws", async () => {
    const changed = signature.map((byte, index) => (index === 40 ? byte ^ 1 : byte));
    expect(await check(key, new Uint8Array([1, 2, 4]), signature)).toBe(false);
    expect(await check(otherKey, data, signature)).toBe(false);
    expect(await check(key, data, changed)).toBe(false);
    for (const length of [0, 1, 63, 65, 70]) {
      expect(await check(key, data, new Uint8Array(length).fill(0x30))).toBe(false);
    }
    expect(await check(key, data, new Uint8Array(64))).toBe(false);
    expect(await check(rsaKey, data, signature)).toBe(false);
  });
});
