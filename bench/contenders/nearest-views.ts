import { defaultLayout } from "../../data-plane/fragments/layout-parser.ts";
import { EntityStore } from "../../data-plane/fragments/entity-store.ts";
import { Interest, type Viewpoint } from "../../data-plane/fragments/interest.ts";
import { SpatialGrid } from "../../data-plane/fragments/spatial-grid.ts";
import { createViewRules, type ViewRules } from "../../data-plane/fragments/view-rules.ts";
import { VisibleSets } from "../../data-plane/fragments/visible-sets.ts";
import { createWork } from "../../data-plane/fragments/work.ts";
import { KindTable } from "../../protocol/entities/kind-table.ts";
import { viewRange, visible } from "../world-plan.ts";

/** Told what comes into a player's view and what leaves it, by slot. */
export interface ViewChanges {
  leave(slot: number): void;
  enter(slot: number): void;
}

const kind = 0;
const precision = 0.01;
/** Numbers that only matter where frames are written, which is not done here. */
const unused = { updateHz: 20, byteBudget: 1e6 };

/**
 * Who sees whom, for a peer that has no search of its own: the very code with which the cluster chooses the nearest, so that both show the
 * same. Players are slots, which are used again once they are free.
 */
export class NearestViews {
  readonly #store: EntityStore;
  readonly #sets: VisibleSets;
  readonly #grid: SpatialGrid;
  readonly #interest: Interest;
  readonly #rules: ViewRules;
  readonly #from: Viewpoint = { x: 0, y: 0, z: 0, reach: 0, self: -1 };
  #tick = 0;

  /** @param capacity most players */
  constructor(capacity: number) {
    const work = createWork();
    this.#store = new EntityStore(capacity, new KindTable([{ id: kind, name: "player", fields: [] }]));
    this.#sets = new VisibleSets(capacity, visible);
    this.#grid = new SpatialGrid(this.#store, 2, work);
    this.#interest = new Interest(this.#store, this.#grid, this.#sets, 2, work);
    const settings = { ...unused, viewRange, maxVisible: visible, precision };
    this.#rules = createViewRules(settings, defaultLayout().rules, unused.updateHz, 0);
  }

  /** Adds a player; returns its slot, or -1 when there are as many as may be. */
  add(x: number, z: number): number {
    return this.#store.spawn(kind, x, 0, z, precision);
  }

  remove(slot: number): void {
    this.#store.remove(slot);
    this.#sets.clear(slot);
  }

  move(slot: number, x: number, z: number): void {
    this.#store.move(slot, x, 0, z);
  }

  /** Fixes where everybody stands: until the next call all are shown that. */
  begin(): void {
    this.#tick = this.#store.commit(this.#tick + 1);
    this.#grid.begin(this.#tick);
  }

  /** Chooses what a player sees now, and tells what that changes. */
  refresh(viewer: number, changes: ViewChanges): void {
    const from = this.#from;
    const interest = this.#interest;
    const sets = this.#sets;
    const row = viewer * sets.rowLength;
    from.x = this.#store.x[viewer] ?? 0;
    from.z = this.#store.z[viewer] ?? 0;
    from.self = viewer;
    interest.refresh(viewer, from, this.#rules);
    if (interest.leaveCount > 0) {
      // From the end: removing moves the last entry, which stays.
      for (let index = (sets.count[viewer] ?? 0) - 1; index >= 0; index--) {
        if (interest.leaves[index] !== 1) continue;
        changes.leave(sets.slot[row + index] ?? 0);
        sets.removeAt(viewer, index);
      }
    }
    for (let index = 0; index < interest.enterCount; index++) {
      const slot = interest.enters[index] ?? 0;
      sets.add(viewer, slot, this.#store.number[slot] ?? 0, this.#tick);
      changes.enter(slot);
    }
  }
}
