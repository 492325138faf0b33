import type { Box } from "./layout.ts";

const axes = ["x", "y", "z"] as const;

/** Two boxes that share points. */
export interface Overlap {
  /** Indices; `first` is the smaller. */
  readonly first: number;
  readonly second: number;
  /** What they share. */
  readonly shared: Box;
}

/** Finds boxes that share points, at most `most` pairs. Boxes that touch share none: they are half open. */
export function findOverlaps(boxes: readonly Box[], most: number): Overlap[] {
  const order = boxes.map((_, index) => index).sort((a, b) => (boxes[a]?.min.x ?? 0) - (boxes[b]?.min.x ?? 0));
  const overlaps: Overlap[] = [];
  let open: number[] = [];
  for (const index of order) {
    const box = boxes[index];
    if (box === undefined) continue;
    open = open.filter((other) => (boxes[other]?.max.x ?? 0) > box.min.x);
    for (const other of open) {
      const shared = intersect(box, boxes[other] ?? box);
      if (shared === undefined) continue;
      overlaps.push({ first: Math.min(index, other), second: Math.max(index, other), shared });
      if (overlaps.length === most) return overlaps;
    }
    open.push(index);
  }
  return overlaps;
}

/** Finds parts of `whole` that no box covers, at most `most`. */
export function findGaps(boxes: readonly Box[], whole: Box, most: number): Box[] {
  const inside = boxes.flatMap((box) => intersect(box, whole) ?? []);
  const gaps: Box[] = [];
  sweep(inside, whole, 0, most, gaps);
  return gaps;
}

/** Indices of the boxes that touch or share a point with a box. */
export function findTouching(boxes: readonly Box[], { min, max }: Box): number[] {
  return boxes.flatMap((box, index) =>
    axes.every((axis) => box.min[axis] <= max[axis] && box.max[axis] >= min[axis]) ? [index] : [],
  );
}

/**
 * Cuts `rest` along an axis wherever a box begins or ends, and looks at each slice along the next axis. All boxes reach through
 * `rest` along the axes before.
 */
function sweep(boxes: readonly Box[], rest: Box, depth: number, most: number, gaps: Box[]): void {
  const axis = axes[depth];
  if (boxes.length === 0 || axis === undefined) {
    if (boxes.length === 0) gaps.push(rest);
    return;
  }
  const cuts = new Set([rest.min[axis], rest.max[axis]]);
  for (const { min, max } of boxes) cuts.add(min[axis]).add(max[axis]);
  const edges = [...cuts].sort((a, b) => a - b);
  const coming = boxes.toSorted((a, b) => a.min[axis] - b.min[axis]);
  let next = 0;
  let open: Box[] = [];
  for (const [index, from] of edges.entries()) {
    const to = edges[index + 1];
    if (to === undefined || gaps.length >= most) return;
    open = open.filter((box) => box.max[axis] > from);
    for (let box = coming[next]; box !== undefined && box.min[axis] <= from; box = coming[++next]) open.push(box);
    const slice = { min: { ...rest.min, [axis]: from }, max: { ...rest.max, [axis]: to } };
    sweep(open, slice, depth + 1, most, gaps);
  }
}

function intersect(a: Box, b: Box): Box | undefined {
  const min = { x: Math.max(a.min.x, b.min.x), y: Math.max(a.min.y, b.min.y), z: Math.max(a.min.z, b.min.z) };
  const max = { x: Math.min(a.max.x, b.max.x), y: Math.min(a.max.y, b.max.y), z: Math.min(a.max.z, b.max.z) };
  return axes.every((axis) => min[axis] < max[axis]) ? { min, max } : undefined;
}
