import { features } from "../../protocol/index.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { Carrier, Peers } from "../peers/peers.ts";
import type { Placement } from "../plugin/player.ts";
import type { Point } from "../fragments/layout.ts";

/** As much of a player as the border needs. */
export interface BorderPlayer {
  readonly id: string;
  readonly position: Placement;
  readonly connected: boolean;
  /** Whether a handover has it. */
  readonly held: boolean;
  readonly arriving: boolean;
  readonly hasClient: boolean;
  has(feature: number): boolean;
}

export interface BorderWatchOptions<P extends BorderPlayer> {
  readonly peers: Pick<Peers, "carrierOf" | "addressOf">;
  readonly world: {
    /** Whether a point is farther out of the player's fragment than the margin, and at most so much farther. */
    isBeyond(player: P, point: Point): "no" | "within-overrun" | "too-far";
  };
  readonly players: Iterable<P>;
  /** Ticks on end that a player has to be beyond the border. */
  readonly dwellTicks: () => number;
  readonly nowMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /**
   * Whether the player's session knows that it is here, and nothing is asked of it: before the one nobody could take the player over, and what is
   * asked, a newer ticket's entry, is about the copy here.
   */
  readonly isSettled: (player: P) => boolean;
  /** Who goes together with a player, itself included. */
  readonly groupOf: (player: P) => readonly P[];
  readonly begin: (players: readonly P[], destination: ClusterRef) => boolean;
}

interface Crossing {
  ticks: number;
  attempts: number;
  /** No attempt before. */
  restUntilMs: number;
}

/** Longest rest after an attempt that came to nothing. */
const longestRestMs = 30_000;
const firstRestMs = 1_000;
/** After this many attempts a drain waits for the player no longer. */
const mostAttempts = 4;
/** Least time for which a player that has come stays. */
const leastStayMs = 1_000;
/** So that a drain of thousands does not stop all of them at once. */
const mostBegunATick = 16;
/** Least time between two looks at all players. */
const sweepMs = 1_000;

/**
 * Begins the handover of players who step into what another cluster carries, and stay there for the dwell time. Until they have gone
 * they play on here, and may walk on by a bounded margin.
 */
export class BorderWatch<P extends BorderPlayer> {
  readonly #options: BorderWatchOptions<P>;
  readonly #crossings = new Map<P, Crossing>();
  readonly #arrivedAtMs = new WeakMap<P, number>();
  #sweptAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: BorderWatchOptions<P>) {
    this.#options = options;
  }

  /** Whether a player may step to a point that lies in another cluster's area; asked for steps that leave the margin. */
  admits(player: P, point: Point): boolean {
    const { world } = this.#options;
    if (world.isBeyond(player, point) !== "within-overrun") return false;
    // One that is out there already, because its handover came to nothing, must be able to walk back.
    const isOut = world.isBeyond(player, player.position) !== "no";
    if (!isOut && !(this.canBeHandedOver(player) && this.carrierOf(point) !== undefined)) return false;
    this.#note(player);
    return true;
  }

  /** A player has come from another cluster. */
  arrived(player: P): void {
    this.#arrivedAtMs.set(player, this.#options.nowMs());
  }

  /** Whether a player could be handed over, wherever it stands. */
  canBeHandedOver(player: P): boolean {
    return player.has(features.handover) && player.hasClient && !player.arriving && !player.held;
  }

  /** Whether a player that stands where another cluster has taken over can be expected to go there. */
  isExpectedToMove(player: P): boolean {
    const attempts = this.#crossings.get(player)?.attempts ?? 0;
    return attempts < mostAttempts && this.canBeHandedOver(player) && this.carrierOf(player.position) !== undefined;
  }

  /** Whether a player can go to another cluster now. One that has just come stays for a moment: nobody swings over a border. */
  readiness(player: P): "ready" | "busy" | "unsupported" {
    const { isSettled, nowMs } = this.#options;
    if (!player.has(features.handover)) return "unsupported";
    const stayedMs = nowMs() - (this.#arrivedAtMs.get(player) ?? Number.NEGATIVE_INFINITY);
    return stayedMs >= leastStayMs && this.canBeHandedOver(player) && isSettled(player) ? "ready" : "busy";
  }

  /** Who takes players over there, if that is possible now. */
  carrierOf({ x, y, z }: Point): Carrier | undefined {
    const { peers } = this.#options;
    const carrier = peers.carrierOf(x, y, z);
    return carrier?.linked === true && peers.addressOf(carrier.clusterId) !== undefined ? carrier : undefined;
  }

  /** A tick is over. */
  endTick(): void {
    this.#sweep();
    let begun = 0;
    for (const [player, crossing] of this.#crossings) {
      if (!player.connected || this.#options.world.isBeyond(player, player.position) === "no") {
        this.#crossings.delete(player);
        continue;
      }
      crossing.ticks += 1;
      if (crossing.ticks < this.#options.dwellTicks() || begun >= mostBegunATick) continue;
      if (this.#try(player, crossing)) begun += 1;
    }
  }

  #try(player: P, crossing: Crossing): boolean {
    const { nowMs, random, begin, groupOf } = this.#options;
    if (nowMs() < crossing.restUntilMs) return false;
    const carrier = this.carrierOf(player.position);
    const group = groupOf(player);
    if (carrier === undefined || !group.every((one) => this.#isReady(one, carrier))) return false;
    const restMs = Math.min(longestRestMs, firstRestMs * 2 ** Math.min(crossing.attempts, 8));
    // Whatever comes of it: if the player is still here then, it is tried again.
    crossing.restUntilMs = nowMs() + restMs * (0.75 + random() / 2);
    const hasBegun = begin(group, { clusterId: carrier.clusterId, boot: carrier.boot });
    // One whose handover before is in doubt cannot begin another: that says nothing about whether it can go.
    if (hasBegun) crossing.attempts += 1;
    return hasBegun;
  }

  #isReady(player: P, { clusterId }: Carrier): boolean {
    return this.readiness(player) === "ready" && this.carrierOf(player.position)?.clusterId === clusterId;
  }

  /** Those who stand still where another cluster has taken over. */
  #sweep(): void {
    const { nowMs, players, world } = this.#options;
    if (nowMs() - this.#sweptAtMs < sweepMs) return;
    this.#sweptAtMs = nowMs();
    for (const player of players) if (world.isBeyond(player, player.position) !== "no") this.#note(player);
  }

  #note(player: P): void {
    if (!this.#crossings.has(player)) this.#crossings.set(player, { ticks: 0, attempts: 0, restUntilMs: 0 });
  }
}
