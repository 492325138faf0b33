import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { Carrier } from "../peers/peers.ts";
import type { Placement, TeleportOutcome } from "../plugin/player.ts";
import { type SourceStepTaken, teleportOutcome } from "./teleport-outcome.ts";

/** As much of a player as its teleport needs. */
export interface TeleportedPlayer {
  readonly id: string;
  readonly position: Placement;
  readonly connected: boolean;
}

export interface TeleportsOptions<P extends TeleportedPlayer> {
  /** Who carries a place, and takes players over there now; `undefined` where nobody does. */
  readonly carrierOf: (place: Placement) => Carrier | undefined;
  /** Whether a player can go to another cluster now, and otherwise why not. */
  readonly readiness: (player: P) => "ready" | "busy" | "unsupported";
  /** Who goes together with a player, itself included. */
  readonly groupOf: (player: P) => readonly P[];
  /** Begins a handover. @returns its id, if it has begun */
  readonly begin: (players: readonly P[], destination: ClusterRef) => string | undefined;
}

interface Teleport<P> {
  readonly player: P;
  readonly to: Placement;
  readonly resolve: (outcome: TeleportOutcome) => void;
  /** Its handover, once that has begun. */
  handoverId: string | undefined;
}

/** So that a game that gathers everybody does not stop all of them at once. */
const mostBegunATick = 16;

/**
 * Teleports to places that another cluster carries: begun at the end of the tick in which the game asked, as handovers, and answered when
 * these have come to something. Spec: docs/HANDOVER.md, section 12.1. [HAND-19]
 */
export class Teleports<P extends TeleportedPlayer> {
  readonly #options: TeleportsOptions<P>;
  /** One a player, the oldest first. */
  readonly #underWay = new Map<P, Teleport<P>>();

  constructor(options: TeleportsOptions<P>) {
    this.#options = options;
  }

  /** The game wants a player to be where another cluster carries. */
  ask(player: P, to: Placement): Promise<TeleportOutcome> {
    if (this.#underWay.has(player)) return Promise.resolve("busy");
    if (this.#options.carrierOf(to) === undefined) return Promise.resolve("unreachable");
    const { promise, resolve } = Promise.withResolvers<TeleportOutcome>();
    this.#underWay.set(player, { player, to, resolve, handoverId: undefined });
    return promise;
  }

  has(player: P): boolean {
    return this.#underWay.has(player);
  }

  /** Where a player is to stand at the destination, if a handover teleports it. */
  targetOf(player: P): Placement | undefined {
    const teleport = this.#underWay.get(player);
    return teleport?.handoverId === undefined ? undefined : teleport.to;
  }

  /** A tick is over. */
  endTick(): void {
    if (this.#underWay.size === 0) return;
    let begun = 0;
    for (const teleport of this.#underWay.values()) {
      if (teleport.handoverId !== undefined) continue;
      if (begun >= mostBegunATick) return;
      begun += 1;
      this.#begin(teleport);
    }
  }

  /** A handover of which this cluster is the source has taken a step. */
  stepTaken(step: SourceStepTaken): void {
    if (this.#underWay.size === 0) return;
    for (const { player, handoverId } of this.#underWay.values()) {
      if (handoverId !== step.after.id) continue;
      const outcome = teleportOutcome(step, player.id);
      if (outcome !== undefined) this.#end(player, outcome);
    }
  }

  #begin({ player, to }: Teleport<P>): void {
    const { carrierOf, groupOf, begin } = this.#options;
    const group = groupOf(player);
    const carrier = carrierOf(to);
    const obstacle = carrier === undefined ? "unreachable" : this.#obstacleOf(group, carrier);
    const handoverId =
      obstacle === undefined && carrier !== undefined
        ? begin(group, { clusterId: carrier.clusterId, boot: carrier.boot })
        : undefined;
    for (const one of group) {
      const teleport = this.#underWay.get(one);
      if (teleport === undefined) continue;
      if (handoverId === undefined) this.#end(one, obstacle ?? "busy");
      else teleport.handoverId = handoverId;
    }
  }

  /** What keeps a group from going to a cluster together. */
  #obstacleOf(group: readonly P[], { clusterId }: Carrier): TeleportOutcome | undefined {
    const { carrierOf, readiness } = this.#options;
    for (const player of group) {
      if (!player.connected) return "left";
      const place = this.#underWay.get(player)?.to ?? player.position;
      if (carrierOf(place)?.clusterId !== clusterId) return "apart";
      const found = readiness(player);
      if (found !== "ready") return found;
    }
    return undefined;
  }

  #end(player: P, outcome: TeleportOutcome): void {
    const teleport = this.#underWay.get(player);
    this.#underWay.delete(player);
    const playsHere = outcome !== "handed-over" && outcome !== "left";
    teleport?.resolve(playsHere && !player.connected ? "left" : outcome);
  }
}
