import { activeKey, type StoredKey } from "./key-ring.ts";

/** How keys are rotated; all in seconds. */
export interface RotationPolicy {
  /** How long a key signs before the next one takes over. */
  readonly activeSeconds: number;
  /** Longest time that a published set may be cached anywhere. `next` is published at least this long before it signs. */
  readonly cacheSeconds: number;
  /** Longest lifetime of a ticket, with the clocks' tolerance. */
  readonly ticketSeconds: number;
  /** Longest time that a signer may go on with a key that it holds in memory after the key was retired. */
  readonly signerCacheSeconds: number;
}

/** Something to do with the ring. */
export type RotationStep =
  /** Make a key of this state. `active` only when nothing can sign. */
  | { readonly do: "create"; readonly state: "next" | "active" }
  /** Make this key the active one; the active one retires. */
  | { readonly do: "promote"; readonly kid: string }
  /** Retire this key: a newer one is active as well. */
  | { readonly do: "retire"; readonly kid: string }
  /** Forget this key: nothing that it signed is valid any more. */
  | { readonly do: "drop"; readonly kid: string };

/** What to do now, in this order, and when to look again (seconds since 1970). */
export interface RotationPlan {
  readonly steps: readonly RotationStep[];
  readonly lookAgainAt: number;
}

/**
 * What must happen with the ring at `now` (seconds since 1970). A ring at rest has one active key and one next, published long
 * before it is needed, so that an operator can rotate at once after a leak. Carrying the steps out and planning again gives no
 * steps. Clocks that went back only delay.
 */
export function planRotation(keys: readonly StoredKey[], now: number, policy: RotationPolicy): RotationPlan {
  const steps: RotationStep[] = [];
  const wakeups: number[] = [];
  const active = activeKey(keys);
  const waiting = keys.filter(({ state }) => state === "next").toSorted((a, b) => a.createdAt - b.createdAt);
  const next = waiting[0];

  if (active === undefined && next === undefined) {
    steps.push({ do: "create", state: "active" }, { do: "create", state: "next" });
    wakeups.push(now + policy.activeSeconds);
  } else {
    // Without an active key nothing can sign, so a key that caches have not seen loses nothing: its unknown `kid` makes clusters
    // fetch the set. A next key that is still to be made is published from now on.
    const dueAt = active === undefined ? now : (active.activatedAt ?? active.createdAt) + policy.activeSeconds;
    const publishedAt = active === undefined ? dueAt : (next?.createdAt ?? now) + policy.cacheSeconds;
    const promoteAt = Math.max(dueAt, publishedAt);
    const promoted = next !== undefined && now >= promoteAt;
    if (promoted) {
      steps.push({ do: "promote", kid: next.kid });
      wakeups.push(now + policy.activeSeconds);
      if (active !== undefined) wakeups.push(dropAt(now, policy));
    } else {
      wakeups.push(promoteAt);
    }
    if (waiting.length === (promoted ? 1 : 0)) steps.push({ do: "create", state: "next" });
  }

  for (const key of keys) {
    if (key.state === "active" && key !== active) {
      steps.push({ do: "retire", kid: key.kid });
      wakeups.push(dropAt(now, policy));
    } else if (key.state === "retired") {
      const end = dropAt(key.retiredAt ?? now, policy);
      if (now >= end) steps.push({ do: "drop", kid: key.kid });
      else wakeups.push(end);
    }
  }
  return { steps, lookAgainAt: Math.max(now + 1, Math.min(...wakeups)) };
}

/** The ring after a step. `create` needs the new key, which `generateStoredKey` makes. A step that does not fit changes nothing. */
export function applyRotationStep(
  keys: readonly StoredKey[],
  step: Exclude<RotationStep, { do: "create" }>,
  now: number,
): readonly StoredKey[] {
  const from = { promote: "next", retire: "active", drop: "retired" }[step.do];
  if (!keys.some(({ kid, state }) => kid === step.kid && state === from)) return keys;
  switch (step.do) {
    case "drop":
      return keys.filter(({ kid }) => kid !== step.kid);
    case "retire":
      return keys.map((key) => (key.kid === step.kid ? retire(key, now) : key));
    case "promote":
      return keys.map((key) => {
        if (key.kid === step.kid) return { ...key, state: "active", activatedAt: now };
        return key.state === "active" ? retire(key, now) : key;
      });
  }
}

/** One second after the last ticket of a key that retired at `retiredAt` has expired everywhere. */
function dropAt(retiredAt: number, policy: RotationPolicy): number {
  return retiredAt + policy.signerCacheSeconds + policy.ticketSeconds + 1;
}

function retire(key: StoredKey, now: number): StoredKey {
  return { ...key, state: "retired", retiredAt: now };
}
