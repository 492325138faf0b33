import type { SessionDesk } from "./authority/session-desk.ts";
import type { Layout } from "./fragments/layout.ts";
import { ClusterHandovers } from "./handover/cluster-handovers.ts";
import type { PlayerGroups } from "./handover/player-groups.ts";
import type { Registration } from "./master-link/master-answers.ts";
import type { MasterClient } from "./master-link/master-client.ts";
import type { TicketDesk } from "./master-link/ticket-desk.ts";
import type { Credentials } from "./net/tls-server.ts";
import { GhostExchange } from "./peers/ghost-exchange.ts";
import { WorldPeers, type WorldPeersOptions } from "./peers/world-peers.ts";
import type { JoinedPlayer } from "./session/joined-player.ts";
import type { SessionContext } from "./session/session-context.ts";
import type { ClusterWorld } from "./world/cluster-world.ts";

export interface NeighbourhoodOptions extends Pick<WorldPeersOptions, "world" | "layout" | "address" | "retryMs"> {
  readonly context: SessionContext;
  readonly credentials: Credentials;
  readonly client: MasterClient;
  readonly tickets: TicketDesk;
  readonly sessions: SessionDesk;
  readonly groups: PlayerGroups<JoinedPlayer>;
  /** Whether players may be handed over to this cluster. */
  readonly takesPlayers: () => boolean;
}

/**
 * The other clusters of a world that is shared, as far as one has to do with them: links to them, what is seen over the borders, and players
 * who come from there and go there.
 */
export class Neighbourhood {
  readonly peers: WorldPeers;
  readonly handovers: ClusterHandovers;
  readonly #world: ClusterWorld | undefined;
  readonly #ghosts: GhostExchange | undefined;

  /** Lets the others in. @throws ListenError */
  static async meet(options: NeighbourhoodOptions): Promise<Neighbourhood> {
    const neighbourhood = new Neighbourhood(options);
    await neighbourhood.peers.open();
    return neighbourhood;
  }

  private constructor(options: NeighbourhoodOptions) {
    const { context, tickets } = options;
    const { settings, clock, metrics, log, saves, world } = context;
    const { monotonicMs: nowMs } = clock;
    this.#world = world;
    this.peers = new WorldPeers({
      settings,
      world: options.world,
      layout: options.layout,
      credentials: options.credentials,
      address: options.address,
      client: options.client,
      desk: tickets,
      log,
      random: Math.random,
      nowMs,
      retryMs: options.retryMs,
      onCarried: (layout) => world?.changeLayout(layout),
      onRest: () => void (metrics.peerRests += 1),
    });
    const onRefused = (): void => void (metrics.ghostsRefused += 1);
    this.#ghosts = world === undefined ? undefined : new GhostExchange({ peers: this.peers, world, nowMs, onRefused });
    this.handovers = new ClusterHandovers({
      context,
      peers: this.peers,
      desk: options.sessions,
      saves,
      verify: (token) => tickets.verifyHandover(token),
      groups: options.groups,
      random: Math.random,
      takesPlayers: options.takesPlayers,
    });
  }

  /** Another certificate is shown from the next handshake on. */
  show(credentials: Credentials): void {
    this.peers.show(credentials);
  }

  registered(registration: Registration): void {
    this.peers.registered(registration);
  }

  /** The world is laid out anew. */
  changeLayout(layout: Layout): void {
    this.peers.changeLayout(layout);
    this.#world?.changeLayout(this.peers.carried);
    this.#ghosts?.layBorders();
  }

  /** The world has gone on by a tick, of which nothing has been sent yet. */
  tick(tick: number): void {
    this.#ghosts?.tick(tick);
  }

  /** A tick is over. */
  endTick(): void {
    this.handovers.endTick();
  }

  /** To be called regularly. */
  beat(): void {
    this.handovers.beat();
  }

  stop(): void {
    this.peers.stop();
  }
}
