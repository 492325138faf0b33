import { Border } from "./border.ts";
import type { BorderSides } from "./border-sides.ts";
import { EntityEncoder } from "./entity-encoder.ts";
import type { EntityStore } from "./entity-store.ts";
import { Interest, type Viewpoint } from "./interest.ts";
import type { Layout, WorldRules } from "./layout.ts";
import { SpatialGrid } from "./spatial-grid.ts";
import { createViewRules, type ViewRules } from "./view-rules.ts";
import { type FrameTarget, leastFrameBytes, ViewWriter } from "./view-writer.ts";
import { VisibleSets } from "./visible-sets.ts";
import { createWork, type Work } from "./work.ts";

/** What all viewers are shown, put together: search, choice, encoding and frames. Viewers are indices below a capacity. */
export class Views {
  readonly work: Work = createWork();
  /** The same for what neighbours are told. */
  readonly borderWork: Work = createWork();
  readonly #entities: EntityStore;
  readonly #tickHz: number;
  readonly #encoder: EntityEncoder;
  readonly #viewpoint: Viewpoint = { x: 0, y: 0, z: 0, reach: 0, self: 0 };
  #sets: VisibleSets;
  #rules: readonly (readonly ViewRules[])[];
  #grid: SpatialGrid;
  #interest: Interest;
  #writer: ViewWriter;
  #tick = 0;

  constructor(entities: EntityStore, layout: Layout, tickHz: number, viewers: number) {
    const { dimensions } = layout.rules;
    this.#entities = entities;
    this.#tickHz = tickHz;
    this.#encoder = new EntityEncoder(entities, this.work);
    this.#sets = new VisibleSets(viewers, mostVisible(layout));
    this.#rules = this.#createRules(layout);
    this.#grid = new SpatialGrid(entities, dimensions, this.work);
    this.#interest = new Interest(entities, this.#grid, this.#sets, dimensions, this.work);
    this.#writer = new ViewWriter(entities, this.#encoder, this.#interest, this.#sets, this.work);
  }

  /** Takes over the rules of another layout; what viewers have been told of stays. */
  changeLayout(layout: Layout): void {
    const { dimensions } = layout.rules;
    if (mostVisible(layout) > this.#sets.rowLength) this.#sets = this.#sets.grown(mostVisible(layout));
    this.#rules = this.#createRules(layout);
    this.#grid = new SpatialGrid(this.#entities, dimensions, this.work);
    this.#interest = new Interest(this.#entities, this.#grid, this.#sets, dimensions, this.work);
    this.#writer = new ViewWriter(this.#entities, this.#encoder, this.#interest, this.#sets, this.work);
  }

  /** Starts the frames of a committed tick. */
  begin(tick: number): void {
    this.#tick = tick;
    this.#grid.begin(tick);
    this.#encoder.begin(tick);
  }

  /** The rules of a fragment at one of its levels. */
  rules(fragment: number, level: number): ViewRules {
    const rules = this.#rules[fragment]?.[level];
    if (rules === undefined) throw new RangeError(`there is no level ${level} of a fragment ${fragment}`);
    return rules;
  }

  /**
   * Writes the body of a viewer's ENTITIES frame, as seen from an entity, which it does not see itself.
   *
   * @param evenIfEmpty whether it is to be written also when there is nothing to tell
   * @returns the offset behind the frame; `offset` itself when none was written
   */
  write(
    viewer: number,
    body: number,
    rules: ViewRules,
    target: FrameTarget,
    offset: number,
    evenIfEmpty: boolean,
  ): number {
    const { x, y, z } = this.#entities;
    const from = this.#viewpoint;
    from.x = x[body] ?? 0;
    from.y = y[body] ?? 0;
    from.z = z[body] ?? 0;
    from.self = body;
    this.#interest.refresh(viewer, from, rules);
    return this.#writer.write(viewer, this.#tick, rules, target, offset, evenIfEmpty);
  }

  /** A border, for a neighbour that is told what is near it. @param origins by slot: of `entityOrigins` */
  createBorder(origins: Uint8Array, rules: WorldRules, sides: BorderSides): Border {
    const parts = {
      store: this.#entities,
      encoder: this.#encoder,
      origins,
      tickHz: this.#tickHz,
      work: this.borderWork,
    };
    return new Border(parts, rules, sides);
  }

  /** Forgets what a viewer has been told. */
  clear(viewer: number): void {
    this.#sets.clear(viewer);
  }

  /** Slots of the entities that a viewer has been told of. */
  visibleTo(viewer: number): number[] {
    const start = viewer * this.#sets.rowLength;
    return [...this.#sets.slot.subarray(start, start + (this.#sets.count[viewer] ?? 0))];
  }

  #createRules({ fragments, rules }: Layout): readonly (readonly ViewRules[])[] {
    const least = leastFrameBytes(this.#entities.kinds, this.#sets.rowLength);
    return fragments.map(({ levels }) =>
      levels.map(({ settings }) => createViewRules(settings, rules, this.#tickHz, least)),
    );
  }
}

function mostVisible({ fragments }: Layout): number {
  return Math.max(...fragments.map(({ levels }) => levels[0].settings.maxVisible));
}
