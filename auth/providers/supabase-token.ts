import { verifyAccessToken } from "../access-token.ts";
import { IdentityError } from "../identity.ts";
import type { PublicKeySet } from "../key-set.ts";
import { playerOfSession } from "../supabase-bearer.ts";
import type { SupabaseOptions } from "../supabase-call.ts";
import { identityUnavailable } from "../supabase-errors.ts";
import { supabaseIssuer } from "../supabase-keys.ts";
import type { LoginProvider } from "./provider.ts";

/**
 * An access token that the player's client got from Supabase itself. It is verified, and Supabase is asked whether its session
 * still lives: here begins a session with the game, and the token may have been signed out an hour ago. The answer holds the
 * tokens that were brought; a refresh token that was not is empty. Code: `PROVIDER_TOKEN_INVALID`.
 */
export function createSupabaseTokenProvider(options: {
  readonly project: SupabaseOptions;
  readonly keys: Pick<PublicKeySet, "lookup">;
  /** Seconds since 1970. */
  readonly now: () => number;
}): LoginProvider<"supabase"> {
  const { project, keys, now } = options;
  return {
    method: "supabase",
    async login({ token, refreshToken = "" }) {
      const verdict = await verifyAccessToken(token, keys, { issuer: supabaseIssuer(project.url), now: now() });
      if (!verdict.ok) {
        const cause = new Error(verdict.detail);
        throw verdict.code === "IDENTITY_UNAVAILABLE" ? identityUnavailable(cause) : notValid(cause);
      }
      const player = await playerOfSession(project, token).catch((error: unknown) => {
        throw error instanceof IdentityError && error.code === "UNAUTHENTICATED" ? notValid(error.cause) : error;
      });
      return { accessToken: token, refreshToken, expiresAt: verdict.claims.expiresAt, player };
    },
  };
}

function notValid(cause: unknown): IdentityError {
  const message = "The access token is not valid, has expired, or its session has ended.";
  return new IdentityError("PROVIDER_TOKEN_INVALID", message, { cause });
}
