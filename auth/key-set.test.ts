import { exportJWK, generateKeyPair, type JWK } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { PublicKeySet, type PublicKeySetOptions } from "./key-set.ts";

const refetchIntervalMs = 30_000;
const maxAgeMs = 600_000;

let keyA: JWK;
let keyB: JWK;
let rsaKey: JWK;
let privateJwk: JWK;

beforeAll(async () => {
  const pair = await generateKeyPair("ES256", { extractable: true });
  privateJwk = { ...(await exportJWK(pair.privateKey)), kid: "a", alg: "ES256", use: "sig" };
  keyA = { ...(await exportJWK(pair.publicKey)), kid: "a", alg: "ES256", use: "sig" };
  const other = await generateKeyPair("ES256", { extractable: true });
  keyB = { ...(await exportJWK(other.publicKey)), kid: "b", alg: "ES256", use: "sig" };
  const rsa = await generateKeyPair("RS256", { extractable: true });
  rsaKey = { ...(await exportJWK(rsa.publicKey)), kid: "r", alg: "RS256", use: "sig" };
});

/** A publisher that answers what it is told to, and a set that asks it. */
function createFixture(options: Partial<PublicKeySetOptions> = {}) {
  const state = {
    now: 0,
    fetches: 0,
    errors: [] as string[],
    answer: async (): Promise<unknown> => ({ keys: [keyA] }),
  };
  const keys = new PublicKeySet({
    fetchKeys: async () => {
      state.fetches++;
      return state.answer();
    },
    algorithms: ["ES256"],
    refetchIntervalMs,
    maxAgeMs,
    now: () => state.now,
    onError: (error) => state.errors.push(String(error)),
    ...options,
  });
  return { keys, state };
}

async function fails(): Promise<never> {
  throw new Error("the publisher is away");
}

describe("fetching", () => {
  it("[SEC-3] [TICKET-3] fetches once for all who wait", async () => {
    const { keys, state } = createFixture();
    const found = await Promise.all(Array.from({ length: 40 }, async () => keys.resolve("a")));
    expect(found.every((key) => key?.type === "public")).toBe(true);
    expect(state.fetches).toBe(1);
  });

  it("[SEC-3] [TICKET-3] fetches once for all who wait, whatever kids they wait for", async () => {
    const { keys, state } = createFixture();
    const found = await Promise.all(Array.from({ length: 40 }, async (_, index) => keys.lookup(`kid-${index}`)));
    expect(found.every(({ status }) => status === "unknown")).toBe(true);
    expect(state.fetches).toBe(1);
  });

  it("serves from the cache without a fetch", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.now = maxAgeMs;
    for (let i = 0; i < 100; i++) expect(await keys.resolve("a")).toBeDefined();
    expect(state.fetches).toBe(1);
  });

  it("[SEC-4] [TICKET-3] lets unknown kids cause one fetch per interval", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.now = refetchIntervalMs - 1;
    for (let i = 0; i < 100; i++) expect(await keys.resolve(`stranger-${i}`)).toBeUndefined();
    expect(state.fetches).toBe(1);
    state.now = refetchIntervalMs;
    for (let i = 0; i < 100; i++) expect(await keys.resolve(`stranger-${i}`)).toBeUndefined();
    expect(state.fetches).toBe(2);
  });

  it("[TICKET-3] finds a key that was published since", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.answer = async () => ({ keys: [keyA, keyB] });
    state.now = refetchIntervalMs;
    expect(await keys.resolve("b")).toBeDefined();
  });

  it("[TICKET-3] forgets a key that is published no more", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.answer = async () => ({ keys: [keyB] });
    state.now = refetchIntervalMs;
    expect(await keys.resolve("b")).toBeDefined();
    expect(await keys.lookup("a")).toEqual({ status: "unknown" });
  });

  it("takes over an installed set without a fetch", async () => {
    const { keys, state } = createFixture();
    await keys.install({ keys: [keyB] });
    expect(await keys.resolve("b")).toBeDefined();
    expect(state.fetches).toBe(0);
  });

  it("does not let a slow old answer replace a set that was installed meanwhile", async () => {
    const { keys, state } = createFixture();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    state.answer = async () => promise;
    const waiting = keys.resolve("b");
    await keys.install({ keys: [keyB] });
    resolve({ keys: [keyA] });
    expect(await waiting).toBeDefined();
    expect(await keys.resolve("a")).toBeUndefined();
  });

  it("hands on the algorithm that a key was published for", async () => {
    const { keys, state } = createFixture({ algorithms: ["ES256", "RS256"] });
    state.answer = async () => ({ keys: [keyA, rsaKey] });
    expect(await keys.lookup("a")).toMatchObject({ status: "found", alg: "ES256" });
    expect(await keys.lookup("r")).toMatchObject({ status: "found", alg: "RS256" });
  });
});

