import { createLocator, type Locator } from "./locator.ts";

/** A point or a corner. In a world of two dimensions y is height, and bounds do not speak of it. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Half open: `min` belongs to it, `max` does not. */
export interface Box {
  readonly min: Point;
  readonly max: Point;
}

/** What a player in a fragment gets. */
export interface FragmentSettings {
  /** Frames of entity state a second. */
  readonly updateHz: number;
  /** How far a player sees, in world units. */
  readonly viewRange: number;
  /** Most entities that a player sees. */
  readonly maxVisible: number;
  /** Size of a quantised step of positions, in world units. */
  readonly precision: number;
  /** Most bytes of entity state a second for each player. */
  readonly byteBudget: number;
}

/** Settings that apply above a population. */
export interface Level {
  /** Applies when there are more players than this; 0 for the fragment's own settings. */
  readonly players: number;
  readonly settings: FragmentSettings;
}

/** A named part of the world. */
export interface Fragment {
  readonly name: string;
  readonly box: Box;
  /** Most players; 0 means no limit. */
  readonly capacity: number;
  /** World units a second; 0 means unchecked. */
  readonly speedLimit: number;
  /** How long tickets that start there can be used; as for the whole cluster unless given. */
  readonly ticketLifetimeSeconds: number | undefined;
  /** Whether this cluster carries it; what it does not carry is another cluster's, and no player here may be in it. */
  readonly carried: boolean;
  /** Its own settings, then its thresholds by rising population. */
  readonly levels: readonly [Level, ...Level[]];
}

/** Entities up to a fraction of the view range are told of every so many frames. */
export interface Tier {
  /** Fraction of the view range; that of the last tier is 1. */
  readonly within: number;
  readonly every: number;
}

/** What holds in all fragments. */
export interface WorldRules {
  readonly dimensions: 2 | 3;
  /** How far out of its fragment a player must be before it is swapped, in world units. */
  readonly swapMargin: number;
  /** For how many ticks on end. */
  readonly swapDwellTicks: number;
  /** How far into another cluster's area a player may walk on while it is being handed over, in world units. */
  readonly handoverOverrun: number;
  /** Fraction of a threshold's players that must be gone below it before it falls back. */
  readonly thresholdMargin: number;
  /** Fraction of the view range that an entity may go beyond it before it leaves the view. */
  readonly viewHysteresis: number;
  /** Most entities that one search for one viewer looks at. */
  readonly maxExamined: number;
  /** An entity whose changes have waited for so many ticks goes before all others. */
  readonly starveTicks: number;
  readonly tiers: readonly Tier[];
  /** Most entities of the world, players included. A running world keeps the number that it was made with. */
  readonly maxEntities: number;
  /** Most ghosts of other clusters' entities beside them; the same holds. */
  readonly maxGhosts: number;
}

/** The fragments of a world, and where they are. */
export interface Layout {
  readonly rules: WorldRules;
  readonly fragments: readonly Fragment[];
  readonly locator: Locator;
}

/** Puts a checked layout together. `fragments` is not empty; their boxes do not overlap. */
export function createLayout(rules: WorldRules, fragments: readonly Fragment[]): Layout {
  const boxes = fragments.map(({ box }) => box);
  return { rules, fragments, locator: createLocator(boxes, rules.dimensions) };
}
