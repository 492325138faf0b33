import { hashToken } from "../session-token.ts";
import { tagKey } from "../key/tag-key.ts";
import { toBase64Url } from "../../domain/clusters/sharding.ts";

/** Whose place it is, in which queue, and for which operation. */
export interface WaitingPlace {
  readonly playerId: string;
  readonly queue: string;
  readonly idempotencyKey: string;
}

const placePattern = /^(\d{1,15})~([\w-]{22})$/;

/** Longest place that is looked at. */
export const maxPlaceChars = 40;

/**
 * A place in the waiting room, signed: a number, and a tag of 128 bits that binds it to player, queue and idempotency key. It says
 * that this master gave it; the queue itself knows whether it still holds.
 */
export async function signPlace(env: object, place: WaitingPlace, sequence: number): Promise<string> {
  return `${sequence}~${await tagOf(env, place, sequence)}`;
}

/** Whether this master gave this place to this player, in this queue, under this key. */
export async function isPlace(env: object, place: WaitingPlace, token: string): Promise<boolean> {
  const [, sequence, tag] = placePattern.exec(token) ?? [];
  if (sequence === undefined || tag === undefined) return false;
  const encoder = new TextEncoder();
  const expected = encoder.encode(await tagOf(env, place, Number(sequence)));
  return crypto.subtle.timingSafeEqual(encoder.encode(tag), expected);
}

async function tagOf(
  env: object,
  { playerId, queue, idempotencyKey }: WaitingPlace,
  sequence: number,
): Promise<string> {
  const text = `sustenet waiting place\n${playerId}\n${queue}\n${await hashToken(idempotencyKey)}\n${sequence}`;
  const tag = await crypto.subtle.sign("HMAC", await tagKey(env), new TextEncoder().encode(text));
  return toBase64Url(new Uint8Array(tag).subarray(0, 16));
}
