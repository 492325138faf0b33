import { type AuthError, createClient, type SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { PlayerIdentity, PlayerSessionTokens } from "../protocol/index.ts";
import { type Fetch, fetchBounded } from "./bounded-fetch.ts";
import { cleanDisplayName, displayNameOf, IdentityError, type IdentityProvider } from "./identity.ts";
import { type AuthOperation, type ExchangeOutcome, identityError, identityUnavailable } from "./supabase-errors.ts";

/** A Supabase project, and on whose behalf it is spoken to. */
export interface SupabaseIdentityOptions {
  /** `https://….supabase.co`, without a path. */
  readonly url: string;
  readonly publishableKey: string;
  /**
   * Address of the player's client, as the platform tells it (`CF-Connecting-IP`), never as the client does. Supabase limits
   * attempts by address; without this all players share the Worker's. What is not an IP address is not sent.
   */
  readonly clientAddress?: string | undefined;
  /** The header that carries it. Supabase heeds `Sb-Forwarded-For` when the project allows it and the key is a secret one. */
  readonly clientAddressHeader?: string | undefined;
  /** A secret key (`sb_secret_…`), used instead of the publishable one when there is a `clientAddress`. */
  readonly secretKey?: string | undefined;
  /** Longest time for one call; 5 s unless told. */
  readonly timeoutMs?: number | undefined;
  readonly fetch?: Fetch | undefined;
}

const defaultTimeoutMs = 5_000;
const maxAnswerBytes = 65_536;

/** What a call came to when Supabase Auth itself did not answer. Not among the statuses that make supabase-js try again. */
const noAnswerStatus = 599;

/** Accounts in Supabase Auth, through supabase-js. Make one for each request: it may carry that request's address. */
export function createSupabaseIdentity(options: SupabaseIdentityOptions): IdentityProvider {
  return {
    async signUp({ email, password, displayName }) {
      const { session, user } = await call(options, "signUp", ({ auth }) =>
        auth.signUp({ email, password, options: { data: userMetadata(displayName) } }),
      );
      if (session !== null) return { kind: "session", tokens: sessionTokens(session) };
      if (user === null) throw identityUnavailable(new Error("a sign-up gave neither user nor session"));
      return { kind: "confirmation-required" };
    },

    async signInWithPassword({ email, password }) {
      const { session } = await call(options, "password", ({ auth }) => auth.signInWithPassword({ email, password }));
      return sessionTokens(session);
    },

    async signInAnonymously(player) {
      const { session } = await call(options, "anonymous", ({ auth }) =>
        auth.signInAnonymously({ options: { data: userMetadata(player?.displayName) } }),
      );
      return sessionTokens(session);
    },

    async refresh(refreshToken) {
      if (refreshToken === "") throw new IdentityError("REFRESH_TOKEN_INVALID", "The refresh token is empty.");
      const { session } = await call(options, "refresh", ({ auth }) =>
        auth.refreshSession({ refresh_token: refreshToken }),
      );
      return sessionTokens(session);
    },

    async logout(accessToken, scope = "local") {
      // It goes into a header, where other characters would be an error of the exchange.
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(accessToken)) {
        throw new IdentityError("UNAUTHENTICATED", "The access token is not valid: log in again.");
      }
      await call(options, "logout", async ({ auth }) => {
        const { error } = await auth.admin.signOut(accessToken, scope);
        // The session, or the whole account, is gone already: what was asked for holds.
        const gone = error?.name === "AuthSessionMissingError" || error?.code === "user_not_found";
        return error === null || gone ? { data: undefined, error: null } : { data: undefined, error };
      });
    },
  };
}

/** What supabase-js returns. */
type Answer<T> = { readonly data: T; readonly error: null } | { readonly data: unknown; readonly error: AuthError };

type Outcome = { -readonly [name in keyof ExchangeOutcome]: ExchangeOutcome[name] };

