import { AuthError } from "./auth-error.ts";

/** How many requests an address may make, by kind; the defaults of a hosted project are 150, 30 and 30. */
export interface RateLimits {
  readonly tokensPerFiveMinutes: number;
  readonly signUpsPerFiveMinutes: number;
  readonly anonymousSignUpsPerHour: number;
  /** Default 30. */
  readonly verificationsPerFiveMinutes?: number;
}

export type RateLimitKind = "token" | "signup" | "anonymous" | "verify";

interface Bucket {
  tokens: number;
  updatedAt: number;
}

const fiveMinutesMs = 300_000;
const hourMs = 3_600_000;
/** Beyond this the oldest are forgotten: memory is bounded, whoever asks. */
const maxBuckets = 10_000;

/** A bucket of tokens for each address and kind, refilled steadily. */
export class RateLimiter {
  readonly #limits: Record<RateLimitKind, { readonly burst: number; readonly windowMs: number }>;
  readonly #buckets = new Map<string, Bucket>();
  readonly #clock: () => number;

  constructor(limits: RateLimits, clock: () => number) {
    this.#limits = {
      token: { burst: limits.tokensPerFiveMinutes, windowMs: fiveMinutesMs },
      signup: { burst: limits.signUpsPerFiveMinutes, windowMs: fiveMinutesMs },
      anonymous: { burst: limits.anonymousSignUpsPerHour, windowMs: hourMs },
      verify: { burst: limits.verificationsPerFiveMinutes ?? 30, windowMs: fiveMinutesMs },
    };
    this.#clock = clock;
  }

  /** @throws AuthError 429 `over_request_rate_limit` */
  take(kind: RateLimitKind, address: string): void {
    const { burst, windowMs } = this.#limits[kind];
    const key = `${kind} ${address}`;
    const now = this.#clock();
    const bucket = this.#buckets.get(key) ?? { tokens: burst, updatedAt: now };
    const refilled = ((now - bucket.updatedAt) / windowMs) * burst;
    bucket.tokens = Math.min(burst, bucket.tokens + Math.max(0, refilled));
    bucket.updatedAt = now;
    // Re-inserted at the end: the map stays in order of use.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxBuckets && oldest !== undefined) this.#buckets.delete(oldest);
    if (bucket.tokens < 1) throw new AuthError(429, "over_request_rate_limit", "Request rate limit reached");
    bucket.tokens -= 1;
  }
}