describe("age", () => {
  it("serves an old key at once and fetches behind it", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    const { promise, resolve } = Promise.withResolvers<unknown>();
    state.answer = async () => promise;
    state.now = maxAgeMs + 1;
    expect(await keys.resolve("a")).toBeDefined();
    expect(await keys.resolve("a")).toBeDefined();
    expect(state.fetches).toBe(2);
    resolve({ keys: [keyB] });
    expect(await keys.resolve("b")).toBeDefined();
    expect(state.fetches).toBe(2);
  });

  it("[SEC-7] hands the fetch behind an answer to keepAlive", async () => {
    const kept: Promise<void>[] = [];
    const { keys, state } = createFixture({ keepAlive: (work) => kept.push(work) });
    await keys.resolve("a");
    state.now = maxAgeMs + 1;
    state.answer = async () => ({ keys: [keyB] });
    await keys.resolve("a");
    expect(kept.length).toBe(2);
    await Promise.all(kept);
    expect(await keys.lookup("a")).toEqual({ status: "unknown" });
  });

  it("[SEC-8] waits for the fetch when the set is twice as old as it may be, so that a withdrawn key does not serve", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.answer = async () => ({ keys: [keyB] });
    state.now = 2 * maxAgeMs + 1;
    expect(await keys.lookup("a")).toEqual({ status: "unknown" });
  });

  it("[SEC-8] waits for nothing when the set is just as old as that", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.answer = async () => ({ keys: [keyB] });
    state.now = 2 * maxAgeMs;
    expect(await keys.lookup("a")).toMatchObject({ status: "found" });
  });

  it("[SEC-5] [TICKET-3] keeps the last good set while the publisher is away, however old, and lets nobody wait for it twice", async () => {
    const { keys, state } = createFixture({ fetchTimeoutMs: 20 });
    await keys.resolve("a");
    state.answer = async () => new Promise(() => {});
    state.now = 100 * maxAgeMs;
    expect(await keys.resolve("a")).toBeDefined();
    expect(state.errors).toHaveLength(1);
    const fetches = state.fetches;
    for (let i = 0; i < 100; i++) expect(await keys.resolve("a")).toBeDefined();
    expect(state.fetches).toBe(fetches);
    state.now += refetchIntervalMs;
    expect(await keys.resolve("a")).toBeDefined();
    expect(state.fetches).toBe(fetches + 1);
    // Nobody waited for that one: no timer has reported it.
    expect(state.errors).toHaveLength(1);
  });
});

describe("an absent publisher", () => {
  it("tells a key that does not exist from one that cannot be asked for", async () => {
    const { keys, state } = createFixture();
    state.answer = fails;
    expect(await keys.lookup("a")).toEqual({ status: "unavailable" });
    expect(await keys.resolve("a")).toBeUndefined();
    state.answer = async () => ({ keys: [keyA] });
    state.now = refetchIntervalMs;
    expect(await keys.lookup("b")).toEqual({ status: "unknown" });
    state.answer = fails;
    state.now += refetchIntervalMs;
    expect(await keys.lookup("b")).toEqual({ status: "unavailable" });
    expect(await keys.lookup("a")).toMatchObject({ status: "found" });
  });

  it("[SEC-4] is asked again after 1 s, 2 s, 4 s and so on up to the interval", async () => {
    const { keys, state } = createFixture();
    state.answer = fails;
    const attempts: number[] = [];
    for (state.now = 0; state.now < 100_000; state.now += 500) {
      const before = state.fetches;
      await keys.resolve("a");
      if (state.fetches > before) attempts.push(state.now);
    }
    expect(attempts).toEqual([0, 1_000, 3_000, 7_000, 15_000, 31_000, 61_000, 91_000]);
    expect(state.errors).toHaveLength(attempts.length);
  });

  it("[SEC-7] answers within the deadline when the publisher hangs, and tries anew", async () => {
    const { keys, state } = createFixture({ fetchTimeoutMs: 20 });
    state.answer = async () => new Promise(() => {});
    const waiting = Array.from({ length: 10 }, async () => keys.lookup("a"));
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 10 }, () => ({ status: "unavailable" })));
    expect(state.fetches).toBe(1);
    expect(state.errors).toEqual(["Error: the key set did not arrive within 20 ms"]);
    state.answer = async () => ({ keys: [keyA] });
    state.now = 1_000;
    expect(await keys.resolve("a")).toBeDefined();
  });

  it("[SEC-7] replaces a fetch that was left behind, as by a request of a Worker that ended", async () => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.answer = async () => new Promise(() => {});
    state.now = maxAgeMs + 1;
    await keys.resolve("a");
    state.answer = async () => ({ keys: [keyB] });
    state.now += refetchIntervalMs;
    expect(await keys.resolve("b")).toBeDefined();
  });

  it("takes a late answer when nothing newer has come", async () => {
    const { keys, state } = createFixture({ fetchTimeoutMs: 20 });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    state.answer = async () => promise;
    expect(await keys.resolve("a")).toBeUndefined();
    resolve({ keys: [keyA] });
    await expect.poll(async () => keys.resolve("a")).toBeDefined();
    expect(state.fetches).toBe(1);
  });
});

