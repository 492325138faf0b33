import { describe, expect, it } from "vitest";
import { type Pose, Track } from "./track.ts";

const at = (x: number, heading = 0): Pose => ({ x, y: 0, z: -x, heading });

describe("Track", () => {
  it("is between two samples as far as the tick is", () => {
    const track = new Track(10, at(0));
    track.push(14, at(8), 9);
    expect(track.at(5)).toEqual(at(0));
    expect(track.at(11)).toMatchObject({ x: 2, z: -2 });
    expect(track.at(13.5).x).toBe(7);
    expect(track.at(20)).toEqual(at(8));
  });

  it("turns the short way round", () => {
    const track = new Track(0, at(0, 65_000));
    track.push(2, at(0, 536), 0);
    expect(track.at(1).heading).toBe(0);
    track.push(4, at(0, 65_000), 2);
    expect(track.at(3.5).heading).toBe((65_536 + 536 - 0.75 * 1_072) % 65_536);
  });

  it("sets off from where it is shown to stand, without a leap, though it was told long ago", () => {
    const track = new Track(0, at(5));
    expect(track.at(97)).toEqual(at(5));
    track.push(100, at(8), 97);
    expect(track.at(97)).toEqual(at(5));
    expect(track.at(98).x).toBe(6);
    expect(track.at(100).x).toBe(8);
  });

  /** How far an entity is shown to go in each tick that walks a unit a tick, is told at these ticks, and shown four late, of which one is the way here. */
  function stepsOf(isTold: (tick: number) => boolean, ticks: number): number[] {
    const track = new Track(0, at(0));
    const steps: number[] = [];
    for (let tick = 1; tick <= ticks; tick++) {
      const before = track.at(tick - 3).x;
      if (isTold(tick)) track.push(tick, at(tick), tick - 3, 12);
      expect(track.at(tick - 3).x).toBeCloseTo(before, 9);
      steps.push(Math.round(1_000 * (track.at(tick - 2).x - before)) / 1_000);
    }
    return steps;
  }

  it.each([1, 2, 4, 8, 12])("goes on evenly where it is told every %i ticks", (every) => {
    const steps = stepsOf((tick) => tick % every === 0, 100);
    expect(new Set(steps.slice(3 * every + 4))).toEqual(new Set([1]));
  });

  it("never stands nor leaps where it is told ever more rarely, and then more often again", () => {
    const steps = stepsOf((tick) => tick % (tick < 40 ? 2 : tick < 80 ? 4 : tick < 160 ? 8 : 2) === 0, 240);
    expect(Math.max(...steps.slice(10))).toBe(1.5);
    expect(steps.slice(170).filter((step) => step < 1)).toEqual([]);
    expect(new Set(steps.slice(200))).toEqual(new Set([1]));
  });

  it("does not leap where what comes late is told more often than before, as of who comes near", () => {
    const track = new Track(0, at(0));
    track.push(12, at(12), 9, 12);
    expect(track.at(15).x).toBe(6);
    track.push(14, at(14), 15, 12);
    const shown = Array.from({ length: 10 }, (_, index) => track.at(15 + index).x);
    expect(shown).toEqual([6, 7, 8, 9, 10, 11, 12, 13.5, 14, 14].map((x) => expect.closeTo(x, 9)));
  });

  it("takes no longer for one that had stood, and never goes back, whatever rate comes next", () => {
    const track = new Track(0, at(0));
    track.push(100, at(3), 97, 12);
    expect([97, 98, 99, 100].map((tick) => track.at(tick).x)).toEqual([0, 1, 2, 3]);
    track.push(160, at(63), 157, 60);
    expect(track.at(160).x).toBe(6);
    track.push(170, at(73), 167, 6);
    const shown = Array.from({ length: 70 }, (_, index) => track.at(167 + index).x);
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
    expect(shown.at(-1)).toBe(73);
  });

  it("passes through every sample that came before its time", () => {
    const track = new Track(0, at(0));
    for (const tick of [1, 2, 3, 4, 5, 6]) track.push(tick, at(tick % 2), tick - 3);
    expect([3, 3.5, 4, 4.5, 5, 6].map((tick) => track.at(tick).x)).toEqual([1, 0.5, 0, 0.5, 1, 0]);
  });

  it("shows at once what comes too late", () => {
    const track = new Track(0, at(0));
    track.push(3, at(9), 7);
    expect(track.at(7)).toEqual(at(9));
  });

  it("keeps a bounded number of samples", () => {
    const track = new Track(0, at(0));
    for (let tick = 1; tick < 10_000; tick++) track.push(tick, at(tick), 0);
    expect(track.at(0).x).toBe(10_000 - 64);
  });
});
