import type { Snapshot } from "../../protocol/handover/parties.ts";
import type { Logger } from "../log.ts";
import type { PlayerHolder } from "../session/player-holder.ts";
import type { Packed, Parts } from "./player-packing.ts";
import type { Body } from "./stage.ts";

export type Snapshots = Readonly<Record<string, Snapshot<Body>>>;

/** What of a player it takes to bring it to rest. */
export interface Freezable {
  readonly id: string;
  /** Names it in the log. */
  readonly number: number;
  readonly isAtRest: boolean;
  giveUpRequests(): void;
  settleStreams(): boolean;
  rest(rests: boolean): void;
  freeze(holder: PlayerHolder): void;
}

export interface FreezerOptions<P extends Freezable> {
  readonly playerOf: (playerId: string) => P | undefined;
  /** What all of them take along; `undefined` when one cannot go: then they stay. */
  readonly pack: (players: readonly P[]) => readonly Packed<P>[] | undefined;
  readonly holder: PlayerHolder;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Told of each player that is frozen, and what its plugins gave along. */
  readonly onFrozen: (player: P, parts: Parts) => void;
}

interface Freeze<P> {
  /** As they were when the freeze began: who comes later with the same id is another one. */
  readonly players: readonly P[];
  /** Whether all who were meant were there. */
  readonly isComplete: boolean;
  readonly done: (snapshots: Snapshots) => void;
  readonly sinceMs: number;
  /** Requests of clients that took too long have been given up. */
  hurried: boolean;
}

/** How long a player's hooks and requests may take to come to their end: after the first, requests are given up; after the second, the freeze. */
const restMs = 400;
const longestMs = 900;

/** Brings players to rest, and takes their snapshots between two ticks: of a group all at once, or none. [HAND-6] */
export class Freezer<P extends Freezable> {
  readonly #options: FreezerOptions<P>;
  #waiting: Freeze<P>[] = [];

  constructor(options: FreezerOptions<P>) {
    this.#options = options;
  }

  freeze(playerIds: readonly string[], done: (snapshots: Snapshots) => void): void {
    const players = playerIds
      .map((playerId) => this.#options.playerOf(playerId))
      .filter((player) => player !== undefined);
    for (const player of players) player.rest(true);
    const isComplete = players.length === playerIds.length;
    this.#waiting.push({ players, isComplete, done, sinceMs: this.#options.nowMs(), hurried: false });
  }

  /** A tick is over. One that fails is none of the others' business: they are frozen all the same. */
  endTick(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const freeze of waiting) {
      try {
        this.#end(freeze, this.#try(freeze));
      } catch (error) {
        this.#options.log.error({ event: "freeze-failed", err: error }, "a handover failed as its players were frozen");
      }
    }
  }

  /** Those whom it takes along, none when they stay; `undefined` when it has to wait for another tick. */
  #try(freeze: Freeze<P>): readonly Packed<P>[] | undefined {
    const { players, isComplete, sinceMs } = freeze;
    const waitedMs = this.#options.nowMs() - sinceMs;
    if (!isComplete || !players.every((player) => this.#options.playerOf(player.id) === player)) return [];
    if (waitedMs >= longestMs) {
      this.#sayWhoIsBusy(players);
      return [];
    }
    try {
      if (players.every((player) => player.isAtRest && player.settleStreams()))
        return this.#options.pack(players) ?? [];
      if (waitedMs >= restMs && !freeze.hurried) {
        freeze.hurried = true;
        for (const player of players) player.giveUpRequests();
      }
      return undefined;
    } catch (error) {
      this.#options.log.error({ event: "freeze-failed", err: error }, "players could not be brought to rest, and stay");
      return [];
    }
  }

  /** Whoever wrote the game has to know: nobody else can do anything about it. */
  #sayWhoIsBusy(players: readonly P[]): void {
    for (const { number } of players.filter(({ isAtRest }) => !isAtRest)) {
      this.#options.log.warn(
        { event: "player-stays", player: number, code: "NOT_AT_REST" },
        `player ${number} cannot be handed over: a hook of it is not done after ${longestMs} ms. ` +
          "Don't await in a player's hook what takes long, least of all its own teleport",
      );
    }
  }

  #end(freeze: Freeze<P>, packed: readonly Packed<P>[] | undefined): void {
    if (packed === undefined) return void this.#waiting.push(freeze);
    for (const player of freeze.players) player.rest(false);
    const snapshots: Record<string, Snapshot<Body>> = {};
    for (const { player, parts, snapshot } of packed) {
      player.freeze(this.#options.holder);
      this.#options.onFrozen(player, parts);
      snapshots[player.id] = snapshot;
    }
    freeze.done(snapshots);
  }
}
