import { findGaps, findOverlaps, findTouching } from "./box-faults.ts";
import { coordinate, readBox, type ReadFragment, readFragment, readGrid } from "./fragment-table.ts";
import { type Box, createLayout, type Fragment, type Layout, type Tier, type WorldRules } from "./layout.ts";
import { type LayoutProblem, TableReader } from "./table-reader.ts";

/** Most fragments of a layout, grids included. */
export const maxFragments = 2_048;

/** Most overlaps, and most gaps, that are told. */
const maxBoxProblems = 8;

/** A layout, or everything that is wrong with it. */
export type ParsedLayout =
  | { readonly layout: Layout; readonly problems?: undefined }
  | { readonly layout?: undefined; readonly problems: readonly LayoutProblem[] };

/** The tables of a Config.toml that make up a layout, untrusted; others are not looked at. */
export interface LayoutTables {
  readonly world?: unknown;
  readonly fragment?: unknown;
}

/**
 * Reads `[world]`, `[[fragment]]` and `[world.grid]` (or several, as `[[world.grid]]`), and checks everything. Where
 * there is no fragment, the layout is one fragment, `world`, that is everywhere.
 */
export function parseLayout(tables: LayoutTables): ParsedLayout {
  const problems: LayoutProblem[] = [];
  const root = new TableReader("", { ...tables }, problems);
  const world = readWorld(new TableReader("world", tables.world, problems));
  const parts: ReadFragment[] = [];
  for (const reader of root.tables("fragment", maxFragments)) {
    const part = readFragment(reader);
    if (part !== undefined) parts.push(part);
  }
  for (const reader of world.grids) parts.push(...readGrid(reader, maxFragments - parts.length));
  assertNames(parts, problems);
  const carried = new Set(world.carries);
  assertCarries(parts, world.carries, problems);
  const dimensions = assertDimensions(parts, world.bounds, problems);
  if (problems.length === 0) assertBoxes(parts, world, problems);
  const swapMargin = problems.length === 0 ? marginOf(parts, world.swapMargin, problems) : 0;
  if (problems.length > 0) return { problems };
  const fragments = parts.map(({ fragment }): Fragment => {
    const { name, box, capacity, speedLimit, ticketLifetimeSeconds, levels } = fragment;
    const isCarried = carried.size === 0 || carried.has(name);
    return { name, box, capacity, speedLimit, ticketLifetimeSeconds, levels, carried: isCarried };
  });
  return {
    layout: createLayout(
      { ...world.rules, swapMargin, dimensions },
      fragments.length > 0 ? fragments : [createEverywhere(problems)],
    ),
  };
}

/** One fragment that is everywhere. */
export function defaultLayout(): Layout {
  const { layout } = parseLayout({});
  if (layout === undefined) throw new Error("the default layout is not valid");
  return layout;
}

interface ReadWorld {
  readonly rules: Omit<WorldRules, "dimensions" | "swapMargin">;
  readonly swapMargin: number | undefined;
  readonly bounds: { readonly box: Box; readonly dimensions: 2 | 3 } | undefined;
  readonly requireCover: boolean;
  readonly grids: readonly TableReader[];
  /** Names of the fragments that this cluster carries; empty for all. */
  readonly carries: readonly string[];
}

const defaultTiers: readonly Tier[] = [
  { within: 0.35, every: 1 },
  { within: 0.7, every: 2 },
  { within: 1, every: 4 },
];

function readWorld(reader: TableReader): ReadWorld {
  const bounds = readBox(reader, false);
  const requireCover = reader.flag("require_cover", true);
  const grids = reader.tables("grid", maxFragments, true);
  const carries = reader.names("carries", maxFragments);
  const swapMargin = reader.number("swap_margin", { min: 0, max: coordinate.max }, undefined);
  const rules = {
    swapDwellTicks: reader.number("swap_dwell_ticks", { min: 1, max: 10_000, integer: true }, 5),
    handoverOverrun: reader.number("handover_overrun", { min: 0, max: coordinate.max }, 8),
    thresholdMargin: reader.number("threshold_margin", { min: 0, max: 0.9 }, 0.1),
    viewHysteresis: reader.number("view_hysteresis", { min: 0, max: 1 }, 0.1),
    maxExamined: reader.number("max_examined", { min: 16, max: 1e6, integer: true }, 512),
    starveTicks: reader.number("starve_ticks", { min: 1, max: 10_000, integer: true }, 40),
    tiers: readTiers(reader),
    maxEntities: reader.number("max_entities", { min: 1, max: 100_000, integer: true }, 4_096),
    maxGhosts: reader.number("max_ghosts", { min: 1, max: 100_000, integer: true }, 2_000),
  };
  reader.end();
  return { rules, swapMargin, bounds, requireCover, grids, carries };
}

