const none: ReadonlyMap<string, number> = new Map();

/**
 * Places of fragments that are kept for players who are about to come: one for each player, however often that one has been promised
 * to it. Each promise is taken back once. [HAND-24]
 */
export class PromisedPlaces {
  readonly #promises = new Map<string, Map<string, number>>();

  /** To whom places of a fragment are promised, by its name: how many promises stand, by the player's id. */
  of(fragment: string): ReadonlyMap<string, number> {
    return this.#promises.get(fragment) ?? none;
  }

  add(id: string, fragment: string): void {
    const promises = this.#promises.get(fragment) ?? new Map<string, number>();
    promises.set(id, (promises.get(id) ?? 0) + 1);
    this.#promises.set(fragment, promises);
  }

  remove(id: string, fragment: string): void {
    const promises = this.#promises.get(fragment);
    const left = (promises?.get(id) ?? 0) - 1;
    if (left > 0) promises?.set(id, left);
    else promises?.delete(id);
    if (promises?.size === 0) this.#promises.delete(fragment);
  }
}
