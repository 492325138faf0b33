import { toBase64Url } from "../domain/clusters/sharding.ts";
import { tagKey } from "./key/tag-key.ts";

const randomBytes = 16;
const tagBytes = 16;
const tokenPattern = /^([a-z0-9-]{1,32}\.\d{1,3})~([\w-]{43})$/;

/**
 * A cluster's session token: `<shard>~<128 random bits, and a tag of 128 bits>`. The first part routes its requests to the shard
 * that knows it; only a hash of the whole is stored. The tag says, before any object is asked, that this master made it.
 */
export async function createSessionToken(env: object, shard: string, clusterId: string): Promise<string> {
  const random = crypto.getRandomValues(new Uint8Array(randomBytes));
  const tag = new Uint8Array(await crypto.subtle.sign("HMAC", await tagKey(env), tagged(shard, clusterId, random)));
  const secret = new Uint8Array(randomBytes + tagBytes);
  secret.set(random);
  secret.set(tag.subarray(0, tagBytes), randomBytes);
  return `${shard}~${toBase64Url(secret)}`;
}

/** The shard that a token names, or `undefined` when this master made no such token for the cluster. */
export async function shardOfToken(env: object, clusterId: string, token: string): Promise<string | undefined> {
  const [, shard, encoded] = tokenPattern.exec(token) ?? [];
  if (shard === undefined || encoded === undefined) return undefined;
  const secret = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const random = secret.subarray(0, randomBytes);
  const tag = new Uint8Array(await crypto.subtle.sign("HMAC", await tagKey(env), tagged(shard, clusterId, random)));
  return crypto.subtle.timingSafeEqual(tag.subarray(0, tagBytes), secret.subarray(randomBytes)) ? shard : undefined;
}

/** SHA-256, base64url. */
export async function hashToken(token: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))));
}

function tagged(shard: string, clusterId: string, random: Uint8Array): Uint8Array {
  return new TextEncoder().encode(`sustenet cluster session\n${shard}\n${clusterId}\n${toBase64Url(random)}`);
}
