import { KeyRingError, parseKeyEncryptionKey } from "../../../auth/key-ring.ts";
import { readKeyEncryptionKey, SettingError } from "../../settings.ts";

const imported = new Map<string, CryptoKey>();

/** The key that encrypts signing keys at rest, imported once for each isolate. @throws SettingError */
export async function keyEncryptionKey(env: object): Promise<CryptoKey> {
  const secret = readKeyEncryptionKey(env);
  const known = imported.get(secret);
  if (known !== undefined) return known;
  try {
    const key = await parseKeyEncryptionKey(secret);
    imported.set(secret, key);
    return key;
  } catch (error) {
    if (error instanceof KeyRingError) throw new SettingError("KEY_ENCRYPTION_KEY", "32 random bytes in base64");
    throw error;
  }
}
