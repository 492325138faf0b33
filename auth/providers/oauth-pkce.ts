import type { Provider } from "@supabase/supabase-js";
import type { OAuthStarted } from "../../protocol/index.ts";
import { IdentityError } from "../identity.ts";
import { callSupabase, CallStorage, type SupabaseOptions, verifierKey } from "../supabase-call.ts";
import { identityUnavailable } from "../supabase-errors.ts";
import { readSession } from "../supabase-session.ts";
import { isRedirectAllowed } from "./redirects.ts";
import type { LoginProvider } from "./provider.ts";

/** Providers by Supabase's names; `custom:…` are those that a project has added itself. */
const providerNames = [
  "apple",
  "azure",
  "bitbucket",
  "discord",
  "facebook",
  "figma",
  "fly",
  "github",
  "gitlab",
  "google",
  "kakao",
  "keycloak",
  "linkedin_oidc",
  "notion",
  "slack_oidc",
  "spotify",
  "twitch",
  "twitter",
  "workos",
  "x",
  "zoom",
] as const satisfies readonly Provider[];

export function isOAuthProviderName(text: string): text is Provider {
  return providerNames.some((name) => name === text) || /^custom:[\w.-]{1,64}$/.test(text);
}

/** What the client asks for. */
export interface OAuthRequest {
  /** Supabase's name of the provider, as `discord`. */
  readonly provider: string;
  /** Where the browser goes in the end, with `code` in its query. */
  readonly redirectTo: string;
}

export interface OAuthProvider extends LoginProvider<"oauth"> {
  /** Codes: `SWITCHED_OFF` for a provider that is not in the list, `INVALID_FIELD` for a redirect that is not. */
  start(request: OAuthRequest): Promise<OAuthStarted>;
}

/**
 * A login in the browser, at a provider that Supabase knows: OAuth 2 with PKCE, S256. supabase-js wants to keep the verifier
 * between the two halves; here that is the client's part, for the two halves may meet two isolates, and the code is of use only
 * to who began. Code of `login`: `PROVIDER_TOKEN_INVALID`.
 */
export function createOAuthProvider(options: {
  readonly project: SupabaseOptions;
  readonly providers: readonly string[];
  /** See `isRedirectAllowed`. Supabase has a list of its own, which must have them as well. */
  readonly redirectUrls: readonly string[];
}): OAuthProvider {
  const { project, providers, redirectUrls } = options;
  return {
    method: "oauth",

    async start({ provider, redirectTo }) {
      if (!providers.includes(provider) || !isOAuthProviderName(provider)) {
        const known = providers.join(", ") || "none";
        throw new IdentityError("SWITCHED_OFF", `Logins by this provider are switched off. Switched on: ${known}.`);
      }
      if (!isRedirectAllowed(redirectTo, redirectUrls)) {
        throw new IdentityError("INVALID_FIELD", "redirectTo: This address is not in this master's list of redirects.");
      }
      const storage = new CallStorage();
      const { url } = await callSupabase(
        project,
        "oauth",
        // Nothing is sent: it only makes the address and the verifier.
        async ({ auth }) => auth.signInWithOAuth({ provider, options: { redirectTo, skipBrowserRedirect: true } }),
        { storage, flowType: "pkce" },
      );
      const codeVerifier: unknown = JSON.parse(storage.getItem(verifierKey) ?? "null");
      if (url === null || typeof codeVerifier !== "string") {
        throw identityUnavailable(new Error("supabase-js made no address or no verifier"));
      }
      return { url, codeVerifier };
    },

    async login({ code, codeVerifier }) {
      const storage = new CallStorage({ [verifierKey]: codeVerifier });
      const { session } = await callSupabase(project, "oauth", ({ auth }) => auth.exchangeCodeForSession(code), {
        storage,
        flowType: "pkce",
      });
      return readSession(session, project.reservedEmailDomain);
    },
  };
}
