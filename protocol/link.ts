import type { CloseCode } from "./codes.ts";
import type { FromSession } from "./handover/messages.ts";

/**
 * Messages between a cluster and the master over the link (`GET /v1/clusters/:id/link`, a WebSocket with JSON text
 * messages) or, as a fallback, `POST /v1/clusters/:id/heartbeat` (body: a {@link LinkReport}; answer: {@link HeartbeatResponse}).
 *
 * The lease is renewed by sending the text `ping` (not JSON) every `pingIntervalMs`; the answer is the text `pong`.
 */

/** Names one use of one ticket. */
export interface SeatRef {
  readonly reservationId: string;
  readonly playerId: string;
  readonly generation: number;
}

/**
 * What changed at a cluster since the last acknowledged report. Repeating a report is harmless. Until it is acknowledged
 * a cluster keeps its changes and sends them again, with a new sequence, together with newer ones.
 */
export interface LinkReport {
  readonly type: "report";
  /** Counts this process's reports, from 1. */
  readonly sequence: number;
  /** True when `joined` lists every player that is in the game, or a part of them: the first reports on every new link. */
  readonly full: boolean;
  /** Of a full report in parts: where this one belongs. Only to a master whose registration says that it {@link RegisterResponse.takesParts}. */
  readonly part?: ReportPart | undefined;
  /** Players in the game now, by the operating cluster's own count. */
  readonly players: number;
  readonly joined: readonly SeatRef[];
  readonly left: readonly SeatRef[];
  /** Tickets that join no more, as {@link LinkCancel} has asked. */
  readonly cancelled?: readonly SeatRef[] | undefined;
  /** What a tick has lately taken on average: the load of a cluster without a limit. */
  readonly tickMs?: number | undefined;
  /** Takes the place of all counters of the registration, or of an earlier report. */
  readonly counters?: Readonly<Record<string, number>> | undefined;
  /** `version` of the {@link LinkOrders} in force. Left out until the master has sent some. */
  readonly ordersVersion?: number | undefined;
  /**
   * The version up to which this process holds the master's revocations. Said from the first {@link LinkRevoke} of a registration
   * on; without it the master takes it that none are held.
   */
  readonly revocations?: number | undefined;
  /** The version of the key set that this process holds; said from the first {@link LinkKeys} of a registration on. */
  readonly keys?: number | undefined;
}

/**
 * A part of a full report, for more players than one report holds. Each part also tells what has changed. When all have come,
 * in their order, whoever was in none of them, nor in `joined` of one, is not in the game.
 */
export interface ReportPart {
  /** The sequence of the first part. */
  readonly of: number;
  /** From 0. */
  readonly index: number;
  readonly last: boolean;
}

/** From the master: everything up to this report is durable. */
export interface LinkAck {
  readonly type: "ack";
  readonly sequence: number;
  readonly reportIntervalMs: number;
  /** Least time between two reports; without it a tenth of the interval. */
  readonly gapMs?: number | undefined;
  /** True when the cluster need not report again before it has something to tell: its pings are enough. */
  readonly quiet?: boolean | undefined;
  /** Version of the map of the cluster's world; absent where it has none. */
  readonly worldVersion?: number | undefined;
}

/** From the master: this report has not been taken; tell it again, with a new sequence, after a while. */
export interface LinkLater {
  readonly type: "later";
  readonly sequence: number;
  readonly retryAfterMs: number;
}

/** From the master: the map of the cluster's world has this version; an older one is to be fetched anew. */
export interface LinkWorld {
  readonly type: "world";
  readonly version: number;
}

/** From the master: a newer session of this player has authority; close every one with a generation below. */
export interface LinkFence {
  readonly type: "fence";
  readonly playerId: string;
  readonly generation: number;
}

/**
 * From the master: the seat of this ticket was given back, so let nobody join with it, and say so in a report. A cluster that
 * cannot promise it, since the ticket may be joining, says nothing. Repeated until then.
 */
export interface LinkCancel extends SeatRef {
  readonly type: "cancel";
  /** When the ticket ends by itself, in seconds since 1970. */
  readonly expiresAt: number;
}

