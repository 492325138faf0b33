import { exportJWK, generateKeyPair, type JWK } from "jose";
import { expect, it } from "vitest";
import { PublicKeySet } from "./key-set.ts";

async function publicKey(kid: string): Promise<JWK> {
  const { publicKey: key } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(key)), kid, alg: "ES256", use: "sig" };
}

async function createFixture() {
  const [a, b] = [await publicKey("a"), await publicKey("b")];
  const state = { published: [a], fetches: 0, away: false };
  const keys = new PublicKeySet({
    fetchKeys: async () => {
      state.fetches += 1;
      if (state.away) throw new Error("the publisher is away");
      return { keys: state.published };
    },
    algorithms: ["ES256"],
    refetchIntervalMs: 30_000,
    maxAgeMs: 600_000,
    now: () => 0,
  });
  return { keys, state, a, b };
}

it("[SEC-70] a revoked key checks nothing, whatever is published or installed later", async () => {
  const { keys, state, a, b } = await createFixture();
  expect(await keys.resolve("a")).toBeDefined();
  keys.revoke(["a"]);
  expect(await keys.resolve("a")).toBeUndefined();
  state.published = [a, b];
  expect(await keys.refresh()).toBe(true);
  expect(await keys.resolve("a")).toBeUndefined();
  expect(await keys.resolve("b")).toBeDefined();
  await keys.install({ keys: [a] });
  expect(await keys.resolve("a")).toBeUndefined();
});

it("[SEC-71] fetches at once when the publisher says so, whatever a stranger has just caused", async () => {
  const { keys, state, a, b } = await createFixture();
  await keys.resolve("made-up");
  expect(state.fetches).toBe(1);
  state.published = [a, b];
  expect(await keys.resolve("b")).toBeUndefined();
  expect(await keys.refresh()).toBe(true);
  expect(await keys.resolve("b")).toBeDefined();
});

it("[SEC-71] keeps the last good set when the new one does not come", async () => {
  const { keys, state } = await createFixture();
  await keys.resolve("a");
  state.away = true;
  expect(await keys.refresh()).toBe(false);
  expect(await keys.resolve("a")).toBeDefined();
});