/** One call through a client of its own: a client keeps the session that it has seen, which must not outlive the request. */
async function call<T>(
  options: SupabaseIdentityOptions,
  operation: AuthOperation,
  ask: (client: SupabaseClient) => Promise<Answer<T>>,
): Promise<T> {
  const outcome: Outcome = {};
  let answer: Answer<T>;
  try {
    answer = await ask(createProjectClient(options, operation, outcome));
  } catch (error) {
    // supabase-js throws when an answer is not of the shape that it takes for granted.
    throw identityUnavailable(outcome.failure ?? error);
  }
  if (answer.error !== null) throw identityError(operation, answer.error, outcome);
  return answer.data;
}

function createProjectClient(
  options: SupabaseIdentityOptions,
  operation: AuthOperation,
  outcome: Outcome,
): SupabaseClient {
  const { url, publishableKey, secretKey, clientAddressHeader = "Sb-Forwarded-For" } = options;
  const clientAddress = ipAddress(options.clientAddress);
  const key = clientAddress === undefined ? publishableKey : (secretKey ?? publishableKey);
  const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const bounds = { timeoutMs: options.timeoutMs ?? defaultTimeoutMs, maxBytes: maxAnswerBytes };
  const wantsJson = operation !== "logout";
  return createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: {
      headers: clientAddress === undefined ? {} : { [clientAddressHeader]: clientAddress },
      fetch: async (input, init) => exchange(async () => fetchBounded(fetch, input, init, bounds), wantsJson, outcome),
    },
  });
}

/**
 * One exchange, once. When a refresh gets no answer, a 5xx, or a 2xx without JSON, supabase-js tries again for 30 s with
 * growing waits: far beyond what a player's request may last. So what is not an answer of Supabase Auth comes back as a status
 * that it takes for final, and `outcome` says what it was; whether to try again is the player's client's to decide.
 */
async function exchange(ask: () => Promise<Response>, wantsJson: boolean, outcome: Outcome): Promise<Response> {
  try {
    const response = await ask();
    const { status, headers, ok } = response;
    outcome.status = status;
    outcome.retryAfterSeconds = retryAfter(headers.get("Retry-After"));
    const text = await response.text();
    if (!ok && (status < 400 || status >= 500)) throw new Error(`Supabase Auth answered with status ${status}`);
    if (ok && wantsJson && !isJsonObject(text)) throw new Error("Supabase Auth answered with no JSON object");
    return new Response(text === "" ? null : text, { status, headers });
  } catch (error) {
    outcome.failure = error;
    return Response.json({}, { status: noAnswerStatus });
  }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** What is needed of a session. supabase-js has types for it, but does not look. */
const sessionSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  expires_at: z.number(),
  user: z.object({
    id: z.string().min(1),
    email: z.string().nullish(),
    is_anonymous: z.boolean().nullish(),
    user_metadata: z.record(z.string(), z.unknown()).nullish(),
  }),
});

function sessionTokens(session: unknown): PlayerSessionTokens {
  const parsed = sessionSchema.safeParse(session);
  if (!parsed.success) throw identityUnavailable(new Error("Supabase Auth gave an incomplete session"));
  const { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt, user } = parsed.data;
  const player: PlayerIdentity = {
    id: user.id,
    // An anonymous user's is the empty string.
    email: user.email || null,
    anonymous: user.is_anonymous ?? false,
    displayName: displayNameOf(user.id, user.user_metadata?.["display_name"]),
  };
  return { accessToken, refreshToken, expiresAt, player };
}

function userMetadata(displayName: string | undefined): Record<string, string> {
  const name = cleanDisplayName(displayName);
  return name === undefined ? {} : { display_name: name };
}

function ipAddress(text: string | undefined): string | undefined {
  return text !== undefined && /^(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f]*:[\da-f:.]{1,44})$/i.test(text) ? text : undefined;
}

/** Seconds, from 1 to 3,600; a date, or nonsense, counts as no answer. */
function retryAfter(header: string | null): number | undefined {
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Math.max(Number(header), 1), 3_600);
}
