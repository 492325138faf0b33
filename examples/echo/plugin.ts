import type { ServerPlugin } from "../../data-plane/index.ts";

/** Sends every message back to the player who sent it, under the same command. */
export const echo: ServerPlugin = {
  name: "echo",
  onMessage(player, command, reader) {
    player.send(command, reader.rest());
  },
};
