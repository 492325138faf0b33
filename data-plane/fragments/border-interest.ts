import type { BorderSides } from "./border-sides.ts";
import type { Choice } from "./choice.ts";
import type { EntityStore } from "./entity-store.ts";
import type { VisibleSets } from "./visible-sets.ts";
import type { ViewRules } from "./view-rules.ts";
import type { Work } from "./work.ts";

/** One box: min and max of x, z, y, then the inverse of the range. */
const stride = 7;

/** What a slot holds, as far as a border is concerned. */
export const entityOrigins = {
  /** This cluster's own. */
  own: 0,
  /** A copy of another cluster's: told to nobody. */
  ghost: 1,
  /** A body that its player has left for another cluster: told of as it stands, to those who know it. */
  departed: 2,
} as const;

/**
 * Decides what a neighbour is told of: what is in range of its side of the border, the nearest first. The distance is that to the nearest
 * box of the neighbour, as a fraction of how far players see there: 1 is where an entity enters. [GHOST-1] [GHOST-2]
 */
export class BorderInterest implements Choice {
  readonly leaves: Uint8Array;
  leaveCount = 0;
  readonly enters: Int32Array;
  enterCount = 0;
  readonly distances: Float64Array;
  readonly #store: EntityStore;
  readonly #origins: Uint8Array;
  readonly #sets: VisibleSets;
  readonly #work: Work;
  readonly #flat: boolean;
  #sides: Float64Array = new Float64Array(0);
  /** Around all of it: what is outside is too far to be told. */
  #west = Infinity;
  #east = -Infinity;
  #north = Infinity;
  #south = -Infinity;
  #slack = 0;
  /** By slot: `#mark` if the neighbour knows it already. */
  readonly #marks: Uint32Array;
  #mark = 0;

  /** @param origins by slot: of {@link entityOrigins} */
  constructor(store: EntityStore, origins: Uint8Array, sets: VisibleSets, dimensions: 2 | 3, work: Work) {
    this.#store = store;
    this.#origins = origins;
    this.#sets = sets;
    this.#work = work;
    this.#flat = dimensions === 2;
    this.leaves = new Uint8Array(sets.rowLength);
    this.distances = new Float64Array(sets.rowLength);
    this.enters = new Int32Array(store.capacity);
    this.#marks = new Uint32Array(store.capacity);
  }

  lay({ sides, slack }: BorderSides): void {
    this.#slack = slack;
    // More than any hysteresis: what is known leaves by its distance.
    const reaches = sides.map(({ box, range }) => ({ box, reach: slack + 2 * range }));
    this.#west = Math.min(...reaches.map(({ box, reach }) => box.min.x - reach));
    this.#east = Math.max(...reaches.map(({ box, reach }) => box.max.x + reach));
    this.#north = Math.min(...reaches.map(({ box, reach }) => box.min.z - reach));
    this.#south = Math.max(...reaches.map(({ box, reach }) => box.max.z + reach));
    this.#sides = Float64Array.from(
      sides.flatMap(({ box: { min, max }, range }) => [min.x, max.x, min.z, max.z, min.y, max.y, 1 / range]),
    );
  }

  refresh(rules: ViewRules): void {
    this.#checkKnown(rules);
    this.enterCount = 0;
    const { live, liveCount } = this.#store;
    const marks = this.#marks;
    const mark = this.#mark;
    for (let index = 0; index < liveCount; index++) {
      const slot = live[index] ?? 0;
      if (marks[slot] === mark || this.#origins[slot] !== entityOrigins.own) continue;
      if (this.#distance2(slot) <= 1) this.enters[this.enterCount++] = slot;
    }
    this.#work.examined += liveCount;
    const kept = (this.#sets.count[0] ?? 0) - this.leaveCount;
    if (this.enterCount > 1 || kept + this.enterCount > this.#sets.rowLength) this.#choose(kept, rules.nearing);
  }

  /** Measures what the neighbour knows, and finds what leaves. */
  #checkKnown({ leaveRange2 }: ViewRules): void {
    const { slot: slots, number: knownNumbers, count } = this.#sets;
    const { number: numbers } = this.#store;
    this.#mark = this.#mark === 0xffff_ffff ? 1 : this.#mark + 1;
    if (this.#mark === 1) this.#marks.fill(0);
    this.leaveCount = 0;
    for (let index = 0; index < (count[0] ?? 0); index++) {
      const slot = slots[index] ?? 0;
      const isGone = numbers[slot] !== knownNumbers[index] || this.#origins[slot] === entityOrigins.ghost;
      const distance = isGone ? Infinity : this.#distance2(slot);
      this.distances[index] = distance;
      const leaves = distance > leaveRange2 && this.#origins[slot] !== entityOrigins.departed ? 1 : isGone ? 1 : 0;
      this.leaves[index] = leaves;
      this.leaveCount += leaves;
      if (!isGone) this.#marks[slot] = this.#mark;
    }
  }

  /** Puts what is new in the order of its distance. Where there is not room for all, the nearest stay, of what is known too, which counts as nearer. */
  #choose(kept: number, nearing: number): void {
    const most = this.#sets.rowLength;
    const isShort = kept + this.enterCount > most;
    const found = Array.from(this.enters.subarray(0, this.enterCount), (slot) => ({
      slot,
      index: -1,
      key: this.#distance2(slot),
    }));
    if (isShort) {
      for (let index = 0; index < (this.#sets.count[0] ?? 0); index++) {
        if (this.leaves[index] === 1) continue;
        found.push({ slot: -1, index, key: (this.distances[index] ?? 0) * nearing });
      }
    }
    found.sort((a, b) => a.key - b.key);
    this.enterCount = 0;
    for (const [place, { slot, index }] of found.entries()) {
      const isChosen = !isShort || place < most;
      if (index >= 0 && !isChosen) {
        this.leaves[index] = 1;
        this.leaveCount += 1;
      } else if (index < 0 && isChosen) {
        this.enters[this.enterCount++] = slot;
      }
    }
  }

  /** Squared distance to the nearest box, as a fraction of the range there. */
  #distance2(slot: number): number {
    const { x: xs, y: ys, z: zs } = this.#store;
    const x = xs[slot] ?? 0;
    const z = zs[slot] ?? 0;
    const y = ys[slot] ?? 0;
    const sides = this.#sides;
    if (x < this.#west || x > this.#east || z < this.#north || z > this.#south) return Infinity;
    let least = Infinity;
    for (let at = 0; at < sides.length; at += stride) {
      const dx = outside(x, sides[at] ?? 0, sides[at + 1] ?? 0);
      const dz = outside(z, sides[at + 2] ?? 0, sides[at + 3] ?? 0);
      const dy = this.#flat ? 0 : outside(y, sides[at + 4] ?? 0, sides[at + 5] ?? 0);
      const distance = Math.max(0, Math.sqrt(dx * dx + dz * dz + dy * dy) - this.#slack) * (sides[at + 6] ?? 1);
      if (distance < least) least = distance;
    }
    return least * least;
  }
}

function outside(value: number, min: number, max: number): number {
  return value < min ? min - value : value > max ? value - max : 0;
}
