import { readKeyEncryptionKey } from "../../settings.ts";
import { keyEncryptionKey } from "./key-encryption-key.ts";

const keys = new Map<string, CryptoKey>();

/**
 * The key by which this master knows what it has handed out itself: session tokens, places, party codes, cursors. Each text that is tagged says what it
 * is for. Another secret ends all of them: clusters register again.
 */
export async function tagKey(env: object): Promise<CryptoKey> {
  const secret = readKeyEncryptionKey(env);
  const known = keys.get(secret);
  if (known !== undefined) return known;
  // A secret that is too short or mistyped is no more good for this than for its own purpose.
  await keyEncryptionKey(env);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, ["sign"]);
  keys.set(secret, key);
  return key;
}
