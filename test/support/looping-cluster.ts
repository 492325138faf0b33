import { start } from "../../data-plane/index.ts";

/** A cluster process whose plugin never returns from command 1, and answers all others. It also ends when its parent does. */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
await start({
  name: "looper",
  onMessage(player, command) {
    if (command === 1) for (;;);
    player.send(command);
  },
});
