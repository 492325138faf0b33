import { maxMembers } from "../../protocol/handover/parties.ts";

/** Players who go to another cluster together or not at all. */
export class PlayerGroups<P extends { readonly connected: boolean }> {
  readonly #groups = new WeakMap<P, ReadonlySet<P>>();

  /**
   * From now on these are one group; whoever was in another one is not any more. A group of one is none.
   *
   * @throws RangeError for more than 16
   */
  keepTogether(players: Iterable<P>): void {
    const group = new Set(players);
    if (group.size > maxMembers) throw new RangeError(`a group has at most ${maxMembers} players, not ${group.size}`);
    for (const player of group) {
      const others = [...(this.#groups.get(player) ?? [])].filter((one) => one !== player && !group.has(one));
      for (const other of others) this.#groups.set(other, new Set(others));
      this.#groups.set(player, group);
    }
  }

  /** Who goes together with a player, itself included. */
  of(player: P): readonly P[] {
    const group = [...(this.#groups.get(player) ?? [])].filter(({ connected }) => connected);
    return group.length === 0 ? [player] : group;
  }
}
