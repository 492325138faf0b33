import type { Choice } from "./choice.ts";
import type { EntityStore } from "./entity-store.ts";
import { MaxHeap } from "./max-heap.ts";
import type { Reach, SpatialGrid } from "./spatial-grid.ts";
import type { ViewRules } from "./view-rules.ts";
import type { VisibleSets } from "./visible-sets.ts";
import type { Work } from "./work.ts";

/** Where a viewer looks from; `reach` is for {@link Interest} to set. */
export interface Viewpoint extends Reach {
  /** Slot of the entity that it does not see: its own. */
  self: number;
}

/**
 * Decides what a viewer sees: the nearest entities in range. One that is seen already counts as nearer by the factor
 * `1 + hysteresis`, both for the range and among the nearest, so that nothing flickers at the edge.
 *
 * It decides only; the results stand in its fields until the next call, for the frame's writer to carry out.
 */
export class Interest implements Choice {
  readonly leaves: Uint8Array;
  leaveCount = 0;
  readonly enters: Int32Array;
  enterCount = 0;
  readonly distances: Float64Array;
  readonly #store: EntityStore;
  readonly #grid: SpatialGrid;
  readonly #sets: VisibleSets;
  readonly #work: Work;
  readonly #flat: boolean;
  /** By slot: `#mark` if the viewer sees it already. */
  readonly #marks: Uint32Array;
  #mark = 0;
  /** Greatest squared distance among what the viewer sees and keeps. */
  #farthest = 0;
  /** By viewer: where its search goes on when there was too much to look at. */
  readonly #cursors: Uint32Array;
  readonly #nearest: MaxHeap;
  readonly #enterDistances: Float64Array;

  constructor(store: EntityStore, grid: SpatialGrid, sets: VisibleSets, dimensions: 2 | 3, work: Work) {
    this.#work = work;
    this.#store = store;
    this.#grid = grid;
    this.#sets = sets;
    this.#flat = dimensions === 2;
    this.leaves = new Uint8Array(sets.rowLength);
    this.enters = new Int32Array(sets.rowLength);
    this.distances = new Float64Array(sets.rowLength);
    this.#marks = new Uint32Array(store.capacity);
    this.#cursors = new Uint32Array(sets.viewers);
    this.#nearest = new MaxHeap(sets.rowLength);
    this.#enterDistances = new Float64Array(sets.rowLength);
  }

  refresh(viewer: number, from: Viewpoint, rules: ViewRules): void {
    const grid = this.#grid;
    this.#checkSeen(viewer, from, rules);
    const kept = (this.#sets.count[viewer] ?? 0) - this.leaveCount;
    const { maxVisible, range, nearing } = rules;
    this.enterCount = 0;
    from.reach = kept < maxVisible ? range : Math.min(range, Math.sqrt(this.#farthest * nearing));
    grid.found.count = 0;
    if (from.reach > 0) {
      const cursor = this.#cursors[viewer] ?? 0;
      this.#cursors[viewer] = grid.search(from, this.#marks, this.#mark, rules.maxExamined, cursor);
    }
    if (kept + grid.found.count > maxVisible) this.#choose(viewer, rules);
    else this.#enterAll();
  }

  /** Measures and marks what the viewer sees, and finds what leaves. */
  #checkSeen(viewer: number, { x, y, z, self }: Viewpoint, rules: ViewRules): void {
    const { x: xs, y: ys, z: zs, number: numbers } = this.#store;
    const { slot: slots, number: seenNumbers, rowLength } = this.#sets;
    const { leaves, distances } = this;
    const marks = this.#marks;
    const mark = this.#nextMark();
    const flat = this.#flat;
    const row = viewer * rowLength;
    const count = this.#sets.count[viewer] ?? 0;
    const { leaveRange2 } = rules;
    let farthest = 0;
    let leaveCount = 0;
    for (let index = 0; index < count; index++) {
      const slot = slots[row + index] ?? 0;
      const dx = (xs[slot] ?? 0) - x;
      const dz = (zs[slot] ?? 0) - z;
      let distance = dx * dx + dz * dz;
      if (!flat) {
        const dy = (ys[slot] ?? 0) - y;
        distance += dy * dy;
      }
      distances[index] = distance;
      if (distance > leaveRange2 || numbers[slot] !== seenNumbers[row + index]) {
        leaves[index] = 1;
        leaveCount++;
        continue;
      }
      leaves[index] = 0;
      marks[slot] = mark;
      if (distance > farthest) farthest = distance;
    }
    marks[self] = mark;
    this.leaveCount = leaveCount;
    this.#work.examined += count;
    this.#farthest = farthest;
  }

  /** There is room for all that was found. */
  #enterAll(): void {
    const { count, slots, distances } = this.#grid.found;
    for (let index = 0; index < count; index++) this.#enter(slots[index] ?? 0, distances[index] ?? 0);
  }

  /** There is not: the nearest of both what is seen and what was found. */
  #choose(viewer: number, { maxVisible, nearing }: ViewRules): void {
    const heap = this.#nearest;
    const { leaves, distances } = this;
    const count = this.#sets.count[viewer] ?? 0;
    heap.clear();
    for (let index = 0; index < count; index++) {
      if (leaves[index] === 1) continue;
      const key = (distances[index] ?? 0) * nearing;
      if (heap.size < maxVisible) {
        heap.push(key, index);
      } else if (key < (heap.keys[0] ?? 0)) {
        this.#evict(heap.references[0] ?? 0);
        heap.replaceTop(key, index);
      } else {
        this.#evict(index);
      }
    }
    const { found } = this.#grid;
    for (let index = 0; index < found.count; index++) {
      const key = found.distances[index] ?? 0;
      if (heap.size < maxVisible) {
        heap.push(key, -1 - index);
      } else if (key < (heap.keys[0] ?? 0)) {
        const loser = heap.references[0] ?? 0;
        if (loser >= 0) this.#evict(loser);
        heap.replaceTop(key, -1 - index);
      }
    }
    for (let at = 0; at < heap.size; at++) {
      const index = -1 - (heap.references[at] ?? 0);
      if (index >= 0) this.#enter(found.slots[index] ?? 0, found.distances[index] ?? 0);
    }
  }

  #evict(index: number): void {
    this.leaves[index] = 1;
    this.leaveCount++;
  }

  /** Inserts by distance. */
  #enter(slot: number, distance: number): void {
    const { enters } = this;
    const distances = this.#enterDistances;
    let at = this.enterCount++;
    while (at > 0 && (distances[at - 1] ?? 0) > distance) {
      distances[at] = distances[at - 1] ?? 0;
      enters[at] = enters[at - 1] ?? 0;
      at--;
    }
    distances[at] = distance;
    enters[at] = slot;
  }

  #nextMark(): number {
    if (this.#mark === 0xffff_ffff) {
      this.#marks.fill(0);
      this.#mark = 0;
    }
    return ++this.#mark;
  }
}
