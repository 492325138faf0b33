import { expect, it } from "vitest";
import { HeldBoots } from "./held-boots.ts";

it("[TICKET-6] keeps the epochs that this process had, for as long as their tickets can live", () => {
  let now = 0;
  const boots = new HeldBoots(305_000, () => now);
  expect(boots.list()).toEqual([]);
  boots.add(7);
  now = 1_000_000;
  expect(boots.list()).toEqual([7]);
  boots.add(8);
  expect(boots.list()).toEqual([8, 7]);
  now += 304_999;
  expect(boots.list()).toEqual([8, 7]);
  now += 1;
  expect(boots.list()).toEqual([8]);
});

it("[TICKET-6] keeps few of them, however often it registers", () => {
  const boots = new HeldBoots(1_000, () => 0);
  for (let boot = 1; boot <= 100; boot += 1) boots.add(boot);
  expect(boots.list()).toEqual([100, 99, 98, 97, 96, 95, 94, 93]);
});
