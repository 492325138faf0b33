/** Where something stands and looks: world units; a heading of 65,536 to a full turn. */
export interface Pose {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly heading: number;
}

interface Sample {
  readonly tick: number;
  readonly pose: Pose;
}

/** Samples that are kept: bounds what a cluster that runs ahead of its clock makes us remember. */
const maxSamples = 64;
const fullTurn = 65_536;

/**
 * The way of one entity, as it was told, to be shown a little later: between two samples it is in between, the short way
 * round for its heading; after the last it stands. Ticks that are asked for should not fall.
 */
export class Track {
  #samples: Sample[];

  constructor(tick: number, pose: Pose) {
    this.#samples = [{ tick, pose }];
  }

  /**
   * Takes the next sample.
   *
   * @param shownTick what is shown now. An entity that stands there already sets off from there, not from when it was last
   *   told: so one that is told rarely, or had not moved, does not leap
   */
  push(tick: number, pose: Pose, shownTick: number): void {
    const samples = this.#samples.filter((_, index) => (this.#samples[index + 1]?.tick ?? Infinity) > shownTick);
    const last = samples.at(-1);
    if (last !== undefined && last.tick < shownTick && shownTick < tick)
      samples.push({ tick: shownTick, pose: last.pose });
    samples.push({ tick, pose });
    this.#samples = samples.slice(-maxSamples);
  }

  /** Where it is shown at a tick, which may lie between two. */
  at(tick: number): Pose {
    const after = this.#samples.findIndex((sample) => sample.tick > tick);
    const to = this.#samples[after];
    const from = this.#samples[after - 1];
    if (to === undefined) return this.#samples.at(-1)?.pose ?? nowhere;
    if (from === undefined) return to.pose;
    return between(from.pose, to.pose, (tick - from.tick) / (to.tick - from.tick));
  }
}

const nowhere: Pose = { x: 0, y: 0, z: 0, heading: 0 };

function between(from: Pose, to: Pose, share: number): Pose {
  const along = (a: number, b: number): number => a + (b - a) * share;
  const turn = ((to.heading - from.heading + 1.5 * fullTurn) % fullTurn) - fullTurn / 2;
  const heading = (from.heading + turn * share + fullTurn) % fullTurn;
  return { x: along(from.x, to.x), y: along(from.y, to.y), z: along(from.z, to.z), heading };
}
