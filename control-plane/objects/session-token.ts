import { toBase64Url } from "../domain/sharding.ts";

/**
 * A cluster's session token: `<shard>~<256 random bits>`. The first half routes its requests to the shard that knows it; only
 * a hash of the whole is stored.
 */
export function createSessionToken(shard: string): string {
  return `${shard}~${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`;
}

/** The shard that a token names, or `undefined` when it is not of the shape. */
export function shardOfToken(token: string): string | undefined {
  return /^([a-z0-9-]{1,32}\.\d{1,3})~[\w-]{43}$/.exec(token)?.[1];
}

/** SHA-256, base64url. */
export async function hashToken(token: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))));
}
