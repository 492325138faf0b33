import type { EntityStore } from "./entity-store.ts";
import type { Work } from "./work.ts";

/** Cells are 2^exponent world units wide, with the exponent in this range. */
const minExponent = -10;
const maxExponent = 24;

/** One size of cell: all entities, sorted by cell. */
interface Level {
  builtAt: number;
  /** Where each cell's entities begin; one more than there are cells. */
  readonly starts: Int32Array;
  readonly slots: Int32Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly z: Float64Array;
}

/** A sphere to search; in two dimensions a circle. Kept and changed, not made anew: numbers that are passed on are boxed. */
export interface Reach {
  x: number;
  y: number;
  z: number;
  reach: number;
}

/** Entities that a search found; only the first `count` are valid, until the next search. */
export interface Found {
  count: number;
  readonly slots: Int32Array;
  /** Squared distances. */
  readonly distances: Float64Array;
}

/**
 * A spatial hash of all entities, in several sizes of cell, each built when the first search of a tick needs it (a counting
 * sort). A search takes cells of about half its radius, so that a crowd costs no more than an open field.
 *
 * The hash of a cell is its coordinates modulo the table's sides: neighbours keep apart and in a row's order, so a search
 * is a few straight runs, and far cells that share a place are sorted out by distance.
 */
export class SpatialGrid {
  readonly found: Found;
  readonly #store: EntityStore;
  readonly #levels: (Level | undefined)[] = [];
  /** Cells a side of the table: powers of two. */
  readonly #columns: number;
  readonly #rows: number;
  readonly #layers: number;
  readonly #cellOf: Int32Array;
  /** Runs of entities that the search in progress must look at: start, end. */
  readonly #runs: Int32Array;
  #runCount = 0;
  readonly #work: Work;
  /** Cell size of the search in progress. */
  #exponent = 0;
  #tick = 0;

  constructor(store: EntityStore, dimensions: 2 | 3, work: Work) {
    this.#store = store;
    this.#work = work;
    this.found = {
      count: 0,
      slots: new Int32Array(store.capacity),
      distances: new Float64Array(store.capacity),
    };
    const side = (count: number): number => 2 ** Math.max(3, Math.ceil(Math.log2(count)));
    this.#columns = dimensions === 2 ? side(Math.sqrt(4 * store.capacity)) : side(Math.cbrt(4 * store.capacity));
    this.#rows = this.#columns;
    this.#layers = dimensions === 2 ? 1 : this.#columns;
    this.#cellOf = new Int32Array(store.capacity);
    this.#runs = new Int32Array(4 * this.#rows * this.#layers);
  }

  /** Starts the searches of a committed tick. */
  begin(tick: number): void {
    this.#tick = tick;
  }

  /**
   * Finds the entities in reach whose `marks` entry is not `mark`, and puts them into {@link found}.
   *
   * @param limit most entities to look at; where more are near, it starts at `cursor` among them
   * @returns where to start next time: 0 when all were looked at
   */
  search(where: Reach, marks: Uint32Array, mark: number, limit: number, cursor: number): number {
    const level = this.#level(where.reach);
    const near = this.#findRuns(level, where);
    this.found.count = 0;
    let from = 0;
    let to = near;
    let next = 0;
    if (near > limit) {
      from = cursor % near;
      to = from + limit;
      next = to % near;
    }
    this.#scan(level, where, marks, mark, from, Math.min(to, near));
    if (to > near) this.#scan(level, where, marks, mark, 0, to - near);
    return next;
  }

