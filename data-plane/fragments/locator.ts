import type { Box } from "./layout.ts";

/** Finds the fragment of a position, by index. */
export interface Locator {
  /**
   * The fragment that holds a position. For a position in none it is the nearest (of equals the first); a position outside
   * of the box around all fragments counts as the point of that box that is nearest to it.
   */
  locate(x: number, y: number, z: number): number;
  /** Whether a position is in a fragment, or at most `margin` world units out of it along each axis. */
  isWithin(fragment: number, x: number, y: number, z: number, margin: number): boolean;
  /** Most fragments that {@link locate} looks at for any position. */
  readonly longestList: number;
}

/** More buckets than this for each box gain nothing. */
const bucketsPerBox = 4;

/** One axis of the buckets. */
interface Axis {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly origin: number;
  readonly end: number;
  readonly count: number;
  readonly width: number;
}

/**
 * Prepares a locator for boxes that do not overlap. Each bucket of a coarse grid lists every box that is the answer for some
 * point in it, so that an answer costs one short list wherever the point is.
 */
export function createLocator(boxes: readonly Box[], dimensions: 2 | 3): Locator {
  const [x, y, z] = createAxes(boxes, dimensions);
  const { starts, items } = fillBuckets(x, y, z, boxes.length);
  let longestList = 0;
  for (let bucket = 0; bucket + 1 < starts.length; bucket++) {
    longestList = Math.max(longestList, (starts[bucket + 1] ?? 0) - (starts[bucket] ?? 0));
  }
  return {
    longestList,
    locate(pointX, pointY, pointZ) {
      const px = clamp(pointX, x.origin, x.end);
      const py = clamp(pointY, y.origin, y.end);
      const pz = clamp(pointZ, z.origin, z.end);
      const bucket = (bucketOf(y, py) * z.count + bucketOf(z, pz)) * x.count + bucketOf(x, px);
      const end = starts[bucket + 1] ?? 0;
      let nearest = items[starts[bucket] ?? 0] ?? 0;
      let least = Infinity;
      for (let at = starts[bucket] ?? 0; at < end; at++) {
        const box = items[at] ?? 0;
        if (holds(x, box, px) && holds(z, box, pz) && holds(y, box, py)) return box;
        const distance = outside(x, box, px) ** 2 + outside(y, box, py) ** 2 + outside(z, box, pz) ** 2;
        if (distance < least) {
          least = distance;
          nearest = box;
        }
      }
      return nearest;
    },
    isWithin(box, px, py, pz, margin) {
      return (
        px >= (x.min[box] ?? 0) - margin &&
        px < (x.max[box] ?? 0) + margin &&
        pz >= (z.min[box] ?? 0) - margin &&
        pz < (z.max[box] ?? 0) + margin &&
        py >= (y.min[box] ?? 0) - margin &&
        py < (y.max[box] ?? 0) + margin
      );
    },
  };
}

function createAxes(boxes: readonly Box[], dimensions: 2 | 3): readonly [Axis, Axis, Axis] {
  const counts = (["x", "y", "z"] as const).map((name) => {
    if (name === "y" && dimensions === 2) return 1;
    const [first] = boxes;
    if (first === undefined) return 1;
    const origin = Math.min(...boxes.map(({ min }) => min[name]));
    const end = Math.max(...boxes.map(({ max }) => max[name]));
    const mean = boxes.reduce((sum, { min, max }) => sum + max[name] - min[name], 0) / boxes.length;
    return Math.max(1, Math.min(boxes.length, Math.round((end - origin) / mean)));
  });
  let [countX = 1, countY = 1, countZ = 1] = counts;
  while (countX * countY * countZ > bucketsPerBox * Math.max(1, boxes.length)) {
    const most = Math.max(countX, countY, countZ);
    if (countX === most) countX = Math.ceil(countX / 2);
    else if (countY === most) countY = Math.ceil(countY / 2);
    else countZ = Math.ceil(countZ / 2);
  }
  return [createAxis(boxes, "x", countX), createAxis(boxes, "y", countY), createAxis(boxes, "z", countZ)];
}

function createAxis(boxes: readonly Box[], name: "x" | "y" | "z", count: number): Axis {
  const min = Float64Array.from(boxes, (box) => box.min[name]);
  const max = Float64Array.from(boxes, (box) => box.max[name]);
  const origin = Math.min(...min);
  const end = Math.max(...max);
  // The height of a world of two dimensions is endless: one bucket, wherever.
  return { min, max, origin, end, count, width: Number.isFinite(end - origin) ? (end - origin) / count : 1 };
}

function fillBuckets(x: Axis, y: Axis, z: Axis, boxes: number): { starts: Int32Array; items: Int32Array } {
  const starts: number[] = [0];
  const items: number[] = [];
  const least = new Float64Array(boxes);
  for (let layer = 0; layer < y.count; layer++) {
    for (let row = 0; row < z.count; row++) {
      for (let column = 0; column < x.count; column++) {
        let bound = Infinity;
        for (let box = 0; box < boxes; box++) {
          const spanX = spanTo(x, column, box);
          const spanY = spanTo(y, layer, box);
          const spanZ = spanTo(z, row, box);
          least[box] = spanX.least ** 2 + spanY.least ** 2 + spanZ.least ** 2;
          bound = Math.min(bound, spanX.most ** 2 + spanY.most ** 2 + spanZ.most ** 2);
        }
        for (let box = 0; box < boxes; box++) if ((least[box] ?? 0) <= bound) items.push(box);
        starts.push(items.length);
      }
    }
  }
  return { starts: Int32Array.from(starts), items: Int32Array.from(items) };
}

/** How far a box is from the points of a bucket along an axis: at least and at most. */
function spanTo(axis: Axis, bucket: number, box: number): { least: number; most: number } {
  if (!Number.isFinite(axis.end - axis.origin)) return { least: 0, most: 0 };
  // A little wider than it is: the division that finds a point's bucket rounds.
  const slack = (axis.end - axis.origin) * 1e-9;
  const from = axis.origin + bucket * axis.width - slack;
  const to = from + axis.width + 2 * slack;
  const min = axis.min[box] ?? 0;
  const max = axis.max[box] ?? 0;
  return { least: Math.max(0, min - to, from - max), most: Math.max(0, min - from, to - max) };
}

function bucketOf(axis: Axis, value: number): number {
  if (axis.count === 1) return 0;
  return clamp(Math.floor((value - axis.origin) / axis.width), 0, axis.count - 1);
}

function holds(axis: Axis, box: number, value: number): boolean {
  return value >= (axis.min[box] ?? 0) && value < (axis.max[box] ?? 0);
}

function outside(axis: Axis, box: number, value: number): number {
  const min = axis.min[box] ?? 0;
  const max = axis.max[box] ?? 0;
  return value < min ? min - value : value > max ? value - max : 0;
}

/** What is not a number counts as `min`. */
function clamp(value: number, min: number, max: number): number {
  return value > max ? max : value >= min ? value : min;
}
