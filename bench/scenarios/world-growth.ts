import { sideOf } from "../world-plan.ts";
import { withMorePlayers } from "./more-players.ts";
import { worldHz } from "./world-load.ts";

/** The same world with more and more players, as dense as before: what a tick costs for each of them must not grow with their number. */
export const worldGrowth = withMorePlayers({
  name: "world-growth",
  contender: "sustenet-world",
  areaSide: sideOf,
  framesPerSecond: () => worldHz,
  unit: "µs of CPU a player and tick",
  goal: 1.25,
});
