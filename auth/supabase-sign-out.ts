import { createLoginToken, findAccount } from "./supabase-admin.ts";
import { callSupabase, type SupabaseAdminOptions } from "./supabase-call.ts";
import { readSession } from "./supabase-session.ts";
import { createSupabaseIdentity } from "./supabase.ts";

/**
 * Ends every session of an account. Supabase Auth does that for a session's own token alone, so one is opened first, by a login token
 * that is mailed to nobody. An account without an address, as an anonymous one, has no such token, and one that is gone has no
 * sessions: there is nothing to do.
 *
 * @throws IdentityError when it has to be tried again
 */
export async function signOutEverywhere(project: SupabaseAdminOptions, playerId: string): Promise<void> {
  const account = await findAccount(project, playerId);
  if (account?.email === undefined) return;
  const { account: found, tokenHash } = await createLoginToken(project, account.email);
  if (found.id !== playerId) return;
  const { session } = await callSupabase(project, "foreign", ({ auth }) =>
    auth.verifyOtp({ type: "email", token_hash: tokenHash }),
  );
  const { accessToken } = readSession(session, project.reservedEmailDomain);
  await createSupabaseIdentity(project).logout(accessToken, "global");
}
