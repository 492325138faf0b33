import { expect, it, vi } from "vitest";
import { Emitter } from "./emitter.ts";
import { nextUncaughtError } from "./testing/uncaught-error.ts";

interface Events {
  said: string;
  counted: number;
}

it("calls handlers in the order in which they came, until they are taken away", () => {
  const emitter = new Emitter<Events>();
  const calls: string[] = [];
  const off = emitter.on("said", (text) => calls.push(`first ${text}`));
  emitter.on("said", (text) => calls.push(`second ${text}`));
  emitter.emit("said", "a");
  off();
  off();
  emitter.emit("said", "b");
  emitter.emit("counted", 1);
  expect(calls).toEqual(["first a", "second a", "second b"]);
});

it("takes a function that is added twice for two handlers", () => {
  const emitter = new Emitter<Events>();
  const handler = vi.fn<(count: number) => void>();
  const off = emitter.on("counted", handler);
  emitter.on("counted", handler);
  emitter.emit("counted", 1);
  expect(handler).toHaveBeenCalledTimes(2);
  off();
  emitter.emit("counted", 2);
  expect(handler).toHaveBeenCalledTimes(3);
});

it("does not call a handler for the event during which it was added", () => {
  const emitter = new Emitter<Events>();
  const late = vi.fn<(count: number) => void>();
  emitter.on("counted", () => void emitter.on("counted", late));
  emitter.emit("counted", 1);
  expect(late).not.toHaveBeenCalled();
});

it("lets a handler's error surface without harming the others or the sender", async () => {
  const emitter = new Emitter<Events>();
  const second = vi.fn<(count: number) => void>();
  emitter.on("counted", () => {
    throw new RangeError("a bug of the game");
  });
  emitter.on("counted", second);
  const uncaught = nextUncaughtError();
  emitter.emit("counted", 1);
  expect(second).toHaveBeenCalledOnce();
  await expect(uncaught).resolves.toBeInstanceOf(RangeError);
});
