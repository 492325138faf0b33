import { CompactSign, type CryptoKey, decodeProtectedHeader } from "jose";
import { decodeUtf8, limits } from "../protocol/index.ts";
import { decodeBase64url } from "./base64url.ts";
import { hasCompactForm, forbiddenField, isCount, isRecord, isSeconds } from "./compact-jws.ts";

/** `typ` of a join ticket. */
export const ticketType = "sustenet-ticket+jwt";

/** What a join ticket says. Spec: docs/PROTOCOL.md, section 6. Times are seconds since 1970. */
export interface TicketClaims {
  /** The master that issued it. */
  readonly iss: string;
  /** The cluster that it is for. */
  readonly aud: string;
  /** The player. */
  readonly sub: string;
  /** Names this ticket: 128 random bits, base64url. */
  readonly jti: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly game: string;
  /** Protocol versions that master and cluster agreed on. */
  readonly proto: { readonly min: number; readonly max: number };
  /** Boot epoch of the cluster process that it is for. */
  readonly boot: number;
  /** The player's session generation: a fence. */
  readonly gen: number;
  /** The reservation whose seat it takes. */
  readonly rsv: string;
  /** The fragment to spawn in; empty for the cluster's default. */
  readonly frag: string;
  /** The player's display name. */
  readonly name: string;
  /** Names the request that the ticket was made for, in everybody's logs. Nothing depends on it. */
  readonly req?: string | undefined;
}

/** A private key that signs, and the `kid` under which its public half is published. */
export interface SigningKey {
  readonly kid: string;
  readonly key: CryptoKey;
}

/**
 * Signs a ticket with ES256.
 *
 * @throws RangeError when the ticket would be longer than any cluster accepts. [TICKET-1]
 */
export async function signTicket(claims: TicketClaims, signingKey: SigningKey): Promise<string> {
  // As bytes: a SignJWT copies the claims, and looks for those that it could add.
  const ticket = await new CompactSign(textEncoder.encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256", typ: ticketType, kid: signingKey.kid })
    .sign(signingKey.key);
  if (ticket.length > limits.maxTicketBytes) {
    throw new RangeError(`the ticket has ${ticket.length} bytes, over ${limits.maxTicketBytes}: shorten name or frag`);
  }
  return ticket;
}

/** Why a ticket was refused before its signature held. Logged and counted; the peer learns nothing. [JOIN-4] */
export type SilentTicketFault = "MALFORMED" | "BAD_HEADER" | "UNKNOWN_KEY" | "BAD_SIGNATURE";

/** Why a genuine ticket was refused: the code of REJECT. */
export type SpokenTicketFault = "WRONG_TICKET" | "VERSION_UNSUPPORTED" | "STALE_BOOT" | "NOT_YET_VALID" | "EXPIRED";

export type TicketVerdict =
  | { readonly ok: true; readonly claims: TicketClaims }
  | { readonly ok: false; readonly silent: true; readonly fault: SilentTicketFault; readonly detail: string }
  | { readonly ok: false; readonly silent: false; readonly fault: SpokenTicketFault; readonly detail: string };

/** What the verifying cluster knows. */
export interface TicketExpectations {
  readonly issuer: string;
  readonly clusterId: string;
  readonly game: string;
  readonly boot: number;
  /** The versions that both the peer's HELLO and this cluster allow; undefined when there are none. */
  readonly versions: { readonly min: number; readonly max: number } | undefined;
  /** Longest `exp − iat` accepted, in seconds. */
  readonly maxLifetimeSeconds: number;
  /** Seconds since 1970. */
  readonly now: number;
}

/** Finds the public key of a `kid`, or `undefined`. Must not throw; bounds its own waiting. */
export type TicketKeyResolver = (kid: string) => Promise<CryptoKey | undefined>;

/**
 * Whether a signature, 64 bytes of r and s, is that of the data under a public P-256 key with SHA-256. Must not throw. The
 * seam between runtimes: Node has a way that is cheaper than the one that all have.
 */
export type SignatureCheck = (
  key: CryptoKey,
  data: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
) => boolean | Promise<boolean>;

/** By Web Crypto, which every runtime has. */
export const checkByWebCrypto: SignatureCheck = async (key, data, signature) =>
  crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, data).catch(() => false);

/** Bytes of an ES256 signature (RFC 7518, section 3.4). */
const signatureBytes = 64;

const textEncoder = new TextEncoder();

/**
 * The checks [TICKET-1] to [TICKET-7], in that order. Stateless: replay, generation and room ([TICKET-8] to [TICKET-10]) are the
 * caller's, who comes to them only with a good verdict.
 */
