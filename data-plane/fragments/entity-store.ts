import type { KindTable } from "../../protocol/entities/kind-table.ts";
import { type EntityKind, type FieldSpec, maskBits, maxSteps, type NumberType } from "../../protocol/entities/wire.ts";

/** Ticks whose quantised positions are kept, so that an update can be a difference against any of them. */
export const historyTicks = 16;

const noBytes = new Uint8Array(0);

/** Columns of `fieldTicks` before the kind's own fields, in the order of the mask's bits. */
const planeColumn = 0;
const heightColumn = 1;
const placeColumn = 2;

/**
 * The entities of a cluster: where they are and their typed state, as columns of typed arrays, with the tick of the last
 * change of every field. Entities are named by their slot here, and by their number on the wire.
 *
 * Everything that happens until {@link commit} belongs to the tick in progress. Ticks count to 2^32 − 1: 4.5 years at 30 a second.
 */
export class EntityStore {
  readonly capacity: number;
  readonly kinds: KindTable;
  /** The tick in progress. */
  tick = 1;
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly z: Float64Array;
  /** Number of the entity in a slot; 0 when it is free. */
  readonly number: Uint32Array;
  readonly kindId: Uint8Array;
  /** How much it matters when a budget is short; see {@link setPriority}. */
  readonly priority: Float32Array;
  /** Tick of the last change of anything. */
  readonly changed: Uint32Array;
  /** Columns of a row of `fieldTicks`. */
  readonly stride: number;
  /** Tick of the last change: plane, height, place, then the fields. */
  readonly fieldTicks: Uint32Array;
  /** Size of a quantised step, in world units; an `f32`. */
  readonly step: Float64Array;
  /** Quantised positions at the last {@link historyTicks} commits: x, y, z of all slots, by tick. */
  readonly history: Int32Array;
  /** Slots in use, in no order. */
  readonly live: Int32Array;
  liveCount = 0;
  readonly #liveAt: Int32Array;
  readonly #freeSlots: Int32Array;
  /** x, y, z of all slots, quantised: laid out as one tick of `history`. */
  readonly #steps: Int32Array;
  readonly #values: Float64Array;
  readonly #bytes: Uint8Array[];
  readonly #slots = new Map<number, number>();
  #nextNumber = 1;

  constructor(capacity: number, kinds: KindTable) {
    this.capacity = capacity;
    this.kinds = kinds;
    this.x = new Float64Array(capacity);
    this.y = new Float64Array(capacity);
    this.z = new Float64Array(capacity);
    this.number = new Uint32Array(capacity);
    this.kindId = new Uint8Array(capacity);
    this.priority = new Float32Array(capacity);
    this.changed = new Uint32Array(capacity);
    this.stride = maskBits.firstField + kinds.mostFields;
    this.fieldTicks = new Uint32Array(capacity * this.stride);
    this.step = new Float64Array(capacity);
    this.history = new Int32Array(historyTicks * 3 * capacity);
    this.live = new Int32Array(capacity);
    this.#liveAt = new Int32Array(capacity);
    this.#freeSlots = Int32Array.from({ length: capacity }, (_, index) => capacity - 1 - index);
    this.#steps = new Int32Array(3 * capacity);
    this.#values = new Float64Array(capacity * kinds.mostFields);
    this.#bytes = Array.from({ length: capacity * kinds.mostFields }, () => noBytes);
  }

  /**
   * Adds an entity; its fields are 0 and empty.
   *
   * @param step size of a quantised step of its position, in world units; rounded to an `f32`
   * @returns its slot, or -1 when the store is full
   * @throws RangeError for a kind that the game does not have
   */
  spawn(kind: number, x: number, y: number, z: number, step: number): number {
    if (this.kinds.find(kind) === undefined) throw new RangeError(`there is no kind of entity ${kind}`);
    if (this.liveCount === this.capacity) return -1;
    const slot = this.#freeSlots[this.capacity - this.liveCount - 1] ?? 0;
    this.#liveAt[slot] = this.liveCount;
    this.live[this.liveCount++] = slot;
    const number = this.#takeNumber();
    this.number[slot] = number;
    this.#slots.set(number, slot);
    this.kindId[slot] = kind;
    this.priority[slot] = 1;
    const { mostFields } = this.kinds;
    this.#values.fill(0, slot * mostFields, (slot + 1) * mostFields);
    for (let field = 0; field < mostFields; field++) this.#bytes[slot * mostFields + field] = noBytes;
    this.fieldTicks.fill(this.tick, slot * this.stride, (slot + 1) * this.stride);
    this.changed[slot] = this.tick;
    this.step[slot] = Math.fround(step);
    this.move(slot, x, y, z);
    return slot;
  }

  remove(slot: number): void {
    const number = this.number[slot] ?? 0;
    if (number === 0) return;
    this.#slots.delete(number);
    this.number[slot] = 0;
    const last = this.live[--this.liveCount] ?? 0;
    const at = this.#liveAt[slot] ?? 0;
    this.live[at] = last;
    this.#liveAt[last] = at;
    this.#freeSlots[this.capacity - this.liveCount - 1] = slot;
  }

  /** The slot of the entity with a number, or `undefined` when it is gone. */
  find(number: number): number | undefined {
    return this.#slots.get(number);
  }

