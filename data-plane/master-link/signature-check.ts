import { KeyObject, verify } from "node:crypto";
import type { CryptoKey } from "jose";
import type { SignatureCheck } from "../../auth/ticket.ts";

const keyObjects = new WeakMap<CryptoKey, KeyObject>();

/**
 * Checks a ticket's signature at once, on this thread. By Web Crypto it would go to a thread of the pool and come back: two
 * changes of thread and two turns of the event loop, for work of a tenth of a millisecond.
 */
export const checkAtOnce: SignatureCheck = (key, data, signature) => {
  try {
    return verify("sha256", data, { key: keyObjectOf(key), dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    return false;
  }
};

function keyObjectOf(key: CryptoKey): KeyObject {
  const known = keyObjects.get(key);
  if (known !== undefined) return known;
  const made = KeyObject.from(key);
  keyObjects.set(key, made);
  return made;
}
