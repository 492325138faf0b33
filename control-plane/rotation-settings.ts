import { limits } from "../protocol/index.ts";
import type { RotationPolicy } from "../auth/key-rotation.ts";
import { readOptionalText, type SettingSource } from "./settings.ts";

/** Longest time that an isolate goes on with a key in memory while the key ring cannot be asked. */
export const signerCacheSeconds = 600;
/** Tolerance of clocks beyond a ticket's end. */
const skewSeconds = 5;

const known = new WeakMap<object, RotationPolicy>();

/**
 * How signing keys are rotated: every 30 days, and not before the next one has been published for an hour. Clusters hear of a new key
 * at once; everyone else may keep the set for as long as its answer says.
 *
 * @throws SettingError
 */
export function readRotationPolicy(source: SettingSource): RotationPolicy {
  const cached = known.get(source);
  if (cached !== undefined) return cached;
  const policy: RotationPolicy = {
    activeSeconds: readSeconds(source, "KEY_ACTIVE_SECONDS") ?? 30 * 24 * 60 * 60,
    cacheSeconds: readSeconds(source, "KEY_CACHE_SECONDS") ?? 60 * 60,
    ticketSeconds: limits.maxTicketLifetimeSeconds + skewSeconds,
    signerCacheSeconds,
  };
  known.set(source, policy);
  return policy;
}

function readSeconds(source: SettingSource, name: string): number | undefined {
  const text = readOptionalText(source, name, /^[1-9]\d{0,8}$/, "a whole number of seconds, at least 1");
  return text === undefined ? undefined : Number(text);
}
