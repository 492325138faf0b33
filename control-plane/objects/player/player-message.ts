import type { FenceOrder } from "../../domain/players/authority.ts";
import type { BanRecord } from "../../store/bans.ts";
import type { Erasure } from "../../store/erasure.ts";
import type { HandoverMessage } from "./handover-message.ts";
import type { Departure } from "../waiting/waiting-room.ts";
import type { RevocationOrder } from "../shard/revocation-tables.ts";

/**
 * What a player's session tells others, and must not lose. The target is a registry shard, a queue of the waiting room, a party, another
 * player, or says what else it is for. Fences had no kind in the first release.
 */
export type PlayerMessage =
  | (FenceOrder & { readonly kind?: undefined; readonly playerId: string })
  | (Departure & { readonly kind: "leave" })
  | { readonly kind: "quit"; readonly playerId: string }
  /** Without the player from a release before this one. */
  | { readonly kind: "give-back"; readonly reservationId: string; readonly playerId?: string }
  | (RevocationOrder & { readonly kind: "revoke" })
  | (BanRecord & { readonly kind: "ban" })
  | { readonly kind: "sign-out"; readonly playerId: string }
  | (Erasure & { readonly kind: "erase" })
  | HandoverMessage;

/** Where messages go that are not for an object. */
export const databaseTarget = "database";
export const identityTarget = "identity";
