/** How many are remembered before all are forgotten. */
const maxRemembered = 65_536;

/**
 * Which players may have given a seat of a cluster back. Only a hint for where to look: what the storage says counts. So it may name too
 * many, as after a step that came to nothing, and is looked up anew for each cluster when it is not in memory.
 */
export class ReturnedSeats {
  readonly #find: (clusterId: string) => readonly string[];
  readonly #byCluster = new Map<string, Set<string>>();
  #size = 0;

  /** @param find all players who have */
  constructor(find: (clusterId: string) => readonly string[]) {
    this.#find = find;
  }

  note(clusterId: string, playerId: string): void {
    const players = this.#byCluster.get(clusterId);
    // One whose players are not known yet is looked up as a whole.
    if (players === undefined || players.has(playerId)) return;
    players.add(playerId);
    this.#size += 1;
    if (this.#size > maxRemembered) this.#forget();
  }

  /**
   * @param look what is left to say of these players; of those of whom nothing is, none is remembered
   * @returns no more than `most`
   */
  collect<T extends { readonly playerId: string }>(
    clusterId: string,
    most: number,
    look: (playerIds: readonly string[]) => readonly T[],
  ): T[] {
    const players = this.#playersOf(clusterId);
    const found: T[] = [];
    const waiting = [...players];
    while (found.length < most && waiting.length > 0) {
      const asked = waiting.splice(0, most - found.length);
      const some = look(asked);
      const left = new Set(some.map(({ playerId }) => playerId));
      for (const playerId of asked) {
        if (left.has(playerId) || !players.delete(playerId)) continue;
        this.#size -= 1;
      }
      found.push(...some);
    }
    return found;
  }

  #playersOf(clusterId: string): Set<string> {
    const known = this.#byCluster.get(clusterId);
    if (known !== undefined) return known;
    const players = new Set(this.#find(clusterId));
    if (this.#size + players.size > maxRemembered) this.#forget();
    this.#byCluster.set(clusterId, players);
    this.#size += players.size;
    return players;
  }

  #forget(): void {
    this.#byCluster.clear();
    this.#size = 0;
  }
}
