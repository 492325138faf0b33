import type { Seat } from "../domain/seats.ts";

/** A seat, and at which cluster it is. */
export interface PlacedSeat {
  readonly clusterId: string;
  readonly seat: Seat;
}

/** A player's seats in a shard, read when they are asked for, and again when a seat has changed since. */
export class OwnSeats {
  readonly #read: () => readonly PlacedSeat[];
  readonly #changes: () => number;
  #seats: readonly PlacedSeat[] = [];
  #asOf: number | undefined;

  constructor(read: () => readonly PlacedSeat[], changes: () => number) {
    this.#read = read;
    this.#changes = changes;
  }

  at(clusterId: string): Seat | undefined {
    return this.#current().find((placed) => placed.clusterId === clusterId)?.seat;
  }

  /** The cluster at which the seat of a reservation is. */
  clusterOf(reservationId: string): string | undefined {
    return this.#current().find(({ seat }) => seat.hold?.reservationId === reservationId)?.clusterId;
  }

  #current(): readonly PlacedSeat[] {
    const changes = this.#changes();
    if (this.#asOf !== changes) {
      this.#seats = this.#read();
      this.#asOf = changes;
    }
    return this.#seats;
  }
}