describe("poisoned sets", () => {
  const poison: readonly [string, unknown][] = [
    ["nothing", undefined],
    ["null", null],
    ["text", "keys"],
    ["an array", []],
    ["no keys", {}],
    ["keys that are no array", { keys: {} }],
    ["an empty set", { keys: [] }],
    ["entries that are no objects", { keys: [null, 1, "a", []] }],
  ];

  it.each(poison)("[SEC-5] [TICKET-3] keeps the last good set when the publisher answers %s", async (_, answer) => {
    const { keys, state } = createFixture();
    await keys.resolve("a");
    state.answer = async () => answer;
    state.now = refetchIntervalMs;
    expect(await keys.lookup("b")).toEqual({ status: "unavailable" });
    expect(await keys.resolve("a")).toBeDefined();
    expect(state.errors).toHaveLength(1);
  });

  it.each(poison)("[SEC-5] [TICKET-3] keeps the last good set when %s is installed", async (_, set) => {
    const { keys, state } = createFixture();
    await keys.install({ keys: [keyA] });
    await keys.install(set);
    expect(await keys.resolve("a")).toBeDefined();
    expect(state.fetches).toBe(0);
    expect(state.errors).toHaveLength(1);
  });

  it("[SEC-5] [TICKET-3] takes 32 keys, and no set of 33", async () => {
    const { keys } = createFixture();
    const many = (length: number, prefix: string) => ({
      keys: Array.from({ length }, (_, index) => ({ ...keyA, kid: `${prefix}${index}` })),
    });
    await keys.install(many(32, "first-"));
    expect(await keys.resolve("first-31")).toBeDefined();
    await keys.install(many(33, "second-"));
    expect(await keys.resolve("first-31")).toBeDefined();
    expect(await keys.resolve("second-0")).toBeUndefined();
  });

  it.each<[string, () => object]>([
    ["without a kid", () => ({ ...keyB, kid: undefined })],
    ["with an empty kid", () => ({ ...keyB, kid: "" })],
    ["with a kid that is a number", () => ({ ...keyB, kid: 1 })],
    ["without an alg", () => ({ ...keyB, alg: undefined })],
    ["of another algorithm", () => ({ ...rsaKey, kid: "b" })],
    ["of another curve", () => ({ ...keyB, crv: "P-384" })],
    ["of another type", () => ({ ...rsaKey, kid: "b", alg: "ES256" })],
    ["for encryption", () => ({ ...keyB, use: "enc" })],
    ["for signing only", () => ({ ...keyB, key_ops: ["sign"] })],
    ["for nothing", () => ({ ...keyB, key_ops: [] })],
    ["that is private", () => ({ ...privateJwk, kid: "b" })],
    ["that is a shared secret", () => ({ kty: "oct", k: "c2VjcmV0", kid: "b", alg: "ES256" })],
    ["that is not on the curve", () => ({ ...keyB, x: keyB.y })],
    ["that is cut", () => ({ ...keyB, x: keyB.x?.slice(0, 20) })],
    ["with a coordinate that is no text", () => ({ ...keyB, y: 1 })],
  ])("[SEC-6] [TICKET-3] passes over a key %s, and takes the good one beside it", async (_, make) => {
    const { keys, state } = createFixture();
    state.answer = async () => ({ keys: [make(), keyA] });
    expect(await keys.resolve("a")).toBeDefined();
    expect(await keys.lookup("b")).toEqual({ status: "unknown" });
  });

  it("[SEC-6] passes over an RSA key of 1,024 bits", async () => {
    const modulus = new Uint8Array(128).fill(0xff);
    const n = btoa(String.fromCharCode(...modulus))
      .replaceAll("/", "_")
      .replaceAll("+", "-")
      .replaceAll("=", "");
    const { keys, state } = createFixture({ algorithms: ["RS256"] });
    state.answer = async () => ({ keys: [{ ...rsaKey, kid: "small", n }, rsaKey] });
    expect(await keys.resolve("r")).toBeDefined();
    expect(await keys.resolve("small")).toBeUndefined();
  });

  it("takes keys as Supabase publishes them", async () => {
    const { keys, state } = createFixture();
    state.answer = async () => ({ keys: [{ ...keyA, ext: true, key_ops: ["verify"] }] });
    expect(await keys.resolve("a")).toBeDefined();
  });

  it("[SEC-6] holds to the first of two keys with one id", async () => {
    const { keys, state } = createFixture();
    state.answer = async () => ({ keys: [keyA, { ...keyB, kid: "a" }] });
    const key = await keys.resolve("a");
    expect(key && (await exportJWK(key))).toMatchObject({ x: keyA.x, y: keyA.y });
  });

  it("finds no key by the name of an object's member", async () => {
    const { keys } = createFixture();
    for (const kid of ["__proto__", "constructor", "toString"]) expect(await keys.resolve(kid)).toBeUndefined();
  });
});
