import { expect, it } from "vitest";
import { nodeFault } from "./node-version.ts";

it.each(["22.12.0", "22.20.1", "24.0.0", process.versions.node])("is content with Node %s", (version) => {
  expect(nodeFault(version)).toBeUndefined();
});

it.each(["22.11.9", "20.19.5", "18.0.0"])("says that Node %s is too old", (version) => {
  expect(nodeFault(version)).toBe(`Node 22.12 or newer is needed: this is ${version}`);
});
