import type { ClusterRef, MemberRef, MemberTransfer, Snapshot } from "./parties.ts";

/**
 * The messages between the parties. Spec: docs/HANDOVER.md, section 5. Links between clusters are ordered and lose only their
 * end when they break; messages to and from `PlayerSession` may be lost, doubled and reordered.
 */

/** What reached the source for a player after its freeze, in the order of arrival. */
export type HeldItem<Body> =
  | { readonly kind: "input"; readonly sequence: number; readonly body: Body }
  | { readonly kind: "output"; readonly body: Body }
  /** The client said goodbye. */
  | { readonly kind: "leave" };

/** Why a destination says no. After it, this destination never takes this handover's players. */
export type RefusalReason =
  /** No such handover here: it was never prepared, was given up, or the process restarted. */
  "unknown" | "full" | "invalid";

export type ToDestination<Body> =
  | { readonly type: "prepare"; readonly id: string; readonly members: readonly MemberRef[] }
  | { readonly type: "transfer"; readonly id: string; readonly members: readonly MemberTransfer<Body>[] }
  | { readonly type: "commit"; readonly id: string; readonly token: string }
  | {
      readonly type: "forward";
      readonly id: string;
      readonly playerId: string;
      /** Counts the items of this player in this handover, from 1. */
      readonly index: number;
      readonly item: HeldItem<Body>;
    }
  | { readonly type: "abort"; readonly id: string }
  | { readonly type: "finished"; readonly id: string };

export type ToSource =
  | { readonly type: "prepared"; readonly id: string }
  | { readonly type: "ready"; readonly id: string }
  | {
      readonly type: "activated";
      readonly id: string;
      /** Members whom a newer session has taken from both sides. */
      readonly superseded: readonly string[];
    }
  | { readonly type: "forwarded"; readonly id: string; readonly playerId: string; readonly index: number }
  | { readonly type: "refused"; readonly id: string; readonly reason: RefusalReason };

/** From a cluster to a player's `PlayerSession`. The channel says which cluster speaks. */
export type ToSession<Body> =
  | {
      /** Binds a member to the decision of the first one. */
      readonly type: "enlist";
      readonly id: string;
      readonly generation: number;
      readonly leader: MemberRef;
    }
  | {
      readonly type: "commit";
      readonly id: string;
      readonly destination: ClusterRef;
      /** All members; the first is the player whose `PlayerSession` this is. */
      readonly members: readonly (MemberRef & { readonly snapshot: Snapshot<Body> })[];
    }
  | { readonly type: "abort"; readonly generation: number }
  /** A ticket was used: authority moves, and the newest save is read, in one step. */
  | { readonly type: "enter"; readonly generation: number }
  | {
      readonly type: "save";
      readonly generation: number;
      /** Counts the saves under this generation, from 1. */
      readonly version: number;
      readonly state: Body;
    }
  /** A player is in the game here under this generation. */
  | { readonly type: "joined"; readonly generation: number };

/** From a player's `PlayerSession` to a cluster. `generation` repeats what was asked about. */
export type FromSession<Body> =
  | { readonly type: "enlisted"; readonly id: string; readonly playerId: string }
  | { readonly type: "enlistRefused"; readonly id: string; readonly playerId: string }
  | { readonly type: "committed"; readonly id: string; readonly token: string }
  | {
      readonly type: "commitRefused";
      readonly id: string;
      /** Set where the snapshots are too long together; the handover is aborted then, as the next message says. [HAND-21] */
      readonly reason?: "tooLarge" | undefined;
    }
  | {
      /** The source keeps the player, under `newGeneration`. */
      readonly type: "aborted";
      readonly playerId: string;
      readonly generation: number;
      readonly newGeneration: number;
    }
  /** Answers abort and enter: authority has gone elsewhere for good. */
  | { readonly type: "superseded"; readonly playerId: string; readonly generation: number }
  | {
      readonly type: "entered";
      readonly playerId: string;
      readonly generation: number;
      /** Who had authority just before; 0 when nobody ever had. */
      readonly previousGeneration: number;
      readonly save?: Save<Body> | undefined;
    }
  | { readonly type: "saved"; readonly playerId: string; readonly generation: number; readonly version: number }
  /** A handover is being decided: save again when it is. */
  | { readonly type: "saveLater"; readonly playerId: string; readonly generation: number }
  /** The destination's authority is known for good. */
  | { readonly type: "settled"; readonly playerId: string; readonly generation: number }
  /** Authority is at `generation`: whatever is older is powerless and has to end. */
  | { readonly type: "fence"; readonly playerId: string; readonly generation: number };

/** What `PlayerSession` keeps of a player. */
export interface Save<Body> {
  readonly generation: number;
  /** 0: the snapshot of the commit that made `generation`. */
  readonly version: number;
  readonly state: Body;
  /** Only a commit keeps the streams: after any other save they have gone on, and a client starts afresh. */
  readonly streams?: Snapshot<Body>["streams"] | undefined;
}

/** Between the `PlayerSession`s of a group. */
export type BetweenSessions<Body> =
  /** From a member to the first one: what was decided about the handover by `source`? If nothing was, it is aborted now. */
  | {
      readonly type: "decide";
      readonly leaderGeneration: number;
      readonly member: MemberRef;
      readonly source: string;
    }
  | {
      readonly type: "decision";
      readonly leader: MemberRef;
      readonly member: MemberRef;
      readonly decision: Decision<Body>;
    }
  | { readonly type: "decisionKept"; readonly leaderGeneration: number; readonly member: MemberRef };

export type Decision<Body> =
  | {
      readonly outcome: "committed";
      readonly id: string;
      readonly destination: ClusterRef;
      readonly snapshot: Snapshot<Body>;
    }
  /** Committed, the member has it, and it can no longer be taken back. */
  | { readonly outcome: "final" }
  | { readonly outcome: "aborted" };

/** From a cluster to the client, beside the game's own messages. */
export type ToClient =
  /** Go to `destination` and show it `key` and `token`; keep the old connection until it has answered. */
  | {
      readonly type: "redirect";
      readonly id: string;
      readonly destination: ClusterRef;
      readonly key: string;
      readonly token: string;
    }
  /** Forget the redirect: the game goes on here. */
  | { readonly type: "stay"; readonly id: string };
