/** Numbers the worlds that have been visited, by their digests. A hash table in flat memory: a Map of millions is slow. */
export class WorldIndex {
  #digests = new Float64Array(1 << 16).fill(-1);
  #numbers = new Int32Array(1 << 16);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The number of the world with this digest, if it has been visited. */
  find(digest: number): number | undefined {
    const slot = this.#slotOf(digest);
    return this.#digests[slot] === digest ? this.#numbers[slot] : undefined;
  }

  /** Gives the next number to a world that has not been visited. */
  add(digest: number): number {
    if (this.#count * 2 >= this.#digests.length) this.#grow();
    const slot = this.#slotOf(digest);
    this.#digests[slot] = digest;
    this.#numbers[slot] = this.#count;
    this.#count += 1;
    return this.#count - 1;
  }

  /** Where a digest is, or would be. */
  #slotOf(digest: number): number {
    const mask = this.#digests.length - 1;
    let slot = (digest | 0) & mask;
    while (this.#digests[slot] !== -1 && this.#digests[slot] !== digest) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const digests = this.#digests;
    const numbers = this.#numbers;
    this.#digests = new Float64Array(digests.length * 2).fill(-1);
    this.#numbers = new Int32Array(digests.length * 2);
    for (const [old, digest] of digests.entries()) {
      if (digest === -1) continue;
      const slot = this.#slotOf(digest);
      this.#digests[slot] = digest;
      this.#numbers[slot] = numbers[old] ?? 0;
    }
  }
}
