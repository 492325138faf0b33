import { maxCommitLength, snapshotsLength } from "../../protocol/handover/commit-length.ts";
import type { Snapshot } from "../../protocol/handover/parties.ts";
import { features } from "../../protocol/index.ts";
import { encodePlayerState, PlayerStateError } from "../authority/player-state.ts";
import type { Logger } from "../log.ts";
import type { Placement } from "../plugin/player.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import { encodeCarriedFacts } from "../session/carried-facts.ts";
import type { Body } from "./stage.ts";

/** What plugins gave along, by their names. */
export type Parts = ReadonlyMap<string, Uint8Array>;

export interface PackingOptions {
  readonly host: Pick<PluginHost, "migrateOut" | "migrateIn">;
  readonly world: Pick<ClusterWorld, "snapshot" | "nameAt"> | undefined;
  /** What the game has saved of a player, to be put into its snapshot. */
  readonly saved: (player: JoinedPlayer) => Uint8Array | undefined;
  /** Where its game teleports it; `undefined` for who walks. */
  readonly targetOf: (player: JoinedPlayer) => Placement | undefined;
  readonly log: Logger;
}

export interface Packed<P> {
  readonly player: P;
  readonly parts: Parts;
  readonly snapshot: Snapshot<Body>;
}

/** Takes the snapshots of players at rest, with what their plugins give along. */
export class PlayerPacking {
  readonly #options: PackingOptions;

  constructor(options: PackingOptions) {
    this.#options = options;
  }

  /** What all of them take along; `undefined` when one cannot go: then they stay. */
  pack(players: readonly JoinedPlayer[]): readonly Packed<JoinedPlayer>[] | undefined {
    const { host } = this.#options;
    const given: { player: JoinedPlayer; parts: Parts }[] = [];
    for (const player of players) {
      // What was asked of the others may have ended it.
      const parts = player.connected ? host.migrateOut(player.lane, player) : undefined;
      if (parts === undefined) break;
      given.push({ player, parts });
    }
    const packed = given.length < players.length ? [] : given.flatMap((one) => this.#snapshot(one) ?? []);
    if (packed.length === players.length && this.#fits(packed)) return packed;
    for (const { player, parts } of given) host.migrateIn(player.lane, player, parts);
    return undefined;
  }

  /** Whether the master can decide about all of them at once. [HAND-21] */
  #fits(packed: readonly Packed<JoinedPlayer>[]): boolean {
    const length = snapshotsLength(
      packed.map(({ snapshot }) => snapshot),
      base64Length,
    );
    if (length <= maxCommitLength) return true;
    const numbers = packed.map(({ player }) => player.number);
    this.#options.log.warn(
      { event: "group-stays", players: numbers, code: "GROUP_TOO_LARGE", length },
      `players ${numbers.join(", ")} cannot be handed over together: what there is to move of them takes up ${length} characters of base64, ` +
        `over ${maxCommitLength}; keep fewer players together, or less of each`,
    );
    return false;
  }

  #snapshot({
    player,
    parts,
  }: {
    readonly player: JoinedPlayer;
    readonly parts: Parts;
  }): Packed<JoinedPlayer> | undefined {
    const { world, saved, targetOf, log } = this.#options;
    // The hooks may have said something to it, or have ended it.
    if (!player.connected || player.streams === undefined || !player.settleStreams()) return undefined;
    const stands = world?.snapshot(player) ?? { placement: player.position, fragment: player.fragment, values: {} };
    const target = targetOf(player);
    // The last thing in the snapshot: it has been teleported. Who plays on here has not. [HAND-19]
    const { placement, fragment, values } =
      target === undefined ? stands : { ...stands, placement: target, fragment: world?.nameAt(target) ?? "" };
    const { lastInput, lastOutput, unacknowledged } = player.streams.export();
    try {
      const state = encodePlayerState({
        placement,
        fragment,
        values,
        saved: saved(player),
        carried: encodeCarriedFacts({
          name: player.name,
          reservationId: player.seat.reservationId,
          ticketFragment: player.ticketFragment,
          version: player.version,
          // Clusters of before AHEAD would not take a player for it. [AHEAD-1]
          features: player.features & ~features.ahead,
          lastRequest: player.lastRequest,
          moveSequence: player.place.moveSequence,
          isPut: target !== undefined,
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
      const code = error instanceof PlayerStateError ? error.code : "INTERNAL";
      const text = error instanceof Error ? error.message : String(error);
      log.warn(
        { event: "player-stays", player: player.number, code, err: error },
        `player ${player.number} cannot be handed over: ${text}`,
      );
      return undefined;
    }
  }
}

function base64Length({ length }: Uint8Array): number {
  return Math.ceil(length / 3) * 4;
}
