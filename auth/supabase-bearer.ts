import type { SupabaseClient } from "@supabase/supabase-js";
import type { PlayerIdentity } from "../protocol/index.ts";
import { readRoles } from "./access-token.ts";
import { type AccountExport, IdentityError, type UpgradeResult } from "./identity.ts";
import { isReservedEmail } from "./reserved-email.ts";
import { callSupabase, CallStorage, sessionKey, type SupabaseOptions } from "./supabase-call.ts";
import { playerMetadata, readPlayer } from "./supabase-session.ts";
import { hasCompactForm } from "./compact-jws.ts";

/** @throws IdentityError `UNAUTHENTICATED`: in a header, other characters would be an error of the exchange */
export function assertBearer(accessToken: string): void {
  if (hasCompactForm(accessToken)) return;
  throw new IdentityError("UNAUTHENTICATED", "The access token is not valid: log in again.");
}

/**
 * Whose session it is, if it still lives: a token alone verifies until it expires, also after a sign-out.
 *
 * @throws IdentityError `UNAUTHENTICATED`
 */
export async function playerOfSession(project: SupabaseOptions, accessToken: string): Promise<PlayerIdentity> {
  assertBearer(accessToken);
  const { user } = await callSupabase(project, "session", ({ auth }) => auth.getUser(accessToken));
  return readPlayer(user, project.reservedEmailDomain);
}

/**
 * The roles that the account of a session has now, if the session still lives: a token tells of those that it had.
 *
 * @throws IdentityError `UNAUTHENTICATED`
 */
export async function rolesOfSession(project: SupabaseOptions, accessToken: string): Promise<readonly string[]> {
  assertBearer(accessToken);
  const { user } = await callSupabase(project, "session", ({ auth }) => auth.getUser(accessToken));
  return readRoles(user.app_metadata);
}

/** What Supabase holds about the player whose session it is. @throws IdentityError `UNAUTHENTICATED` */
export async function exportAccount(project: SupabaseOptions, accessToken: string): Promise<AccountExport> {
  assertBearer(accessToken);
  const { user } = await callSupabase(project, "session", ({ auth }) => auth.getUser(accessToken));
  return {
    player: readPlayer(user, project.reservedEmailDomain),
    createdAt: user.created_at,
    lastLoginAt: user.last_sign_in_at ?? null,
    identities: (user.identities ?? []).map(({ provider, identity_data: data = {} }) => ({ provider, data })),
    userMetadata: user.user_metadata,
    appMetadata: user.app_metadata,
  };
}

/**
 * Makes the anonymous player of `accessToken` a full account, under the same id.
 *
 * @throws IdentityError `NOT_ANONYMOUS`, `UNAUTHENTICATED`, `ACCOUNT_EXISTS`, `WEAK_PASSWORD`, `INVALID_FIELD`
 */
export async function upgradePlayer(
  project: SupabaseOptions,
  accessToken: string,
  account: { readonly email: string; readonly password: string; readonly displayName?: string | undefined },
): Promise<UpgradeResult> {
  const { email, password, displayName } = account;
  if (isReservedEmail(email, project.reservedEmailDomain)) {
    throw new IdentityError("INVALID_FIELD", "E-mail or password was not accepted.");
  }
  // Asked first: to a full account the same call would be a change of its password. [SEC-33]
  const { anonymous } = await playerOfSession(project, accessToken);
  if (!anonymous) throw new IdentityError("NOT_ANONYMOUS", "This player is a full account already.");
  const { user } = await callSupabase(
    project,
    "upgrade",
    async ({ auth }: SupabaseClient) => auth.updateUser({ email, password, data: playerMetadata(displayName) }),
    { storage: new CallStorage({ [sessionKey]: bearerSession(accessToken) }) },
  );
  const player = readPlayer(user, project.reservedEmailDomain);
  return player.anonymous ? { kind: "confirmation-required" } : { kind: "upgraded", player };
}

/**
 * A session as supabase-js keeps one, made of an access token alone: to change an account it wants to find one in its storage.
 * The expiry is none that it would act on, and Supabase looks at the token's own.
 */
function bearerSession(accessToken: string) {
  const expires_in = 3_600;
  const expires_at = Math.floor(Date.now() / 1_000) + expires_in;
  return { access_token: accessToken, refresh_token: "none", token_type: "bearer", expires_in, expires_at, user: {} };
}
