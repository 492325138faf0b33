import type { Allocation } from "../../protocol/index.ts";
import type { Refusal } from "./refusal.ts";

/** What a player's session asks a registry shard for. */
export interface SeatRequest {
  /** Names the operation, so that asking again gives the same seat. */
  readonly reservationId: string;
  readonly playerId: string;
  readonly generation: number;
  readonly lifetimeSeconds: number;
  /** This cluster and no other. */
  readonly clusterId?: string | undefined;
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
      readonly cluster: AllocatedCluster;
    }
  | Refusal;
