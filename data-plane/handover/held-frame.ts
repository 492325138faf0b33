import { decodeClientMessage, messageTypes, ProtocolError } from "../../protocol/index.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";

/** Applies a numbered frame (type and body) of a player's client that a handover has brought, as if its connection had. */
export function applyFrame(host: PluginHost, player: JoinedPlayer, frame: Uint8Array): void {
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
