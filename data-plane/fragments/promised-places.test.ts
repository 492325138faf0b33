import { expect, it } from "vitest";
import { KindTable } from "../../protocol/index.ts";
import { createRandom, type Random, randomInteger } from "../../protocol/testing/seeded-random.ts";
import { assertLayout } from "./testing/random-world.ts";
import { World } from "./world.ts";

const capacity = 3;
const layout = assertLayout({
  fragment: [
    { name: "hall", min: [0, 0], max: [10, 10], capacity },
    { name: "yard", min: [10, 0], max: [20, 10] },
  ],
});
const kinds = new KindTable([{ id: 0, name: "player", fields: [] }]);
const ids = ["ada", "bob", "cat", "dan", "eve", "fay"];
const where = { hall: 5, yard: 15 } as const;

/** A world, and what should hold in it by what was promised and who has come. */
class Promises {
  readonly faults: string[] = [];
  readonly #random: Random;
  readonly #world = new World({ layout, kinds, tickHz: 20, maxPlayers: ids.length, maxEntities: ids.length });
  readonly #players = new Map<string, { readonly index: number; place: keyof typeof where }>();
  #open: ReadonlyMap<string, string>[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Something happens that can. */
  act(): void {
    const id = this.#pick(ids);
    const place = this.#pick(["hall", "hall", "yard"] as const);
    const player = this.#players.get(id);
    const what = randomInteger(this.#random, 0, 4);
    if (what === 0) this.#promise();
    else if (what === 1) this.#giveUp(this.#random() < 0.5);
    else if (player === undefined) this.#join(id, place);
    else if (what === 2) this.#leave(id);
    else this.#teleport(id, place);
    if (this.#wanted([]) > capacity) this.faults.push("more are promised places than there are");
    if (this.#population > capacity) this.faults.push("more are in than may be");
  }

  /** Nobody is there, and nothing is promised any more: then all of it is free, and no more. */
  end(): void {
    while (this.#open.length > 0) this.#giveUp(false);
    for (const id of this.#players.keys()) this.#leave(id);
    for (const id of ids.slice(0, capacity + 1)) this.#join(id, "hall");
  }

  #promise(): void {
    const wanted = new Map(Array.from({ length: randomInteger(this.#random, 1, 3) }, () => [this.#pick(ids), "hall"]));
    const isDue = this.#wanted([...wanted.keys()]) <= capacity;
    const isKept = this.#world.promise(wanted);
    if (isKept) this.#open.push(wanted);
    if (isKept !== isDue) this.faults.push(`a promise to ${[...wanted.keys()].join()} is ${isKept ? "" : "not "}given`);
  }

  /** A handover ends: its players come by it, in the place of whoever of them is here, or will not. */
  #giveUp(hasCome: boolean): void {
    const ended = this.#open.splice(randomInteger(this.#random, 0, Math.max(0, this.#open.length - 1)), 1);
    for (const promised of ended) {
      for (const id of hasCome ? promised.keys() : []) {
        this.#leave(id);
        this.#add(id, "hall", true);
      }
      this.#world.unpromise(promised);
    }
  }

  #join(id: string, place: keyof typeof where): void {
    const isDue = place === "yard" || this.#isFreeFor(id);
    if (this.#world.isOpenTo(id, where[place], 0, 5) !== isDue)
      this.faults.push(`${place} is open to ${id}, or is not`);
    if (this.#add(id, place, false) !== isDue) this.faults.push(`${id} joins in ${place}, or does not`);
  }

  #teleport(id: string, place: keyof typeof where): void {
    const player = this.#players.get(id);
    if (player === undefined) return;
    const isDue = place === player.place || place === "yard" || this.#isFreeFor(id);
    const hasMoved = this.#world.teleport(player.index, where[place], 0, 5);
    if (hasMoved) player.place = place;
    if (hasMoved !== isDue) this.faults.push(`${id} is teleported to ${place}, or is not`);
  }

  #leave(id: string): void {
    this.#world.removePlayer(this.#players.get(id)?.index ?? -1);
    this.#players.delete(id);
  }

  #add(id: string, place: keyof typeof where, mustFit: boolean): boolean {
    const index = this.#world.addPlayer(0, where[place], 0, 5, { id, mustFit });
    if (index !== -1) this.#players.set(id, { index, place });
    return index !== -1;
  }

  #isFreeFor(id: string): boolean {
    return this.#open.some((promised) => promised.has(id)) || this.#wanted([id]) <= capacity;
  }

  get #population(): number {
    return this.#world.fragments()[0]?.players ?? 0;
  }

  /** Places that it takes for those who are in, those who have been promised one, and these. */
  #wanted(more: readonly string[]): number {
    const inside = ids.filter((id) => this.#players.get(id)?.place === "hall");
    return new Set([...inside, ...this.#open.flatMap((promised) => [...promised.keys()]), ...more]).size;
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[randomInteger(this.#random, 0, from.length - 1)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }
}

it("[HAND-24] places that are promised keep nobody out whose they are, are enough, and are given back once, in whatever order things come", () => {
  for (let seed = 0; seed < 40; seed += 1) {
    const promises = new Promises(createRandom(seed));
    for (let step = 0; step < 300; step += 1) promises.act();
    promises.end();
    expect(promises.faults).toEqual([]);
  }
});
