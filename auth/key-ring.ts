import {
  base64url,
  calculateJwkThumbprint,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from "jose";
import { z } from "zod";
import type { JsonWebKeyEntry, JsonWebKeySet } from "../protocol/index.ts";
import type { SigningKey } from "./ticket.ts";

/**
 * Where a signing key is in its life. `next` is published and does not sign yet; `active` signs; `retired` is published until
 * the last ticket that it signed has expired.
 */
export type KeyState = "next" | "active" | "retired";

/** A signing key as it is stored: plain data, its private half encrypted. Times in seconds since 1970. */
export interface StoredKey {
  /** RFC 7638 SHA-256 thumbprint of the public key. */
  readonly kid: string;
  readonly state: KeyState;
  readonly publicJwk: JsonWebKeyEntry;
  /** The private JWK, AES-256-GCM with `kid` as associated data; base64url, tag at the end. */
  readonly encryptedPrivateJwk: string;
  /** 96 random bits, base64url. */
  readonly iv: string;
  /** Also when it was first published: a key must not be stored without being in the published set. */
  readonly createdAt: number;
  readonly activatedAt: number | null;
  readonly retiredAt: number | null;
}

/** `KEK_MALFORMED`: the secret is not 32 bytes in base64. `KEY_UNREADABLE`: it is another secret, or the record was altered. */
export type KeyRingErrorCode = "KEK_MALFORMED" | "KEY_UNREADABLE";

/** What an operator must mend before anything can be signed. Its text holds no secret. */
export class KeyRingError extends Error {
  readonly code: KeyRingErrorCode;

  constructor(code: KeyRingErrorCode, message: string) {
    super(message);
    this.name = "KeyRingError";
    this.code = code;
  }
}

const cipher = "AES-GCM";
const ivBytes = 12;

/**
 * The key-encryption key from the secret `KEY_ENCRYPTION_KEY`: 32 random bytes in base64 or base64url.
 *
 * @throws KeyRingError `KEK_MALFORMED`.
 */
export async function parseKeyEncryptionKey(secret: string): Promise<CryptoKey> {
  const text = secret.trim();
  // 43 characters hold 32 bytes and two bits that must be 0.
  if (!/^[\w+/-]{42}[AEIMQUYcgkosw048]=?$/.test(text)) {
    throw new KeyRingError(
      "KEK_MALFORMED",
      "KEY_ENCRYPTION_KEY must be 32 random bytes in base64: make one with `openssl rand -base64 32`",
    );
  }
  const bytes = base64url.decode(text.replaceAll("+", "-").replaceAll("/", "_").replace("=", ""));
  return crypto.subtle.importKey("raw", Uint8Array.from(bytes), cipher, false, ["encrypt", "decrypt"]);
}

/** Makes an ES256 key pair. `active` is for an empty ring only: otherwise a key is published before it signs. */
export async function generateStoredKey(options: {
  readonly kek: CryptoKey;
  readonly state: "next" | "active";
  /** Seconds since 1970. */
  readonly now: number;
}): Promise<StoredKey> {
  const { kek, state, now } = options;
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const { x = "", y = "" } = await exportJWK(publicKey);
  const { d } = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint({ kty: "EC", crv: "P-256", x, y }, "sha256");
  const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
  const plaintext = new TextEncoder().encode(JSON.stringify({ kty: "EC", crv: "P-256", x, y, d }));
  const encrypted = await crypto.subtle.encrypt(cipherParameters(iv, kid), kek, plaintext);
  return {
    kid,
    state,
    publicJwk: { kty: "EC", kid, alg: "ES256", use: "sig", crv: "P-256", x, y },
    encryptedPrivateJwk: base64url.encode(new Uint8Array(encrypted)),
    iv: base64url.encode(iv),
    createdAt: now,
    activatedAt: state === "active" ? now : null,
    retiredAt: null,
  };
}

/**
 * Decrypts a stored key for signing. The result cannot be exported again; keep it in memory only.
 *
 * @throws KeyRingError `KEY_UNREADABLE`.
 */
export async function openSigningKey(stored: StoredKey, kek: CryptoKey): Promise<SigningKey> {
  const { kid, publicJwk } = stored;
  try {
    const iv = Uint8Array.from(base64url.decode(stored.iv));
    const encrypted = Uint8Array.from(base64url.decode(stored.encryptedPrivateJwk));
    const plaintext = await crypto.subtle.decrypt(cipherParameters(iv, kid), kek, encrypted);
    const jwk = privateJwkSchema.parse(JSON.parse(new TextDecoder().decode(plaintext)));
    // The encryption binds the private half to `kid` alone; what is published must be its other half.
    if (jwk.x !== publicJwk.x || jwk.y !== publicJwk.y) throw new Error("the public key is another");
    const key = await importJWK(jwk, "ES256", { extractable: false });
    if (key instanceof Uint8Array) throw new Error("not an asymmetric key");
    return { kid, key };
  } catch {
    // What failed, and on which bytes, stays here: an error of the parser may quote the key.
    throw new KeyRingError(
      "KEY_UNREADABLE",
      `signing key ${kid} cannot be read: KEY_ENCRYPTION_KEY is not the one that it was stored with, or the record was altered`,
    );
  }
}

/** The key that signs now: the one activated last, should there be several. */
export function activeKey(keys: readonly StoredKey[]): StoredKey | undefined {
  return keys
    .filter(({ state }) => state === "active")
    .toSorted((a, b) => (b.activatedAt ?? 0) - (a.activatedAt ?? 0))
    .at(0);
}

/** What `/.well-known/jwks.json` answers: the public halves of all keys of the ring, whatever their state. */
export function publishedKeySet(keys: readonly StoredKey[]): JsonWebKeySet {
  return {
    keys: keys.map(({ publicJwk: { kty, kid, alg, use, crv, x, y } }) => ({ kty, kid, alg, use, crv, x, y })),
  };
}

/**
 * A stored key that was read back, as from JSON.
 *
 * @throws KeyRingError `KEY_UNREADABLE` when it is not one.
 */
export function parseStoredKey(value: unknown): StoredKey {
  const parsed = storedKeySchema.safeParse(value);
  if (!parsed.success) throw new KeyRingError("KEY_UNREADABLE", "a record of the key ring is not a stored key");
  return parsed.data;
}

const privateJwkSchema = z.object({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
}) satisfies z.ZodType<JWK>;

const storedKeySchema = z.object({
  kid: z.string().min(1),
  state: z.enum(["next", "active", "retired"]),
  publicJwk: z.object({
    kty: z.literal("EC"),
    kid: z.string(),
    alg: z.literal("ES256"),
    use: z.literal("sig"),
    crv: z.literal("P-256"),
    x: z.string(),
    y: z.string(),
  }),
  encryptedPrivateJwk: z.string(),
  iv: z.string(),
  createdAt: z.number(),
  activatedAt: z.number().nullable(),
  retiredAt: z.number().nullable(),
}) satisfies z.ZodType<StoredKey>;

function cipherParameters(iv: Uint8Array<ArrayBuffer>, kid: string) {
  return { name: cipher, iv, additionalData: new TextEncoder().encode(kid) };
}
