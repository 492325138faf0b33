import type { AllocationExplanation } from "./http.ts";

/** What a caller does about an error: mend the request, wait and repeat it as it is, log in again, or give up. */
export type ProblemAdvice = "fix" | "retry" | "login" | "stop";

interface ProblemRow {
  /** HTTP status. */
  readonly status: number;
  readonly advice: ProblemAdvice;
  /** RFC 9457 `title`: says what happened, safe for any peer. */
  readonly title: string;
}

/** Every `code` of the master's problem+json answers. docs/ERRORS.md lists them; a test holds the two together. */
export const problems = {
  MALFORMED_JSON: { status: 400, advice: "fix", title: "The body is not valid JSON." },
  INVALID_FIELD: { status: 422, advice: "fix", title: "A field of the request is not valid." },
  BODY_TOO_LARGE: { status: 413, advice: "fix", title: "The body is too large." },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, advice: "fix", title: "The body must be application/json." },
  NOT_FOUND: { status: 404, advice: "fix", title: "There is nothing at this address, or of this name." },
  METHOD_NOT_ALLOWED: { status: 405, advice: "fix", title: "This address does not take that method." },
  HTTPS_REQUIRED: { status: 403, advice: "fix", title: "This address speaks HTTPS only." },
  UPGRADE_REQUIRED: { status: 426, advice: "fix", title: "This address speaks WebSocket only." },
  UNAUTHENTICATED: { status: 401, advice: "login", title: "A valid access token is needed." },
  FORBIDDEN: { status: 403, advice: "stop", title: "This needs a role that the caller does not have." },
  INVALID_CREDENTIALS: { status: 401, advice: "fix", title: "E-mail or password is wrong." },
  EMAIL_NOT_CONFIRMED: { status: 403, advice: "fix", title: "The e-mail address is not confirmed yet." },
  WEAK_PASSWORD: { status: 422, advice: "fix", title: "The password is too weak." },
  ACCOUNT_EXISTS: { status: 409, advice: "fix", title: "There is an account with this e-mail address." },
  SIGNUP_DISABLED: { status: 403, advice: "stop", title: "This way of signing up is switched off." },
  SWITCHED_OFF: { status: 403, advice: "stop", title: "This master has that switched off." },
  PROVIDER_TOKEN_INVALID: { status: 401, advice: "fix", title: "The provider's token or code is not valid." },
  PROVIDER_BANNED: { status: 403, advice: "stop", title: "The provider has banned this account." },
  NOT_ANONYMOUS: { status: 409, advice: "stop", title: "This is a full account already." },
  REFRESH_TOKEN_INVALID: { status: 401, advice: "login", title: "The refresh token is not valid, or was used before." },
  IDENTITY_UNAVAILABLE: { status: 503, advice: "retry", title: "The identity service cannot be reached." },
  DATABASE_UNAVAILABLE: { status: 503, advice: "retry", title: "The database cannot be reached." },
  IDEMPOTENCY_KEY_REQUIRED: {
    status: 400,
    advice: "fix",
    title: "An Idempotency-Key header of 8 to 128 characters is needed.",
  },
  IDEMPOTENCY_KEY_REUSED: { status: 422, advice: "fix", title: "This Idempotency-Key was used with another body." },
  ALLOCATION_IN_PROGRESS: { status: 409, advice: "retry", title: "The same allocation is still being made." },
  TICKET_EXPIRED: {
    status: 410,
    advice: "fix",
    title: "This allocation's ticket has expired: allocate with a new key.",
  },
  TICKET_CONSUMED: { status: 410, advice: "fix", title: "This allocation's ticket was used: allocate with a new key." },
  RESERVATION_CANCELLED: {
    status: 410,
    advice: "fix",
    title: "This allocation was cancelled: allocate with a new key.",
  },
  TICKET_REVOKED: {
    status: 410,
    advice: "fix",
    title: "This allocation's ticket was revoked: allocate with a new key.",
  },
  KEY_TOO_NEW: { status: 409, advice: "retry", title: "The next signing key is not known everywhere yet." },
  BANNED: { status: 403, advice: "stop", title: "This account is banned." },
  REPLACED: { status: 403, advice: "stop", title: "The player has joined from elsewhere since." },
  KICKED: { status: 403, advice: "stop", title: "An operator has ended the session that wants to come back." },
  NO_CLUSTER_AVAILABLE: { status: 503, advice: "retry", title: "No cluster has room." },
  PLAYER_NOT_FOUND: { status: 404, advice: "fix", title: "There is no such player." },
  CLUSTER_NOT_FOUND: { status: 404, advice: "fix", title: "There is no such cluster." },
  REGION_NOT_FOUND: { status: 404, advice: "fix", title: "There is no such region." },
  CLUSTER_FULL: { status: 409, advice: "retry", title: "This cluster is full." },
  PARTY_NOT_FOUND: { status: 404, advice: "fix", title: "There is no such party for this player." },
  PARTY_FULL: { status: 409, advice: "fix", title: "The party takes no more members." },
  PARTY_TOO_LARGE: { status: 409, advice: "fix", title: "The cluster is too small for the party." },
  PARTY_LEADER_ONLY: { status: 403, advice: "stop", title: "Only the leader of a party may do this." },
  PARTY_BUSY: { status: 409, advice: "retry", title: "The party is being allocated, or has seats." },
  PARTY_NOT_READY: { status: 409, advice: "retry", title: "No seats are held for the party yet." },
  PARTY_HOLD_ENDED: { status: 410, advice: "fix", title: "The party's seats are not held any more." },
  IN_ANOTHER_PARTY: { status: 409, advice: "fix", title: "The player is in another party." },
  PLACE_INVALID: { status: 422, advice: "fix", title: "This is not a place in the waiting room for this request." },
  WAITING_ROOM_FULL: { status: 503, advice: "retry", title: "The waiting room is full." },
  TOO_MANY_REGIONS: { status: 409, advice: "fix", title: "There are too many regions that the master does not name." },
  ASSERTION_INVALID: { status: 401, advice: "fix", title: "The cluster's assertion is not valid." },
  ASSERTION_REPLAYED: { status: 401, advice: "fix", title: "The cluster's assertion was used before." },
  CLUSTER_KEY_UNKNOWN: { status: 403, advice: "stop", title: "This cluster key is not enrolled, or was revoked." },
  CLUSTER_SESSION_INVALID: { status: 401, advice: "login", title: "The cluster's session has ended: register again." },
  CLUSTER_FENCED: { status: 409, advice: "stop", title: "A newer process has taken over, or the key has ended." },
  CLUSTER_ENDED: { status: 409, advice: "stop", title: "This cluster's process has ended, or is about to." },
  KEY_REVOKED: { status: 409, advice: "stop", title: "This cluster key was revoked." },
  ORDERS_CHANGED: { status: 409, advice: "fix", title: "Somebody else has changed this in the meantime." },
  FRAGMENT_NOT_FOUND: { status: 404, advice: "fix", title: "There is no such fragment in this world." },
  TOO_MANY_ASSIGNMENTS: { status: 409, advice: "fix", title: "Too many fragments of this world are assigned." },
  TOO_MANY_SUBSCRIBERS: { status: 503, advice: "retry", title: "Too many are watching the events." },
  AUDIT_UNAVAILABLE: { status: 503, advice: "retry", title: "The audit log cannot be written." },
  RATE_LIMITED: { status: 429, advice: "retry", title: "Too many requests." },
  INTERNAL: { status: 500, advice: "retry", title: "The master failed." },
} as const satisfies Record<string, ProblemRow>;

export type ProblemCode = keyof typeof problems;

/** What a banned player may know. */
export interface BanNotice {
  /** A code of the operator's. */
  readonly reason: string;
  /** ISO 8601; `null`: for good. */
  readonly until: string | null;
}

/** Why a cluster's process has to stop: one with the same key and instance has registered since, or its key was revoked or has run out. */
export const fenceReasons = ["newer-process", "key-ended"] as const;
export type FenceReason = (typeof fenceReasons)[number];

/** An RFC 9457 problem as the master answers it, `application/problem+json`. */
export interface Problem {
  /** URI of the documentation of `code`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  /** What is wrong this time, and what to do about it. */
  readonly detail: string;
  /** Names this request in the master's logs. */
  readonly requestId: string;
  /** For `INVALID_FIELD`: each field by its JSON path, and what was expected. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[] | undefined;
  /** As the header `Retry-After`. */
  readonly retryAfterSeconds?: number | undefined;
  /** With `BANNED`. */
  readonly ban?: BanNotice | undefined;
  /** With `CLUSTER_FENCED`. */
  readonly fencedBy?: FenceReason | undefined;
  /** What `explain` of an allocation asked for. */
  readonly explanation?: AllocationExplanation | undefined;
}
