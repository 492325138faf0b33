import { IdentityError } from "../identity.ts";
import { isReservedEmail } from "../reserved-email.ts";
import { callSupabase, type SupabaseOptions } from "../supabase-call.ts";
import { readSession } from "../supabase-session.ts";
import type { LoginProvider } from "./provider.ts";

/**
 * E-mail address and password. Codes: `INVALID_CREDENTIALS`, the same for an unknown account, a wrong password, a banned
 * account and a reserved address [SEC-19]; `EMAIL_NOT_CONFIRMED`, only to who knows the password.
 */
export function createPasswordProvider(project: SupabaseOptions): LoginProvider<"password"> {
  return {
    method: "password",
    async login({ email, password }) {
      if (isReservedEmail(email, project.reservedEmailDomain)) {
        throw new IdentityError("INVALID_CREDENTIALS", "E-mail or password is wrong.");
      }
      const { session } = await callSupabase(project, "password", ({ auth }) =>
        auth.signInWithPassword({ email, password }),
      );
      return readSession(session, project.reservedEmailDomain);
    },
  };
}
