import { expect, it } from "vitest";
import { worldPart } from "./world-part.ts";

const dealt = (clusters: number): string[] =>
  Array.from({ length: clusters }, (_, index) => {
    const { world, carries } = worldPart(index + 1, clusters);
    return `${world}: ${carries.join(" ")}`;
  });

it("gives each of up to four clusters its part of one world", () => {
  expect(dealt(1)).toEqual(["main: meadow hills forest market"]);
  expect(dealt(2)).toEqual(["main: meadow hills", "main: forest market"]);
  expect(dealt(3)).toEqual(["main: meadow", "main: hills", "main: forest market"]);
  expect(dealt(4)).toEqual(["main: meadow", "main: hills", "main: forest", "main: market"]);
});

it("gives more of them another world, and leaves none without a part", () => {
  expect(dealt(5).at(-1)).toBe("main-2: meadow hills forest market");
  expect(dealt(6).slice(4)).toEqual(["main-2: meadow hills", "main-2: forest market"]);
  for (let clusters = 1; clusters <= 16; clusters += 1) {
    const fragments = dealt(clusters).flatMap((line) => {
      const [world = "", names = ""] = line.split(": ");
      return names.split(" ").map((name) => `${world} ${name}`);
    });
    expect(fragments).toHaveLength(Math.ceil(clusters / 4) * 4);
    expect(new Set(fragments).size).toBe(fragments.length);
  }
});

it("has players start where the borders are, in a fragment of their cluster", () => {
  expect(worldPart(2, 2).spawn).toEqual([2, 0, -2]);
});