/** Why the master cannot reach a cluster's address: it belongs to a private network, or nothing answers, or nobody is there. */
export const reachFaults = ["private", "timeout", "refused"] as const;
export type ReachFault = (typeof reachFaults)[number];

/** From the master: whether it has reached the address at which players are to be sent here. Until then it offers the cluster to nobody. */
export interface LinkReach {
  readonly type: "reach";
  readonly host: string;
  readonly port: number;
  /** Without it: reached. */
  readonly fault?: ReachFault | undefined;
}

/**
 * From the master: what operators have ordered of this cluster, all of it. The one with the highest `version` is in force, however
 * often and in whatever order they come; what is not in it is not ordered any more.
 */
export interface LinkOrders {
  readonly type: "orders";
  readonly version: number;
  /** To empty itself and end, within so many ms from now; `movePlayers`: by telling players to allocate again. */
  readonly drain: { readonly deadlineMs: number; readonly movePlayers: boolean } | null;
  /** In place of what the cluster has declared. */
  readonly settings: {
    /** 0: no limit. */
    readonly capacity?: number | undefined;
  };
}

/** Why the master ended a player's sessions. */
export const revocationReasons = ["banned", "kicked", "signed-out"] as const;
export type RevocationReason = (typeof revocationReasons)[number];

/** How a cluster ends the session of a player for each of them. [CLOSE-4] */
export const revocationCloseCodes = {
  banned: "BANNED",
  kicked: "KICKED",
  "signed-out": "SIGNED_OUT",
} as const satisfies Readonly<Record<RevocationReason, CloseCode>>;

/** A player whose sessions and tickets below a generation are worth nothing. */
export interface RevokedPlayer {
  readonly playerId: string;
  readonly minGeneration: number;
  readonly reason: RevocationReason;
}

/**
 * From the master: close every session of these players below their generation, and let no such ticket join. Applying it again, or
 * an old one late, changes nothing more. It brings who has held everything up to `since` to `version`; whoever has not does as
 * it says, and keeps the version that it had. Repeated until reports say that it is held.
 */
export interface LinkRevoke {
  readonly type: "revoke";
  readonly since: number;
  readonly version: number;
  readonly players: readonly RevokedPlayer[];
}

/**
 * From the master: the published key set has changed, so fetch it; and these keys of it are worth nothing from now on, whatever a
 * fetch says. `revoked` lists all those whose tickets could still be shown. Repeated until reports say that it is held.
 */
export interface LinkKeys {
  readonly type: "keys";
  readonly version: number;
  readonly revoked: readonly string[];
}

/** From the master: a player's session has something to say about authority. Spec: docs/HANDOVER.md, section 5. */
export interface LinkSessionMessage {
  readonly type: "session";
  readonly playerId: string;
  readonly message: FromSession<string>;
}

export type LinkCommand =
  | LinkAck
  | LinkFence
  | LinkCancel
  | LinkLater
  | LinkWorld
  | LinkReach
  | LinkOrders
  | LinkRevoke
  | LinkKeys
  | LinkSessionMessage;

/** Answer of the heartbeat: the acknowledgement and the commands that are due. */
export interface HeartbeatResponse {
  readonly commands: readonly LinkCommand[];
}

/** The longest `reservationId` of a seat in a report. */
export const maxReservationIdLength = 64;

/** The greatest number of entries in `joined` and in `left` of one report; more wait for the next one. */
export const maxReportSeats = 1_000;

/** The greatest number of players in one {@link LinkRevoke}; more come in the next one. */
export const maxRevokedPlayers = 500;
/** The greatest number of counters, and of labels, of a cluster. */
export const maxCounters = 16;

/** Whether `text` can name a counter or a label. */
export function isCounterName(text: string): boolean {
  return /^[\w./-]{1,64}$/.test(text);
}

/** WebSocket close codes of the link. */
export const linkCloseCodes = {
  /**
   * A newer process with the same key and instance has registered, or the key has ended; this one must stop. The reason of the close
   * frame is `FENCED` and which of the {@link fenceReasons} it was, after a space; `FENCED` alone from a master of an earlier version.
   */
  FENCED: 4001,
  /** The lease was lost or the session token is no longer valid: register again. */
  REGISTER_AGAIN: 4002,
  /** A message was malformed. */
  BAD_MESSAGE: 4003,
} as const;
