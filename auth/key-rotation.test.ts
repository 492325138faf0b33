import { describe, expect, it } from "vitest";
import { activeKey, type KeyState, type StoredKey } from "./key-ring.ts";
import { applyRotationStep, planRotation, type RotationPolicy } from "./key-rotation.ts";

const policy: RotationPolicy = { activeSeconds: 10_000, cacheSeconds: 600, ticketSeconds: 65, signerCacheSeconds: 30 };
const start = 1_800_000_000;

function createKey(kid: string, state: KeyState, times: Partial<StoredKey> = {}): StoredKey {
  return {
    kid,
    state,
    publicJwk: { kty: "EC", kid, alg: "ES256", use: "sig", crv: "P-256", x: "x", y: "y" },
    encryptedPrivateJwk: "",
    iv: "",
    createdAt: start,
    activatedAt: state === "next" ? null : start,
    retiredAt: state === "retired" ? start : null,
    ...times,
  };
}

describe("planning", () => {
  it("fills an empty ring with an active key and a next one", () => {
    const steps = [
      { do: "create", state: "active" },
      { do: "create", state: "next" },
    ];
    expect(planRotation([], start, policy)).toEqual({ steps, lookAgainAt: start + 10_000 });
  });

  it("leaves a ring at rest alone until the next key is due", () => {
    const keys = [createKey("a", "active"), createKey("b", "next")];
    expect(planRotation(keys, start, policy)).toEqual({ steps: [], lookAgainAt: start + 10_000 });
    expect(planRotation(keys, start + 9_999, policy).steps).toEqual([]);
  });

  it("makes a next key where there is none", () => {
    const plan = planRotation([createKey("a", "active")], start, policy);
    expect(plan.steps).toEqual([{ do: "create", state: "next" }]);
  });

  it("promotes the next key when the active one has signed long enough, and makes another", () => {
    const keys = [createKey("a", "active"), createKey("b", "next")];
    expect(planRotation(keys, start + 10_000, policy)).toEqual({
      steps: [
        { do: "promote", kid: "b" },
        { do: "create", state: "next" },
      ],
      lookAgainAt: start + 10_000 + 96,
    });
  });

  it("[SEC-27] promotes no key that was published for less than a cache lifetime", () => {
    const keys = [createKey("a", "active"), createKey("b", "next", { createdAt: start + 9_900 })];
    expect(planRotation(keys, start + 10_499, policy)).toEqual({ steps: [], lookAgainAt: start + 10_500 });
    expect(planRotation(keys, start + 10_500, policy).steps[0]).toEqual({ do: "promote", kid: "b" });
  });

  it("promotes the next key that was published longest, and keeps the other", () => {
    const keys = [createKey("a", "active"), createKey("c", "next", { createdAt: start + 1 }), createKey("b", "next")];
    expect(planRotation(keys, start + 10_000, policy).steps).toEqual([{ do: "promote", kid: "b" }]);
  });

  it("promotes at once when nothing can sign", () => {
    expect(planRotation([createKey("b", "next")], start, policy).steps).toEqual([
      { do: "promote", kid: "b" },
      { do: "create", state: "next" },
    ]);
  });

  it("[SEC-27] drops a retired key when its last ticket has expired, and not a second sooner", () => {
    const keys = [createKey("a", "active"), createKey("b", "next"), createKey("r", "retired")];
    expect(planRotation(keys, start + 95, policy)).toEqual({ steps: [], lookAgainAt: start + 96 });
    expect(planRotation(keys, start + 96, policy).steps).toEqual([{ do: "drop", kid: "r" }]);
  });

  it("retires all but the newest of several active keys", () => {
    const keys = [
      createKey("a", "active"),
      createKey("b", "active", { activatedAt: start + 1 }),
      createKey("n", "next"),
    ];
    const plan = planRotation(keys, start + 2, policy);
    expect(plan.steps).toEqual([{ do: "retire", kid: "a" }]);
    expect(plan.lookAgainAt).toBe(start + 2 + 96);
  });

  it("never asks to be called again at once", () => {
    const keys = [createKey("a", "active", { activatedAt: start - 1e9 })];
    expect(planRotation(keys, start, policy).lookAgainAt).toBeGreaterThan(start);
  });

  it("only delays when the clock has gone back", () => {
    const keys = [createKey("a", "active"), createKey("b", "next"), createKey("r", "retired", { retiredAt: start })];
    expect(planRotation(keys, start - 1_000_000, policy).steps).toEqual([]);
  });
});

