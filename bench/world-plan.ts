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
