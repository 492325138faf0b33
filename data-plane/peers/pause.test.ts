import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { pause } from "./pause.ts";

it("leaves no listener with the signal, however often it is waited", async () => {
  const { signal } = new AbortController();
  for (let tries = 0; tries < 20; tries += 1) await pause(0, signal);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

it("ends when it is not wanted any more, before and during the wait", async () => {
  const abort = new AbortController();
  const waiting = pause(600_000, abort.signal);
  abort.abort();
  await waiting;
  await pause(600_000, abort.signal);
  expect(getEventListeners(abort.signal, "abort")).toEqual([]);
});
