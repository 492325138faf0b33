import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hookNames } from "../../data-plane/plugin/hook-names.ts";

it("docs/PLUGINS.md has every hook of a plugin in its table, and no other", () => {
  const document = readFileSync(join(import.meta.dirname, "../../docs/PLUGINS.md"), "utf8");
  const rows = [...document.matchAll(/^\| (`on.*?) \|/gm)].map(([, names = ""]) => names);
  const named = rows.flatMap((names) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const hooks = hookNames.filter((name) => name !== "timer");
  expect(named).toHaveLength(hooks.length);
  expect(new Set(named)).toEqual(new Set(hooks));
});
