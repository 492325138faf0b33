import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { displayNameOf } from "./identity.ts";
import type { PublicKeySet } from "./key-set.ts";
import { shownEmail } from "./reserved-email.ts";
import { hasCompactForm } from "./compact-jws.ts";

/** The algorithms of access tokens. No others are accepted, above all not HS256: its secret would make tokens, not only check them. */
export const accessTokenAlgorithms: readonly string[] = ["ES256", "RS256"];

/** What a Supabase access token says about its bearer. */
export interface AccessTokenClaims {
  /** `sub`. */
  readonly playerId: string;
  /** Names the login that the token comes from. */
  readonly sessionId: string;
  /** Never a reserved one. */
  readonly email: string | null;
  readonly anonymous: boolean;
  /** Written by the player; cleaned, see `displayNameOf`. */
  readonly displayName: string;
  /** Operators' roles: `app_metadata.roles` and `.role`, which only the project's owner can write; never `user_metadata`. */
  readonly roles: readonly string[];
  /** Seconds since 1970. */
  readonly expiresAt: number;
  /** When the player last proved who they are, by `amr`; a refresh does not change it. Without `amr`, when the token was issued. */
  readonly authenticatedAt: number;
}

/**
 * `UNAUTHENTICATED`: the token is not valid, whoever asks (401). `IDENTITY_UNAVAILABLE`: it may be, but its key could not be
 * fetched (503). `detail` is for the log.
 */
export type AccessTokenVerdict =
  | { readonly ok: true; readonly claims: AccessTokenClaims }
  | { readonly ok: false; readonly code: "UNAUTHENTICATED" | "IDENTITY_UNAVAILABLE"; readonly detail: string };

/** Longest access token, in characters. Custom claims make them long; stops costly parsing. */
const maxAccessTokenLength = 8_192;

/** Most roles that are read. */
const maxRoles = 32;

const clockSkewSeconds = 5;

/** Ids that are safe as keys and in logs; Supabase's are UUIDs. */
const idForm = /^[\w-]{1,64}$/;

/**
 * Verifies a Supabase access token, cheapest checks first. Offline as long as its key is cached: a session that was signed out is
 * not noticed before the token expires.
 */
export async function verifyAccessToken(
  token: string,
  keys: Pick<PublicKeySet, "lookup">,
  expected: {
    /** `iss`, as `supabaseIssuer` makes it. */
    readonly issuer: string;
    /** Seconds since 1970. */
    readonly now: number;
    /** See `defaultReservedEmailDomain`. */
    readonly reservedEmailDomain?: string | undefined;
  },
): Promise<AccessTokenVerdict> {
  if (token.length > maxAccessTokenLength) return invalid("too long");
  if (!hasCompactForm(token)) return invalid("not three segments of base64url");
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    return invalid("header does not parse");
  }
  const { alg, kid } = header;
  if (typeof alg !== "string" || !accessTokenAlgorithms.includes(alg)) return invalid("alg is not ES256 or RS256");
  if (typeof kid !== "string" || kid === "") return invalid("kid is missing");
  const found = await keys.lookup(kid);
  if (found.status === "unavailable") {
    return { ok: false, code: "IDENTITY_UNAVAILABLE", detail: "the project's key set cannot be fetched" };
  }
  if (found.status === "unknown") return invalid("kid is not in the key set");
  try {
    const { payload } = await jwtVerify(token, found.key, {
      // A key serves the one algorithm that it was published for, whatever the token says.
      algorithms: [found.alg],
      issuer: expected.issuer,
      audience: "authenticated",
      requiredClaims: ["sub", "exp", "session_id"],
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(expected.now * 1_000),
    });
    return readClaims(payload, expected.reservedEmailDomain);
  } catch (error) {
    if (error instanceof errors.JOSEError) return invalid(error.code);
    throw error;
  }
}

function readClaims(payload: JWTPayload, reservedEmailDomain: string | undefined): AccessTokenVerdict {
  const { exp: expiresAt } = payload;
  // jose does not look at the types of sub and of private claims.
  const claims: Record<string, unknown> = payload;
  const { sub, session_id: sessionId, role, email, is_anonymous: anonymous } = claims;
  if (typeof sub !== "string" || !idForm.test(sub)) return invalid("sub is not an id");
  if (typeof sessionId !== "string" || !idForm.test(sessionId)) return invalid("session_id is not an id");
  // `anon` and `service_role` are roles of the project's keys, not of players.
  if (role !== "authenticated") return invalid("role is not authenticated");
  if (expiresAt === undefined) return invalid("exp is missing");
  return {
    ok: true,
    claims: {
      playerId: sub,
      sessionId,
      email: shownEmail(typeof email === "string" ? email : null, reservedEmailDomain),
      anonymous: anonymous === true,
      displayName: displayNameOf(sub, member(claims["user_metadata"], "display_name")),
      roles: readRoles(claims["app_metadata"]),
      expiresAt,
      authenticatedAt: readAuthenticatedAt(claims),
    },
  };
}

/** The roles in an account's `app_metadata`, which only the project's owner writes. [SEC-12] */
export function readRoles(appMetadata: unknown): readonly string[] {
  const list = member(appMetadata, "roles");
  const candidates: readonly unknown[] = [member(appMetadata, "role"), ...(Array.isArray(list) ? list : [])];
  const roles = candidates.filter((role): role is string => typeof role === "string" && role !== "");
  return [...new Set(roles)].slice(0, maxRoles);
}

/** See {@link AccessTokenClaims}. */
export function readAuthenticatedAt(claims: Readonly<Record<string, unknown>>): number {
  const { amr, iat } = claims;
  const methods: readonly unknown[] = Array.isArray(amr) ? amr : [];
  const times = methods.map((method) => member(method, "timestamp")).filter((time) => typeof time === "number");
  if (times.length > 0) return Math.max(...times);
  return typeof iat === "number" ? iat : 0;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  const record: Record<string, unknown> = { ...value };
  return record[name];
}

function invalid(detail: string): AccessTokenVerdict {
  return { ok: false, code: "UNAUTHENTICATED", detail };
}
