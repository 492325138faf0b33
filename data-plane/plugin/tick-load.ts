/** How many ticks the mean is over, about: a second of them at the usual rate. */
const memory = 30;

/** What a tick has lately taken on average: the load of a cluster, as its reports tell it. */
export class TickLoad {
  #meanMs = 0;

  observe(tookSeconds: number): void {
    this.#meanMs += (tookSeconds * 1_000 - this.#meanMs) / memory;
  }

  /** In ms, to a hundredth. */
  get ms(): number {
    return Math.round(this.#meanMs * 100) / 100;
  }
}