function readTiers(world: TableReader): readonly Tier[] {
  const readers = world.tables("tier", 8);
  if (readers.length === 0) return defaultTiers;
  const tiers: Tier[] = [];
  for (const [index, reader] of readers.entries()) {
    const before = tiers.at(-1);
    const within = reader.number("within", { min: 0, max: 1, above: true }, 1);
    const every = reader.number("every", { min: 1, max: 64, integer: true }, before?.every ?? 1);
    reader.end();
    if (before !== undefined) {
      const place = `world.tier[${index - 1}]`;
      if (within <= before.within) reader.complain("within", `expected more than ${before.within} of ${place}.within`);
      if (every < before.every) reader.complain("every", `expected at least ${before.every} of ${place}.every`);
    }
    if (index === readers.length - 1 && within !== 1) reader.complain("within", "expected 1 in the last tier");
    tiers.push({ within, every });
  }
  return tiers;
}

function assertNames(parts: readonly ReadFragment[], problems: LayoutProblem[]): void {
  const taken = new Map<string, string>();
  for (const { fragment, path } of parts) {
    const other = taken.get(fragment.name);
    if (other === undefined) taken.set(fragment.name, path);
    else if (fragment.name !== "") {
      problems.push({ path: `${path}.name`, message: `"${fragment.name}" is the name of a fragment of ${other} too` });
    }
  }
}

function assertCarries(parts: readonly ReadFragment[], carries: readonly string[], problems: LayoutProblem[]): void {
  const known = new Set(parts.map(({ fragment }) => fragment.name));
  for (const name of carries) {
    if (!known.has(name)) problems.push({ path: "world.carries", message: `there is no fragment "${name}"` });
  }
}

function assertDimensions(
  parts: readonly ReadFragment[],
  bounds: ReadWorld["bounds"],
  problems: LayoutProblem[],
): 2 | 3 {
  const [first] = parts;
  const dimensions = first?.dimensions ?? bounds?.dimensions ?? 2;
  for (const path of new Set(parts.filter((part) => part.dimensions !== dimensions).map((part) => part.path))) {
    problems.push({ path, message: `expected bounds of ${dimensions} numbers, as ${first?.path} has` });
  }
  if (bounds !== undefined && bounds.dimensions !== dimensions) {
    problems.push({
      path: "world.min",
      message: `expected ${dimensions} numbers, as the bounds of ${first?.path} have`,
    });
  }
  return dimensions;
}

function assertBoxes(
  parts: readonly ReadFragment[],
  { bounds, requireCover }: ReadWorld,
  problems: LayoutProblem[],
): void {
  const boxes = parts.map(({ fragment }) => fragment.box);
  const name = (index: number | undefined): string => {
    const part = parts[index ?? -1];
    return part === undefined ? "nothing" : `"${part.fragment.name}" (${part.path})`;
  };
  for (const { first, second, shared } of findOverlaps(boxes, maxBoxProblems)) {
    const message = `${name(second)} overlaps ${name(first)} ${describe(shared)}`;
    problems.push({ path: parts[second]?.path ?? "fragment", message });
  }
  if (!requireCover || parts.length === 0 || problems.length > 0) return;
  for (const gap of findGaps(boxes, bounds?.box ?? around(boxes), maxBoxProblems)) {
    const [first, second] = findTouching(boxes, gap);
    const between = second === undefined ? `beside ${name(first)}` : `between ${name(first)} and ${name(second)}`;
    const message = `no fragment covers the part ${describe(gap)}, ${between}`;
    problems.push({ path: "world.require_cover", message });
  }
}

/**
 * The margin that holds: what is given, or else 1, where fragments are not too small for that. Whoever walks through one that is no wider than
 * the margin is never in it, and its limits hold for nobody.
 */
function marginOf(parts: readonly ReadFragment[], given: number | undefined, problems: LayoutProblem[]): number {
  const sides = parts.map(({ fragment: { box } }) =>
    Math.min(box.max.x - box.min.x, box.max.y - box.min.y, box.max.z - box.min.z),
  );
  const least = Math.min(...sides);
  const margin = given ?? Math.min(1, least / 2);
  const narrowest = parts[sides.indexOf(least)];
  if (parts.length < 2 || margin < least || narrowest === undefined) return margin;
  const { fragment, path } = narrowest;
  const message = `expected less than ${least}, the shortest side of "${fragment.name}" (${path}), got ${margin}`;
  problems.push({ path: "world.swap_margin", message: `${message}: nobody who walks through would be in it` });
  return margin;
}

/** The box around all. */
function around(boxes: readonly Box[]): Box {
  const corner = (of: "min" | "max", pick: (...values: number[]) => number): Box["min"] => ({
    x: pick(...boxes.map((box) => box[of].x)),
    y: pick(...boxes.map((box) => box[of].y)),
    z: pick(...boxes.map((box) => box[of].z)),
  });
  return { min: corner("min", Math.min), max: corner("max", Math.max) };
}

function describe({ min, max }: Box): string {
  const corner = (point: Box["min"]): string => `[${[point.x, point.y, point.z].filter(Number.isFinite).join(", ")}]`;
  return `from ${corner(min)} to ${corner(max)}`;
}

/** Where no fragments are given, one is everything: positions beyond its bounds belong to it as the nearest. */
function createEverywhere(problems: LayoutProblem[]): Fragment {
  const far = coordinate.max / 100;
  const table = { name: "world", min: [-far, -far], max: [far, far] };
  const read = readFragment(new TableReader("fragment[0]", table, problems));
  if (read === undefined) throw new Error("the default fragment is not valid");
  return read.fragment;
}
