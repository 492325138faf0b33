/** How many players a world is measured with. */
export const worldLoads: readonly number[] = [250, 500, 1_000];

/** How far a player sees, in world units. */
export const viewRange = 50;

/** How many entities it is shown: the nearest of those in range. */
export const visible = 50;

/** How many are in range, on average, where they are spread evenly. */
const inRange = 100;

/** Side of the square over which so many players are spread, so that their density is always the same. */
export function sideOf(players: number): number {
  return Math.sqrt((players * Math.PI * viewRange ** 2) / inRange);
}

/** Steps of a position in a world unit, for a peer that has to be told: as fine as the cluster's own. */
export const placeSteps = 100;

/** Side of the square in which a crowd stands: everybody is in everybody's range. */
export const spot = viewRange / 2;

/** Frames a second that a player of a crowd gets, and how many it is shown, above a population. */
export const crowdLevels = [
  { players: 0, update_hz: 20, max_visible: visible },
  { players: 300, update_hz: 10, max_visible: 30 },
  { players: 700, update_hz: 5, max_visible: 20 },
] as const;

/** Frames a second of each player where so many stand in one spot. */
export function crowdHz(players: number): number {
  return crowdLevels.findLast((level) => players > level.players)?.update_hz ?? crowdLevels[0].update_hz;
}
