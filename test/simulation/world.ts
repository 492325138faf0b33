/**
 * Everything that there is in a simulated world: what the parties remember, what is durable, and what is on its way. Plain data,
 * so that two worlds are the same exactly when their text is.
 */
import type { ClientState } from "./model-client-state.ts";
import type { DestinationState } from "../../protocol/handover/destination.ts";
import type {
  BetweenSessions,
  FromSession,
  ToClient,
  ToDestination,
  ToSession,
  ToSource,
} from "../../protocol/handover/messages.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { SessionState } from "../../protocol/handover/session-state.ts";
import type { SourceState } from "../../protocol/handover/source-state.ts";
import type { StreamPosition, Streams } from "../../protocol/handover/streams.ts";

/** A player's state in the simulated game: what happened to it, in order. See history.ts. */
export type History = string;

export interface World {
  clusters: Record<string, Cluster>;
  players: Record<string, Player>;
  /** Links between clusters, by the names of both in order: `A|B`. */
  peers: Record<string, PeerLink>;
  /** Connections of clients, by player and cluster: `p@A`. */
  connections: Record<string, Connection>;
  /** To and from the `PlayerSession`s: neither ordered nor safe. Sorted, so that the order in which it was posted is forgotten. */
  mail: Mail[];
  /** How many handovers have begun. */
  handovers: number;
  /** How often the environment may still do what it does. */
  budget: Budget;
}

export interface Cluster {
  readonly name: string;
  boot: number;
  alive: boolean;
  /** Whether it refuses reservations. */
  full: boolean;
  copies: Record<string, Copy>;
  sources: Record<string, SourceState<History>>;
  destinations: Record<string, DestinationState<History>>;
  /** Players who have come with a ticket, until `PlayerSession` has answered. */
  entering: Record<string, Entering>;
  /** What a client shows that was sent here by a handover. */
  keys: Record<string, string>;
}

/** A player in the game on a cluster. */
export interface Copy {
  readonly generation: number;
  readonly history: History;
  readonly streams: Streams<History>;
  readonly frozen: boolean;
  /** Saves made under `generation`. */
  readonly saves: number;
}

export interface Entering {
  readonly generation: number;
  /** A newer ticket, which has to wait: an answer says who had authority before, and only one can be asked for at a time. */
  readonly next: number | undefined;
}

export interface Player {
  session: SessionState<History>;
  client: ClientState<History>;
  /** The client's process is gone and will not come back. */
  gone: boolean;
  /** Waits for a ticket. */
  allocating: boolean;
  /** What the client's game has been given since it last started afresh. */
  delivered: History;
  /** Inputs that the client's game has made, and outputs that the clusters' game has made for it. */
  inputs: number;
  outputs: number;
  /** A cluster was killed that alone had something of this player's history: from then on some of it may be missing. */
  mayLose: boolean;
}

export interface PeerLink {
  up: boolean;
  /** By direction: `A>B`. */
  queues: Record<string, readonly PeerItem[]>;
}

/** `end`: the link is broken, and the receiver is about to notice. */
export type PeerItem = ToDestination<History> | ToSource | { readonly type: "end" };

export interface Connection {
  /** The process that the client believes to be connected with. */
  readonly to: ClusterRef;
  /** Whether it has broken: what is on its way still arrives, then `end`. */
  broken: boolean;
  /** Whether the cluster serves the player over it. */
  attached: boolean;
  /** A client that has shown a ticket and waits to be let in. */
  waiting: StreamPosition | undefined;
  toCluster: readonly FromClient[];
  toClient: readonly FromCluster[];
}

export type FromClient =
  | { readonly type: "input"; readonly sequence: number; readonly body: History; readonly received: number }
  | { readonly type: "join"; readonly ticket: string; readonly position: StreamPosition }
  | { readonly type: "return"; readonly position: StreamPosition }
  | {
      readonly type: "arrive";
      readonly id: string;
      readonly key: string;
      readonly token: string;
      readonly position: StreamPosition;
    }
  | { readonly type: "end" };

export type FromCluster =
  | { readonly type: "output"; readonly sequence: number; readonly body: History }
  | { readonly type: "acknowledged"; readonly lastInput: number }
  | { readonly type: "welcome"; readonly tenure: number; readonly lastInput: number; readonly fresh: boolean }
  | { readonly type: "told"; readonly message: ToClient }
  | { readonly type: "refused" }
  | { readonly type: "end" };

export type Mail =
  | {
      readonly to: "session";
      readonly playerId: string;
      readonly from: string;
      readonly boot: number;
      readonly message: ToSession<History>;
    }
  | { readonly to: "member"; readonly playerId: string; readonly message: BetweenSessions<History> }
  | { readonly to: "cluster"; readonly cluster: string; readonly boot: number; readonly message: FromSession<History> };

export interface Budget {
  /** Inputs and outputs of each player. */
  inputs: number;
  outputs: number;
  saves: number;
  handovers: number;
  /** Clusters that fill up, or have room again. */
  fillings: number;
  /** Faults. */
  crashes: number;
  breaks: number;
  lostMail: number;
  doubledMail: number;
  /** Clients that vanish. */
  goneClients: number;
  /** Players who start the game on another machine, and are sent anywhere. */
  devices: number;
  /** Commits that are too large for the master. */
  tooLarge: number;
}

export const noBudget: Budget = {
  inputs: 0,
  outputs: 0,
  saves: 0,
  handovers: 0,
  fillings: 0,
  crashes: 0,
  breaks: 0,
  lostMail: 0,
  doubledMail: 0,
  goneClients: 0,
  devices: 0,
  tooLarge: 0,
};

/**
 * A copy that can be changed without changing the original. Its clusters and players are still the original's: shell.ts copies those
 * that are about to change.
 */
export function copyWorld(world: World): World {
  return {
    clusters: { ...world.clusters },
    players: { ...world.players },
    peers: mapValues(world.peers, (link) => ({ up: link.up, queues: { ...link.queues } })),
    connections: mapValues(world.connections, (connection) => ({ ...connection })),
    mail: [...world.mail],
    handovers: world.handovers,
    budget: { ...world.budget },
  };
}

export function copyCluster(cluster: Cluster): Cluster {
  return {
    name: cluster.name,
    boot: cluster.boot,
    alive: cluster.alive,
    full: cluster.full,
    copies: { ...cluster.copies },
    sources: { ...cluster.sources },
    destinations: { ...cluster.destinations },
    entering: { ...cluster.entering },
    keys: { ...cluster.keys },
  };
}

/** Sets an entry so that the record's order does not tell when it was set. */
export function put<T>(record: Record<string, T>, key: string, value: T): void {
  const known = key in record;
  record[key] = value;
  if (known) return;
  const later = Object.keys(record).filter((one) => one > key);
  for (const one of later.sort()) {
    const moved = record[one];
    delete record[one];
    if (moved !== undefined) record[one] = moved;
  }
}

function mapValues<T>(record: Record<string, T>, change: (value: T) => T): Record<string, T> {
  const result: Record<string, T> = {};
  for (const key in record) {
    const value = record[key];
    if (value !== undefined) result[key] = change(value);
  }
  return result;
}

export function peerName(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}

export function connectionName(playerId: string, cluster: string): string {
  return `${playerId}@${cluster}`;
}
