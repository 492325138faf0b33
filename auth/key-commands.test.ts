import { describe, expect, it } from "vitest";
import { rotateNow, withoutKey } from "./key-commands.ts";
import { activeKey, type KeyState, type StoredKey } from "./key-ring.ts";

const policy = { activeSeconds: 10_000, cacheSeconds: 600, ticketSeconds: 65, signerCacheSeconds: 30 };
const start = 1_800_000_000;

function createKey(kid: string, state: KeyState, createdAt = start): StoredKey {
  return {
    kid,
    state,
    publicJwk: { kty: "EC", kid, alg: "ES256", use: "sig", crv: "P-256", x: "x", y: "y" },
    encryptedPrivateJwk: "",
    iv: "",
    createdAt,
    activatedAt: state === "next" ? null : start,
    retiredAt: state === "retired" ? start : null,
  };
}

function states(keys: readonly StoredKey[] | undefined): string[] | undefined {
  return keys?.map(({ kid, state }) => `${kid} ${state}`);
}

describe("[SEC-27] an order to rotate", () => {
  const keys = [createKey("a", "active"), createKey("b", "next")];

  it("is carried out when the next key has been published for a cache lifetime, and not a second before", () => {
    expect(rotateNow(keys, start + 599, policy)).toEqual({ ok: false, readyAt: start + 600 });
    const order = rotateNow(keys, start + 600, policy);
    expect(order.ok && states(order.keys)).toEqual(["a retired", "b active"]);
  });

  it("says when there will be a next key, where there is none", () => {
    expect(rotateNow([createKey("a", "active")], start, policy)).toEqual({ ok: false, readyAt: start + 600 });
  });
});

describe("[SEC-73] a key that has leaked", () => {
  it("is gone at once, and the next one signs, however new it is", () => {
    const keys = [createKey("a", "active"), createKey("b", "next", start + 100), createKey("c", "retired")];
    expect(states(withoutKey(keys, "a", start + 101))).toEqual(["b active", "c retired"]);
  });

  it("may be any: the active one stays if it is another", () => {
    const keys = [createKey("a", "active"), createKey("b", "next"), createKey("c", "retired")];
    for (const kid of ["b", "c"]) expect(activeKey(withoutKey(keys, kid, start) ?? [])?.kid).toBe("a");
  });

  it("needs another one first, where it is the only one", () => {
    expect(withoutKey([createKey("a", "active"), createKey("c", "retired")], "a", start)).toBeUndefined();
  });
});
