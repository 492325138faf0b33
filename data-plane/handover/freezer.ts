import type { Snapshot } from "../../protocol/handover/parties.ts";
import { encodePlayerState, PlayerStateError } from "../authority/player-state.ts";
import type { Logger } from "../log.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";
import type { PlayerHolder } from "../session/player-holder.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import { encodeCarriedFacts } from "./carried-facts.ts";
import type { Body } from "./stage.ts";

export type Parts = ReadonlyMap<string, Uint8Array>;
export type Snapshots = Readonly<Record<string, Snapshot<Body>>>;

export interface FreezerOptions {
  readonly playerOf: (playerId: string) => JoinedPlayer | undefined;
  readonly host: Pick<PluginHost, "migrateOut" | "migrateIn">;
  readonly world: Pick<ClusterWorld, "snapshot"> | undefined;
  /** What the game has saved of a player. */
  readonly savedOf: (player: JoinedPlayer) => Uint8Array | undefined;
  readonly holder: PlayerHolder;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Told of each player that is frozen, and what its plugins gave along. */
  readonly onFrozen: (player: JoinedPlayer, parts: Parts) => void;
}

interface Freeze {
  readonly playerIds: readonly string[];
  readonly done: (snapshots: Snapshots) => void;
  readonly sinceMs: number;
  /** Requests of clients that took too long have been given up. */
  hurried: boolean;
}

/** So long a player's hooks and requests may take to come to their end; then requests are given up, and then the freeze. */
const restMs = 400;
const longestMs = 900;

interface Packed {
  readonly player: JoinedPlayer;
  readonly parts: Parts;
  readonly snapshot: Snapshot<Body>;
}

/** Brings players to rest, and takes their snapshots between two ticks: of a group all at once, or none. [HAND-6] */
export class Freezer {
  readonly #options: FreezerOptions;
  #waiting: Freeze[] = [];

  constructor(options: FreezerOptions) {
    this.#options = options;
  }

  freeze(playerIds: readonly string[], done: (snapshots: Snapshots) => void): void {
    for (const playerId of playerIds) this.#options.playerOf(playerId)?.rest(true);
    this.#waiting.push({ playerIds, done, sinceMs: this.#options.nowMs(), hurried: false });
  }

  /** A tick is over. */
  endTick(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const freeze of waiting) this.#try(freeze);
  }

  #try(freeze: Freeze): void {
    const { playerIds, done, sinceMs } = freeze;
    const players = playerIds
      .map((playerId) => this.#options.playerOf(playerId))
      .filter((player) => player !== undefined);
    const waitedMs = this.#options.nowMs() - sinceMs;
    const isPossible = players.length === playerIds.length && waitedMs < longestMs;
    if (isPossible && !players.every((player) => player.isAtRest && player.settleStreams())) {
      if (waitedMs >= restMs && !freeze.hurried) {
        freeze.hurried = true;
        for (const player of players) player.handling.giveUp();
      }
      this.#waiting.push(freeze);
      return;
    }
    const packed = isPossible ? this.#pack(players) : undefined;
    for (const player of players) player.rest(false);
    const snapshots: Record<string, Snapshot<Body>> = {};
    for (const { player, parts, snapshot } of packed ?? []) {
      player.freeze(this.#options.holder);
      this.#options.onFrozen(player, parts);
      snapshots[player.id] = snapshot;
    }
    done(snapshots);
  }

  /** What all of them take along; `undefined` when one cannot go: then they stay. */
  #pack(players: readonly JoinedPlayer[]): readonly Packed[] | undefined {
    const { host } = this.#options;
    const given: { player: JoinedPlayer; parts: Parts }[] = [];
    for (const player of players) {
      const parts = host.migrateOut(player.lane, player);
      if (parts === undefined) break;
      given.push({ player, parts });
    }
    const packed = given.length < players.length ? [] : given.flatMap((one) => this.#snapshot(one) ?? []);
    if (packed.length === players.length) return packed;
    for (const { player, parts } of given) host.migrateIn(player.lane, player, parts);
    return undefined;
  }

  #snapshot({ player, parts }: { readonly player: JoinedPlayer; readonly parts: Parts }): Packed | undefined {
    const { world, savedOf, log } = this.#options;
    // The hooks may have said something to it, or have ended it.
    if (!player.connected || player.streams === undefined || !player.settleStreams()) return undefined;
    const { placement, fragment, values } = world?.snapshot(player) ?? {
      placement: player.position,
      fragment: player.fragment,
      values: {},
    };
    const { lastInput, lastOutput, unacknowledged } = player.streams.export();
    try {
      const state = encodePlayerState({
        placement,
        fragment,
        values,
        saved: savedOf(player),
        carried: encodeCarriedFacts({
          name: player.name,
          reservationId: player.seat.reservationId,
          ticketFragment: player.ticketFragment,
          version: player.version,
          features: player.features,
          lastRequest: player.requests.lastId,
          moveSequence: player.moveSequence,
        }),
        parts,
      });
      const { tenure, past } = player;
      const kept = unacknowledged.map((frame) => new Uint8Array(frame));
      return {
        player,
        parts,
        snapshot: { state, streams: { tenure, past, lastInput, lastOutput, unacknowledged: kept } },
      };
    } catch (error) {
      if (!(error instanceof PlayerStateError)) throw error;
      log.warn(
        { event: "player-stays", player: player.number, code: error.code, err: error },
        `player ${player.number} cannot be handed over: ${error.message}`,
      );
      return undefined;
    }
  }
}
