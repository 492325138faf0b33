import { type Fetch, fetchBounded } from "./bounded-fetch.ts";
import { accessTokenAlgorithms } from "./access-token.ts";
import { PublicKeySet } from "./key-set.ts";

/** Supabase lets its key set be cached for 600 s, and publishes a new key that long before it signs. */
const maxAgeMs = 600_000;
const refetchIntervalMs = 30_000;
const fetchTimeoutMs = 3_000;
const maxKeySetBytes = 65_536;

/** The `iss` of a project's access tokens. `url` is the project's, with or without a slash at its end. */
export function supabaseIssuer(url: string): string {
  return `${url.replace(/\/+$/, "")}/auth/v1`;
}

/** The keys of a project's access tokens, cached. Make one for each process or isolate, not for each request. */
export function createSupabaseKeySet(options: {
  readonly url: string;
  readonly publishableKey: string;
  /** Milliseconds, any origin. */
  readonly now: () => number;
  readonly fetch?: Fetch | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
  /** In a Worker: `waitUntil` of `cloudflare:workers`. See {@link PublicKeySet}. */
  readonly keepAlive?: ((work: Promise<void>) => void) | undefined;
}): PublicKeySet {
  const { url, publishableKey, now, onError, keepAlive } = options;
  const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const address = `${supabaseIssuer(url)}/.well-known/jwks.json`;
  return new PublicKeySet({
    algorithms: accessTokenAlgorithms,
    refetchIntervalMs,
    maxAgeMs,
    fetchTimeoutMs,
    now,
    onError,
    keepAlive,
    fetchKeys: async () => {
      const headers = { apikey: publishableKey, accept: "application/json" };
      const bounds = { timeoutMs: fetchTimeoutMs, maxBytes: maxKeySetBytes };
      const response = await fetchBounded(fetch, address, { headers }, bounds);
      if (!response.ok) throw new Error(`the project's key set was answered with status ${response.status}`);
      return response.json();
    },
  });
}
