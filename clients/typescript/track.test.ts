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