describe("steps", () => {
  const keys = [createKey("a", "active"), createKey("b", "next"), createKey("r", "retired")];

  it("promote one key and retire the active one in one go", () => {
    const after = applyRotationStep(keys, { do: "promote", kid: "b" }, start + 7);
    expect(after.map(({ kid, state }) => [kid, state])).toEqual([
      ["a", "retired"],
      ["b", "active"],
      ["r", "retired"],
    ]);
    expect(after[0]).toMatchObject({ retiredAt: start + 7 });
    expect(after[1]).toMatchObject({ activatedAt: start + 7, retiredAt: null });
    expect(after[2]).toEqual(keys[2]);
  });

  it("drop a key", () => {
    expect(applyRotationStep(keys, { do: "drop", kid: "r" }, start).map(({ kid }) => kid)).toEqual(["a", "b"]);
  });

  it.each([
    { do: "promote", kid: "unknown" },
    { do: "promote", kid: "r" },
    { do: "promote", kid: "a" },
    { do: "retire", kid: "b" },
    { do: "retire", kid: "r" },
    { do: "drop", kid: "a" },
    { do: "drop", kid: "b" },
  ] as const)("do nothing when they do not fit: $do $kid", (step) => {
    expect(applyRotationStep(keys, step, start + 7)).toEqual(keys);
  });
});

describe("a year of rotations, looked at as often as the plan says", () => {
  it("[SEC-27] always has one key that signs, published for a cache lifetime before, and kept until its tickets have expired", () => {
    let keys: readonly StoredKey[] = [];
    let now = start + 1;
    let made = 0;
    const published = new Map<string, { from: number; to: number }>();
    const signed = new Map<string, { from: number; to: number }>();
    for (let looks = 0; now < start + 365 * 86_400; looks++) {
      if (looks > 20_000) throw new Error("it looks too often");
      const plan = planRotation(keys, now, policy);
      for (const step of plan.steps) {
        keys =
          step.do === "create"
            ? keys.concat(createKey(`k${++made}`, step.state, { createdAt: now }))
            : applyRotationStep(keys, step, now);
      }
      expect(planRotation(keys, now, policy).steps).toEqual([]);
      expect(keys.length).toBeLessThanOrEqual(3);
      const active = activeKey(keys);
      if (active === undefined) throw new Error("nothing signs");
      // The signer may hold on to the key for as long as the policy says.
      const usedUntil = plan.lookAgainAt + policy.signerCacheSeconds;
      signed.set(active.kid, { from: signed.get(active.kid)?.from ?? now, to: usedUntil });
      for (const { kid } of keys) published.set(kid, { from: published.get(kid)?.from ?? now, to: plan.lookAgainAt });
      now = plan.lookAgainAt;
    }
    expect(signed.size).toBeGreaterThan(3_000);
    const uses = Array.from(signed, ([kid, use]) => {
      const shown = published.get(kid) ?? { from: Number.NaN, to: Number.NaN };
      return { shownBeforeSeconds: use.from - shown.from, keptAfterSeconds: shown.to - use.to };
    });
    // The first key had to sign at once; the last two are still in the ring.
    const whole = uses.slice(1, -2);
    expect(Math.min(...whole.map(({ shownBeforeSeconds }) => shownBeforeSeconds))).toBeGreaterThanOrEqual(600);
    expect(Math.min(...whole.map(({ keptAfterSeconds }) => keptAfterSeconds))).toBeGreaterThan(policy.ticketSeconds);
  });
});
