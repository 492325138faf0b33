import { clusterKeyId, type ClusterPublicKey, verifyClusterAssertion } from "../../../auth/cluster-assertion.ts";
import type { RegisterRequest } from "../../../protocol/index.ts";
import {
  encodeLimitWindows,
  type Limits,
  memoryMs,
  parseLimitWindows,
  spendLimits,
} from "../../domain/limits/limits-policy.ts";
import { logEvent } from "../../log.ts";
import { readStoreSettings } from "../../settings.ts";
import { findClusterKey } from "../../store/cluster-keys.ts";
import { withDeadline } from "../deadline.ts";
import { refuse, type Refusal } from "../refusal.ts";
import type { RegistrationTables } from "./registration-tables.ts";
import { clusterKeyRecord } from "../remote.ts";

/** A request to register, as the route hands it on. Nothing in it is verified yet. */
export interface RegistrationRequest {
  readonly shard: string;
  readonly clusterId: string;
  readonly keyId: string;
  readonly assertion: string;
  readonly details: RegisterRequest;
  /** The home shard has taken the assertion already, when it admitted the region. */
  readonly admitted?: boolean;
}

export type RegistrationAnswer = { readonly ok: true; readonly boot: number; readonly sessionToken: string } | Refusal;

/** How long a cached key serves without asking whether it was revoked. */
const keyCacheMs = 60_000;
const lookupTimeoutMs = 3_000;

/**
 * The enrolled public key of `keyId`. A key that this shard has seen serves on while the database is away: known clusters
 * register again without it.
 */
export async function enrolledKey(
  tables: RegistrationTables,
  env: Env,
  keyId: string,
): Promise<{ readonly ok: true; readonly key: ClusterPublicKey } | Refusal> {
  const cached = tables.clusterKey(keyId);
  const cachedKey: ClusterPublicKey | undefined =
    cached === undefined ? undefined : { kty: "OKP", crv: "Ed25519", x: cached.x };
  if (cached !== undefined && cachedKey !== undefined && Date.now() - cached.checkedAtMs < keyCacheMs) {
    return { ok: true, key: cachedKey };
  }
  let found: ClusterPublicKey | undefined;
  try {
    found = await findClusterKey(readStoreSettings(env), keyId, lookupTimeoutMs);
    // The database may not know of a revocation yet. Asked only for a key that it has: a stranger makes no objects.
    if (found !== undefined) {
      const record = clusterKeyRecord(env, keyId).isRevoked();
      if (await withDeadline(record, lookupTimeoutMs, "a key's record")) return refuseRevokedKey(keyId);
    }
  } catch (error) {
    logEvent("warn", "registry.key_lookup_failed", { keyId, cached: cachedKey !== undefined, error });
    if (cachedKey !== undefined) return { ok: true, key: cachedKey };
    return refuse(
      "DATABASE_UNAVAILABLE",
      "Whether this key is enrolled cannot be looked up now. Try again shortly.",
      5,
    );
  }
  if (found === undefined || (await clusterKeyId(found)) !== keyId) {
    tables.deleteClusterKey(keyId);
    return refuseRevokedKey(keyId);
  }
  tables.putClusterKey(keyId, found.x, Date.now());
  return { ok: true, key: found };
}

/** How a key that is not enrolled any more is refused, and one that never was. */
export function refuseRevokedKey(keyId: string): Refusal {
  return refuse(
    "CLUSTER_KEY_UNKNOWN",
    `The key ${keyId} is not enrolled, or was revoked. Enrol it, then start the cluster again.`,
  );
}

/** What has to be remembered of a good assertion. */
export interface CheckedAssertion {
  readonly jti: string;
  /** Until then. */
  readonly expiresAtMs: number;
}

export type AssertionUse = { readonly ok: true } | Refusal;

/** What a good assertion says, or why it is refused. Whether it was used before is for the caller to find out. */
export async function checkAssertion(
  request: RegistrationRequest,
  key: ClusterPublicKey,
  masterUrl: string,
): Promise<({ readonly ok: true } & CheckedAssertion) | Refusal> {
  const now = Math.floor(Date.now() / 1_000);
  const assertion = await verifyClusterAssertion(request.assertion, key, { masterUrl, now });
  if (assertion === undefined || assertion.instance !== request.details.instance || assertion.jti.length > 128) {
    return refuse(
      "ASSERTION_INVALID",
      `The assertion has to be signed with the enrolled key, name this instance, be for ${masterUrl}, and be at most 60 s old. Check master_url and the clock.`,
    );
  }
  // Remembered a little longer than it is accepted.
  return { ok: true, jti: `${assertion.keyId}.${assertion.jti}`, expiresAtMs: (assertion.expiresAt + 60) * 1_000 };
}

const registrationLimits = ["registrationsPerKey"] as const;

/**
 * Takes an assertion if it was not used before and its key has not registered too often lately. It has been verified: a stranger
 * cannot use up what a key may. To be called in a transaction.
 */
export function useAssertion(
  tables: RegistrationTables,
  limits: Limits,
  keyId: string,
  assertion: CheckedAssertion,
): AssertionUse {
  const nowMs = Date.now();
  const verdict = spendLimits(parseLimitWindows(tables.registrations(keyId)), registrationLimits, limits, nowMs);
  if (!verdict.allowed) {
    const detail = "This key registers too often. Find out why its processes restart; wait before the next attempt.";
    return refuse("RATE_LIMITED", detail, verdict.retryAfterSeconds);
  }
  if (!tables.useAssertion(assertion.jti, assertion.expiresAtMs, nowMs)) {
    return refuse("ASSERTION_REPLAYED", "This assertion was used before. Sign a new one for every attempt.");
  }
  const forgetAtMs = nowMs + memoryMs(registrationLimits, limits);
  tables.putRegistrations(keyId, encodeLimitWindows(verdict.windows), { nowMs, forgetAtMs });
  return { ok: true };
}
