import { type CryptoKey, importJWK, type JWK } from "jose";

/** Settings of {@link PublicKeySet}. */
export interface PublicKeySetOptions {
  /** Gets the published key set. Must have a deadline of its own. */
  readonly fetchKeys: () => Promise<{ readonly keys: readonly object[] }>;
  /** The algorithms whose keys are used; others are passed over. */
  readonly algorithms: readonly string[];
  /** Least time between two fetches that unknown key ids cause. Stops a stranger from making us hammer the publisher. */
  readonly refetchIntervalMs: number;
  /** After this age a set is fetched again; the old one stays in force until then. */
  readonly maxAgeMs: number;
  /** Milliseconds, any origin. */
  readonly now: () => number;
  /** Told of each failed fetch; the last good set stays. */
  readonly onError?: (error: unknown) => void;
}

/**
 * A cached copy of a published JWKS. All who wait for a fetch share one; an unknown `kid` causes at most one fetch per
 * `refetchIntervalMs`; the last good set is kept while the publisher is away. [TICKET-3]
 */
export class PublicKeySet {
  readonly #options: PublicKeySetOptions;
  #keys: ReadonlyMap<string, CryptoKey> = new Map();
  #loadedAt = Number.NEGATIVE_INFINITY;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #inFlight: Promise<void> | undefined;

  constructor(options: PublicKeySetOptions) {
    this.#options = options;
  }

  /** Takes over a key set that came another way, as with a registration. Keys that do not parse are passed over. */
  async install(set: { readonly keys: readonly object[] }): Promise<void> {
    const keys = new Map<string, CryptoKey>();
    for (const jwk of set.keys) {
      const entry = await importPublicKey(jwk, this.#options.algorithms);
      if (entry !== undefined) keys.set(entry.kid, entry.key);
    }
    this.#keys = keys;
    this.#loadedAt = this.#options.now();
  }

  /** The key of `kid`, after a fetch if need be; `undefined` if there is none. Does not throw. */
  async resolve(kid: string): Promise<CryptoKey | undefined> {
    const { now, maxAgeMs, refetchIntervalMs } = this.#options;
    const known = this.#keys.get(kid);
    const stale = now() - this.#loadedAt > maxAgeMs;
    if (known !== undefined && !stale) return known;
    const mayFetch = this.#inFlight !== undefined || now() - this.#attemptedAt >= refetchIntervalMs;
    if (mayFetch) {
      const fetched = this.#refetch();
      // A key that is known serves at once; the fetch goes on behind it.
      if (known === undefined) await fetched;
    }
    return this.#keys.get(kid);
  }

  #refetch(): Promise<void> {
    this.#inFlight ??= this.#load().finally(() => {
      this.#inFlight = undefined;
    });
    return this.#inFlight;
  }

  async #load(): Promise<void> {
    this.#attemptedAt = this.#options.now();
    try {
      await this.install(await this.#options.fetchKeys());
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}

async function importPublicKey(
  value: object,
  algorithms: readonly string[],
): Promise<{ kid: string; key: CryptoKey } | undefined> {
  const jwk: JWK = { ...value };
  const { kid, alg, use } = jwk;
  if (typeof kid !== "string" || typeof alg !== "string" || !algorithms.includes(alg)) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  try {
    const key = await importJWK(jwk, alg);
    return key instanceof Uint8Array ? undefined : { kid, key };
  } catch {
    return undefined;
  }
}
