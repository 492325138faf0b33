import { type AuthError, isAuthWeakPasswordError } from "@supabase/supabase-js";
import type { ProblemCode } from "../protocol/index.ts";
import { IdentityError } from "./identity.ts";

/** What was asked of Supabase Auth. */
export type AuthOperation =
  | "signUp"
  | "password"
  | "anonymous"
  | "refresh"
  | "logout"
  /** Whether a session still lives. */
  | "session"
  /** From an anonymous player to a full account. */
  | "upgrade"
  /** Trading a code for a session. */
  | "oauth"
  /** Opening a session for a player whom another service vouches for. */
  | "foreign"
  /** With the secret key: no refusal is the player's fault. */
  | "admin";

/** What the exchange over HTTP showed beyond the error that supabase-js makes of it. */
export interface ExchangeOutcome {
  /** Set when there was no answer from Supabase Auth itself. */
  readonly failure?: unknown;
  /** Of the answer; supabase-js does not always keep it. */
  readonly status?: number | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** By `code` of Supabase's answers; those that mean the same whatever was asked. */
const codesByName: Readonly<Record<string, ProblemCode>> = {
  invalid_credentials: "INVALID_CREDENTIALS",
  email_not_confirmed: "EMAIL_NOT_CONFIRMED",
  phone_not_confirmed: "EMAIL_NOT_CONFIRMED",
  weak_password: "WEAK_PASSWORD",
  user_already_exists: "ACCOUNT_EXISTS",
  email_exists: "ACCOUNT_EXISTS",
  identity_already_exists: "ACCOUNT_EXISTS",
  signup_disabled: "SIGNUP_DISABLED",
  email_provider_disabled: "SIGNUP_DISABLED",
  anonymous_provider_disabled: "SIGNUP_DISABLED",
  provider_disabled: "SIGNUP_DISABLED",
  email_address_invalid: "INVALID_FIELD",
  email_address_not_authorized: "INVALID_FIELD",
  validation_failed: "INVALID_FIELD",
  over_request_rate_limit: "RATE_LIMITED",
  over_email_send_rate_limit: "RATE_LIMITED",
  over_sms_send_rate_limit: "RATE_LIMITED",
  request_timeout: "IDENTITY_UNAVAILABLE",
  unexpected_failure: "IDENTITY_UNAVAILABLE",
  conflict: "IDENTITY_UNAVAILABLE",
  hook_timeout: "IDENTITY_UNAVAILABLE",
  hook_timeout_after_retry: "IDENTITY_UNAVAILABLE",
  hook_payload_over_size_limit: "IDENTITY_UNAVAILABLE",
  hook_payload_invalid_content_type: "IDENTITY_UNAVAILABLE",
  // A login token is made a moment before it is used: another login of the same player has replaced it.
  otp_expired: "IDENTITY_UNAVAILABLE",
  flow_state_not_found: "PROVIDER_TOKEN_INVALID",
  flow_state_expired: "PROVIDER_TOKEN_INVALID",
  bad_code_verifier: "PROVIDER_TOKEN_INVALID",
};

/** What is wrong with the bearer, not with what was asked for. */
const bearerFaults: ReadonlySet<string> = new Set([
  "bad_jwt",
  "no_authorization",
  "session_not_found",
  "session_expired",
  "user_not_found",
  "user_banned",
]);

/**
 * What a refusal means that is not in the table above: bans, deleted users, ended sessions, codes of a later version. For a
 * password it is one answer for all: whether an account exists, or is banned, is nobody's business. [SEC-19]
 */
const refusals: Readonly<Record<AuthOperation, ProblemCode>> = {
  signUp: "INVALID_FIELD",
  password: "INVALID_CREDENTIALS",
  anonymous: "SIGNUP_DISABLED",
  refresh: "REFRESH_TOKEN_INVALID",
  logout: "UNAUTHENTICATED",
  session: "UNAUTHENTICATED",
  upgrade: "INVALID_FIELD",
  oauth: "PROVIDER_TOKEN_INVALID",
  foreign: "PROVIDER_TOKEN_INVALID",
  admin: "IDENTITY_UNAVAILABLE",
};

const messages: Partial<Record<ProblemCode, string>> = {
  INVALID_CREDENTIALS: "E-mail or password is wrong.",
  EMAIL_NOT_CONFIRMED: "The e-mail address is not confirmed yet: follow the link in the message that was sent to it.",
  ACCOUNT_EXISTS: "There is an account with this e-mail address: log in instead.",
  SIGNUP_DISABLED: "This way of signing up is switched off.",
  INVALID_FIELD: "E-mail or password was not accepted.",
  RATE_LIMITED: "Too many attempts: wait before the next one.",
  REFRESH_TOKEN_INVALID: "The refresh token is not valid, has expired, or was used before: log in again.",
  UNAUTHENTICATED: "The access token is not valid: log in again.",
  PROVIDER_TOKEN_INVALID: "The provider's token or code was not accepted: start the login again.",
};

/** GoTrue sends no `Retry-After` with its limits; its buckets refill a place every 10 s, mail is allowed once a minute. */
const defaultRetrySeconds = { RATE_LIMITED: 10, over_email_send_rate_limit: 60, IDENTITY_UNAVAILABLE: 5 } as const;

/** The error for what supabase-js returned. Of Supabase's own words only codes are kept: its texts repeat what the player sent. */
export function identityError(operation: AuthOperation, error: AuthError, outcome: ExchangeOutcome): IdentityError {
  if (outcome.failure !== undefined) return identityUnavailable(outcome.failure);
  const status = outcome.status ?? 0;
  const hint = error.code === undefined && status === 401 ? ": check the project's URL and key" : "";
  const cause = new Error(`Supabase Auth refused: ${error.code ?? error.name}, status ${status}${hint}`);
  const code = problemCode(operation, error, status);
  if (code === "IDENTITY_UNAVAILABLE") return identityUnavailable(cause);
  const message = isAuthWeakPasswordError(error) ? weakPasswordMessage(error.reasons) : (messages[code] ?? code);
  if (code !== "RATE_LIMITED") return new IdentityError(code, message, { cause });
  const usualSeconds =
    error.code === "over_email_send_rate_limit"
      ? defaultRetrySeconds.over_email_send_rate_limit
      : defaultRetrySeconds.RATE_LIMITED;
  return new IdentityError(code, message, { cause, retryAfterSeconds: outcome.retryAfterSeconds ?? usualSeconds });
}

/** The error for no answer, or for one that is none of Supabase Auth's. */
export function identityUnavailable(cause: unknown): IdentityError {
  return new IdentityError("IDENTITY_UNAVAILABLE", "The identity service cannot be reached: try again shortly.", {
    cause,
    retryAfterSeconds: defaultRetrySeconds.IDENTITY_UNAVAILABLE,
  });
}

function problemCode(operation: AuthOperation, error: AuthError, status: number): ProblemCode {
  const { code, name } = error;
  if (status === 429) return "RATE_LIMITED";
  // A 2xx that supabase-js could make nothing of.
  if (status < 400) return "IDENTITY_UNAVAILABLE";
  // Of the secret key or of this master's: nothing that a player could mend.
  if (operation === "admin") return "IDENTITY_UNAVAILABLE";
  // It has no code: supabase-js makes this of `session_not_found`.
  if (name === "AuthSessionMissingError") return operation === "upgrade" ? "UNAUTHENTICATED" : refusals[operation];
  if (code === undefined) {
    // Not of Supabase Auth as it is today. Its older versions refuse with 400 or 422 and no code; anything else comes from a
    // gateway, which refuses the project's key or its address, and no player can mend that.
    const refused = (status === 400 || status === 422) && name === "AuthApiError";
    return refused ? refusals[operation] : "IDENTITY_UNAVAILABLE";
  }
  if (operation === "upgrade" && bearerFaults.has(code)) return "UNAUTHENTICATED";
  const known = Object.hasOwn(codesByName, code) ? codesByName[code] : undefined;
  // Only what signs up has fields to mend: a token that is not even of its shape is just as invalid as a wrong one.
  if (known === "INVALID_FIELD") return refusals[operation];
  if (known !== undefined) return known;
  return status < 404 || status === 422 ? refusals[operation] : "IDENTITY_UNAVAILABLE";
}

const weaknesses: Readonly<Record<string, string>> = {
  length: "it is too short",
  characters: "it needs more kinds of characters",
  pwned: "it is known from a data leak",
};

function weakPasswordMessage(reasons: readonly string[]): string {
  const known = reasons.flatMap((reason) => (Object.hasOwn(weaknesses, reason) ? [weaknesses[reason]] : []));
  return known.length === 0 ? "The password is too weak." : `The password is too weak: ${known.join("; ")}.`;
}
