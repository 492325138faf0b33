/** Somebody's place in a queue: a player's, or a party's, which is served as a whole. */
export interface Place {
  /** Rises with every place of a queue: who has the lesser one came first. */
  readonly sequence: number;
  /** The player or the party; each has one place at most. */
  readonly visitor: string;
  /** The operation that the place is for. */
  readonly reservationId: string;
  /** How many seats it takes. */
  readonly size: number;
  readonly joinedAtMs: number;
  /** When its visitor has come again, if it comes when it was told to. After that nobody waits for it. */
  readonly dueAtMs: number;
  /** Without another visit until then the place is given up. */
  readonly expiresAtMs: number;
}

/** Who comes, and for what. */
export type Visit = Pick<Place, "visitor" | "reservationId" | "size">;

/** Most places of one queue. Stops a crowd of accounts from filling an object. */
export const maxPlaces = 10_000;

/**
 * A queue in order: first come, first served. Holds no clock: times come with the calls. What it says to have changed is for its
 * owner to store.
 */
export class WaitingLine {
  /** By sequence. */
  #places: Place[];
  readonly #sequences = new Map<string, number>();
  #lastSequence: number;
  readonly #bound: number;

  constructor(places: readonly Place[], lastSequence = 0, bound = maxPlaces) {
    this.#places = places.toSorted((a, b) => a.sequence - b.sequence);
    for (const { visitor, sequence } of places) this.#sequences.set(visitor, sequence);
    this.#lastSequence = Math.max(lastSequence, this.#places.at(-1)?.sequence ?? 0);
    this.#bound = bound;
  }

  get length(): number {
    return this.#places.length;
  }

  /** All places, the first in line first. */
  get places(): readonly Place[] {
    return this.#places;
  }

  placeOf(visitor: string): Place | undefined {
    const sequence = this.#sequences.get(visitor);
    return sequence === undefined ? undefined : this.#places[this.#indexOf(sequence)];
  }

  /** How many are before this one. */
  aheadOf(place: Pick<Place, "sequence">): number {
    return this.#indexOf(place.sequence);
  }

  /** A place at the end; the one that the visitor has, for whatever operation; `undefined` when the queue is full. Who is late is there now. */
  enter({ visitor, reservationId, size }: Visit, nowMs: number): Place | undefined {
    const known = this.placeOf(visitor);
    if (known !== undefined) return this.#put({ ...known, reservationId, size, dueAtMs: nowMs + minPatienceMs });
    if (this.#places.length >= this.#bound) return undefined;
    this.#lastSequence += 1;
    const place = {
      sequence: this.#lastSequence,
      visitor,
      reservationId,
      size,
      joinedAtMs: nowMs,
      dueAtMs: nowMs + minPatienceMs,
      expiresAtMs: nowMs + minPatienceMs,
    };
    this.#places.push(place);
    this.#sequences.set(visitor, place.sequence);
    return place;
  }

  /** The visitor was told when to come again. */
  keep(place: Place, times: Pick<Place, "dueAtMs" | "expiresAtMs">): Place {
    return this.#put({ ...place, ...times });
  }

  /** Gives a place up, if it still is for that operation. */
  leave({ visitor, reservationId }: Pick<Place, "visitor" | "reservationId">): Place | undefined {
    const place = this.placeOf(visitor);
    if (place?.reservationId !== reservationId) return undefined;
    this.#remove(place);
    return place;
  }

  /** Drops the places of those who have not come again in time. */
  expire(nowMs: number): readonly Place[] {
    const expired = this.#places.filter((place) => place.expiresAtMs <= nowMs);
    if (expired.length === 0) return expired;
    this.#places = this.#places.filter((place) => place.expiresAtMs > nowMs);
    for (const { visitor } of expired) this.#sequences.delete(visitor);
    return expired;
  }

  #put(place: Place): Place {
    this.#places[this.#indexOf(place.sequence)] = place;
    return place;
  }

  #remove(place: Place): void {
    this.#places.splice(this.#indexOf(place.sequence), 1);
    this.#sequences.delete(place.visitor);
  }

  /** The index of the first place whose sequence is not below this one. */
  #indexOf(sequence: number): number {
    let [low, high] = [0, this.#places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#places[middle]?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Least time for which a place is kept without a visit. */
export const minPatienceMs = 15_000;
