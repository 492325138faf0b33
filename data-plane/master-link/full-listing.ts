import type { ReportPart, SeatRef } from "../../protocol/index.ts";

/** A list of everyone that goes out in parts: whom it still has to name, and what of it is on its way. */
export class FullListing {
  readonly #of: number;
  readonly #reservationIds: readonly string[];
  /** How many have been acknowledged. */
  #done = 0;
  #index = 0;
  /** What the part that is not acknowledged yet has named. */
  #sentUntil = 0;

  /** @param of the sequence of the report that will be its first part */
  constructor(of: number, reservationIds: readonly string[]) {
    this.#of = of;
    this.#reservationIds = reservationIds;
  }

  /**
   * The next part, or the same one again until it is acknowledged.
   *
   * @param present who is in the game now: of the list, those who have left in the meantime are passed over
   * @param room for how many there is
   */
  take(
    present: ReadonlyMap<string, SeatRef>,
    room: number,
  ): { readonly seats: readonly SeatRef[]; readonly part: ReportPart } {
    const seats: SeatRef[] = [];
    let until = this.#done;
    for (; until < this.#reservationIds.length && seats.length < room; until += 1) {
      const seat = present.get(this.#reservationIds[until] ?? "");
      if (seat !== undefined) seats.push(seat);
    }
    this.#sentUntil = until;
    return { seats, part: { of: this.#of, index: this.#index, last: until >= this.#reservationIds.length } };
  }

  /** The part that was taken last is durable. Returns whether it was the last of all. */
  acknowledge(): boolean {
    this.#done = this.#sentUntil;
    this.#index += 1;
    return this.#done >= this.#reservationIds.length;
  }
}