export async function verifyTicket(
  ticket: string,
  resolveKey: TicketKeyResolver,
  expected: TicketExpectations,
  checkSignature: SignatureCheck = checkByWebCrypto,
): Promise<TicketVerdict> {
  // [TICKET-1]
  if (ticket.length > limits.maxTicketBytes) return silent("MALFORMED", "longer than 2,048 bytes");
  if (!hasCompactForm(ticket)) return silent("MALFORMED", "not three segments of base64url");
  const headerSegment = ticket.slice(0, ticket.indexOf("."));
  const header = headerSegment === goodHeader.segment ? goodHeader.kid : readHeader(headerSegment);
  if (typeof header !== "string") return header;
  // [TICKET-3]
  const key = await resolveKey(header);
  if (key === undefined) return silent("UNKNOWN_KEY", "kid is not in the key set");
  const payloadEnd = ticket.lastIndexOf(".");
  const signature = decodeBase64url(ticket.slice(payloadEnd + 1));
  if (signature?.length !== signatureBytes) return silent("BAD_SIGNATURE", "not of 64 bytes");
  const signed = checkSignature(key, new Uint8Array(textEncoder.encode(ticket.slice(0, payloadEnd))), signature);
  if (!(typeof signed === "boolean" ? signed : await signed)) return silent("BAD_SIGNATURE", "does not hold");
  if (headerSegment !== goodHeader.segment) goodHeader = { segment: headerSegment, kid: header };
  // [TICKET-4]
  const payload = decodeBase64url(ticket.slice(ticket.indexOf(".") + 1, payloadEnd));
  const claims = payload === undefined ? "payload is not base64url" : parseClaims(payload);
  if (typeof claims === "string") return spoken("WRONG_TICKET", claims);
  if (claims.iss !== expected.issuer) return spoken("WRONG_TICKET", "iss is another master");
  if (claims.aud !== expected.clusterId) return spoken("WRONG_TICKET", "aud is another cluster");
  if (claims.game !== expected.game) return spoken("WRONG_TICKET", "game is another game");
  // [TICKET-5]
  const { versions } = expected;
  if (versions === undefined || claims.proto.max < versions.min || claims.proto.min > versions.max) {
    return spoken("VERSION_UNSUPPORTED", "no common protocol version");
  }
  // [TICKET-6]
  if (claims.boot !== expected.boot) return spoken("STALE_BOOT", "boot is another epoch");
  // [TICKET-7]
  const skew = limits.clockSkewMs / 1_000;
  if (claims.nbf > expected.now + skew) return spoken("NOT_YET_VALID", "nbf is in the future");
  // Else a ticket dated ahead would outlive the lifetime that is checked below, and the memory of its jti.
  if (claims.iat > expected.now + skew) return spoken("NOT_YET_VALID", "iat is in the future");
  if (expected.now > claims.exp + skew) return spoken("EXPIRED", "exp has passed");
  const lifetime = claims.exp - claims.iat;
  if (lifetime <= 0 || lifetime > expected.maxLifetimeSeconds) {
    return spoken("WRONG_TICKET", "lifetime is not allowed");
  }
  return { ok: true, claims };
}

/** The header of the last ticket whose signature held: all tickets of a key have the same, so it is not read for each. */
let goodHeader = { segment: "", kid: "" };

/** The `kid`, or why the header does not do. */
function readHeader(segment: string): string | TicketVerdict {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader({ protected: segment });
  } catch {
    return silent("MALFORMED", "header does not parse");
  }
  // [TICKET-2]
  if (header.alg !== "ES256") return silent("BAD_HEADER", "alg is not ES256");
  if (header.typ !== ticketType) return silent("BAD_HEADER", "typ is not a ticket's");
  if (typeof header.kid !== "string" || header.kid === "") return silent("BAD_HEADER", "kid is missing");
  const forbidden = forbiddenField(header);
  if (forbidden !== undefined) return silent("BAD_HEADER", `${forbidden} is not allowed`);
  return header.kid;
}

function silent(fault: SilentTicketFault, detail: string): TicketVerdict {
  return { ok: false, silent: true, fault, detail };
}

function spoken(fault: SpokenTicketFault, detail: string): TicketVerdict {
  return { ok: false, silent: false, fault, detail };
}

/** The claims, or which one is not of its shape. */
function parseClaims(payload: Uint8Array): TicketClaims | string {
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(payload));
  } catch {
    return "payload is not JSON";
  }
  if (!isRecord(value)) return "payload is not an object";
  const { iss, aud, sub, jti, iat, nbf, exp, game, proto, boot, gen, rsv, frag, name, req } = value;
  if (typeof iss !== "string") return "iss is not a string";
  if (typeof aud !== "string") return "aud is not one string";
  if (typeof sub !== "string" || sub === "") return "sub is not a string";
  if (typeof jti !== "string" || jti.length < 16) return "jti is not a string of 16 characters";
  if (!isSeconds(iat)) return "iat is not a time";
  if (!isSeconds(nbf)) return "nbf is not a time";
  if (!isSeconds(exp)) return "exp is not a time";
  if (typeof game !== "string") return "game is not a string";
  if (!isRecord(proto) || !isCount(proto["min"]) || !isCount(proto["max"])) return "proto is not a range";
  if (!isCount(boot)) return "boot is not an epoch";
  if (!isCount(gen)) return "gen is not a generation";
  if (typeof rsv !== "string" || rsv === "") return "rsv is not a string";
  if (typeof frag !== "string") return "frag is not a string";
  if (typeof name !== "string") return "name is not a string";
  const range = { min: proto["min"], max: proto["max"] };
  if (range.min > range.max) return "proto is not a range";
  const claims = { iss, aud, sub, jti, iat, nbf, exp, game, proto: range, boot, gen, rsv, frag, name };
  // [TICKET-12]
  return typeof req === "string" && requestName.test(req) ? { ...claims, req } : claims;
}

const requestName = /^[\w.-]{8,64}$/;
