import { expect, it } from "vitest";
import { TickLoad } from "./tick-load.ts";

it("the load of ticks follows what they take, and forgets a single slow one", () => {
  const load = new TickLoad();
  expect(load.ms).toBe(0);
  for (let index = 0; index < 300; index += 1) load.observe(0.004);
  expect(load.ms).toBe(4);
  load.observe(0.304);
  expect(load.ms).toBe(14);
  for (let index = 0; index < 300; index += 1) load.observe(0.002);
  expect(load.ms).toBe(2);
});
