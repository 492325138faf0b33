import type { PlayerIdentity, PlayerSessionTokens, ProblemCode } from "../protocol/index.ts";

/** What a sign-up gives: a session, or a message to the e-mail address that must be confirmed first. */
export type SignUpResult =
  | { readonly kind: "session"; readonly tokens: PlayerSessionTokens }
  | { readonly kind: "confirmation-required" };

/** What an upgrade came to: a full account, or a message to the e-mail address that must be confirmed first. */
export type UpgradeResult =
  | { readonly kind: "upgraded"; readonly player: PlayerIdentity }
  | { readonly kind: "confirmation-required" };

/** What the identity service holds about a player. Times are ISO 8601. */
export interface AccountExport {
  readonly player: PlayerIdentity;
  readonly createdAt: string | null;
  readonly lastLoginAt: string | null;
  /** Ways to log in, each with what its provider told. */
  readonly identities: readonly { readonly provider: string; readonly data: Readonly<Record<string, unknown>> }[];
  /** Written by the player. */
  readonly userMetadata: Readonly<Record<string, unknown>>;
  /** Written by the game's operators. */
  readonly appMetadata: Readonly<Record<string, unknown>>;
}

/** Which sessions a logout ends: this one, all of the player's, or all but this one. */
export type LogoutScope = "local" | "global" | "others";

/**
 * Where accounts live. The ways to log in are in `providers/`. Every method throws {@link IdentityError}, nothing else; each has a deadline. The caller has checked
 * that the fields have their shapes.
 */
export interface IdentityProvider {
  /** Makes an account. Codes: `ACCOUNT_EXISTS`, `WEAK_PASSWORD`, `SIGNUP_DISABLED`, `INVALID_FIELD`. */
  signUp(account: {
    readonly email: string;
    readonly password: string;
    readonly displayName?: string | undefined;
  }): Promise<SignUpResult>;
  /** New tokens for a refresh token, which serves once. Code: `REFRESH_TOKEN_INVALID`. */
  refresh(refreshToken: string): Promise<PlayerSessionTokens>;
  /**
   * Ends sessions, this one unless told; done already is done. Access tokens verify until they expire. Code: `UNAUTHENTICATED`.
   *
   * @returns `gone` where this session had ended before, or its account: no other session was ended then
   */
  logout(accessToken: string, scope?: LogoutScope): Promise<"ended" | "gone">;
  /** Whose session it is, if it still lives. Code: `UNAUTHENTICATED`. */
  playerOfSession(accessToken: string): Promise<PlayerIdentity>;
  /** What is held about the player whose session it is, if it still lives. Code: `UNAUTHENTICATED`. */
  exportAccount(accessToken: string): Promise<AccountExport>;
  /**
   * Makes the anonymous player of `accessToken` a full account, under the same id. Codes: `NOT_ANONYMOUS`, `UNAUTHENTICATED`,
   * `ACCOUNT_EXISTS`, `WEAK_PASSWORD`, `INVALID_FIELD`.
   */
  upgrade(
    accessToken: string,
    account: { readonly email: string; readonly password: string; readonly displayName?: string | undefined },
  ): Promise<UpgradeResult>;
}

/** Why the identity provider refused, or could not answer: also `RATE_LIMITED` and `IDENTITY_UNAVAILABLE`, from every method. */
export class IdentityError extends Error {
  readonly code: ProblemCode;
  /** How long to wait before another attempt. */
  readonly retryAfterSeconds: number | undefined;

  /** `message` is fit for the player; `cause` is for the log, and holds nothing that the player sent. */
  constructor(
    code: ProblemCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterSeconds?: number | undefined } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "IdentityError";
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** Longest display name, in Unicode code points: at most 128 bytes of UTF-8, so that a ticket always has room for it. */
export const maxDisplayNameLength = 32;

/**
 * The name to show for a player. `wanted` is what the account's owner wrote, and not trusted: control and formatting
 * characters (line breaks, bidirectional overrides, lone surrogates) go, spaces are folded, the rest is cut. When nothing is
 * left: `Player` and the beginning of the id, never the e-mail address.
 */
export function displayNameOf(playerId: string, wanted: unknown): string {
  return cleanDisplayName(wanted) ?? `Player-${playerId.replaceAll(/[^\w]/g, "").slice(0, 6)}`;
}

/** `wanted` as it may be shown, or `undefined` when nothing of it is fit to be. */
export function cleanDisplayName(wanted: unknown): string | undefined {
  if (typeof wanted !== "string") return undefined;
  const visible = wanted.slice(0, 1_024).replaceAll(/[\p{Cf}\p{Cs}\p{Co}\p{Cn}]|(?!\s)\p{Cc}/gu, "");
  const text = visible.normalize("NFC").replaceAll(/\s+/gu, " ").trim();
  const cut = Array.from(text).slice(0, maxDisplayNameLength).join("").trim();
  return cut === "" ? undefined : cut;
}
