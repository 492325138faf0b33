/** A world in which everything comes, goes and changes at random, and what was true in it. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type Random, randomInteger } from "../../../protocol/testing/seeded-random.ts";
import { assertLayout, createRandomFragments } from "../../fragments/testing/random-world.ts";
import type { Entity, EntityFields } from "../../plugin/entities.ts";
import type { WorldEntity } from "../../../clients/typescript/world-entity.ts";
import { ClusterWorld, type WorldPlayer } from "../cluster-world.ts";
import { createKinds } from "../entity-kinds.ts";

export const tickHz = 30;
const precisions = [0.001, 0.03, 0.5, 7];
const all = {
  u8: "u8",
  u16: "u16",
  u32: "u32",
  i16: "i16",
  f32: "f32",
  angle: "angle",
  flags: "flags",
  bytes: { bytes: 255 },
} satisfies EntityFields;
const many: EntityFields = Object.fromEntries(Array.from({ length: 24 }, (_, index) => [`f${index}`, "flags"]));
const declared: Record<string, EntityFields> = { player: { score: "u16" }, monster: all, stone: {}, heap: many };
const fieldsOf: Record<string, readonly string[]> = Object.fromEntries(
  Object.entries(declared).map(([kind, fields]) => [kind, Object.keys(fields)]),
);
const extremes: Record<string, readonly number[]> = {
  u8: [0, 1, 255],
  u16: [0, 0x7fff, 0xffff],
  u32: [0, 2 ** 31, 2 ** 32 - 1],
  i16: [-0x8000, -1, 0, 0x7fff],
  f32: [0, -1.5, 1e-45, 3.4028234663852886e38],
  angle: [0, 0x8000, 0xffff],
  flags: [0, 1, 0x80, 2 ** 31, 2 ** 32 - 1],
};

type State = Readonly<Record<string, number | string>>;

/** What an entity is, in whole steps of each precision that it may be told in. */
function truthOf(entity: Entity): State[] {
  const { x, y, z } = entity.position;
  const rest = stateOf(entity.kind, (field) => entity.get(field));
  return precisions.map(Math.fround).map((step) => {
    const told = (value: number): number =>
      Math.max(1 - 2 ** 30, Math.min(2 ** 30 - 1, Math.floor(value / step + 0.5))) * step;
    return Object.assign({ x: told(x), y: told(y), z: told(z) }, rest);
  });
}

export function toldOf(entity: WorldEntity): State {
  const { x, y, z } = entity.told;
  return { x, y, z, ...stateOf(entity.kind, (field) => entity.get(field)) };
}

function stateOf(kind: string, get: (field: string) => number | Uint8Array | undefined): State {
  const fields = [...(kind === "player" ? ["number", "heading"] : []), ...(fieldsOf[kind] ?? [])];
  const values = fields.map((field) => {
    const value = get(field);
    return [field, typeof value === "number" ? value : String(value)];
  });
  return { kind, ...Object.fromEntries(values) };
}

/** A cluster: its world, and what was true at each of its ticks. */
export class RestlessSide {
  readonly world: ClusterWorld<Body>;
  readonly bodies = new Set<Body>();
  readonly #truths = new Map<number, Map<number, State[]>>();
  readonly #random: Random;
  #things: Entity[] = [];
  tick = 0;

  constructor(random: Random) {
    this.#random = random;
    this.world = new ClusterWorld<Body>({
      layout: randomLayout(random),
      kinds: createKinds([declared]),
      tickHz,
      maxPlayers: 0,
      maxSpeed: 0,
      spawn: { x: 0, y: 0, z: 0 },
      events: {
        enterFragment: () => undefined,
        leaveFragment: () => undefined,
        threshold: () => undefined,
        carry: () => undefined,
      },
    });
  }

  entities(): Entity[] {
    return [...this.#things, ...Array.from(this.bodies, (body) => this.world.entityOf(body))].filter(
      (entity) => entity !== undefined,
    );
  }

