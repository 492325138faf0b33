import { toBase64Url } from "../../domain/clusters/sharding.ts";
import { tagKey } from "../key/tag-key.ts";

/**
 * What a party's leader hands to friends: 96 bits that follow from its id and a secret of the master. That a code is right is known
 * before any object is asked: whoever guesses makes none.
 */
export async function partyCode(env: object, partyId: string): Promise<string> {
  const text = new TextEncoder().encode(`sustenet party\n${partyId}`);
  const tag = await crypto.subtle.sign("HMAC", await tagKey(env), text);
  return toBase64Url(new Uint8Array(tag).subarray(0, 12));
}

export async function isPartyCode(env: object, partyId: string, code: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [given, expected] = [encoder.encode(code), encoder.encode(await partyCode(env, partyId))];
  return given.byteLength === expected.byteLength && crypto.subtle.timingSafeEqual(given, expected);
}
