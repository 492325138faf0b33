import { activeKey, type StoredKey } from "./key-ring.ts";
import { applyRotationStep, type RotationPolicy } from "./key-rotation.ts";

/** What an operator's order to rotate comes to. Times in seconds. */
export type RotationOrder =
  | { readonly ok: true; readonly keys: readonly StoredKey[]; readonly kid: string }
  /** No key has been published for as long as it has to be; at `readyAt` one will have been. */
  | { readonly ok: false; readonly readyAt: number };

/** Rotates now, if a next key has been published for a cache lifetime: nobody must meet a ticket whose key is not known. [SEC-27] */
export function rotateNow(keys: readonly StoredKey[], now: number, policy: RotationPolicy): RotationOrder {
  const next = oldestNext(keys);
  const readyAt = (next?.createdAt ?? now) + policy.cacheSeconds;
  if (next === undefined || now < readyAt) return { ok: false, readyAt };
  return { ok: true, keys: applyRotationStep(keys, { do: "promote", kid: next.kid }, now), kid: next.kid };
}

/**
 * The ring without a key that has leaked. Where that was the active one, the next key signs from now on, however long it has been
 * published: clusters fetch it as they drop the other. `undefined` when a new key has to be made first.
 */
export function withoutKey(keys: readonly StoredKey[], kid: string, now: number): readonly StoredKey[] | undefined {
  const others = keys.filter((key) => key.kid !== kid);
  if (activeKey(others) !== undefined) return others;
  const next = oldestNext(others);
  return next === undefined ? undefined : applyRotationStep(others, { do: "promote", kid: next.kid }, now);
}

function oldestNext(keys: readonly StoredKey[]): StoredKey | undefined {
  return keys.filter(({ state }) => state === "next").toSorted((a, b) => a.createdAt - b.createdAt)[0];
}
