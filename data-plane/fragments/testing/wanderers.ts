import type { World } from "../world.ts";
import { type Random, randomBelow, randomInteger } from "../../../protocol/testing/seeded-random.ts";

/** How restless a world is; all but `players` and `entities` are chances a tick. */
export interface Restlessness {
  readonly players: number;
  /** That are no player's. */
  readonly entities: number;
  readonly side: number;
  readonly speed: number;
  /** That a player or entity goes, and another comes. */
  readonly churn: number;
  /** That one is suddenly elsewhere. */
  readonly jump: number;
  /** That a field changes. */
  readonly change: number;
  /** That one stands still for this tick. */
  readonly rest: number;
}

/** Players and entities that walk about in a square around the origin, or a cube. */
export class Wanderers {
  readonly players: number[] = [];
  readonly #entities: number[] = [];
  readonly #world: World;
  readonly #random: Random;
  readonly #how: Restlessness;
  readonly #onJoin: (player: number) => void;
  readonly #onLeave: (player: number) => void;

  constructor(
    world: World,
    random: Random,
    how: Restlessness,
    onJoin: (player: number) => void,
    onLeave: (player: number) => void,
  ) {
    this.#world = world;
    this.#random = random;
    this.#how = how;
    this.#onJoin = onJoin;
    this.#onLeave = onLeave;
    for (let count = 0; count < how.players; count++) this.#join();
    for (let count = 0; count < how.entities; count++) this.#spawn();
  }

  tick(): void {
    for (const player of this.players.slice()) {
      this.#wander(this.#world.bodyOf(player), player);
      if (this.#random() >= this.#how.churn) continue;
      this.players.splice(this.players.indexOf(player), 1);
      this.#world.removePlayer(player);
      this.#onLeave(player);
      this.#join();
    }
    for (const slot of this.#entities.slice()) {
      this.#wander(slot, -1);
      if (this.#random() >= this.#how.churn) continue;
      this.#entities.splice(this.#entities.indexOf(slot), 1);
      this.#world.entities.remove(slot);
      this.#spawn();
    }
  }

  #wander(slot: number, player: number): void {
    const { speed, jump, change, rest } = this.#how;
    const { entities } = this.#world;
    if (this.#random() < change) this.#changeFields(slot);
    if (this.#random() < jump) {
      const [x, y, z] = [this.#coordinate(), this.#coordinate(), this.#coordinate()];
      if (player === -1) entities.move(slot, x, y, z);
      else this.#world.teleport(player, x, y, z);
    } else if (this.#random() >= rest) {
      const go = (from: number | undefined): number => (from ?? 0) + randomBelow(this.#random, 2 * speed) - speed;
      const y = this.#random() < 0.5 ? (entities.y[slot] ?? 0) : go(entities.y[slot]);
      entities.move(slot, go(entities.x[slot]), y, go(entities.z[slot]));
    }
  }

  #changeFields(slot: number): void {
    const { entities } = this.#world;
    for (const [field, { type }] of entities.kindOf(slot).fields.entries()) {
      if (this.#random() < 0.5) continue;
      const byte = randomInteger(this.#random, 0, 255);
      if (type === "bytes")
        entities.setBytes(
          slot,
          field,
          Uint8Array.from({ length: byte & 7 }, () => byte),
        );
      else if (type === "flags") entities.set(slot, field, byte * 2 ** randomInteger(this.#random, 0, 24));
      else entities.set(slot, field, type === "i16" ? byte - 100 : byte);
    }
  }

  #join(): void {
    const player = this.#world.addPlayer(0, this.#coordinate(), this.#coordinate(), this.#coordinate());
    if (player === -1) return;
    this.players.push(player);
    this.#onJoin(player);
  }

  #spawn(): void {
    const kind = this.#world.entities.kinds.kinds.at(-1)?.id ?? 0;
    const slot = this.#world.spawn(kind, this.#coordinate(), this.#coordinate(), this.#coordinate());
    if (slot !== -1) this.#entities.push(slot);
  }

  #coordinate(): number {
    return randomBelow(this.#random, this.#how.side) - this.#how.side / 2;
  }
}
