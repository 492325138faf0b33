import type { EntityStore } from "../fragments/entity-store.ts";
import type { World } from "../fragments/world.ts";
import type { Entity, FieldValues, Point } from "../plugin/entities.ts";
import { type NamedKind, playerFields, playerKind } from "./entity-kinds.ts";

const noBytes = new Uint8Array(0);

/**
 * An entity for a plugin's hands: finds it by its number each time, so that one that is gone cannot be taken for another, nor
 * what is seen of a player that another cluster has for the player.
 */
export class EntityHandle implements Entity {
  readonly number: number;
  readonly #kind: NamedKind;
  readonly #world: Pick<World, "find">;
  readonly #store: EntityStore;

  constructor(world: Pick<World, "find" | "entities">, slot: number, kind: NamedKind) {
    this.#world = world;
    this.#store = world.entities;
    this.#kind = kind;
    this.number = this.#store.number[slot] ?? 0;
  }

  get kind(): string {
    return this.#kind.name;
  }

  get alive(): boolean {
    return this.#world.find(this.number) !== undefined;
  }

  get position(): Point {
    const slot = this.#slot();
    const { x, y, z } = this.#store;
    return { x: x[slot] ?? 0, y: y[slot] ?? 0, z: z[slot] ?? 0 };
  }

  moveTo({ x, y, z }: Point): void {
    if (this.#kind.id === playerKind) throw new RangeError("a player's entity moves with its player: use teleport");
    assertFinite(x, y, z);
    this.#store.move(this.#slot(), x, y, z);
  }

  set(values: FieldValues): void {
    const slot = this.#slot();
    for (const [name, value] of Object.entries(values)) {
      const field = this.#kind.fields.get(name);
      if (field === undefined) throw new RangeError(`entities of kind ${this.kind} have no field ${name}`);
      if (typeof value === "number") this.#store.set(slot, field, value);
      else this.#store.setBytes(slot, field, value);
    }
  }

  /**
   * Gives a player's entity its state from before. What is not among it, or is of another version of the game, is 0 or empty: where
   * it was seen before its player came, it has values already.
   */
  restore(values: FieldValues): void {
    const slot = this.#slot();
    const { fields } = this.#store.kindOf(slot);
    for (const [name, field] of this.#kind.fields) {
      if (field <= playerFields.heading) continue;
      const none = fields[field]?.type === "bytes" ? noBytes : 0;
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      try {
        this.set({ [name]: value ?? none });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.set({ [name]: none });
      }
    }
    this.#store.setPriority(slot, 1);
  }

  get(name: string): number | Uint8Array | undefined {
    const field = this.#kind.fields.get(name);
    if (field === undefined) return undefined;
    const slot = this.#slot();
    const isBytes = this.#store.kindOf(slot).fields[field]?.type === "bytes";
    return isBytes ? this.#store.getBytes(slot, field) : this.#store.get(slot, field);
  }

  setPriority(priority: number): void {
    this.#store.setPriority(this.#slot(), priority);
  }

  despawn(): void {
    if (this.#kind.id === playerKind) throw new RangeError("a player's entity stays for as long as its player");
    const slot = this.#world.find(this.number);
    if (slot !== undefined) this.#store.remove(slot);
  }

  #slot(): number {
    const slot = this.#world.find(this.number);
    if (slot === undefined) throw new RangeError(`entity ${this.number} is gone`);
    return slot;
  }
}

/** Whether each is finite as POSITION and views carry it, an `f32`. @throws RangeError */
export function assertFinite(...coordinates: readonly number[]): void {
  if (!coordinates.every((one) => Number.isFinite(Math.fround(one))))
    throw new RangeError("expected coordinates that are finite");
}

/** @throws RangeError */
export function assertHeading(heading: number): void {
  if (!Number.isInteger(heading) || heading < 0 || heading > 65_535) {
    throw new RangeError(`a heading is a whole number from 0 to 65,535, not ${heading}`);
  }
}
