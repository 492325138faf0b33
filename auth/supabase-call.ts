import { type AuthError, createClient, type SupabaseClient } from "@supabase/supabase-js";
import { type Fetch, fetchBounded } from "./bounded-fetch.ts";
import { type AuthOperation, type ExchangeOutcome, identityError, identityUnavailable } from "./supabase-errors.ts";

/** A Supabase project, and on whose behalf it is spoken to. */
export interface SupabaseOptions {
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
  /** See `defaultReservedEmailDomain`. */
  readonly reservedEmailDomain?: string | undefined;
  /** Longest time for one exchange; 5 s unless told. */
  readonly timeoutMs?: number | undefined;
  readonly fetch?: Fetch | undefined;
}

/** A project whose secret key is known: what administers accounts needs it. */
export interface SupabaseAdminOptions extends SupabaseOptions {
  readonly secretKey: string;
}

/** What supabase-js returns. */
export type Answer<T> =
  | { readonly data: T; readonly error: null }
  | { readonly data: unknown; readonly error: AuthError };

/** Where supabase-js keeps what it wants to find again, for one call: a session, a PKCE verifier. Values are JSON. */
export class CallStorage {
  readonly #items = new Map<string, string>();

  /** What is there from the start. */
  constructor(items: Readonly<Record<string, unknown>> = {}) {
    for (const [key, value] of Object.entries(items)) this.#items.set(key, JSON.stringify(value));
  }

  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }

  removeItem(key: string): void {
    this.#items.delete(key);
  }
}

/** How a call differs from others. */
export interface CallSettings {
  /** Speaks with the secret key, whatever the client's address. */
  readonly secretKey?: string | undefined;
  /** Kept for this call alone; without it supabase-js keeps nothing but in memory. */
  readonly storage?: CallStorage | undefined;
  /** `pkce` where a browser is sent away and comes back with a code. */
  readonly flowType?: "pkce" | "implicit" | undefined;
  /** Whether an answer without JSON is no answer. */
  readonly wantsJson?: boolean | undefined;
}

const defaultTimeoutMs = 5_000;
const maxAnswerBytes = 65_536;

/** What a call came to when Supabase Auth itself did not answer. Not among the statuses that make supabase-js try again. */
const noAnswerStatus = 599;

/** Where supabase-js keeps a session in a `CallStorage`. */
export const sessionKey = "call";

/** Where it keeps, and looks for, the newest PKCE verifier. */
export const verifierKey = `${sessionKey}-code-verifier`;

type Outcome = { -readonly [name in keyof ExchangeOutcome]: ExchangeOutcome[name] };

/**
 * One call through a client of its own: a client keeps the session that it has seen, which must not outlive the request.
 *
 * @throws IdentityError
 */
export async function callSupabase<T>(
  options: SupabaseOptions,
  operation: AuthOperation,
  ask: (client: SupabaseClient) => Promise<Answer<T>>,
  settings: CallSettings = {},
): Promise<T> {
  const outcome: Outcome = {};
  let answer: Answer<T>;
  try {
    answer = await ask(createProjectClient(options, settings, outcome));
  } catch (error) {
    // supabase-js throws when an answer is not of the shape that it takes for granted.
    throw identityUnavailable(outcome.failure ?? error);
  }
  if (answer.error !== null) throw identityError(operation, answer.error, outcome);
  return answer.data;
}

function createProjectClient(options: SupabaseOptions, settings: CallSettings, outcome: Outcome): SupabaseClient {
  const { url, publishableKey, secretKey, clientAddressHeader = "Sb-Forwarded-For" } = options;
  const { storage, flowType = "implicit", wantsJson = true } = settings;
  const clientAddress = ipAddress(options.clientAddress);
  const usual = clientAddress === undefined ? publishableKey : (secretKey ?? publishableKey);
  const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const bounds = { timeoutMs: options.timeoutMs ?? defaultTimeoutMs, maxBytes: maxAnswerBytes };
  return createClient(url, settings.secretKey ?? usual, {
    auth: {
      autoRefreshToken: false,
      detectSessionInUrl: false,
      flowType,
      ...(storage === undefined
        ? { persistSession: false }
        : { persistSession: true, storage, storageKey: sessionKey }),
    },
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

function ipAddress(text: string | undefined): string | undefined {
  return text !== undefined && /^(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f]*:[\da-f:.]{1,44})$/i.test(text) ? text : undefined;
}

/** Seconds, from 1 to 3,600; a date, or nonsense, counts as no answer. */
function retryAfter(header: string | null): number | undefined {
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Math.max(Number(header), 1), 3_600);
}
