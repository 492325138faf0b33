import type { Fragment, FragmentSettings } from "./layout.ts";

/**
 * The level that applies at a population. It rises as soon as there are more players than a threshold says; it falls back
 * only when a fraction `margin` of that threshold's players is missing, so that a few who come and go change nothing.
 *
 * @param level the level before
 */
export function nextLevel(levels: Fragment["levels"], level: number, population: number, margin: number): number {
  let next = Math.min(level, levels.length - 1);
  while (next + 1 < levels.length && population > (levels[next + 1]?.players ?? Infinity)) next++;
  while (next > 0 && population <= fallBackPlayers(levels[next]?.players ?? 0, margin)) next--;
  return next;
}

/** A level falls back at this many players or fewer. */
export function fallBackPlayers(players: number, margin: number): number {
  return players - Math.max(1, Math.ceil(players * margin));
}

/** The settings of a level; of one that the fragment does not have, those of its highest. */
export function settingsAt({ levels }: Fragment, level: number): FragmentSettings {
  return (levels[level] ?? levels.at(-1) ?? levels[0]).settings;
}

/** A fragment's level has changed. */
export interface LevelChange {
  readonly fragment: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Steps the levels of all fragments by their populations.
 *
 * @param levelOf level of each fragment; updated
 * @param population players in each fragment
 */
export function stepLevels(
  fragments: readonly Fragment[],
  levelOf: Uint8Array,
  population: Int32Array,
  margin: number,
): LevelChange[] {
  const changes: LevelChange[] = [];
  for (let index = 0; index < fragments.length; index++) {
    const fragment = fragments[index];
    const from = levelOf[index] ?? 0;
    if (fragment === undefined) continue;
    const to = nextLevel(fragment.levels, from, population[index] ?? 0, margin);
    if (to === from) continue;
    levelOf[index] = to;
    changes.push({ fragment: fragment.name, from, to });
  }
  return changes;
}
