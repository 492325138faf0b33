import type { Seat } from "../../domain/clusters/seats.ts";

/** A seat, and at which cluster it is. */
export interface PlacedSeat {
  readonly clusterId: string;
  readonly seat: Seat;
}

/** How many players are remembered before all are forgotten. */
const maxPlayers = 8_192;

/**
 * All seats of players who were looked at lately: an allocation is followed by the report of the join, and by the allocation that takes
 * its place. To be told of every change after it is stored, and when a step was undone.
 */
export class SeatMemory {
  readonly #byPlayer = new Map<string, readonly PlacedSeat[]>();

  /** @param read all seats of the player, as they are stored */
  of(playerId: string, read: () => readonly PlacedSeat[]): readonly PlacedSeat[] {
    const known = this.#byPlayer.get(playerId);
    if (known !== undefined) return known;
    const seats = read();
    if (this.#byPlayer.size >= maxPlayers) this.#byPlayer.clear();
    this.#byPlayer.set(playerId, seats);
    return seats;
  }

  /** The seat that a player has at a cluster from now on; `undefined` for none. */
  change(clusterId: string, playerId: string, seat: Seat | undefined): void {
    const known = this.#byPlayer.get(playerId);
    if (known === undefined) return;
    const others = known.filter((placed) => placed.clusterId !== clusterId);
    this.#byPlayer.set(playerId, seat === undefined ? others : [...others, { clusterId, seat }]);
  }

  forget(): void {
    this.#byPlayer.clear();
  }
}
