import type { Choice } from "./choice.ts";
import type { EntityEncoder } from "./entity-encoder.ts";
import type { EntityStore } from "./entity-store.ts";
import type { KindTable } from "../../protocol/entities/kind-table.ts";
import { MaxHeap } from "./max-heap.ts";
import type { ViewRules } from "./view-rules.ts";
import type { VisibleSets } from "./visible-sets.ts";
import { maxVarintBytes, varintBytes, writeVarint } from "../../protocol/entities/wire.ts";
import type { Work } from "./work.ts";

/** Above any score of an entity that does not starve. */
const starving = 1e12;

/** Bytes past a frame's end that may be overwritten: records are copied four bytes at a time. */
export const copySlack = 3;

/** Where frames are written: many, one behind the other, so that a tick needs few buffers. */
export class FrameTarget {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/**
 * The smallest frame that keeps its promises: all leaves, and in each half of what is left one record of any size, so
 * that neither entering nor updating can starve the other.
 *
 * @param mostVisible most entities that any viewer may see
 */
export function leastFrameBytes(kinds: KindTable, mostVisible: number): number {
  const handleBytes = varintBytes(mostVisible - 1);
  const record = handleBytes + Math.max(kinds.maxEnterBytes, kinds.maxUpdateBytes);
  return 4 + 2 * maxVarintBytes + mostVisible * handleBytes + 2 * record;
}

/** Writes the ENTITIES frames: what a {@link Choice} has decided, and the updates that are due. Spec: docs/PROTOCOL.md, section 5.11. */
export class ViewWriter {
  readonly #store: EntityStore;
  readonly #work: Work;
  readonly #encoder: EntityEncoder;
  readonly #interest: Choice;
  readonly #sets: VisibleSets;
  /** Entries that are due: index in the row, result of the encoder. */
  readonly #due: Int32Array;
  readonly #dueResults: Int32Array;
  #dueCount = 0;
  #dueBytes = 0;
  readonly #order: MaxHeap;

  constructor(store: EntityStore, encoder: EntityEncoder, interest: Choice, sets: VisibleSets, work: Work) {
    this.#work = work;
    this.#store = store;
    this.#encoder = encoder;
    this.#interest = interest;
    this.#sets = sets;
    this.#due = new Int32Array(sets.rowLength);
    this.#dueResults = new Int32Array(sets.rowLength);
    this.#order = new MaxHeap(sets.rowLength);
  }

