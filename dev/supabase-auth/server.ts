import type { JWTPayload } from "jose";
import { startHttpListener } from "../libsql/http-listener.ts";
import { loadSigningKey, signClaims } from "./access-token.ts";
import { internalFailure, payloadTooLarge, serveAuth } from "./gateway.ts";
import type { Project } from "./project.ts";
import { RateLimiter, type RateLimits } from "./rate-limit.ts";
import { AuthStore } from "./store.ts";
import { adoptEmail, confirmEmail } from "./user.ts";

export interface SupabaseAuthOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** Where accounts, sessions and the signing key are kept; without it they live as long as the server. */
  readonly file?: string;
  /** The API key that every request must carry in `apikey`. Public, as in a real project. */
  readonly publishableKey: string;
  /** Opens `/admin`. */
  readonly secretKey?: string;
  /** Whether an address must be confirmed before its account can sign in. Default false. */
  readonly confirmEmail?: boolean;
  readonly signupDisabled?: boolean;
  readonly anonymousDisabled?: boolean;
  /** Milliseconds since 1970. Default the system's clock. */
  readonly clock?: () => number;
  /** In bytes; default 8. */
  readonly minPasswordLength?: number;
  /** Default 3,600. */
  readonly accessTokenLifetimeSeconds?: number;
  /** Default 10. */
  readonly refreshTokenReuseSeconds?: number;
  /** Providers to sign in with in a browser, as `discord`: each is a page of this server's that asks who to be. Default none. */
  readonly oauthProviders?: readonly string[];
  /** Default `http://127.0.0.1:3000`. */
  readonly siteUrl?: string;
  /** Where browsers may be sent after that, besides the site: see `ProjectSettings`. Default none. */
  readonly redirectUrls?: readonly string[];
  /** Default 300. */
  readonly flowLifetimeSeconds?: number;
  /** Default 3,600. */
  readonly oneTimeTokenLifetimeSeconds?: number;
  /** Limits by address; off when absent. */
  readonly rateLimits?: RateLimits;
}

export interface SupabaseAuth {
  /** For `createClient(url, publishableKey)`, and as `SUPABASE_URL`. */
  readonly url: string;
  readonly publishableKey: string;
  /** What following the link in the message to this address does. @throws Error when no message was sent to it. */
  confirm(email: string): void;
  /** Signs any claims with the project's key, for tests of those who verify tokens. */
  signAccessToken(claims: JWTPayload): Promise<string>;
  close(): Promise<void>;
}

const maxBodyBytes = 1_048_576;

/**
 * Starts a stand-in for Supabase Auth that supabase-js talks to, for development and tests. It refuses what a real
 * project refuses, with the same status, code and words; what it does not have (phones, second factors, mail, ID tokens
 * of providers) it answers as a project does in which that is turned off. `test/conformance` runs the same tests
 * against it and against a real project.
 * @throws Error that says what is wrong with the file, the address or the port
 */
export async function startSupabaseAuth(options: SupabaseAuthOptions): Promise<SupabaseAuth> {
  const clock = options.clock ?? Date.now;
  const store = openStore(options.file);
  // Complete only when the address is known, which is part of it.
  const project = Promise.withResolvers<Project>();
  try {
    const key = await loadSigningKey(store);
    const listener = await startHttpListener({
      name: "the local Supabase Auth",
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      maxBodyBytes,
      handle: async (request) => serveAuth(await project.promise, request),
      tooLarge: payloadTooLarge,
      failed: internalFailure,
    });
    project.resolve({
      settings: {
        issuer: `${listener.url}/auth/v1`,
        publishableKey: options.publishableKey,
        secretKey: options.secretKey,
        confirmEmail: options.confirmEmail ?? false,
        signupDisabled: options.signupDisabled ?? false,
        anonymousDisabled: options.anonymousDisabled ?? false,
        minPasswordLength: options.minPasswordLength ?? 8,
        accessTokenLifetimeSeconds: options.accessTokenLifetimeSeconds ?? 3_600,
        refreshTokenReuseSeconds: options.refreshTokenReuseSeconds ?? 10,
        oauthProviders: options.oauthProviders ?? [],
        siteUrl: options.siteUrl ?? "http://127.0.0.1:3000",
        redirectUrls: options.redirectUrls ?? [],
        flowLifetimeSeconds: options.flowLifetimeSeconds ?? 300,
        oneTimeTokenLifetimeSeconds: options.oneTimeTokenLifetimeSeconds ?? 3_600,
      },
      store,
      key,
      clock,
      limiter: options.rateLimits && new RateLimiter(options.rateLimits, clock),
    });
    return {
      url: listener.url,
      publishableKey: options.publishableKey,
      confirm: (email) => confirmAddress(store, email.toLowerCase(), clock()),
      signAccessToken: (claims) => signClaims(key, claims),
      close: async () => {
        await listener.close();
        store.close();
      },
    };
  } catch (cause) {
    store.close();
    throw cause;
  }
}

function openStore(file: string | undefined): AuthStore {
  try {
    return new AuthStore(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown error";
    throw new Error(`the local Supabase Auth cannot open its state ${file}: ${reason}`, { cause });
  }
}

/** A sign-up comes before a change of address: only one account can have it. */
function confirmAddress(store: AuthStore, email: string, now: number): void {
  const owner = store.userByEmail(email);
  const pending = owner ?? store.userByNewEmail(email);
  if (pending === undefined || (owner !== undefined && owner.emailConfirmedAt !== null)) {
    throw new Error("no confirmation is pending for this address");
  }
  store.saveUser(confirmEmail(owner ?? adoptEmail(pending, email, now), now));
}
