/** What a claim on a ticket id came to. `full` says that the table has no room for another one. */
export type ReplayClaim = "claimed" | "seen" | "full";

/** Names who claimed an id: its connection. */
export type ReplayHolder = object;

interface Claim {
  readonly holder: ReplayHolder;
  readonly bucket: number;
}

/** In place of a claim that is final. It names nobody: else all of a connection would stay for as long as its ticket could be used. */
const consumed = "consumed";

/**
 * Ticket ids that have been used. [TICKET-8]
 *
 * An id goes from unseen to pending, bound to the connection that claimed it, to consumed; a pending one may be given back.
 * Each is kept until its ticket has expired, skew included. The table is bounded: when it is full it refuses, and never
 * forgets an id whose ticket could still be used. All times are seconds since 1970.
 */
export class ReplayTable {
  readonly #maxEntries: number;
  readonly #skewSeconds: number;
  readonly #entries = new Map<string, Claim | typeof consumed>();
  /** Ids by the second in which they may be forgotten. */
  readonly #buckets = new Map<number, Set<string>>();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(maxEntries: number, skewSeconds: number) {
    this.#maxEntries = maxEntries;
    this.#skewSeconds = skewSeconds;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Marks `jti` as pending for `holder`, if nobody has used it. */
  claim(jti: string, holder: ReplayHolder, expiresAt: number, now: number): ReplayClaim {
    this.#sweep(now);
    if (this.#entries.has(jti)) return "seen";
    if (this.#entries.size >= this.#maxEntries) return "full";
    const bucket = Math.floor(expiresAt + this.#skewSeconds) + 1;
    this.#entries.set(jti, { holder, bucket });
    const ids = this.#buckets.get(bucket);
    if (ids === undefined) this.#buckets.set(bucket, new Set([jti]));
    else ids.add(jti);
    return "claimed";
  }

  /** The claim of `holder` becomes final. */
  consume(jti: string, holder: ReplayHolder): void {
    if (this.#claimOf(jti, holder) !== undefined) this.#entries.set(jti, consumed);
  }

  /** `holder` gives a pending id back: its ticket may be tried again. Without effect on a consumed one. */
  release(jti: string, holder: ReplayHolder): void {
    const claim = this.#claimOf(jti, holder);
    if (claim === undefined) return;
    this.#entries.delete(jti);
    this.#buckets.get(claim.bucket)?.delete(jti);
  }

  #claimOf(jti: string, holder: ReplayHolder): Claim | undefined {
    const entry = this.#entries.get(jti);
    return entry !== undefined && entry !== consumed && entry.holder === holder ? entry : undefined;
  }

  /** Forgets what has expired; at most once a second, as every claim calls it. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < 1) return;
    this.#sweptAt = now;
    for (const [bucket, ids] of this.#buckets) {
      if (bucket >= now) continue;
      for (const jti of ids) this.#entries.delete(jti);
      this.#buckets.delete(bucket);
    }
  }
}
