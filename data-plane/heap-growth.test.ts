import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { letHeapGrow } from "./heap-growth.ts";

const module = JSON.stringify(join(import.meta.dirname, "heap-growth.ts"));

/** Runs a program in a process of its own. */
function run(flags: readonly string[], program: string) {
  return spawnSync(process.execPath, [...flags, "--input-type=module", "--eval", program], { encoding: "utf8" });
}

it("uses a flag that this Node has", () => {
  // One that it has not ends Node with 9.
  expect(run(["--heap-growing-percent=100"], "")).toMatchObject({ status: 0, stderr: "" });
});

it("sets it in a process that runs already, and leaves it to whoever gives Node the flag", () => {
  const program = `import { letHeapGrow } from ${module}; console.log(letHeapGrow());`;
  expect(run([], program)).toMatchObject({ status: 0, stdout: "true\n", stderr: "" });
  expect(run(["--heap-growing-percent=20"], program)).toMatchObject({ status: 0, stdout: "false\n", stderr: "" });
});

it("knows the flag with underscores, too", () => {
  expect(letHeapGrow(["--enable-source-maps", "--heap_growing_percent=20"])).toBe(false);
});
