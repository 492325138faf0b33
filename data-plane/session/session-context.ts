import type { TicketVerdict } from "../../auth/ticket.ts";
import type { Hello, ReplayBounds, SeatRef } from "../../protocol/index.ts";
import type { PlayerSaves } from "../authority/player-saves.ts";
import type { Clock } from "../clock.ts";
import type { ClusterSettings } from "../config/settings.ts";
import type { ClusterLimits } from "../limits.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { TickEnd } from "../net/tick-end.ts";
import type { TurnEnd } from "../net/turn-end.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import type { Placement, TeleportOutcome } from "../plugin/player.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { Arrivals } from "./arrivals.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { PlayerTable } from "./player-table.ts";
import type { Pulse } from "./pulse.ts";
import type { RefusalLog } from "./refusal-log.ts";
import type { ReplayTable } from "./replay-table.ts";
import type { Session } from "./session.ts";
import type { Revocations } from "./revocations.ts";

/** Who teleports players to what other clusters carry. [HAND-19] */
export interface FarTeleports {
  /** The game wants a player to be where another cluster carries. */
  ask(player: JoinedPlayer, to: Placement): Promise<TeleportOutcome>;
  /** Whether one of this player is under way. */
  has(player: JoinedPlayer): boolean;
}

/** What all sessions of a cluster share. */
export interface SessionContext {
  readonly settings: ClusterSettings;
  readonly limits: ClusterLimits;
  /** How much is kept of what a player has not acknowledged. */
  readonly replayBounds: ReplayBounds;
  readonly clock: Clock;
  readonly pulse: Pulse;
  readonly turnEnd: TurnEnd;
  readonly tickEnd: TickEnd;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly refusals: RefusalLog;
  readonly players: PlayerTable;
  readonly replays: ReplayTable;
  readonly revocations: Pick<Revocations<JoinedPlayer>, "covers" | "codeFor">;
  readonly host: PluginHost;
  /** `undefined` where no other cluster hands players over. */
  readonly arrivals: () => Arrivals | undefined;
  /** `undefined` where no other cluster carries anything. */
  readonly teleports: () => FarTeleports | undefined;
  /** Seats that are promised to players of other clusters, and kept from this one. */
  readonly seatsKeptFrom: (playerId: string) => number;
  /** Told of each player whose client has been heard on the connection that it came, or came back, with. */
  readonly clientArrived: (player: JoinedPlayer) => void;
  readonly saves: PlayerSaves<JoinedPlayer>;
  /** `undefined` where there is none to show. */
  readonly world: ClusterWorld | undefined;
  /** Told of each connection that is gone. */
  readonly onSessionEnd: (session: Session) => void;
  /** Number of the current tick. */
  readonly tick: () => number;
  /** True from the moment the cluster is told to stop. */
  readonly stopping: () => boolean;
  /** Most players at a time; 0: no limit. */
  readonly maxPlayers: () => number;
  /** The checks [TICKET-1] to [TICKET-7]; `undefined` while this cluster is not registered, and so cannot tell. */
  readonly verifyTicket: (ticket: string, hello: Hello) => Promise<TicketVerdict | undefined>;
  /** Told of each ticket that has been used, and of each player that has left. */
  readonly seats: { joined(seat: SeatRef): void; left(seat: SeatRef): void };
}
