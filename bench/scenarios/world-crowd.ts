import { crowdHz, spot } from "../world-plan.ts";
import { withMorePlayers } from "./more-players.ts";

/** All gather in one spot, where everybody is in everybody's range: thresholds by population bound what each of them costs a second. */
export const worldCrowd = withMorePlayers({
  name: "world-crowd",
  contender: "sustenet-crowd",
  areaSide: () => spot,
  framesPerSecond: crowdHz,
  costOf: "player-second",
  unit: "µs of CPU a player and second",
  goal: 1,
});
