import { type LayoutTables, parseLayout } from "../layout-parser.ts";
import type { Layout } from "../layout.ts";
import { type Random, randomBelow, randomInteger } from "../../../protocol/testing/seeded-random.ts";

/** A `[[fragment]]` table. */
export interface FragmentTable {
  name: string;
  min: number[];
  max: number[];
  [key: string]: unknown;
}

/** Cuts a box of `side` world units into fragments by random cuts, so that they cover it without overlaps. */
export function createRandomFragments(random: Random, count: number, side: number, dimensions: 2 | 3): FragmentTable[] {
  const axes = Array.from({ length: dimensions }, (_, axis) => axis);
  const parts = [{ min: axes.map(() => -side / 2), max: axes.map(() => side / 2) }];
  while (parts.length < count) {
    const [part] = parts.splice(randomInteger(random, 0, parts.length - 1), 1);
    if (part === undefined) break;
    const axis = randomInteger(random, 0, dimensions - 1);
    const from = part.min[axis] ?? 0;
    const cut = from + ((part.max[axis] ?? 0) - from) * (0.2 + randomBelow(random, 0.6));
    parts.push({ min: part.min, max: part.max.with(axis, cut) }, { min: part.min.with(axis, cut), max: part.max });
  }
  return parts.map(({ min, max }, index) => ({ name: `part-${index}`, min, max }));
}

/** Parses a layout that is meant to be right. */
export function assertLayout(tables: LayoutTables): Layout {
  const { layout, problems } = parseLayout(tables);
  if (layout === undefined) throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  return layout;
}
