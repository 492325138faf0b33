import { IdentityError, type IdentityProvider } from "./identity.ts";
import { isReservedEmail } from "./reserved-email.ts";
import { assertBearer, exportAccount, playerOfSession, upgradePlayer } from "./supabase-bearer.ts";
import { callSupabase, type SupabaseOptions } from "./supabase-call.ts";
import { identityUnavailable } from "./supabase-errors.ts";
import { playerMetadata, readSession } from "./supabase-session.ts";

/** Accounts in Supabase Auth, through supabase-js. Make one for each request: it may carry that request's address. */
export function createSupabaseIdentity(project: SupabaseOptions): IdentityProvider {
  const { reservedEmailDomain } = project;
  return {
    async signUp({ email, password, displayName }) {
      if (isReservedEmail(email, reservedEmailDomain)) {
        throw new IdentityError("INVALID_FIELD", "E-mail or password was not accepted.");
      }
      const { session, user } = await callSupabase(project, "signUp", ({ auth }) =>
        auth.signUp({ email, password, options: { data: playerMetadata(displayName) } }),
      );
      if (session !== null) return { kind: "session", tokens: readSession(session, reservedEmailDomain) };
      if (user === null) throw identityUnavailable(new Error("a sign-up gave neither user nor session"));
      return { kind: "confirmation-required" };
    },

    async refresh(refreshToken) {
      if (refreshToken === "") throw new IdentityError("REFRESH_TOKEN_INVALID", "The refresh token is empty.");
      const { session } = await callSupabase(project, "refresh", ({ auth }) =>
        auth.refreshSession({ refresh_token: refreshToken }),
      );
      return readSession(session, reservedEmailDomain);
    },

    async logout(accessToken, scope = "local") {
      assertBearer(accessToken);
      return callSupabase<"ended" | "gone">(
        project,
        "logout",
        async ({ auth }) => {
          const { error } = await auth.admin.signOut(accessToken, scope);
          // The session, or the whole account, is gone already: what was asked for holds.
          const gone = error?.name === "AuthSessionMissingError" || error?.code === "user_not_found";
          if (error !== null && !gone) return { data: undefined, error };
          return { data: gone ? "gone" : "ended", error: null };
        },
        { wantsJson: false },
      );
    },

    playerOfSession: (accessToken) => playerOfSession(project, accessToken),

    exportAccount: (accessToken) => exportAccount(project, accessToken),

    upgrade: (accessToken, account) => upgradePlayer(project, accessToken, account),
  };
}
