import type { BanNotice } from "../../../protocol/index.ts";
import { type Ban, describeBan } from "../../domain/players/standing.ts";
import type { PlayerTables } from "./player-tables.ts";

/** A player's session, as operators see it. */
export interface PlayerInspection {
  /** The newest generation; 0 before the first allocation. */
  readonly generation: number;
  /** Where the session is that has authority: the last ticket that joined. */
  readonly playing: { readonly generation: number; readonly clusterId: string } | null;
  /** The ban in force. */
  readonly ban: BanNotice | null;
  /** The newest first. */
  readonly operations: readonly {
    readonly reservationId: string;
    readonly generation: number;
    readonly state: string;
    readonly clusterId: string | null;
    readonly recordedAtMs: number;
    /** Seconds since 1970. */
    readonly expiresAt: number | null;
  }[];
}

/** Tickets and idempotency keys are secrets, and not in it. */
export function inspectPlayer(tables: PlayerTables, ban: Ban | undefined): PlayerInspection {
  const authority = tables.authority();
  return {
    generation: tables.generation(),
    playing: authority === undefined ? null : { generation: authority.generation, clusterId: authority.clusterId },
    ban: ban === undefined ? null : describeBan(ban),
    operations: tables
      .operations()
      .toReversed()
      .map(({ reservationId, generation, state, clusterId, recordedAtMs, expiresAt }) => ({
        reservationId,
        generation,
        state,
        clusterId: clusterId ?? null,
        recordedAtMs,
        expiresAt: expiresAt ?? null,
      })),
  };
}
