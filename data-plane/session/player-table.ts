import type { SeatRef } from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";

/** Fences that outlive their player. Past this the oldest goes: tickets behind it have most likely expired. */
const maxFloors = 100_000;

/** What the table needs to know of a player. */
interface SeatedPlayer {
  readonly id: string;
  readonly number: number;
  readonly seat: SeatRef;
}

interface Floor {
  /** The least generation that may still join. */
  readonly generation: number;
  /** Until when older tickets may exist; monotonic milliseconds. */
  readonly untilMs: number;
}

/**
 * Who is in the game, and which generations of each player may not join any more. One player has at most one session; only
 * a newer generation takes the place of an older one. [TICKET-9]
 */
export class PlayerTable<P extends SeatedPlayer = JoinedPlayer> {
  readonly #byNumber = new Map<number, P>();
  readonly #byId = new Map<string, P>();
  /** Those that have gone on to another cluster, and whose clients may still come by here. */
  readonly #departed = new Map<number, P>();
  readonly #floors = new Map<string, Floor>();
  readonly #floorLifetimeMs: number;
  readonly #nowMs: () => number;
  #lastNumber = 0;

  /** @param floorLifetimeMs how long a ticket may be usable: so long a fence has to hold after its player has left */
  constructor(floorLifetimeMs: number, nowMs: () => number) {
    this.#floorLifetimeMs = floorLifetimeMs;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  [Symbol.iterator](): Iterator<P> {
    return this.#byNumber.values();
  }

  byNumber(number: number): P | undefined {
    return this.#byNumber.get(number);
  }

  byId(playerId: string): P | undefined {
    return this.#byId.get(playerId);
  }

  /** Whether a ticket of this generation may join: it is newer than what the player has or had here. */
  admits(playerId: string, generation: number): boolean {
    const live = this.#byId.get(playerId);
    if (live !== undefined && generation <= live.seat.generation) return false;
    const floor = this.#floors.get(playerId);
    return floor === undefined || floor.untilMs < this.#nowMs() || generation >= floor.generation;
  }

  /** A number that no player has. */
  takeNumber(): number {
    do {
      this.#lastNumber = this.#lastNumber >= 0xffff_ffff ? 1 : this.#lastNumber + 1;
    } while (this.#byNumber.has(this.#lastNumber) || this.#departed.has(this.#lastNumber));
    return this.#lastNumber;
  }

  /** The player with this number that has gone on to another cluster. */
  departed(number: number): P | undefined {
    return this.#departed.get(number);
  }

  /** The player has gone on to another cluster; its number stays its own. */
  depart(player: P): void {
    this.remove(player);
    this.#departed.set(player.number, player);
  }

  /** Nothing of a player that has departed is needed any more. */
  forget(player: P): void {
    if (this.#departed.get(player.number) === player) this.#departed.delete(player.number);
  }

  add(player: P): void {
    this.forget(player);
    this.#byNumber.set(player.number, player);
    this.#byId.set(player.id, player);
  }

  /** The player is out; its generation and older ones stay out. */
  remove(player: P): void {
    this.#byNumber.delete(player.number);
    if (this.#byId.get(player.id) === player) this.#byId.delete(player.id);
    this.#raise(player.id, player.seat.generation + 1);
  }

  /**
   * Generations of this player below `generation` have lost their authority.
   *
   * @returns the player in the game whose session has to end for it
   */
  fence(playerId: string, generation: number): P | undefined {
    this.#raise(playerId, generation);
    const live = this.#byId.get(playerId);
    return live !== undefined && live.seat.generation < generation ? live : undefined;
  }

  #raise(playerId: string, generation: number): void {
    const floor = this.#floors.get(playerId);
    // Set anew, so that the map stays in the order of age.
    this.#floors.delete(playerId);
    this.#floors.set(playerId, {
      generation: Math.max(generation, floor?.generation ?? 0),
      untilMs: this.#nowMs() + this.#floorLifetimeMs,
    });
    for (const [oldestId, oldest] of this.#floors) {
      if (oldest.untilMs >= this.#nowMs() && this.#floors.size <= maxFloors) break;
      this.#floors.delete(oldestId);
    }
  }
}