  /** Looks at the entities of the runs from one ordinal up to another. */
  #scan(level: Level, { x, y, z, reach }: Reach, marks: Uint32Array, mark: number, from: number, to: number): void {
    const { slots, distances } = this.found;
    const flat = this.#layers === 1;
    const reach2 = reach * reach;
    const runs = this.#runs;
    const levelSlots = level.slots;
    const levelX = level.x;
    const levelY = level.y;
    const levelZ = level.z;
    let { count } = this.found;
    let passed = 0;
    for (let run = 0; run < this.#runCount; run++) {
      let start = runs[2 * run] ?? 0;
      let end = runs[2 * run + 1] ?? 0;
      const length = end - start;
      if (passed + length > to) end = start + to - passed;
      if (passed < from) start += from - passed;
      for (let at = start; at < end; at++) {
        const dx = (levelX[at] ?? 0) - x;
        const dz = (levelZ[at] ?? 0) - z;
        let distance = dx * dx + dz * dz;
        if (!flat) {
          const dy = (levelY[at] ?? 0) - y;
          distance += dy * dy;
        }
        if (distance > reach2) continue;
        const slot = levelSlots[at] ?? 0;
        if (marks[slot] === mark) continue;
        slots[count] = slot;
        distances[count++] = distance;
      }
      passed += length;
      if (passed >= to) break;
    }
    this.found.count = count;
    this.#work.examined += to - from;
  }

  /** Lists the runs of the cells that a sphere touches; returns how many entities they hold. */
  #findRuns(level: Level, { x, y, z, reach }: Reach): number {
    const scale = 2 ** -this.#exponent;
    const columns = this.#columns;
    const { starts } = level;
    const runs = this.#runs;
    const left = Math.floor((x - reach) * scale);
    const wide = Math.min(Math.floor((x + reach) * scale) - left + 1, columns);
    const front = Math.floor((z - reach) * scale);
    const deep = Math.min(Math.floor((z + reach) * scale) - front + 1, this.#rows);
    const bottom = this.#layers === 1 ? 0 : Math.floor((y - reach) * scale);
    const high = this.#layers === 1 ? 1 : Math.min(Math.floor((y + reach) * scale) - bottom + 1, this.#layers);
    const first = left & (columns - 1);
    const overhang = first + wide - columns;
    let count = 0;
    let near = 0;
    for (let layer = 0; layer < high; layer++) {
      const plane = ((bottom + layer) & (this.#layers - 1)) * this.#rows;
      for (let line = 0; line < deep; line++) {
        const row = (plane + ((front + line) & (this.#rows - 1))) * columns;
        const start = starts[row + first] ?? 0;
        const end = starts[row + (overhang > 0 ? columns : first + wide)] ?? 0;
        if (end > start) {
          runs[2 * count] = start;
          runs[2 * count++ + 1] = end;
          near += end - start;
        }
        if (overhang <= 0) continue;
        const wrapped = starts[row] ?? 0;
        const wrappedEnd = starts[row + overhang] ?? 0;
        if (wrappedEnd === wrapped) continue;
        runs[2 * count] = wrapped;
        runs[2 * count++ + 1] = wrappedEnd;
        near += wrappedEnd - wrapped;
      }
    }
    this.#runCount = count;
    return near;
  }

  #level(reach: number): Level {
    const exponent = Math.min(maxExponent, Math.max(minExponent, Math.ceil(Math.log2(reach)) - 2));
    this.#exponent = exponent;
    let level = this.#levels[exponent - minExponent];
    if (level === undefined) {
      const { capacity } = this.#store;
      level = {
        builtAt: 0,
        starts: new Int32Array(this.#columns * this.#rows * this.#layers + 1),
        slots: new Int32Array(capacity),
        x: new Float64Array(capacity),
        y: new Float64Array(capacity),
        z: new Float64Array(capacity),
      };
      this.#levels[exponent - minExponent] = level;
    }
    if (level.builtAt !== this.#tick) this.#build(level);
    return level;
  }

  #build(level: Level): void {
    const { live, liveCount, x, y, z } = this.#store;
    const { starts, slots } = level;
    const cellOf = this.#cellOf;
    const scale = 2 ** -this.#exponent;
    const columns = this.#columns;
    const rows = this.#rows;
    const layers = this.#layers;
    starts.fill(0);
    for (let index = 0; index < liveCount; index++) {
      const slot = live[index] ?? 0;
      const column = Math.floor((x[slot] ?? 0) * scale) & (columns - 1);
      const row = Math.floor((z[slot] ?? 0) * scale) & (rows - 1);
      const layer = layers === 1 ? 0 : Math.floor((y[slot] ?? 0) * scale) & (layers - 1);
      const cell = (layer * rows + row) * columns + column;
      cellOf[index] = cell;
      starts[cell] = (starts[cell] ?? 0) + 1;
    }
    let total = 0;
    for (let cell = 0; cell < starts.length; cell++) {
      total += starts[cell] ?? 0;
      starts[cell] = total;
    }
    for (let index = liveCount - 1; index >= 0; index--) {
      const slot = live[index] ?? 0;
      const cell = cellOf[index] ?? 0;
      const at = (starts[cell] ?? 0) - 1;
      starts[cell] = at;
      slots[at] = slot;
      level.x[at] = x[slot] ?? 0;
      level.y[at] = y[slot] ?? 0;
      level.z[at] = z[slot] ?? 0;
    }
    level.builtAt = this.#tick;
  }
}
