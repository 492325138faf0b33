/** Where something stands and looks: world units; a heading of 65,536 to a full turn. */
export interface Pose {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly heading: number;
}

interface Sample {
  /** When it is shown: the tick of which it is the state, or later. */
  readonly tick: number;
  readonly pose: Pose;
}

/** Samples that are kept: bounds what a cluster that runs ahead of its clock makes us remember. */
const maxSamples = 64;
const fullTurn = 65_536;
/** What is shown later than it has to be makes up for that by so much of the way. */
const haste = 1 / 3;

/**
 * The way of one entity, as it was told, to be shown a little later: between two samples it is in between, the short way
 * round for its heading; after the last it stands. Ticks that are asked for should not fall.
 *
 * One that is told more rarely than what is shown is late would stand and dash by turns: it is shown as much later as it takes to go on evenly.
 */
export class Track {
  #samples: Sample[];
  #toldTick: number;

  constructor(tick: number, pose: Pose) {
    this.#samples = [{ tick, pose }];
    this.#toldTick = tick;
  }

  /**
   * Takes the next sample.
   *
   * @param shownTick what is shown now. An entity that stands there already sets off from there, not from when it was last
   *   told: so one that had not moved does not leap
   * @param mostTicks between two samples of one that has been on the way all the time; after more it has stood
   */
  push(tick: number, pose: Pose, shownTick: number, mostTicks = 0): void {
    const ticks = tick - this.#toldTick;
    this.#toldTick = tick;
    const samples = this.#samples.filter((_, index) => (this.#samples[index + 1]?.tick ?? Infinity) > shownTick);
    const last = samples.at(-1);
    if (last === undefined || Math.max(tick, last.tick) <= shownTick) {
      this.#samples = [{ tick, pose }];
      return;
    }
    if (last.tick < shownTick) samples.push({ tick: shownTick, pose: last.pose });
    // Half a gap is kept to spare, for one that comes late.
    const spare = Math.max(0, last.tick - shownTick - ticks / 2);
    const evenly = Math.max(last.tick, shownTick) + ticks - Math.min(spare, ticks * haste);
    const hasStood = ticks > mostTicks && last.tick < tick;
    samples.push({ tick: hasStood ? tick : Math.max(tick, evenly), pose });
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
