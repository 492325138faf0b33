import { BorderInterest } from "./border-interest.ts";
import type { BorderSides } from "./border-sides.ts";
import type { EntityEncoder } from "./entity-encoder.ts";
import type { EntityStore } from "./entity-store.ts";
import type { WorldRules } from "./layout.ts";
import { createViewRules, isFrameDue, type ViewRules } from "./view-rules.ts";
import { copySlack, type FrameTarget, leastFrameBytes, ViewWriter } from "./view-writer.ts";
import { VisibleSets } from "./visible-sets.ts";
import type { Work } from "./work.ts";

/** Most entities that a neighbour is told of. [GHOST-2] */
export const maxToldEntities = 1_000;
/** Most bytes of what it is told at a time, save where the kinds of entity need more. [GHOST-3] */
export const maxBorderFrameBytes = 32_768;

export interface BorderParts {
  readonly store: EntityStore;
  readonly encoder: EntityEncoder;
  /** By slot: of `entityOrigins`. */
  readonly origins: Uint8Array;
  readonly tickHz: number;
  readonly work: Work;
}

/** What a neighbour is told over a border: it is a viewer whose view is a band. Frames are those of ENTITIES. */
export class Border {
  readonly #parts: BorderParts;
  readonly #sets: VisibleSets;
  #interest: BorderInterest;
  #writer: ViewWriter;
  #rules: ViewRules;

  constructor(parts: BorderParts, rules: WorldRules, sides: BorderSides) {
    this.#parts = parts;
    this.#sets = new VisibleSets(1, maxToldEntities);
    [this.#interest, this.#writer, this.#rules] = this.#create(rules, sides);
  }

  /** The border runs elsewhere now; what the neighbour knows is told on, or leaves. */
  lay(rules: WorldRules, sides: BorderSides): void {
    [this.#interest, this.#writer, this.#rules] = this.#create(rules, sides);
  }

  /** Whether a tick is one of those at which there is a frame. */
  isDue(tick: number): boolean {
    return this.#rules.updateHz > 0 && isFrameDue(tick, 0, this.#rules.updateHz, this.#parts.tickHz);
  }

  /** Most bytes that {@link write} may touch, from the offset on. */
  get frameRoom(): number {
    return this.#rules.frameBytes + copySlack;
  }

  /**
   * Writes the body of an ENTITIES frame for a committed tick. It counts as told: the caller must send it, in order.
   *
   * @returns the offset behind the frame, `offset` itself when there is nothing to tell; and the slots that it has enter
   */
  write(tick: number, target: FrameTarget, offset: number): { readonly end: number; readonly entered: Int32Array } {
    const { count, slot } = this.#sets;
    this.#interest.refresh(this.#rules);
    const kept = (count[0] ?? 0) - this.#interest.leaveCount;
    const end = this.#writer.write(0, tick, this.#rules, target, offset);
    return { end, entered: slot.subarray(kept, count[0] ?? 0) };
  }

  #create(rules: WorldRules, { updateHz, ...border }: BorderSides): readonly [BorderInterest, ViewWriter, ViewRules] {
    const { store, encoder, origins, tickHz, work } = this.#parts;
    const interest = new BorderInterest(store, origins, this.#sets, rules.dimensions, work);
    interest.lay({ updateHz, ...border });
    // Without a border there is one more frame, in which everything leaves.
    const hz = updateHz === 0 ? tickHz : Math.min(updateHz, tickHz);
    const settings = {
      updateHz: hz,
      viewRange: 1,
      maxVisible: maxToldEntities,
      precision: 1,
      byteBudget: maxBorderFrameBytes * hz,
    };
    const least = leastFrameBytes(store.kinds, maxToldEntities);
    return [
      interest,
      new ViewWriter(store, encoder, interest, this.#sets, work),
      createViewRules(settings, rules, tickHz, least),
    ];
  }
}
