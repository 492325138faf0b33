import { expect, it } from "vitest";
import { HeldMessages } from "./held-messages.ts";

function setUp(): { held: HeldMessages; delivered: number[]; push: (command: number, bytes?: number) => void } {
  const delivered: number[] = [];
  const held = new HeldMessages(({ command }) => delivered.push(command));
  return { held, delivered, push: (command, bytes = 0) => held.push({ command, payload: new Uint8Array(bytes) }) };
}

it("keeps messages until somebody listens, and then their order", async () => {
  const { held, delivered, push } = setUp();
  push(1);
  push(2);
  held.release();
  // Still held: the caller of `on` has not returned yet.
  expect(delivered).toEqual([]);
  push(3);
  await Promise.resolve();
  expect(delivered).toEqual([1, 2, 3]);
  push(4);
  expect(delivered).toEqual([1, 2, 3, 4]);
  held.release();
  await Promise.resolve();
  expect(delivered).toEqual([1, 2, 3, 4]);
});

it("keeps 1,024 messages", async () => {
  const { held, delivered, push } = setUp();
  for (let count = 0; count < 1_024; count++) push(count & 0xff);
  held.release();
  await Promise.resolve();
  expect(delivered).toHaveLength(1_024);
});

it.each([
  ["one message more", 1_025, 0],
  ["one byte over 1 MiB", 1_025, 1_024],
])("drops everything at %s, and delivers again once somebody listens", async (_, count, bytes) => {
  const { held, delivered, push } = setUp();
  for (let index = 0; index < count; index++) push(1, bytes);
  push(2);
  held.release();
  push(3);
  await Promise.resolve();
  expect(delivered).toEqual([3]);
});
