import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readConfigText } from "./given-values.ts";
import { loadSettings } from "./settings.ts";
import { readWorldSettings, type WorldSettings } from "./world-settings.ts";

function read(...lines: readonly string[]): WorldSettings {
  const { world } = readConfigText("Config.toml", lines.join("\n"));
  if (world === undefined) throw new Error("a file always says something of the world");
  return readWorldSettings(world);
}

const meadow = ["[[fragment]]", 'name = "meadow"', "min = [0, 0]", "max = [100, 50]"];
const forest = ["[[fragment]]", 'name = "forest"', "min = [0, 50]", "max = [100, 100]"];

describe("the example's files", () => {
  const folder = join(import.meta.dirname, "../../examples/world");
  const load = (name: string) =>
    loadSettings({ file: join(folder, name), fileMustExist: true, environment: {} }).settings;

  it.each([
    ["Config.toml", ["meadow", "forest", "hills", "market"]],
    ["Config.west.toml", ["meadow", "hills"]],
    ["Config.east.toml", ["forest", "market"]],
  ])("%s carries what it is for, and starts players there", (name, carried) => {
    const { world, spawn } = load(name);
    const names = world?.fragments.filter((fragment) => fragment.carried).map((fragment) => fragment.name);
    expect(names).toEqual(carried);
    const at = world?.fragments[world.locator.locate(spawn.x, spawn.y, spawn.z)];
    expect(at?.carried).toBe(true);
  });

  it("lay out the same fragments as the part that the local stack takes", () => {
    const part = readFileSync(join(folder, "world.toml"), "utf8");
    const { layout } = read(...part.split("\n"));
    for (const name of ["Config.toml", "Config.west.toml", "Config.east.toml"]) {
      const boxes = load(name).world?.fragments.map(({ name: own, box, levels }) => ({ own, box, levels }));
      expect(boxes).toEqual(layout?.fragments.map(({ name: own, box, levels }) => ({ own, box, levels })));
    }
  });
});

describe("the world in a Config.toml", () => {
  it("is not there unless the file speaks of it", () => {
    expect(read("[all]", "port = 1")).toEqual({ layout: undefined, problems: [] });
    expect(read("[world]").layout?.fragments.map(({ name }) => name)).toEqual(["world"]);
  });

  it("has fragments, their settings and thresholds", () => {
    const { layout, problems } = read(
      "[world]",
      "swap_margin = 2",
      ...meadow,
      "update_hz = 15",
      "[[fragment.threshold]]",
      "players = 100",
      "update_hz = 10",
      "view_range = 80",
      ...forest,
    );
    expect(problems).toEqual([]);
    expect(layout?.rules.swapMargin).toBe(2);
    expect(layout?.fragments[0]).toMatchObject({
      name: "meadow",
      carried: true,
      levels: [
        { players: 0, settings: { updateHz: 15, viewRange: 100 } },
        { players: 100, settings: { updateHz: 10, viewRange: 80 } },
      ],
    });
  });

  it("may be carried in part", () => {
    const { layout } = read("[world]", 'carries = ["forest"]', ...meadow, ...forest);
    expect(layout?.fragments.map(({ name, carried }) => [name, carried])).toEqual([
      ["meadow", false],
      ["forest", true],
    ]);
  });

  it.each([
    [
      "an overlap, at both lines",
      [...meadow, ...forest.with(2, "min = [0, 49]")],
      'Config.toml:5: fragment[1]: "forest" (fragment[1]) overlaps "meadow" (fragment[0] in line 1) from [0, 49] to [100, 50]',
    ],
    [
      "a gap, at both lines",
      ["[world]", "require_cover = true", ...meadow, ...forest.with(2, "min = [0, 51]")],
      'Config.toml:2: world.require_cover: no fragment covers the part from [0, 50] to [100, 51], between "meadow" (fragment[0] in line 3) and "forest" (fragment[1] in line 7)',
    ],
    [
      "a threshold that is never reached, and the capacity in its way",
      [...meadow, "capacity = 50", "[[fragment.threshold]]", "players = 50", "update_hz = 5"],
      "Config.toml:7: fragment[0].threshold[0].players: expected less than 50 of fragment[0].capacity in line 5, got 50",
    ],
    [
      "thresholds that do not rise",
      [
        ...meadow,
        "[[fragment.threshold]]",
        "players = 9",
        "update_hz = 5",
        "[[fragment.threshold]]",
        "players = 8",
        "update_hz = 4",
      ],
      "Config.toml:9: fragment[0].threshold[1].players: expected more than 9 of fragment[0].threshold[0].players in line 6, got 8",
    ],
    [
      "a grid's missing size",
      ["[world.grid]", 'name = "g"', "origin = [0, 0]", "columns = 2", "rows = 2"],
      "Config.toml:1: world.grid.size: missing",
    ],
    [
      "a key that there is not",
      [...meadow, "hight = 3"],
      "Config.toml:5: fragment[0].hight: unknown key, expected one of",
    ],
    ["a world that is none", ["world = 3"], "Config.toml:1: world: expected a table"],
  ])("is refused for %s", (_what, lines, problem) => {
    const { layout, problems } = read(...lines);
    expect(layout).toBeUndefined();
    expect(problems.map((text) => text.slice(0, problem.length))).toContain(problem);
  });
});
