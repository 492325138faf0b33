import { describe, expect, it } from "vitest";
import { readConfigText } from "./given-values.ts";
import { readWorldSettings, type WorldSettings } from "./world-settings.ts";

function read(...lines: readonly string[]): WorldSettings {
  const { world } = readConfigText("Config.toml", lines.join("\n"));
  if (world === undefined) throw new Error("a file always says something of the world");
  return readWorldSettings(world);
}

const meadow = ["[[fragment]]", 'name = "meadow"', "min = [0, 0]", "max = [100, 50]"];
const forest = ["[[fragment]]", 'name = "forest"', "min = [0, 50]", "max = [100, 100]"];

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
