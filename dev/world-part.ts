/** What one of several clusters is of the example's world. */
export interface WorldPart {
  /** Name of the world that it shares. */
  readonly world: string;
  /** The fragments that it carries. */
  readonly carries: readonly string[];
  /** Where its players start. */
  readonly spawn: readonly [number, number, number];
}

/** The fragments of examples/world/world.toml, west before east, each with a place near the middle, where all four meet. */
const quarters = [
  { name: "meadow", spawn: [-2, 0, -2] },
  { name: "hills", spawn: [-2, 0, 2] },
  { name: "forest", spawn: [2, 0, -2] },
  { name: "market", spawn: [2, 0, 2] },
] as const;

/**
 * Deals the example's world to so many clusters: up to four of them share one, and the next four the next one, so that players are sent
 * to all of them.
 *
 * @param number of the cluster, from 1
 */
export function worldPart(number: number, clusters: number): WorldPart {
  const most = quarters.length;
  const index = Math.floor((number - 1) / most);
  const sharing = Math.min(most, clusters - index * most);
  const place = (number - 1) % most;
  const mine = quarters.slice(Math.floor((place * most) / sharing), Math.floor(((place + 1) * most) / sharing));
  return {
    world: index === 0 ? "main" : `main-${index + 1}`,
    carries: mine.map(({ name }) => name),
    spawn: mine[0]?.spawn ?? [0, 0, 0],
  };
}
