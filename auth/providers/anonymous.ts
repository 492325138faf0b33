import { callSupabase, type SupabaseOptions } from "../supabase-call.ts";
import { playerMetadata, readSession } from "../supabase-session.ts";
import type { LoginProvider } from "./provider.ts";

/** A new player without credentials, who may become a full account later. Code: `SIGNUP_DISABLED`. */
export function createAnonymousProvider(project: SupabaseOptions): LoginProvider<"anonymous"> {
  return {
    method: "anonymous",
    async login({ displayName }) {
      const { session } = await callSupabase(project, "anonymous", ({ auth }) =>
        auth.signInAnonymously({ options: { data: playerMetadata(displayName) } }),
      );
      return readSession(session);
    },
  };
}
