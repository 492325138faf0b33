import { type CryptoKey, importJWK, type JWK } from "jose";
import { isRecord } from "./compact-jws.ts";

/** What a key set answers about a `kid`. */
export type KeyLookup =
  | { readonly status: "found"; readonly key: CryptoKey; readonly alg: string }
  /** The publisher was asked not long ago and has no such key. */
  | { readonly status: "unknown" }
  /** The publisher cannot be reached, so nobody knows whether there is such a key. */
  | { readonly status: "unavailable" };

/** Settings of {@link PublicKeySet}. */
export interface PublicKeySetOptions {
  /** Gets the published key set, a JWKS. The answer is not trusted: it is parsed here. */
  readonly fetchKeys: () => Promise<unknown>;
  /** The algorithms whose keys are used, of `ES256` and `RS256`; others are passed over. */
  readonly algorithms: readonly string[];
  /** Least time between two fetches that unknown key ids cause. Stops a stranger from making us hammer the publisher. */
  readonly refetchIntervalMs: number;
  /** After this age a set is fetched again, behind the answer; from twice this age on, the answer waits for it. */
  readonly maxAgeMs: number;
  /** Milliseconds, any origin. */
  readonly now: () => number;
  /** Told of each failed fetch and each unusable set; the last good set stays. Must not throw. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Longest wait for a fetch; 3 s unless told. */
  readonly fetchTimeoutMs?: number | undefined;
  /**
   * Keeps work alive that goes on behind an answer: in a Worker `waitUntil` of `cloudflare:workers`. Without it a fetch that
   * nobody waits for dies with its request there. Node needs none.
   */
  readonly keepAlive?: ((work: Promise<void>) => void) | undefined;
}

/** Most keys in a set. Stops a poisoned set from costing an import for each of a million keys. */
const maxKeys = 32;

/** Most keys that are remembered as revoked. Their ids come from the publisher alone. */
const maxRevoked = 10_000;

/** Smallest RSA modulus; jose would throw at every use of a smaller one. */
const minRsaBits = 2_048;

/** First wait after a failed fetch; it doubles with each failure, up to `refetchIntervalMs`. */
const firstRetryMs = 1_000;

const defaultFetchTimeoutMs = 3_000;

type FoundKey = Extract<KeyLookup, { status: "found" }>;

interface Flight {
  readonly startedAt: number;
  readonly done: Promise<void>;
}

/**
 * A cached copy of a published JWKS. All who wait for a fetch share one; an unknown `kid` causes at most one fetch per
 * `refetchIntervalMs`; the last good set is kept while the publisher is away. [TICKET-3]
 *
 * One instance may serve many requests of a Worker, and there is a trap in that: workerd cancels what a request still has
 * under way when the request ends, silently. A promise that it left behind then never settles, its `finally` never runs, and
 * whoever awaits it, in that request or another, hangs (tried: a fetch begun behind an answer was never sent, and the next
 * request that joined it got no answer at all). Sharing a promise between requests is sound as such: since the compatibility
 * date 2024-10-14 (`handle_cross_request_promise_resolution`) each waiter goes on in its own request. So a flight is shared,
 * but nobody trusts it to land: each waiter holds a timer of its own request, and a flight older than the deadline is
 * replaced. The other way, a fetch for each request, would make forty fetches for forty requests on a cold isolate.
 */
export class PublicKeySet {
  readonly #options: PublicKeySetOptions;
  readonly #fetchTimeoutMs: number;
  #keys: ReadonlyMap<string, FoundKey> = new Map();
  /** Ids that are worth nothing, whatever is published. Never forgotten: a leaked key stays leaked. */
  readonly #revoked = new Set<string>();
  #loadedAt = Number.NEGATIVE_INFINITY;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  /** Fetches that failed in a row. */
  #failures = 0;
  #flight: Flight | undefined;
  /** Numbers the sets in the order in which they were asked for, so that a slow old one cannot replace a newer one. */
  #asked = 0;
  #applied = 0;

  constructor(options: PublicKeySetOptions) {
    this.#options = options;
    this.#fetchTimeoutMs = options.fetchTimeoutMs ?? defaultFetchTimeoutMs;
  }

