/**
 * What each viewer has been told of: rows of typed arrays, one a viewer. An entry names an entity by slot and number, the handle
 * that stands for it on this viewer's wire, and the tick at which it was last written.
 *
 * The handles of a row are always a permutation: those of the entries first, then the free ones.
 */
export class VisibleSets {
  /** Most entries of a viewer. */
  readonly rowLength: number;
  readonly viewers: number;
  readonly count: Int32Array;
  readonly slot: Int32Array;
  readonly number: Uint32Array;
  readonly sent: Uint32Array;
  readonly handle: Uint16Array;

  constructor(viewers: number, rowLength: number) {
    this.viewers = viewers;
    this.rowLength = rowLength;
    this.count = new Int32Array(viewers);
    this.slot = new Int32Array(viewers * rowLength);
    this.number = new Uint32Array(viewers * rowLength);
    this.sent = new Uint32Array(viewers * rowLength);
    this.handle = Uint16Array.from({ length: viewers * rowLength }, (_, index) => index % rowLength);
  }

  /** Adds an entry at the end of a row that is not full; returns its handle. */
  add(viewer: number, slot: number, number: number, tick: number): number {
    const count = this.count[viewer] ?? 0;
    const at = viewer * this.rowLength + count;
    this.slot[at] = slot;
    this.number[at] = number;
    this.sent[at] = tick;
    this.count[viewer] = count + 1;
    return this.handle[at] ?? 0;
  }

  /** Removes an entry; the last one takes its index. Returns the freed handle. */
  removeAt(viewer: number, index: number): number {
    const last = (this.count[viewer] ?? 0) - 1;
    const at = viewer * this.rowLength + index;
    const from = viewer * this.rowLength + last;
    const handle = this.handle[at] ?? 0;
    this.slot[at] = this.slot[from] ?? 0;
    this.number[at] = this.number[from] ?? 0;
    this.sent[at] = this.sent[from] ?? 0;
    this.handle[at] = this.handle[from] ?? 0;
    this.handle[from] = handle;
    this.count[viewer] = last;
    return handle;
  }

  /** Empties a row, for a viewer that starts afresh. */
  clear(viewer: number): void {
    this.count[viewer] = 0;
  }

  /** The same sets with longer rows. */
  grown(rowLength: number): VisibleSets {
    const sets = new VisibleSets(this.viewers, rowLength);
    sets.count.set(this.count);
    for (let viewer = 0; viewer < this.viewers; viewer++) {
      const from = viewer * this.rowLength;
      const to = from + this.rowLength;
      sets.slot.set(this.slot.subarray(from, to), viewer * rowLength);
      sets.number.set(this.number.subarray(from, to), viewer * rowLength);
      sets.sent.set(this.sent.subarray(from, to), viewer * rowLength);
      sets.handle.set(this.handle.subarray(from, to), viewer * rowLength);
    }
    return sets;
  }
}
