/** A binary heap of numbers, greatest on top, each with a reference; of a fixed size, so that it allocates nothing. */
export class MaxHeap {
  size = 0;
  readonly keys: Float64Array;
  readonly references: Int32Array;

  constructor(capacity: number) {
    this.keys = new Float64Array(capacity);
    this.references = new Int32Array(capacity);
  }

  clear(): void {
    this.size = 0;
  }

  push(key: number, reference: number): void {
    const { keys, references } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[parent] ?? 0;
      if (above >= key) break;
      keys[at] = above;
      references[at] = references[parent] ?? 0;
      at = parent;
    }
    keys[at] = key;
    references[at] = reference;
  }

  /** Takes the greatest away and returns its reference. The heap is not empty. */
  pop(): number {
    const top = this.references[0] ?? 0;
    this.size--;
    if (this.size > 0) this.replaceTop(this.keys[this.size] ?? 0, this.references[this.size] ?? 0);
    return top;
  }

  /** Puts another in the place of the greatest. The heap is not empty. */
  replaceTop(key: number, reference: number): void {
    const { keys, references, size } = this;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (keys[child + 1] ?? 0) > (keys[child] ?? 0)) child++;
      const below = keys[child] ?? 0;
      if (below <= key) break;
      keys[at] = below;
      references[at] = references[child] ?? 0;
      at = child;
    }
    keys[at] = key;
    references[at] = reference;
  }
}
