import type { ReportPart, SeatRef } from "../../protocol/index.ts";

/** A list of everyone that goes out in parts: whom it still has to name, and what of it is on its way. */
export class FullListing {
  readonly #of: number;
  readonly #names: readonly string[];
  /** How many have been acknowledged. */
  #done = 0;
  #index = 0;
  /** What the part that is not acknowledged yet has named. */
  #sentUntil = 0;

  /**
   * @param of the sequence of the report that will be its first part
   * @param names under which they are present
   */
  constructor(of: number, names: readonly string[]) {
    this.#of = of;
    this.#names = names;
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
    for (; until < this.#names.length && seats.length < room; until += 1) {
      const seat = present.get(this.#names[until] ?? "");
      if (seat !== undefined) seats.push(seat);
    }
    this.#sentUntil = until;
    return { seats, part: { of: this.#of, index: this.#index, last: until >= this.#names.length } };
  }

  /** The part that was taken last is durable. Returns whether it was the last of all. */
  acknowledge(): boolean {
    this.#done = this.#sentUntil;
    this.#index += 1;
    return this.#done >= this.#names.length;
  }
}
