import type { Box, Fragment, Point } from "./layout.ts";
import { readLevels } from "./settings-table.ts";
import type { NumberRange, TableReader } from "./table-reader.ts";
import { maxSteps } from "../../protocol/entities/wire.ts";
import { limits } from "../../protocol/index.ts";

/** A fragment as it was read, and where. */
export interface ReadFragment {
  readonly fragment: Fragment;
  readonly path: string;
  /** 2 if its bounds have x and z, 3 if they have y too. */
  readonly dimensions: 2 | 3;
}

export const coordinate: NumberRange = { min: -1e9, max: 1e9 };

const ticketLifetime: NumberRange = {
  min: limits.minTicketLifetimeSeconds,
  max: limits.maxTicketLifetimeSeconds,
  integer: true,
};

/** Clients are told limits of speed as an `f32`, in which less is nothing, and nothing is no limit. */
const minSpeedLimit = 1e-3;

/** Most fragments that a grid may have along an axis. */
const maxGridSide = 1_024;

/** Reads a `[[fragment]]`. Returns `undefined` when its bounds cannot be used. */
export function readFragment(reader: TableReader): ReadFragment | undefined {
  const name = reader.name("name");
  const box = readBox(reader, true);
  const rest = readSettings(reader);
  reader.end();
  if (box === undefined) return undefined;
  assertPrecision(reader, box.box, rest);
  assertRoom(reader, "max", [box.box]);
  return { fragment: { name, box: box.box, ...rest }, path: reader.path, dimensions: box.dimensions };
}

/** Reads a `[world.grid]`: `columns` × `rows` (× `layers`) fragments of one `size`, named `name-column-row(-layer)`. */
export function readGrid(reader: TableReader, most: number): ReadFragment[] {
  const name = reader.name("name");
  const origin = reader.numbers("origin", coordinate);
  const size = reader.numbers("size", { min: 0, max: 2e9, above: true });
  const side = { min: 1, max: maxGridSide, integer: true };
  const columns = reader.number("columns", side, undefined);
  const rows = reader.number("rows", side, undefined);
  const layers = reader.number("layers", side, 1);
  const rest = readSettings(reader);
  reader.end();
  for (const key of ["origin", "size", "columns", "rows"]) {
    if (!reader.has(key)) reader.complain(key, "missing");
  }
  if (origin === undefined || size === undefined || columns === undefined || rows === undefined) return [];
  if (origin.length !== size.length) {
    reader.complain("size", `expected as many numbers as ${reader.at("origin")} has`);
    return [];
  }
  const dimensions = origin.length === 2 ? 2 : 3;
  if (dimensions === 2 && reader.has("layers")) {
    reader.complain("layers", `expected ${reader.at("origin")} and ${reader.at("size")} with 3 numbers, x, y, z`);
    return [];
  }
  if (columns * rows * layers > most) {
    reader.complain("columns", `${columns * rows * layers} fragments in all, expected at most ${most}`);
    return [];
  }
  const cells: ReadFragment[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const place = dimensions === 2 ? [column, row] : [column, row, layer];
        const at = dimensions === 2 ? [column, row] : [column, layer, row];
        // Neighbours get the very same number for the border between them.
        const edge = (more: number): number[] =>
          origin.map((start, axis) => start + ((at[axis] ?? 0) + more) * (size[axis] ?? 0));
        const fragment = { name: `${name}-${place.join("-")}`, box: createBox(edge(0), edge(1)), ...rest };
        cells.push({ fragment, path: reader.path, dimensions });
      }
    }
  }
  const [first] = cells;
  const last = cells.at(-1);
  if (first !== undefined && last !== undefined) {
    assertPrecision(reader, { min: first.fragment.box.min, max: last.fragment.box.max }, rest);
  }
  assertRoom(
    reader,
    "size",
    cells.map(({ fragment }) => fragment.box),
  );
  return cells;
}

/** Reads `min` and `max`. Complains about what is missing only where they are `required`. */
export function readBox(reader: TableReader, required: boolean): { box: Box; dimensions: 2 | 3 } | undefined {
  const min = reader.numbers("min", coordinate);
  const max = reader.numbers("max", coordinate);
  for (const key of ["min", "max"]) {
    if (required && !reader.has(key)) reader.complain(key, "missing, expected [x, z] or [x, y, z]");
  }
  if (min === undefined || max === undefined) return undefined;
  if (min.length !== max.length) {
    reader.complain("max", `expected as many numbers as ${reader.at("min")} has`);
    return undefined;
  }
  if (min.some((value, axis) => value >= (max[axis] ?? 0))) {
    reader.complain("max", `expected each number to be greater than that of ${reader.at("min")}`);
    return undefined;
  }
  return { box: createBox(min, max), dimensions: min.length === 2 ? 2 : 3 };
}

function createBox(min: readonly number[], max: readonly number[]): Box {
  return { min: createPoint(min, -Infinity), max: createPoint(max, Infinity) };
}

function createPoint(numbers: readonly number[], height: number): Point {
  const [x = 0, second = 0, third] = numbers;
  return third === undefined ? { x, y: height, z: second } : { x, y: second, z: third };
}

function readSettings(reader: TableReader): Omit<Fragment, "name" | "box"> {
  const capacity = reader.number("capacity", { min: 0, max: 1e6, integer: true }, 0);
  const speedLimit = reader.number("speed_limit", { min: 0, max: 1e9 }, 0);
  if (speedLimit > 0 && speedLimit < minSpeedLimit)
    reader.complain("speed_limit", `expected 0 for none, or at least ${minSpeedLimit}`);
  const lifetime = reader.number("ticket_lifetime_seconds", ticketLifetime, undefined);
  const levels = readLevels(reader, capacity);
  return { capacity, speedLimit, ticketLifetimeSeconds: lifetime, carried: true, levels };
}

function assertPrecision(reader: TableReader, { min, max }: Box, { levels }: Omit<Fragment, "name" | "box">): void {
  const corners = [min.x, min.y, min.z, max.x, max.y, max.z].filter(Number.isFinite).map(Math.abs);
  const farthest = Math.max(...corners);
  const finest = levels[0].settings.precision;
  if (farthest / finest <= maxSteps) return;
  reader.complain("precision", `expected at least ${farthest / maxSteps} for bounds that reach ${farthest}`);
}

/** A fragment needs positions to be in: on the wire they are an `f32`, which grows coarser with the distance from 0. */
function assertRoom(reader: TableReader, key: string, boxes: readonly Box[]): void {
  for (const { min, max } of boxes) {
    for (const axis of ["x", "y", "z"] as const) {
      const step = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(min[axis]), Math.abs(max[axis])))) - 23);
      if (!Number.isFinite(step) || max[axis] - min[axis] >= step) continue;
      reader.complain(key, `expected at least ${step} between the bounds: so far out, positions come in such steps`);
      return;
    }
  }
}
