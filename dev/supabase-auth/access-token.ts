import {
  type CryptoKey,
  type JWK,
  type JWTPayload,
  SignJWT,
  calculateJwkThumbprint,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  jwtVerify,
} from "jose";
import { z } from "zod";
import { AuthError } from "./auth-error.ts";
import type { AuthStore } from "./store.ts";

const algorithm = "ES256";
const keySetting = "signing-key";
const privateJwk = z.object({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** The project's key: made on first use, kept with the accounts. */
export async function loadSigningKey(store: AuthStore): Promise<SigningKey> {
  let stored = store.setting(keySetting);
  if (stored === undefined) {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
    stored = JSON.stringify(privateJwk.parse(await exportJWK(privateKey)));
    store.saveSetting(keySetting, stored);
  }
  const { d, ...publicPart } = privateJwk.parse(JSON.parse(stored));
  const kid = await calculateJwkThumbprint(publicPart);
  return {
    kid,
    privateKey: await importKey({ ...publicPart, d }),
    publicKey: await importKey(publicPart),
    publicJwk: { ...publicPart, kid, alg: algorithm, use: "sig", key_ops: ["verify"], ext: true },
  };
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, algorithm);
  if (key instanceof Uint8Array) throw new TypeError("the stored signing key is not an EC key");
  return key;
}

/** Signs any claims: access tokens, and, for tests, tokens that a client should refuse. */
export function signClaims(key: SigningKey, claims: JWTPayload): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid: key.kid, typ: "JWT" }).sign(key.privateKey);
}

const accessClaims = z.object({
  sub: z.string().default(""),
  aud: z.union([z.string(), z.array(z.string())]).optional(),
  session_id: z.string().default(""),
});
export type AccessClaims = z.infer<typeof accessClaims>;

/**
 * The claims of an access token of this project.
 * @throws AuthError 403 `bad_jwt` when it is malformed, expired, or signed by someone else
 */
export async function verifyAccessToken(key: SigningKey, token: string, now: number): Promise<AccessClaims> {
  try {
    const { payload } = await jwtVerify(
      token,
      (header) => {
        if (header.kid !== key.kid) throw new errors.JWSInvalid("unrecognized JWT kid");
        return key.publicKey;
      },
      { algorithms: [algorithm], currentDate: new Date(now) },
    );
    return accessClaims.parse(payload);
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError || cause instanceof z.ZodError)) throw cause;
    throw new AuthError(403, "bad_jwt", `invalid JWT: unable to parse or verify signature, ${describeFault(cause)}`);
  }
}

/** Never the token itself, nor what it says. */
function describeFault(cause: Error): string {
  if (cause instanceof errors.JWTExpired) return "token has invalid claims: token is expired";
  if (cause instanceof errors.JWSSignatureVerificationFailed) return "token signature is invalid";
  if (cause instanceof errors.JOSEAlgNotAllowed) return "token signature is invalid: signing method is invalid";
  if (cause instanceof errors.JWTClaimValidationFailed) return "token has invalid claims";
  return "token is malformed";
}
