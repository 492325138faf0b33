import { expect, it } from "vitest";
import { Pulse } from "./pulse.ts";

it("counts the time between its beats", () => {
  let now = 1_000;
  const pulse = new Pulse(250, () => now);
  now += 250;
  pulse.beat();
  now += 300;
  pulse.beat();
  expect(pulse.elapsedMs).toBe(550);
});

it("stands still while the process did", () => {
  let now = 0;
  const pulse = new Pulse(250, () => now);
  now += 3_600_000;
  pulse.beat();
  expect(pulse.elapsedMs).toBe(500);
});
