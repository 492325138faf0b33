import type { AllocateRequest, Allocation, ExplainedCandidate } from "../../../protocol/index.ts";
import type { QueuePass } from "../../domain/waiting/waiting-gate.ts";
import type { Refusal } from "../refusal.ts";

/** What a player's session asks a registry shard for. */
export interface SeatRequest {
  /** Names the operation, so that asking again gives the same seat. */
  readonly reservationId: string;
  readonly playerId: string;
  readonly generation: number;
  /** How long its ticket can be used, unless the cluster has a lifetime of its own. */
  readonly lifetimeSeconds: number;
  /** The shard that is asked, by its name. */
  readonly shard: string;
  /** What the player asks for. */
  readonly wish: AllocateRequest;
  /** Whether clusters that the player wants avoided are out of the question, since another shard may have others. */
  readonly sparing: boolean;
  /** The hold of a party under which the player has a seat already, on the cluster that `wish` names. */
  readonly holdId?: string | undefined;
  /** This cluster or none: the player has a seat there, and may come back to it. */
  readonly returnTo?: string | undefined;
  /** The player's unused tickets for clusters of this shard: what this one replaces. */
  readonly replaces?: readonly ReplacedTicket[] | undefined;
  /** The waiting room says that it is this player's turn. */
  readonly pass?: QueuePass | undefined;
}

/** A ticket that ends with a newer one: its seat is given back together with the one that is given. */
export interface ReplacedTicket {
  readonly clusterId: string;
  readonly reservationId: string;
}

/** The cluster of a seat: what the player is told, and what goes into the ticket. */
export type AllocatedCluster = Allocation["cluster"] & {
  readonly boot: number;
  readonly protocol: { readonly min: number; readonly max: number };
};

export type SeatAnswer =
  | {
      readonly ok: true;
      /** When the ticket for this seat has to expire, in seconds since 1970. */
      readonly expiresAt: number;
      readonly lifetimeSeconds: number;
      readonly cluster: AllocatedCluster;
      /** As far as the player asks for an explanation. */
      readonly candidates: readonly ExplainedCandidate[];
      /** The reservations whose seats were given back together with it. */
      readonly gaveBack?: readonly string[] | undefined;
      /** Keys that must not sign the ticket: the shard has heard that they leaked. */
      readonly revokedKeys?: readonly string[] | undefined;
    }
  | (Refusal & { readonly candidates?: readonly ExplainedCandidate[] });
