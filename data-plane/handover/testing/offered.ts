import { randomBytes } from "node:crypto";
import { allFeatures } from "../../../protocol/index.ts";
import { encodePlayerState, type PlayerState } from "../../authority/player-state.ts";
import type { PeerMessage } from "../../peers/handover-codec.ts";
import { type CarriedFacts, encodeCarriedFacts } from "../../session/carried-facts.ts";
import { until } from "../../testing/until.ts";
import type { ServerPlugin } from "../../plugin/server-plugin.ts";
import { generation, type Side } from "./border.ts";

/** What is carried of a player that a cluster takes over. */
export const offeredFacts: CarriedFacts = {
  name: "Eve",
  reservationId: "seat",
  ticketFragment: "",
  version: 1,
  features: allFeatures,
  lastRequest: 0,
  moveSequence: 0,
  isPut: false,
};

/** State of a player that a cluster in the east takes over. */
export const offeredState: PlayerState = {
  placement: { x: 5, y: 0, z: 0, heading: 0 },
  fragment: "east",
  values: {},
  saved: undefined,
  carried: encodeCarriedFacts(offeredFacts),
  parts: new Map(),
};

/**
 * Offers a state of a player to the cluster in the east over the link of the one in the west, which knows nothing of it.
 *
 * @param id names the handover
 * @returns what it says to that, other than that it has a seat
 */
export async function offer(
  { cluster }: Side<ServerPlugin>,
  playerId: string,
  state: Uint8Array = encodePlayerState(offeredState),
  id = randomBytes(16).toString("hex"),
): Promise<PeerMessage["type"]> {
  const heard: PeerMessage["type"][] = [];
  const { peers } = cluster.server;
  peers?.listen({
    onUp: () => undefined,
    onDown: () => undefined,
    onMessage: (_from, { type }) => heard.push(type),
  });
  const member = { playerId, generation };
  peers?.send("default.b", { type: "prepare", id, members: [member] });
  const streams = { tenure: generation, past: [], lastInput: 0, lastOutput: 0, unacknowledged: [] };
  peers?.send("default.b", { type: "transfer", id, members: [{ ...member, key: id, snapshot: { state, streams } }] });
  return until("an answer", () => heard.find((type) => type !== "prepared"));
}
