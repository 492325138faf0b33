import type { Walker } from "./walker.ts";
import type { AuditWorld } from "./world.ts";

/** So many numbers are drawn from; who draws the same stays together. */
const numbers = 4;

/** Who of the walkers stays with whom: in groups that are drawn again and again, beside handovers that the game refuses. */
export class Groups {
  readonly #world: AuditWorld;
  readonly #walkers: readonly Walker[];
  readonly #random: (below: number) => number;
  #seed: number;
  #groups: readonly (readonly Walker[])[] = [];

  constructor(world: AuditWorld, walkers: readonly Walker[], random: (below: number) => number) {
    this.#world = world;
    this.#walkers = walkers;
    this.#random = random;
    this.#seed = random(2 ** 31);
  }

  /** Others than before. @returns how many are in each */
  draw(): string {
    const drawn = this.#walkers.map((walker) => ({ walker, number: this.#random(numbers) }));
    const groups = Map.groupBy(drawn, ({ number }) => number).values();
    this.#groups = Array.from(groups, (group) => group.map(({ walker }) => walker));
    for (const [leader, ...others] of this.#groups) {
      if (leader !== undefined) leader.leader = undefined;
      // Who goes another way would keep the others from ever getting over the border.
      for (const walker of others) walker.leader = leader;
    }
    this.tell();
    return this.#groups.map(({ length }) => length).join("+");
  }

  /** The same as before, by the ids that they have now. */
  tell(): void {
    this.#seed += 1;
    const together = this.#groups.filter(({ length }) => length > 1);
    this.#world.rule(
      together.map((group) => group.map(({ playerId }) => playerId)),
      this.#seed,
    );
  }

  /** Everybody goes by themselves, and nobody is refused. */
  end(): void {
    for (const walker of this.#walkers) walker.leader = undefined;
    this.#groups = [];
    this.#world.rule([], undefined);
  }
}
