import { type Ban, describeBan } from "../../domain/players/standing.ts";
import type { PlayerTables } from "./player-tables.ts";

/** What a player's session knows about the player. */
export interface PlayerSessionExport {
  readonly allocations: readonly {
    readonly reservationId: string;
    readonly state: string;
    readonly clusterId: string | null;
    readonly requestedAt: string;
    readonly expiresAt: string | null;
  }[];
  /** The cluster where the newest session of the player is, or was. */
  readonly playingOn: string | null;
  /** The party that the player is in, or was in last. */
  readonly party: string | null;
  /** The latest ban that was not lifted, in force or over. */
  readonly ban: { readonly reason: string; readonly since: string; readonly until: string | null } | null;
}

/** Tickets are secrets, and not in it. */
export function exportPlayerData(tables: PlayerTables, ban: Ban | undefined): PlayerSessionExport {
  const allocations = tables.operations().map(({ reservationId, state, clusterId, recordedAtMs, expiresAt }) => ({
    reservationId,
    state,
    clusterId: clusterId ?? null,
    requestedAt: new Date(recordedAtMs).toISOString(),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt * 1_000).toISOString(),
  }));
  return {
    allocations,
    playingOn: tables.authority()?.clusterId ?? null,
    party: tables.party() ?? null,
    ban: ban === undefined ? null : { ...describeBan(ban), since: new Date(ban.bannedAtMs).toISOString() },
  };
}
