import {
  calculateJwkThumbprint,
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JWK,
  jwtVerify,
  SignJWT,
} from "jose";

/** `typ` of a cluster's assertion. */
export const assertionType = "sustenet-cluster+jwt";

/** Longest lifetime of an assertion, in seconds. Bounds how long its `jti` must be remembered. */
export const maxAssertionLifetimeSeconds = 60;

/** Longest assertion, in characters. Stops costly parsing before the signature is checked. */
const maxAssertionLength = 2_048;

/** Bounds of `jti` and `inst`, which the master keeps. Stops a peer from making it hold memory. */
const maxIdLength = 128;

const clockSkewSeconds = 5;

/** A cluster's statement to the master that it holds the private key of `keyId` (after RFC 7523). Times in seconds since 1970. */
export interface ClusterAssertion {
  /** RFC 7638 SHA-256 thumbprint of the public key: `iss` and `sub`. */
  readonly keyId: string;
  /** The process among those that share the key: claim `inst`. */
  readonly instance: string;
  readonly jti: string;
  readonly expiresAt: number;
}

/** An Ed25519 public key as a JWK. */
export interface ClusterPublicKey {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  /** 32 bytes, base64url. */
  readonly x: string;
}

/** The id under which a cluster's key is enrolled: its RFC 7638 thumbprint. */
export async function clusterKeyId(publicKey: ClusterPublicKey): Promise<string> {
  return calculateJwkThumbprint({ kty: publicKey.kty, crv: publicKey.crv, x: publicKey.x }, "sha256");
}

/**
 * 32 bytes in base64url. The last character carries two unused bits, which must be 0: otherwise one key could be written in four
 * ways, have four thumbprints, and be enrolled again after it was revoked.
 */
const canonicalKeyBytes = /^[\w-]{42}[AEIMQUYcgkosw048]$/;

/** The parsed public key, or `undefined` when `value` is not one. */
export function parseClusterPublicKey(value: unknown): ClusterPublicKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kty, crv, x }: { kty?: unknown; crv?: unknown; x?: unknown } = value;
  if (kty !== "OKP" || crv !== "Ed25519" || typeof x !== "string" || !canonicalKeyBytes.test(x)) return undefined;
  return { kty, crv, x };
}

/** Signs an assertion for `POST /v1/clusters/register` at `masterUrl`; it lives 60 s and serves once. */
export async function signClusterAssertion(options: {
  readonly key: CryptoKey;
  readonly keyId: string;
  readonly instance: string;
  readonly masterUrl: string;
  /** Seconds since 1970. */
  readonly now: number;
}): Promise<string> {
  const { key, keyId, instance, masterUrl, now } = options;
  return new SignJWT({ inst: instance })
    .setProtectedHeader({ alg: "Ed25519", typ: assertionType, kid: keyId })
    .setIssuer(keyId)
    .setSubject(keyId)
    .setAudience(assertionAudience(masterUrl))
    .setIssuedAt(now)
    .setExpirationTime(now + maxAssertionLifetimeSeconds)
    .setJti(crypto.randomUUID())
    .sign(key);
}

/**
 * The key id that an assertion claims, to look its public key up with; nothing is verified yet. `undefined` if it does not
 * parse.
 */
export function claimedClusterIdentity(assertion: string): { keyId: string; instance: string } | undefined {
  if (assertion.length > maxAssertionLength) return undefined;
  try {
    const { kid } = decodeProtectedHeader(assertion);
    const { inst } = decodeJwt(assertion);
    if (typeof kid !== "string" || !isId(inst)) return undefined;
    return { keyId: kid, instance: inst };
  } catch {
    return undefined;
  }
}

/** Verifies signature, audience, lifetime and shape; whether `jti` is new is the caller's to decide. */
export async function verifyClusterAssertion(
  assertion: string,
  publicKey: ClusterPublicKey,
  expected: { readonly masterUrl: string; readonly now: number },
): Promise<ClusterAssertion | undefined> {
  if (assertion.length > maxAssertionLength) return undefined;
  const keyId = await clusterKeyId(publicKey);
  const audience = assertionAudience(expected.masterUrl);
  try {
    const key = await importJWK({ ...publicKey } satisfies JWK, "Ed25519");
    const { payload, protectedHeader } = await jwtVerify(assertion, key, {
      algorithms: ["Ed25519"],
      typ: assertionType,
      issuer: keyId,
      subject: keyId,
      audience,
      requiredClaims: ["iat", "exp", "jti", "inst"],
      maxTokenAge: maxAssertionLifetimeSeconds,
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(expected.now * 1_000),
    });
    const { inst, exp, iat, aud } = payload;
    // jose does not look at the type of jti.
    const jti: unknown = payload.jti;
    if (protectedHeader.kid !== keyId) return undefined;
    if (typeof aud !== "string" || !isId(inst) || !isId(jti)) return undefined;
    if (exp === undefined || iat === undefined || exp - iat > maxAssertionLifetimeSeconds) return undefined;
    return { keyId, instance: inst, jti, expiresAt: exp };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** The master's URL without what does not name it: path, query and trailing slash. */
function assertionAudience(masterUrl: string): string {
  const { protocol, origin } = new URL(masterUrl);
  // `master.example:6256` is a URL too, with a scheme of that name: its origin is "null", the same for every such master.
  if (protocol !== "https:" && protocol !== "http:") {
    throw new TypeError("the master's URL must begin with https:// or http://");
  }
  return origin;
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= maxIdLength;
}
