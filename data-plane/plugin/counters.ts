import { isCounterName, maxCounters } from "../../protocol/index.ts";

/** Numbers that the game sets, by which players can be given this cluster: rooms that are open, say, or the round. */
export class Counters {
  readonly #values = new Map<string, number>();

  /** @throws RangeError for a name or a value that cannot be one, or for too many counters */
  set(name: string, value: number | undefined): void {
    if (!isCounterName(name)) {
      throw new RangeError('a counter\'s name has 1 to 64 letters, digits, "_", ".", "/" and "-"');
    }
    if (value === undefined) {
      this.#values.delete(name);
      return;
    }
    if (!Number.isFinite(value)) throw new RangeError("a counter is a finite number");
    if (!this.#values.has(name) && this.#values.size >= maxCounters) {
      throw new RangeError(`a cluster has at most ${maxCounters} counters`);
    }
    this.#values.set(name, value);
  }

  /** All of them, as a report tells them. */
  list(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#values);
  }
}
