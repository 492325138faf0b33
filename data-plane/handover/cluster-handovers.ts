import type { ClusterRef, CommitClaims } from "../../protocol/handover/parties.ts";
import { isOwnEntry } from "../../protocol/handover/entry.ts";
import type { FromSession } from "../../protocol/handover/messages.ts";
import type { SessionDesk } from "../authority/session-desk.ts";
import type { Logger } from "../log.ts";
import type { Peers } from "../peers/peers.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";
import type { SessionContext } from "../session/session-context.ts";
import { ArrivalDesk } from "./arrival-desk.ts";
import { BorderWatch } from "./border-watch.ts";
import { Handovers } from "./handovers.ts";
import type { PlayerGroups } from "./player-groups.ts";
import { PlayerStage, type PlayerStageOptions } from "./player-stage.ts";
import type { Body } from "./stage.ts";
import { Teleports } from "./teleports.ts";

export interface ClusterHandoversOptions {
  readonly context: SessionContext;
  readonly peers: Peers;
  readonly desk: Pick<SessionDesk, "tell" | "listen">;
  readonly saves: PlayerStageOptions["saves"] & {
    /** Whether the player's session knows that it is here. */
    isEntered(player: JoinedPlayer): boolean;
  };
  /** What a token says, if its signature holds and it is for this cluster. */
  readonly verify: (token: string) => Promise<CommitClaims | undefined>;
  /** Who goes together with whom. */
  readonly groups: PlayerGroups<JoinedPlayer>;
  readonly random: () => number;
  readonly takesPlayers: () => boolean;
}

/** A cluster's part in handing players over: everything of it, behind what the cluster has to call. */
export class ClusterHandovers {
  readonly handovers: Handovers;
  readonly arrivals: ArrivalDesk;
  /** To what other clusters carry; `undefined` where there is no world. */
  readonly teleports: Teleports<JoinedPlayer> | undefined;
  readonly #stage: PlayerStage;
  readonly #border: BorderWatch<JoinedPlayer> | undefined;
  readonly #saves: ClusterHandoversOptions["saves"];
  readonly #log: Logger;

  constructor(options: ClusterHandoversOptions) {
    const { context, peers, desk, saves, verify, random, takesPlayers } = options;
    const { world, clock, players } = context;
    this.#saves = saves;
    this.#log = context.log;
    this.#stage = new PlayerStage({
      context,
      handovers: () => this.handovers,
      peers,
      saves,
      onArrived: (player) => this.#border?.arrived(player),
      targetOf: (player) => this.teleports?.targetOf(player),
    });
    this.handovers = new Handovers({
      stage: this.#stage,
      counts: context.metrics.handovers,
      nowMs: clock.monotonicMs,
      random,
      self: () => peers.self,
      sendPeer: (clusterId, message) => void peers.send(clusterId, message),
      sendSession: (playerId, message) => void desk.tell(playerId, message),
      verify,
      takesPlayers,
      onStep: (step) => this.teleports?.stepTaken(step),
    });
    this.arrivals = new ArrivalDesk(this.handovers, this.#stage, context.revocations);
    peers.listen({
      onUp: (peer) => this.handovers.linkUp(peer),
      onDown: (peer) => this.handovers.linkDown(peer),
      onMessage: (from, message) => this.handovers.hearPeer(from, message),
    });
    desk.listen((playerId, message) => this.#hear(playerId, message));
    if (world === undefined) return;
    const groupOf = (player: JoinedPlayer): readonly JoinedPlayer[] => options.groups.of(player);
    const begin = (group: readonly JoinedPlayer[], destination: ClusterRef): string | undefined =>
      this.handovers.begin(
        group.map(({ id }) => id),
        destination,
      );
    const border = new BorderWatch({
      peers,
      world,
      players,
      dwellTicks: () => world.layout.rules.swapDwellTicks,
      nowMs: clock.monotonicMs,
      random,
      // With a newer ticket of its own on the way, the answer to that goes on from the copy that plays. [HAND-10]
      isSettled: (player) => saves.isEntered(player) && saves.enteringOf(player.id) === undefined,
      groupOf,
      begin: (group, destination) => begin(group, destination) !== undefined,
    });
    this.#border = border;
    world.border = border;
    this.teleports = new Teleports({
      carrierOf: (place) => border.carrierOf(place),
      readiness: (player) => border.readiness(player),
      groupOf,
      begin,
    });
  }

  /** Handovers from here of which the destination does not have everything yet. */
  get undelivered(): number {
    return this.handovers.undelivered;
  }

  /** Whether a player could go on at another cluster, if there is one for it, or has yet to come from one. */
  mightStillMove(player: JoinedPlayer): boolean {
    return player.held || player.arriving || this.#border?.canBeHandedOver(player) === true;
  }

  /** Whether a player is on its way, or can be expected to go by itself: a drain leaves it to that, instead of telling it to allocate again. */
  isMoving(player: JoinedPlayer): boolean {
    return player.held || this.#border?.isExpectedToMove(player) === true;
  }

  /** Seats that are promised to players who have not come yet. */
  get reservedSeats(): number {
    return this.#stage.reservedSeats;
  }

  /** Those of them that are kept from a player who comes by a ticket. */
  seatsKeptFrom(playerId: string): number {
    return this.#stage.seatsKeptFrom(playerId);
  }

  /** A player's client has been heard over the connection that it came with. [HAND-14] */
  clientArrived(player: JoinedPlayer): void {
    this.#stage.keys.spend(player);
  }

  /** A tick is over. */
  endTick(): void {
    this.#stage.endTick();
    this.teleports?.endTick();
    this.#border?.endTick();
  }

  /** To be called regularly. */
  beat(): void {
    this.handovers.beat();
  }

  #hear(playerId: string, message: FromSession<Body>): void {
    if (message.type === "fence" || message.type === "superseded") {
      if (isOwnEntry(message, this.#saves.enteringOf(playerId))) return;
    }
    if (message.type === "commitRefused" && message.reason === "tooLarge") {
      const text = "the master does not take a handover: what there is to move is too large for it; its players stay";
      this.#log.warn({ event: "handover-refused", code: "GROUP_TOO_LARGE", handover: message.id }, text);
    }
    this.handovers.hearSession(message);
    if (message.type === "entered") this.handovers.fence(playerId, message.generation);
  }
}
