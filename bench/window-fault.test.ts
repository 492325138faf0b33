import { expect, it } from "vitest";
import { windowFault } from "./window-fault.ts";

const quiet = { server: 0.5, load: 0.4, serverCore: 0.55, loadCore: 0.45 };

it("counts a window in which both cores had room and nearly all was done", () => {
  expect(windowFault(960, 1_000, quiet)).toBeUndefined();
  expect(windowFault(960, 1_000, { ...quiet, serverCore: 0.64, loadCore: 0.9 })).toBeUndefined();
});

it("says how much of the load's core the load itself had", () => {
  const fault = windowFault(1_000, 1_000, { ...quiet, loadCore: 0.91 });
  expect(fault).toBe("the load's core was 91 % busy, 40 % with the load");
});

it("does not count a window in which others had more than their part of the server's core", () => {
  expect(windowFault(1_000, 1_000, { ...quiet, serverCore: 0.67 })).toBe("others used 17 % of the server's core");
});

it("says how busy a server was that did not do what it was offered", () => {
  const fault = windowFault(959, 1_000.4, { ...quiet, server: 0.93, serverCore: 1 });
  expect(fault).toBe("only 959 of 1000 were done in time, by a server that used 93 % of its core");
});
