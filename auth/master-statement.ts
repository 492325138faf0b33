import { compactVerify, decodeProtectedHeader, errors, SignJWT } from "jose";
import { decodeUtf8, limits } from "../protocol/index.ts";
import type { SigningKey, TicketKeyResolver } from "./ticket.ts";
import { hasCompactForm, forbiddenField, isRecord, isSeconds } from "./compact-jws.ts";

/**
 * What the master says about clusters to clusters, signed with the keys of its ring and verified offline. Each kind has a `typ` of its own, so
 * that none passes for another or for a ticket.
 */
export interface StatementKind {
  /** `typ` of the header. */
  readonly type: string;
  /** Longest accepted, in characters. Bounds what is parsed before the signature has been checked. */
  readonly maxBytes: number;
  /** Longest `exp − iat` accepted, in seconds. */
  readonly maxLifetimeSeconds: number;
}

/** Whom a statement has to be from and for. */
export interface StatementExpectations {
  /** The master: `iss`. */
  readonly issuer: string;
  /** This cluster: `aud`. */
  readonly clusterId: string;
  /** Seconds since 1970. */
  readonly now: number;
}

/** The claims of a statement that holds, or why it does not: for a log, never for the peer. */
export type StatementVerdict =
  | { readonly ok: true; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly detail: string };

/**
 * Signs a statement with ES256. `claims` has `iss`, `aud`, `iat` and `exp`, in seconds.
 *
 * @throws RangeError when it would be longer than anybody accepts
 */
export async function signStatement(
  kind: StatementKind,
  claims: { readonly iss: string; readonly aud: string; readonly iat: number; readonly exp: number },
  signingKey: SigningKey,
): Promise<string> {
  const statement = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: "ES256", typ: kind.type, kid: signingKey.kid })
    .sign(signingKey.key);
  if (statement.length > kind.maxBytes) {
    throw new RangeError(`the statement has ${statement.length} bytes, over ${kind.maxBytes}`);
  }
  return statement;
}

/** Checks form, header, signature, issuer, audience and time, cheapest first; the claims of its kind are the caller's to check. */
export async function verifyStatement(
  kind: StatementKind,
  statement: string,
  resolveKey: TicketKeyResolver,
  expected: StatementExpectations,
): Promise<StatementVerdict> {
  if (statement.length > kind.maxBytes) return refused("too long");
  if (!hasCompactForm(statement)) return refused("not three segments of base64url");
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(statement);
  } catch {
    return refused("header does not parse");
  }
  if (header.alg !== "ES256" || header.typ !== kind.type) return refused("alg or typ is another");
  if (typeof header.kid !== "string" || header.kid === "") return refused("kid is missing");
  if (forbiddenField(header) !== undefined) return refused("a header is not allowed");
  const key = await resolveKey(header.kid);
  if (key === undefined) return refused("kid is not in the key set");
  let claims: unknown;
  try {
    const { payload } = await compactVerify(statement, key, { algorithms: ["ES256"] });
    claims = JSON.parse(decodeUtf8(payload));
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof SyntaxError)
      return refused("signature or payload is bad");
    throw error;
  }
  if (!isRecord(claims)) return refused("payload is not an object");
  const { iss, aud, iat, exp } = claims;
  if (iss !== expected.issuer || aud !== expected.clusterId) return refused("iss or aud is another");
  if (!isSeconds(iat) || !isSeconds(exp)) return refused("iat or exp is missing");
  const skew = limits.clockSkewMs / 1_000;
  if (iat > expected.now + skew || expected.now > exp + skew) return refused("not its time");
  if (exp <= iat || exp - iat > kind.maxLifetimeSeconds) return refused("lifetime is not allowed");
  return { ok: true, claims };
}

function refused(detail: string): StatementVerdict {
  return { ok: false, detail };
}
