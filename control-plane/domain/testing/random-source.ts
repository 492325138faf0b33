/** Numbers that look random and are the same for the same seed, so that a history that fails can be run again. */
export function randomSource(seed: number): { readonly below: (bound: number) => number } {
  let state = (seed + 1) * 0x9e3779b9;
  return {
    below: (bound) => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
    },
  };
}
