import type { HeldItem } from "../../protocol/handover/messages.ts";
import { judgeInput } from "../../protocol/handover/streams.ts";
import { decodeClientMessage, messageTypes, ProtocolError } from "../../protocol/index.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { JoinedPlayer } from "./joined-player.ts";

/** Plays what was held for a player, save its goodbye. */
export function applyItem(host: PluginHost, player: JoinedPlayer, item: HeldItem<Uint8Array>): void {
  // What came before may have had it leave.
  if (!player.connected) return;
  if (item.kind === "output") player.sendFrame(item.body);
  // One that its client has brought here itself meanwhile is not played again. [HAND-9]
  if (item.kind !== "input" || player.streams === undefined) return;
  if (judgeInput(player.streams, item.sequence) !== "next") return;
  applyFrame(host, player, item.body);
  player.streams.count(item.body.length);
}

/** Applies a numbered frame (type and body) of a player's client that a handover has brought, as if its connection had. */
function applyFrame(host: PluginHost, player: JoinedPlayer, frame: Uint8Array): void {
  try {
    if (frame[0] === messageTypes.message) {
      // [FRAME-5]
      if (frame.length < 2) throw new ProtocolError("TRUNCATED", "a message without a command");
      host.message(player.lane, player, frame, 1, frame.length);
    } else {
      const message = decodeClientMessage(frame);
      const { type } = message;
      if (type === "request" || type === "response" || type === "cancel") player.requests.receive(message);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    player.malformed(error.code);
  }
}
