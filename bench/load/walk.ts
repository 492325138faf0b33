/** A walk about a square: 5 units a second, at 20 steps, in a direction that wanders. */
export class Walk {
  x: number;
  z: number;
  heading = 0;
  #angle = Math.random() * 2 * Math.PI;

  constructor(x: number, z: number) {
    this.x = x;
    this.z = z;
  }

  step(side: number): void {
    this.#angle += Math.random() * 0.3 - 0.15;
    const x = this.x + Math.cos(this.#angle) * 0.25;
    const z = this.z + Math.sin(this.#angle) * 0.25;
    if (x < 0 || z < 0 || x > side || z > side) {
      this.#angle += Math.PI;
    } else {
      this.x = x;
      this.z = z;
    }
    this.heading = Math.floor(this.#angle * 10_000) & 0xffff;
  }
}
