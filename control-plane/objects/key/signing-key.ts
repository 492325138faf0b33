import { openSigningKey } from "../../../auth/key-ring.ts";
import type { SigningKey } from "../../../auth/ticket.ts";
import { logEvent } from "../../log.ts";
import { readRotationPolicy, signerCacheSeconds } from "../../rotation-settings.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { keyEncryptionKey } from "./key-encryption-key.ts";
import { keyRing } from "../remote.ts";

const freshMs = 60_000;

/** For how long, where keys change faster than that: a signer must not sleep through a rotation. */
function freshForMs(env: object): number {
  return Math.min(freshMs, readRotationPolicy(env).cacheSeconds * 1_000);
}

/** Keys that sign nothing any more. Whoever tells this isolate of one, tells all its objects. */
const revoked = new Set<string>();

/** These keys have leaked. */
export function noteRevokedKeys(kids: readonly string[]): void {
  for (const kid of kids) revoked.add(kid);
}

/** Whether a key is known here to have leaked. */
export function isRevokedKey(kid: string | undefined): boolean {
  return kid !== undefined && revoked.has(kid);
}

let cached: { readonly key: SigningKey; readonly fetchedAtMs: number } | undefined;

/**
 * The key that signs tickets, decrypted. Kept in memory for a minute, so that an allocation does not wait for the key ring, and
 * for ten while the key ring is away.
 */
export async function currentSigningKey(env: Env, nowMs: number): Promise<SigningKey> {
  const known = cached === undefined || isRevokedKey(cached.key.kid) ? undefined : cached;
  if (known !== undefined && nowMs - known.fetchedAtMs < freshForMs(env)) return known.key;
  const kek = await keyEncryptionKey(env);
  try {
    const stored = await withDeadline(keyRing(env).signingKey(), objectCallTimeoutMs, "the key ring");
    if (isRevokedKey(stored.kid)) throw new Error("the key ring gave a key that it has revoked");
    const key = known?.key.kid === stored.kid ? known.key : await openSigningKey(stored, kek);
    cached = { key, fetchedAtMs: nowMs };
    return key;
  } catch (error) {
    logEvent("error", "signing_key.unavailable", { error });
    if (known !== undefined && nowMs - known.fetchedAtMs < signerCacheSeconds * 1_000) return known.key;
    throw error;
  }
}
