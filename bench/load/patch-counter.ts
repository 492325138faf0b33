/** First byte of what follows about another object, in a patch of Colyseus's schema. */
const switchToStructure = 255;
/** Bits of an operation, which share their byte with the field's index in an object. */
const operations = { add: 0x80, delete: 0x40 } as const;
/** Ids that the objects of `colyseus-world`'s state have: the state, its map of bodies, then the bodies. */
const stateId = 0;
const mapId = 1;
/** Every field of a body has this many bytes. */
const fieldBytes = 2;

/**
 * Counts the bodies that a patch tells something of. It knows what the room of `colyseus-world` sends and nothing else: as cheap as can be,
 * since the load must not be what is measured.
 *
 * @throws Error for what it does not know
 */
export class PatchCounter {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @param start where the patch begins, behind the message's code */
  count(bytes: Buffer, start: number, end: number): number {
    this.#bytes = bytes;
    this.#at = start;
    let bodies = 0;
    // Until the first switch it is of the state.
    let id = stateId;
    while (this.#at < end) {
      if (bytes[this.#at] === switchToStructure) {
        this.#at += 1;
        id = this.#number();
        if (id > mapId) bodies += 1;
      } else if (id > mapId) {
        const operation = this.#operation();
        if ((operation & 0xc0) !== operations.delete) this.#at += fieldBytes;
      } else if (id === mapId) {
        this.#entry();
      } else {
        // The state has one field: its map.
        this.#operation();
        this.#number();
      }
    }
    if (this.#at !== end) throw new Error("a patch ends in the middle of something");
    return bodies;
  }

  /** A body comes into view or leaves it. */
  #entry(): void {
    const operation = this.#operation();
    this.#number();
    if ((operation & operations.add) !== 0) {
      const length = this.#operation();
      if ((length & 0xe0) !== 0xa0) throw new Error("a key of 32 bytes or more");
      this.#at += length & 0x1f;
      this.#number();
    } else if (operation !== operations.delete) {
      throw new Error(`operation ${operation} on the map`);
    }
  }

  #operation(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  #number(): number {
    const first = this.#operation();
    if (first < 0x80) return first;
    if (first === 0xcc) return this.#operation();
    if (first === 0xcd) {
      const low = this.#operation();
      return low | (this.#operation() << 8);
    }
    if (first === 0xce) {
      this.#at += 4;
      return this.#bytes.readUInt32LE(this.#at - 4);
    }
    throw new Error(`a number of kind ${first}`);
  }
}
