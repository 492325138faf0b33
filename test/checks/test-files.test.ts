import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import config from "../../vitest.config.ts";

const root = join(import.meta.dirname, "../..");
const others = ["**/node_modules", "dist", ".sustenet"];

it("each file of tests is run by some project: one that lies where none looks would never fail", () => {
  const projects = config.test?.projects ?? [];
  const patterns = projects.flatMap((project) =>
    typeof project === "object" && "test" in project ? (project.test?.include ?? []) : [],
  );
  const run = new Set(globSync(patterns, { cwd: root }));
  const all = globSync("**/*.test.ts", { cwd: root, exclude: others });
  expect(all.length).toBeGreaterThan(100);
  expect(all.filter((file) => !run.has(file))).toEqual([]);
});