  kindOf(slot: number): EntityKind {
    const kind = this.kinds.find(this.kindId[slot] ?? 0);
    if (kind === undefined || this.number[slot] === 0) throw new RangeError(`no entity is in slot ${slot}`);
    return kind;
  }

  /** Puts an entity somewhere. Coordinates are finite; beyond ±(2^30 − 1) steps they are shown at that edge. */
  move(slot: number, x: number, y: number, z: number): void {
    this.x[slot] = x;
    this.y[slot] = y;
    this.z[slot] = z;
    const steps = this.#steps;
    const { capacity } = this;
    const step = this.step[slot] ?? 1;
    const stepsX = quantise(x, step);
    const stepsY = quantise(y, step);
    const stepsZ = quantise(z, step);
    if (steps[slot] !== stepsX || steps[2 * capacity + slot] !== stepsZ) {
      steps[slot] = stepsX;
      steps[2 * capacity + slot] = stepsZ;
      this.#touch(slot, planeColumn);
    }
    if (steps[capacity + slot] !== stepsY) {
      steps[capacity + slot] = stepsY;
      this.#touch(slot, heightColumn);
    }
  }

  /** Changes how finely an entity's position is shown. */
  setStep(slot: number, step: number): void {
    const rounded = Math.fround(step);
    if (this.step[slot] === rounded) return;
    this.step[slot] = rounded;
    this.#touch(slot, placeColumn);
    this.move(slot, this.x[slot] ?? 0, this.y[slot] ?? 0, this.z[slot] ?? 0);
  }

  /** Says how much an entity matters when a budget is short: 1 is ordinary, 2 is told twice as often. */
  setPriority(slot: number, priority: number): void {
    if (!(priority > 0 && priority <= 1e6)) throw new RangeError("expected a priority above 0 and at most 1,000,000");
    this.priority[slot] = priority;
  }

  /** Sets a field that is a number. @throws RangeError when the field cannot hold it */
  set(slot: number, field: number, value: number): void {
    const spec = this.#field(slot, field);
    if (spec.type === "bytes") throw new RangeError(`${spec.name} holds bytes, not a number`);
    const kept = assertNumber(spec.name, spec.type, value);
    const at = slot * this.kinds.mostFields + field;
    if (this.#values[at] === kept) return;
    this.#values[at] = kept;
    this.#touch(slot, maskBits.firstField + field);
  }

  /** Sets a field of bytes, which are copied. @throws RangeError when they are too many */
  setBytes(slot: number, field: number, bytes: Uint8Array): void {
    const spec = this.#field(slot, field);
    if (spec.type !== "bytes") throw new RangeError(`${spec.name} holds a number, not bytes`);
    if (bytes.length > spec.maxBytes)
      throw new RangeError(`${spec.name}: ${bytes.length} bytes, over ${spec.maxBytes}`);
    const at = slot * this.kinds.mostFields + field;
    if (sameBytes(this.#bytes[at] ?? noBytes, bytes)) return;
    this.#bytes[at] = Uint8Array.from(bytes);
    this.#touch(slot, maskBits.firstField + field);
  }

  get(slot: number, field: number): number {
    return this.#values[slot * this.kinds.mostFields + field] ?? 0;
  }

  getBytes(slot: number, field: number): Uint8Array {
    return this.#bytes[slot * this.kinds.mostFields + field] ?? noBytes;
  }

  /**
   * Ends the tick in progress: what the views of it show is fixed, and the next one begins.
   *
   * @param number the tick's number, where some are left out: at least that of the tick in progress
   * @returns the tick that ended
   */
  commit(number?: number): number {
    const tick = Math.max(this.tick, number ?? 0);
    this.history.set(this.#steps, (tick % historyTicks) * this.#steps.length);
    this.tick = tick + 1;
    return tick;
  }

  #touch(slot: number, column: number): void {
    this.fieldTicks[slot * this.stride + column] = this.tick;
    this.changed[slot] = this.tick;
  }

  #field(slot: number, field: number): FieldSpec {
    const kind = this.kindOf(slot);
    const spec = kind.fields[field];
    if (spec === undefined) throw new RangeError(`${kind.name} has no field ${field}`);
    return spec;
  }

  #takeNumber(): number {
    while (this.#slots.has(this.#nextNumber)) this.#advanceNumber();
    const number = this.#nextNumber;
    this.#advanceNumber();
    return number;
  }

  #advanceNumber(): void {
    this.#nextNumber = this.#nextNumber === 0xffff_ffff ? 1 : this.#nextNumber + 1;
  }
}

function quantise(value: number, step: number): number {
  const steps = Math.floor(value / step + 0.5);
  return steps > maxSteps ? maxSteps : steps < -maxSteps ? -maxSteps : steps;
}

const numberRanges: Readonly<Record<Exclude<NumberType, "f32">, readonly [number, number]>> = {
  u8: [0, 0xff],
  u16: [0, 0xffff],
  u32: [0, 0xffff_ffff],
  i16: [-0x8000, 0x7fff],
  angle: [0, 0xffff],
  flags: [0, 0xffff_ffff],
};

function assertNumber(name: string, type: NumberType, value: number): number {
  if (type === "f32") {
    const rounded = Math.fround(value);
    if (!Number.isFinite(rounded)) throw new RangeError(`${name}: not a finite f32`);
    return rounded;
  }
  const [min, max] = numberRanges[type];
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name}: expected an integer from ${min} to ${max}`);
  }
  return value;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