  /** Has things come, go, move and change. */
  stir(): void {
    const random = this.#random;
    const near = (): number => (random() - 0.5) * 160;
    const height = (): number => pick(random, [0, 0.4, -1e12, 3e38, near()]);
    while (this.#things.length < 60) {
      const thing = this.world.spawn(pick(random, ["monster", "stone", "heap"]), { x: near(), y: height(), z: near() });
      if (thing !== undefined) this.#things.push(thing);
    }
    for (const thing of this.#things) {
      const { x, y, z } = thing.position;
      const roll = random();
      if (roll < 0.01) thing.moveTo({ x: near(), y: height(), z: near() });
      else if (roll < 0.5) thing.moveTo({ x: x + random() - 0.5, y, z: z + random() - 0.5 });
      if (random() < 0.1) this.#change(thing);
      if (random() < 0.01) thing.despawn();
    }
    this.#things = this.#things.filter(({ alive }) => alive);
    for (const body of this.bodies) {
      const { x, z } = body.position;
      body.position = { x: x + random() - 0.5, y: 0, z: z + random() - 0.5, heading: randomInteger(random, 0, 65_535) };
      this.world.moved(body, body.position);
      if (random() < 0.1) this.world.entityOf(body)?.set({ score: randomInteger(random, 0, 65_535) });
    }
  }

  #change(thing: Entity): void {
    const random = this.#random;
    const field = pick(random, fieldsOf[thing.kind] ?? []);
    if (field === "bytes") thing.set({ bytes: new Uint8Array(pick(random, [0, 1, 255])).fill(this.tick) });
    else if (field !== undefined) thing.set({ [field]: pick(random, extremes[field] ?? extremes["flags"] ?? []) });
  }

  /** Ends a tick, of which some are left out. */
  step(): void {
    this.tick += this.#random() < 0.05 ? randomInteger(this.#random, 2, 40) : 1;
    this.#truths.set(this.tick, new Map(this.entities().map((entity) => [entity.number, truthOf(entity)])));
    this.world.tick(this.tick);
  }

  /** @throws AssertionError where an entity is told otherwise than it was at a tick */
  assertTrue(entity: WorldEntity, tick: number): void {
    const told = toldOf(entity);
    const truths = this.#truths.get(tick)?.get(entity.number) ?? [];
    if (truths.some((truth) => isDeepStrictEqual(truth, told))) return;
    assert.fail(`${JSON.stringify(told)} was not true at ${tick}: ${JSON.stringify(truths)}`);
  }
}

/** A player on one side. */
export class Body implements WorldPlayer {
  readonly id: string;
  readonly number: number;
  readonly moveBudget = { maxSpeed: 0 };
  readonly held = false;
  position;
  dropped = false;
  viewWaits = false;
  readonly #onFrame: (frame: Uint8Array) => void;

  constructor(number: number, x: number, z: number, onFrame: (frame: Uint8Array) => void) {
    this.id = `player-${number}`;
    this.number = number;
    this.position = { x, y: 0, z, heading: 0 };
    this.#onFrame = onFrame;
  }

  has(): boolean {
    return true;
  }

  sendControl(frame: Uint8Array): void {
    this.#onFrame(frame);
  }

  sendView(frame: Uint8Array): void {
    this.#onFrame(frame);
  }
}

/** Any one of them. */
export function pick<T>(random: Random, from: readonly [T, ...T[]]): T;
export function pick<T>(random: Random, from: readonly T[]): T;
export function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[randomInteger(random, 0, from.length - 1)];
}

/** Fragments that differ in all that a view depends on. */
export function randomLayout(random: Random): ReturnType<typeof assertLayout> {
  const fragment = createRandomFragments(random, randomInteger(random, 1, 5), 200, 2);
  for (const table of fragment) {
    Object.assign(table, {
      update_hz: randomInteger(random, 4, tickHz),
      view_range: randomInteger(random, 30, 120),
      precision: pick(random, precisions),
      max_visible: randomInteger(random, 1, 200),
      byte_budget: pick(random, [2_000, 1e7]),
    });
  }
  return assertLayout({ fragment });
}