  /**
   * Writes a viewer's frame at `offset` and notes what it was told: the caller must send it. Where there is nothing to
   * tell, nothing is written, unless `evenIfEmpty`.
   *
   * @returns the offset behind the frame
   * @throws RangeError when there are fewer than `rules.frameBytes` + {@link copySlack} bytes from `offset` on
   */
  write(
    viewer: number,
    tick: number,
    rules: ViewRules,
    target: FrameTarget,
    offset: number,
    evenIfEmpty = false,
  ): number {
    const end = offset + rules.frameBytes;
    if (end + copySlack > target.bytes.length) throw new RangeError("not enough room for a frame");
    const leaveCount = this.#interest.leaveCount;
    const enterCount = this.#interest.enterCount;
    let at = offset + 4;
    at = writeVarint(target.bytes, at, leaveCount);
    if (leaveCount > 0) at = this.#writeLeaves(viewer, target, at);
    this.#findDue(viewer, tick, rules);
    if (leaveCount + enterCount + this.#dueCount === 0 && !evenIfEmpty) return offset;
    target.view.setUint32(offset, tick, true);
    at = this.#writeEnters(viewer, tick, target, at, end);
    at =
      at + this.#dueBytes <= end
        ? this.#writeUpdates(viewer, tick, target, at)
        : this.#writeMostUrgent(viewer, tick, rules, target, at, end);
    this.#work.frames++;
    this.#work.bytes += at - offset;
    return at;
  }

  #writeLeaves(viewer: number, target: FrameTarget, offset: number): number {
    const { leaves, distances } = this.#interest;
    let at = offset;
    // From the end: removing moves the last entry, which stays.
    for (let index = (this.#sets.count[viewer] ?? 0) - 1; index >= 0; index--) {
      if (leaves[index] !== 1) continue;
      distances[index] = distances[(this.#sets.count[viewer] ?? 0) - 1] ?? 0;
      at = writeVarint(target.bytes, at, this.#sets.removeAt(viewer, index));
    }
    this.#work.leaves += this.#interest.leaveCount;
    return at;
  }

  /** Lists the entries with changes whose tier's time has come. */
  #findDue(viewer: number, tick: number, rules: ViewRules): void {
    const { slot: slots, sent: sents, handle: handles, rowLength } = this.#sets;
    const { changed } = this.#store;
    const { distances } = this.#interest;
    const encoder = this.#encoder;
    const due = this.#due;
    const dueResults = this.#dueResults;
    const { tierRanges2, tierTicks } = rules;
    const row = viewer * rowLength;
    const count = this.#sets.count[viewer] ?? 0;
    let dueCount = 0;
    let dueBytes = 0;
    for (let index = 0; index < count; index++) {
      const slot = slots[row + index] ?? 0;
      const sent = sents[row + index] ?? 0;
      if ((changed[slot] ?? 0) <= sent) continue;
      const distance = distances[index] ?? 0;
      let tier = 0;
      while (distance > (tierRanges2[tier] ?? Infinity)) tier++;
      if (tick - sent < (tierTicks[tier] ?? 1)) continue;
      const result = encoder.since(slot, sent);
      due[dueCount] = index;
      dueResults[dueCount++] = result;
      dueBytes += (encoder.length[result] ?? 0) + ((handles[row + index] ?? 0) < 0x80 ? 1 : 2);
    }
    this.#dueCount = dueCount;
    this.#dueBytes = dueBytes;
  }

  /** Writes the nearest of those that enter, as many as fit: where it is tight, into half of what is left. */
  #writeEnters(viewer: number, tick: number, target: FrameTarget, offset: number, end: number): number {
    const { enters, enterCount } = this.#interest;
    if (enterCount === 0) return writeVarint(target.bytes, offset, 0);
    const encoder = this.#encoder;
    const room = end - offset - varintBytes(enterCount);
    const share = Math.max(room >> 1, room - this.#dueBytes);
    const handleBytes = varintBytes(this.#sets.rowLength - 1);
    let fitting = 0;
    for (let used = 0; fitting < enterCount; fitting++) {
      used += handleBytes + (encoder.length[encoder.whole(enters[fitting] ?? 0)] ?? 0);
      if (used > share) break;
    }
    let at = writeVarint(target.bytes, offset, fitting);
    for (let index = 0; index < fitting; index++) {
      const slot = enters[index] ?? 0;
      const handle = this.#sets.add(viewer, slot, this.#store.number[slot] ?? 0, tick);
      at = this.#copy(handle, encoder.whole(slot), target, at);
    }
    this.#work.enters += fitting;
    this.#work.deferred += enterCount - fitting;
    return at;
  }

  #writeUpdates(viewer: number, tick: number, target: FrameTarget, offset: number): number {
    const { sent: sents, handle: handles, rowLength } = this.#sets;
    const { words, offset: offsets, length: lengths } = this.#encoder;
    const { bytes, view } = target;
    const due = this.#due;
    const dueResults = this.#dueResults;
    const count = this.#dueCount;
    const row = viewer * rowLength;
    let at = offset;
    for (let next = 0; next < count; next++) {
      const entry = row + (due[next] ?? 0);
      const result = dueResults[next] ?? 0;
      const handle = handles[entry] ?? 0;
      sents[entry] = tick;
      if (handle < 0x80) {
        bytes[at++] = handle;
      } else {
        bytes[at++] = (handle & 0x7f) | 0x80;
        bytes[at++] = handle >> 7;
      }
      const length = lengths[result] ?? 0;
      let word = (offsets[result] ?? 0) >> 2;
      for (let copied = 0; copied < length; copied += 4) view.setInt32(at + copied, words[word++] ?? 0, true);
      at += length;
    }
    this.#work.updates += count;
    return at;
  }

  /** Not all fit: the most urgent first. What does not fit waits and grows more urgent. */
  #writeMostUrgent(
    viewer: number,
    tick: number,
    rules: ViewRules,
    target: FrameTarget,
    offset: number,
    end: number,
  ): number {
    const { slot: slots, sent: sents, handle: handles, rowLength } = this.#sets;
    const { distances } = this.#interest;
    const { priority } = this.#store;
    const order = this.#order;
    const row = viewer * rowLength;
    order.clear();
    for (let next = 0; next < this.#dueCount; next++) {
      const index = this.#due[next] ?? 0;
      const age = tick - (sents[row + index] ?? 0);
      let tier = 0;
      while ((distances[index] ?? 0) > (rules.tierRanges2[tier] ?? Infinity)) tier++;
      const weight = (priority[slots[row + index] ?? 0] ?? 1) / (rules.tierTicks[tier] ?? 1);
      order.push(age >= rules.starveTicks ? starving + age : age * weight, next);
    }
    let at = offset;
    let left = this.#dueCount;
    while (order.size > 0) {
      const next = order.pop();
      const entry = row + (this.#due[next] ?? 0);
      const result = this.#dueResults[next] ?? 0;
      const handle = handles[entry] ?? 0;
      if (at + varintBytes(handle) + (this.#encoder.length[result] ?? 0) > end) break;
      sents[entry] = tick;
      at = this.#copy(handle, result, target, at);
      left--;
    }
    this.#work.updates += this.#dueCount - left;
    this.#work.deferred += left;
    return at;
  }

  /** Copies an encoder's result behind a handle. */
  #copy(handle: number, result: number, target: FrameTarget, offset: number): number {
    const { words, offset: offsets, length: lengths } = this.#encoder;
    const length = lengths[result] ?? 0;
    let word = (offsets[result] ?? 0) >> 2;
    const at = writeVarint(target.bytes, offset, handle);
    for (let copied = 0; copied < length; copied += 4) target.view.setInt32(at + copied, words[word++] ?? 0, true);
    return at + length;
  }
}
