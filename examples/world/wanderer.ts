/** Where something stands and looks, as the client library has it. */
interface Placement {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly heading: number;
}

/** World units a second. */
const speed = 4;
/** A wanderer goes so far from the middle of the world, where the four fragments meet, and turns back. */
const reach = 14;

/** Walks about where the borders are, and crosses them all the time. */
export class Wanderer {
  readonly #random: () => number;
  #angle: number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
    this.#angle = random() * 2 * Math.PI;
  }

  /** The next step from a place, so many seconds later. */
  step({ x, y, z }: Omit<Placement, "heading">, seconds: number): Placement {
    const isFar = Math.abs(x) > reach || Math.abs(z) > reach;
    this.#angle = (isFar ? Math.atan2(-z, -x) : this.#angle) + (this.#random() - 0.5) / 2;
    const turns = this.#angle / (2 * Math.PI);
    return {
      x: x + Math.cos(this.#angle) * speed * seconds,
      y,
      z: z + Math.sin(this.#angle) * speed * seconds,
      heading: Math.floor((turns - Math.floor(turns)) * 65_536) & 0xffff,
    };
  }
}
