import { resumeStreams, type StreamPosition } from "../../protocol/handover/streams.ts";
import type { HeldItem } from "../../protocol/handover/messages.ts";
import { features } from "../../protocol/index.ts";
import type { RecordStart } from "../authority/player-record.ts";
import { decodeCarriedFacts } from "./carried-facts.ts";
import type { CarriedSession } from "./carried-session.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import { continueStreams } from "./stream-return.ts";

/** A session that goes on with a new ticket: its cluster is gone, and the commit of a handover has kept all of it. */
export interface SessionReturn {
  readonly carried: CarriedSession;
  /** What each plugin gave along. */
  readonly parts: ReadonlyMap<string, Uint8Array>;
  /** What the client has missed. */
  readonly again: readonly Uint8Array[];
  /** What was held for the player since: it comes first. [HAND-20] */
  readonly items: readonly HeldItem<Uint8Array>[];
}

/** What a connection has in force. */
export interface InForce {
  readonly version: number;
  readonly features: number;
}

/**
 * The player here with which a client goes on that shows a new ticket: nobody has had authority since, nothing of it is on its way
 * elsewhere, and the client's position is in its streams. Otherwise it begins anew. [HAND-10] [HAND-20]
 */
export function copyOf(
  start: RecordStart<JoinedPlayer> | undefined,
  player: JoinedPlayer | undefined,
  position: StreamPosition | undefined,
  inForce: InForce,
):
  | { readonly player: JoinedPlayer; readonly again: readonly Uint8Array[]; readonly position: StreamPosition }
  | undefined {
  if (start?.from !== "copy" || player === undefined || start.record.player !== player || !start.record.isRead)
    return undefined;
  if (position === undefined || !player.connected || player.held || !player.has(features.handover)) return undefined;
  if (player.version !== inForce.version || (player.features & ~(inForce.features | features.ahead)) !== 0)
    return undefined;
  const again = continueStreams(player, position);
  return again === undefined ? undefined : { player, again, position };
}

/**
 * Whether a client at this position can go on from what was saved, with nothing lost or doubled; otherwise its streams begin anew, and its game
 * is loaded. [HAND-10]
 *
 * @param inForce version and features of the new connection: what is kept to be sent again was made for those of before
 */
export function returnOf(
  start: RecordStart<JoinedPlayer> | undefined,
  position: StreamPosition | undefined,
  inForce: InForce,
): SessionReturn | undefined {
  if (start?.from !== "save" || position === undefined || (inForce.features & features.handover) === 0)
    return undefined;
  const { state } = start;
  const facts = decodeCarriedFacts(state.carried);
  if (facts === undefined || facts.version !== inForce.version) return undefined;
  if ((facts.features & ~(inForce.features | features.world)) !== 0) return undefined;
  const back = resumeStreams(start.streams, position);
  if (!back.continues) return undefined;
  const { tenure, past, lastInput, lastOutput, unacknowledged } = back.streams;
  const { lastRequest, moveSequence } = facts;
  return {
    carried: { streams: { lastInput, lastOutput, unacknowledged }, tenure, past, lastRequest, moveSequence },
    parts: state.parts,
    again: back.replay.map(({ body }) => body),
    items: start.items,
  };
}
