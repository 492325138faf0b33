import { expect, it } from "vitest";
import { EmptiedQueues, maxEmptied } from "./emptied-queues.ts";
import { gateMs } from "./waiting-gate.ts";

const nowMs = 1_000_000;

it("[WAIT-4] what a queue said before it was empty is told from what it says after", () => {
  const emptied = new EmptiedQueues();
  emptied.note("q", nowMs, nowMs);
  expect(emptied.hasSaidSo("q", nowMs - 1)).toBe(true);
  expect(emptied.hasSaidSo("q", nowMs)).toBe(false);
  expect(emptied.hasSaidSo("other", nowMs - 1)).toBe(false);
});

it("that a queue was empty is remembered while what it said before counts", () => {
  const emptied = new EmptiedQueues();
  emptied.note("q", nowMs, nowMs);
  emptied.note("another", nowMs, nowMs + gateMs - 1);
  expect(emptied.hasSaidSo("q", nowMs - 1)).toBe(true);
  emptied.note("a third", nowMs, nowMs + gateMs);
  expect(emptied.hasSaidSo("q", nowMs - 1)).toBe(false);
});

it("of so many queues, the latest: one more, and the first is forgotten", () => {
  const emptied = new EmptiedQueues();
  for (let index = 0; index < maxEmptied; index += 1) emptied.note(`q${index}`, nowMs, nowMs);
  // Again, and so behind the others.
  emptied.note("q0", nowMs, nowMs);
  expect(emptied.hasSaidSo("q1", nowMs - 1)).toBe(true);
  emptied.note("one more", nowMs, nowMs);
  expect(emptied.hasSaidSo("q1", nowMs - 1)).toBe(false);
  for (const queue of ["q0", "q2", "one more"]) expect(emptied.hasSaidSo(queue, nowMs - 1)).toBe(true);
});
