import { expect, it } from "vitest";
import { NewsGaps } from "./news-gaps.ts";

it("takes the time from the last news of one server to the first of the next", () => {
  const gaps = new NewsGaps();
  for (const ms of [100, 150, 200]) gaps.hear(ms);
  gaps.moved();
  for (const ms of [290, 340]) gaps.hear(ms);
  expect(gaps.gapsMs).toEqual([90]);
  expect(gaps.pausesMs).toEqual([50, 50, 50]);
});

it("counts news that came in one go as one, and nothing before the first", () => {
  const gaps = new NewsGaps();
  gaps.moved();
  for (const ms of [10, 10.1, 10.2, 60]) gaps.hear(ms);
  expect(gaps.gapsMs).toEqual([]);
  expect(gaps.pausesMs).toHaveLength(1);
});

it("forgets what was before the measurement", () => {
  const gaps = new NewsGaps();
  gaps.hear(0);
  gaps.hear(50);
  gaps.forget();
  gaps.hear(80);
  expect(gaps.pausesMs).toEqual([30]);
});