  /**
   * Takes over a key set that came another way, as with a registration. Keys that do not parse are passed over; a set without
   * a usable key is reported to `onError` and changes nothing.
   */
  async install(set: unknown): Promise<void> {
    try {
      await this.#apply(++this.#asked, set);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  /** These keys check nothing from now on, in no set that comes later either. [SEC-70] */
  revoke(kids: readonly string[]): void {
    for (const kid of kids) if (this.#revoked.size < maxRevoked) this.#revoked.add(kid);
    this.#keys = this.#unrevoked(this.#keys);
  }

  /**
   * Fetches now, as the publisher has said that its set is another: the interval is there for strangers. Shares a fetch with nobody,
   * for one that is under way may bring the old set. Does not throw.
   *
   * @returns whether a usable set has come
   */
  async refresh(): Promise<boolean> {
    const order = ++this.#asked;
    try {
      await this.#apply(order, await this.#options.fetchKeys());
      return true;
    } catch (error) {
      this.#options.onError?.(error);
      return false;
    }
  }

  /** The key of `kid`, after a fetch if need be; `undefined` if there is none. Does not throw, and waits at most `fetchTimeoutMs`. */
  async resolve(kid: string): Promise<CryptoKey | undefined> {
    const found = await this.lookup(kid);
    return found.status === "found" ? found.key : undefined;
  }

  /** As {@link resolve}, but tells a key that does not exist from a publisher that cannot be asked. */
  async lookup(kid: string): Promise<KeyLookup> {
    const { now, maxAgeMs } = this.#options;
    const known = this.#keys.get(kid);
    const age = now() - this.#loadedAt;
    if (known !== undefined && age <= maxAgeMs) return known;
    // A known key serves at once and the fetch goes on behind it, unless the set is so old that the key may long have been
    // withdrawn. While the publisher is away nobody waits for it again: the last good set is what there is.
    if (known !== undefined && (age <= 2 * maxAgeMs || this.#failures > 0)) {
      this.#join();
      return known;
    }
    const flight = this.#join();
    if (flight !== undefined) await this.#settled(flight);
    return this.#keys.get(kid) ?? { status: this.#failures > 0 ? "unavailable" : "unknown" };
  }

  /** The fetch that is under way, or a new one; `undefined` when it is too early for one. */
  #join(): Flight | undefined {
    const { now, refetchIntervalMs, keepAlive } = this.#options;
    if (this.#flight !== undefined) {
      if (now() - this.#flight.startedAt < this.#fetchTimeoutMs) return this.#flight;
      this.#abandon(this.#flight);
    }
    const backoffMs = this.#failures === 0 ? refetchIntervalMs : firstRetryMs * 2 ** (this.#failures - 1);
    if (now() - this.#attemptedAt < Math.min(backoffMs, refetchIntervalMs)) return undefined;
    this.#attemptedAt = now();
    const { promise: done, resolve: land } = Promise.withResolvers<void>();
    const flight: Flight = { startedAt: now(), done };
    this.#flight = flight;
    void this.#load(flight).then(land);
    // Even when somebody waits: a peer that hangs up must not take the fetch of all others with it.
    keepAlive?.(done);
    return flight;
  }

  async #load(flight: Flight): Promise<void> {
    const order = ++this.#asked;
    try {
      await this.#apply(order, await this.#options.fetchKeys());
      this.#failures = 0;
    } catch (error) {
      if (this.#flight === flight) this.#failures++;
      this.#options.onError?.(error);
    }
    if (this.#flight === flight) this.#flight = undefined;
  }

  async #settled(flight: Flight): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const expired = new Promise<true>((resolve) => {
      timer = setTimeout(() => resolve(true), this.#fetchTimeoutMs);
    });
    const late = await Promise.race([flight.done, expired]);
    clearTimeout(timer);
    if (late === true) this.#abandon(flight);
  }

  #abandon(flight: Flight): void {
    if (this.#flight !== flight) return;
    this.#flight = undefined;
    this.#failures++;
    this.#options.onError?.(new Error(`the key set did not arrive within ${this.#fetchTimeoutMs} ms`));
  }

  async #apply(order: number, set: unknown): Promise<void> {
    const keys = await importKeySet(set, this.#options.algorithms);
    if (order < this.#applied) return;
    this.#applied = order;
    this.#keys = this.#unrevoked(keys);
    this.#loadedAt = this.#options.now();
  }

  #unrevoked(keys: ReadonlyMap<string, FoundKey>): ReadonlyMap<string, FoundKey> {
    return new Map([...keys].filter(([kid]) => !this.#revoked.has(kid)));
  }
}

/** @throws Error when there is no usable key in it: such a set must not replace a good one. */
async function importKeySet(set: unknown, algorithms: readonly string[]): Promise<ReadonlyMap<string, FoundKey>> {
  if (!isRecord(set) || !Array.isArray(set["keys"])) throw new Error("the key set is not a JWKS");
  const entries: readonly unknown[] = set["keys"];
  if (entries.length > maxKeys) throw new Error(`the key set has more than ${maxKeys} keys`);
  const keys = new Map<string, FoundKey>();
  for (const entry of entries) {
    const imported = await importPublicKey(entry, algorithms);
    // The first of two keys with one id holds: an appended one must not be able to replace it.
    if (imported !== undefined && !keys.has(imported.kid)) keys.set(imported.kid, imported.found);
  }
  if (keys.size === 0) throw new Error("the key set has no usable key");
  return keys;
}

async function importPublicKey(
  value: unknown,
  algorithms: readonly string[],
): Promise<{ kid: string; found: FoundKey } | undefined> {
  if (!isRecord(value)) return undefined;
  const { kid, alg, use, key_ops: operations } = value;
  if (typeof kid !== "string" || kid === "") return undefined;
  if (typeof alg !== "string" || !algorithms.includes(alg)) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return undefined;
  const jwk = publicPart(value, alg);
  if (jwk === undefined) return undefined;
  try {
    const key = await importJWK(jwk, alg);
    if (key instanceof Uint8Array || key.type !== "public" || rsaBits(key) < minRsaBits) return undefined;
    return { kid, found: { status: "found", key, alg } };
  } catch {
    return undefined;
  }
}

/**
 * The members that make a public key of `alg`, and no others; `undefined` when it is of another kind, private or secret. A key
 * whose private half has been published proves nothing any more. The curve is compared here because workerd does not: it takes a
 * JWK that says P-384 for P-256.
 */
function publicPart(value: Record<string, unknown>, alg: string): JWK | undefined {
  const { kty, crv, x, y, n, e } = value;
  if ("d" in value || "k" in value) return undefined;
  if (alg === "ES256" && kty === "EC" && crv === "P-256" && isText(x) && isText(y)) return { kty, crv, x, y };
  if (alg === "RS256" && kty === "RSA" && isText(n) && isText(e)) return { kty, n, e };
  return undefined;
}

/** Size of an RSA key's modulus; infinite for keys of other kinds, whose size their algorithm fixes. */
function rsaBits(key: CryptoKey): number {
  const { algorithm } = key;
  return "modulusLength" in algorithm && typeof algorithm.modulusLength === "number"
    ? algorithm.modulusLength
    : Number.POSITIVE_INFINITY;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
