import type { HeldItem, ToClient } from "../../protocol/handover/messages.ts";
import type { ClusterRef, MemberRef, MemberTransfer, Snapshot } from "../../protocol/handover/parties.ts";
import type { MemberOutcome } from "../../protocol/handover/source-state.ts";

/** What states and messages carry: bytes that the handover does not look into. */
export type Body = Uint8Array;

/** The players of this cluster, as a handover moves them. What the machines decide is carried out here. */
export interface Stage {
  /** Generation of the copy that is in the game here, frozen or not; `undefined` where there is none. */
  generationOf(playerId: string): number | undefined;
  /** The same, or the generation of a ticket that is being entered here, if that is newer. */
  newestOf(playerId: string): number | undefined;
  /** Whether the player's client is connected here. */
  isConnected(playerId: string): boolean;
  /** Freezes these players at the end of a tick, and gives their snapshots; of who could not be frozen there is none. [HAND-6] */
  freeze(playerIds: readonly string[], done: (snapshots: Readonly<Record<string, Snapshot<Body>>>) => void): void;
  /** The player leaves this world; its client stays connected. */
  depart(playerId: string): void;
  /** Goes on with a player that is frozen or has departed: these items come first. */
  play(playerId: string, generation: number, items: readonly HeldItem<Body>[]): void;
  /** The copy of the generation `from` has another one from now on. Where it has left, so has what it left to be saved. */
  adopt(playerId: string, from: number, generation: number): void;
  /** Forgets the copy of this generation, departed or not, and ends its client's connection. */
  drop(playerId: string, generation: number, outcome: Exclude<MemberOutcome, "stayed">): void;
  tellClient(playerId: string, message: ToClient): void;
  /** The player may be sent there in a moment: its client can connect ahead, if it knows how. A hint, and no more. [AHEAD-5] */
  announce(playerId: string, id: string, destination: ClusterRef): void;
  /** It will not be. */
  callOff(playerId: string, id: string): void;
  /** Holds seats for them, within the share of the cluster that they come from; why not, otherwise. [HAND-17] */
  reserve(id: string, members: readonly MemberRef[], source: string): "full" | "invalid" | undefined;
  /** Gives up what is held for them, as they come or will not. */
  unreserve(id: string): void;
  /** Why these states cannot be taken over, if they cannot; otherwise holds their places. Nothing runs yet. [HAND-24] */
  admit(id: string, members: readonly MemberTransfer<Body>[]): "full" | "invalid" | undefined;
  /** The player is in the game here from now on, in the place of a copy of an earlier session. */
  activate(playerId: string, generation: number, key: string, snapshot: Snapshot<Body>): void;
  /** What reached the source after the freeze. */
  deliver(playerId: string, item: HeldItem<Body>): void;
}
