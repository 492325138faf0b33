import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { PeerMessage } from "./handover-codec.ts";
import type { PeerAddress } from "./peer-address.ts";

/** Who carries a place of the world that this cluster does not. */
export interface Carrier extends ClusterRef {
  readonly fragment: string;
  /** Whether the link to it stands now; `boot` is then that of the process at its other end. */
  readonly linked: boolean;
}

/**
 * What happens on the links to other clusters. A link is up once the other side has said where players reach it. Messages of one cluster come in order, each once, between its `onUp` and its
 * `onDown`; what throws ends the link.
 */
export interface PeerEvents {
  readonly onUp: (peer: ClusterRef) => void;
  readonly onDown: (peer: ClusterRef) => void;
  readonly onMessage?: (from: ClusterRef, message: PeerMessage) => void;
  /** The body of a ghosts frame, good until this returns. */
  readonly onGhosts?: (from: ClusterRef, body: Uint8Array) => void;
  /** Who carries what has changed. */
  readonly onMap?: () => void;
}

/** The other clusters of the world, for what has to be said to them. Spec: docs/HANDOVER.md, section 15. */
export interface Peers {
  /** This process, as the master knows it; `undefined` before the first registration. A later one gives it another boot. */
  readonly self: ClusterRef | undefined;
  /** The processes to which links stand. */
  readonly linked: readonly ClusterRef[];
  /** Boot of the process to which the link to a cluster leads; `undefined` without one. */
  bootOf(clusterId: string): number | undefined;
  /** Where players reach a cluster, as it has said last, also where its link has broken since; `undefined` before there was one. */
  addressOf(clusterId: string): PeerAddress | undefined;
  /** @returns whether it is on its way; it may still be lost with the link */
  send(clusterId: string, message: PeerMessage): boolean;
  /** The same for the body of a ghosts frame. */
  sendGhosts(clusterId: string, body: Uint8Array): boolean;
  /** Bytes that wait for the link to a cluster. */
  queuedBytes(clusterId: string): number;
  /** Whether another cluster carries the fragment of a name. */
  isCarriedBy(clusterId: string, fragment: string): boolean;
  /** Who carries a place; `undefined` where this cluster does, or nobody that is known of. */
  carrierOf(x: number, y: number, z: number): Carrier | undefined;
  /** From now on. Listeners are told in the order in which they came. */
  listen(events: PeerEvents): void;
}
