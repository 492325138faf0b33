import { type Cluster, Memory, type Player, start } from "../../data-plane/index.ts";

/**
 * A cluster process whose game gives each player a purse. Requests: 1 puts a coin into it and saves, and is answered what became of that;
 * 2 is answered with what is in it, or nothing while nobody knows. A player who is replaced leaves a forged purse behind, if it can.
 */
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));

const purses = new Memory<number | undefined>(() => undefined);
const forged = 99;
let cluster: Cluster;

async function save(player: Player): Promise<string> {
  const outcome = await player.save(Uint8Array.of(purses.get(player) ?? 0));
  cluster.log.info({}, `purse of ${player.id} ${outcome}`);
  return outcome;
}

await start({
  onStart: (started) => void (cluster = started),
  // What a player has put in before this came counts where there was nothing.
  onLoad: (player, data) => purses.set(player, data?.[0] ?? purses.get(player) ?? 0),
  onRequest: async (player, command) => {
    if (command === 1) {
      purses.set(player, (purses.get(player) ?? 0) + 1);
      return Buffer.from(await save(player));
    }
    return Buffer.from(String(purses.get(player) ?? ""));
  },
  onLeave: (player, reason) => {
    if (reason === "REPLACED") purses.set(player, forged);
    void save(player);
  },
});
