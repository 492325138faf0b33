import { createLoginToken, findAccount } from "./supabase-admin.ts";
import { callSupabase, type SupabaseAdminOptions } from "./supabase-call.ts";
import { readSession } from "./supabase-session.ts";
import { createSupabaseIdentity } from "./supabase.ts";

/** How often the session is ended that was opened for it, before the whole is tried again. */
const logoutTries = 3;

/** What became of it. */
export type SignOutOutcome =
  | "ended"
  /** The player has logged in since it was ordered: nothing was ended. */
  | "outdated"
  /** Of no account that has sessions which could be ended. */
  | "nothing";

/**
 * Ends every session of an account, unless one has been opened since that was ordered: Supabase Auth can end all of them, but not those before a
 * time. It does that for a session's own token alone, so one is opened first, by a login token that is mailed to nobody. An account without an
 * address, as an anonymous one, has no such token, and one that is gone has no sessions.
 *
 * A login in the moment in between ends with the others. And should the session that was opened for this not be ended, however often it is asked,
 * it counts as a login of the player's when this is tried again.
 *
 * @param orderedAtMs when it was ordered; `undefined`: now
 * @throws IdentityError when it has to be tried again
 */
export async function signOutEverywhere(
  project: SupabaseAdminOptions,
  playerId: string,
  orderedAtMs = Infinity,
): Promise<SignOutOutcome> {
  const account = await findAccount(project, playerId);
  if (account?.email === undefined) return "nothing";
  // To the second, as access tokens say it: what the order has ended here is not spared there.
  const { lastLoginAtMs = 0 } = account;
  if (Math.floor(lastLoginAtMs / 1_000) * 1_000 > orderedAtMs) return "outdated";
  const { account: found, tokenHash } = await createLoginToken(project, account.email);
  if (found.id !== playerId) return "nothing";
  const { session } = await callSupabase(project, "foreign", ({ auth }) =>
    auth.verifyOtp({ type: "email", token_hash: tokenHash }),
  );
  const { accessToken } = readSession(session, project.reservedEmailDomain);
  for (let triesLeft = logoutTries - 1; ; triesLeft -= 1) {
    try {
      await createSupabaseIdentity(project).logout(accessToken, "global");
      return "ended";
    } catch (error) {
      if (triesLeft === 0) throw error;
    }
  }
}
