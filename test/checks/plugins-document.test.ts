import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hookNames } from "../../data-plane/plugin/hook-names.ts";

const read = (file: string): string => readFileSync(join(import.meta.dirname, "../..", file), "utf8");

it("docs/PLUGINS.md has every hook of a plugin in its table, with its arguments, and no other", () => {
  const rows = [...read("docs/PLUGINS.md").matchAll(/^\| (`on.*?) \|/gm)].map(([, hooks = ""]) => hooks);
  const shown = rows.flatMap((hooks) => [...hooks.matchAll(/`([^`]+)`/g)].map(([, hook = ""]) => hook));
  const declared = [...read("data-plane/plugin/server-plugin.ts").matchAll(/^ {2}(on\w+)\?\(([^)]*)\): /gm)].map(
    ([, name = "", parameters = ""]) =>
      `${name}(${[...parameters.matchAll(/(\w+)\??: /g)].map(([, parameter]) => parameter).join(", ")})`,
  );
  expect(declared).toHaveLength(hookNames.filter((name) => name !== "timer").length);
  expect(shown.toSorted()).toEqual(declared.toSorted());
});
