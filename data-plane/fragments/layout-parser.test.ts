import { describe, expect, it } from "vitest";
import { maxFragments, parseLayout } from "./layout-parser.ts";
import { createRandomFragments } from "./testing/random-world.ts";
import { createRandom } from "../../protocol/testing/seeded-random.ts";

const north = { name: "north", min: [0, 0], max: [100, 50] };
const south = { name: "south", min: [0, 50], max: [100, 100] };

describe("parseLayout", () => {
  it("reads fragments with their settings and thresholds, each inheriting from the one before", () => {
    const { layout } = parseLayout({
      fragment: [
        {
          ...north,
          capacity: 400,
          update_hz: 30,
          view_range: 80.5,
          precision: 0.05,
          speed_limit: 12,
          max_visible: 60,
          byte_budget: 20_000,
          threshold: [
            { players: 100, update_hz: 10, view_range: 60 },
            { players: 200, max_visible: 30, precision: 0.5 },
          ],
        },
        south,
      ],
    });
    const [fragment] = layout?.fragments ?? [];
    expect(fragment).toMatchObject({ name: "north", capacity: 400, speedLimit: 12 });
    expect(fragment?.box).toEqual({ min: { x: 0, y: -Infinity, z: 0 }, max: { x: 100, y: Infinity, z: 50 } });
    const own = { updateHz: 30, viewRange: 80.5, maxVisible: 60, precision: 0.05, byteBudget: 20_000 };
    expect(fragment?.levels).toEqual([
      { players: 0, settings: own },
      { players: 100, settings: { ...own, updateHz: 10, viewRange: 60 } },
      { players: 200, settings: { ...own, updateHz: 10, viewRange: 60, maxVisible: 30, precision: 0.5 } },
    ]);
    expect(layout?.fragments[1]?.levels[0].settings.updateHz).toBe(20);
    expect(layout?.rules.dimensions).toBe(2);
  });

  it("reads boxes of three dimensions as x, y, z", () => {
    const { layout } = parseLayout({ fragment: [{ name: "hall", min: [1, 2, 3], max: [4, 5, 6] }] });
    expect(layout?.fragments[0]?.box).toEqual({ min: { x: 1, y: 2, z: 3 }, max: { x: 4, y: 5, z: 6 } });
    expect(layout?.rules.dimensions).toBe(3);
  });

  it("makes a grid, whose size is that of one fragment, with borders that meet exactly", () => {
    const grid = { name: "cell", origin: [-0.3, 0.1], size: [0.1, 0.7], columns: 30, rows: 20, view_range: 5 };
    const { layout, problems } = parseLayout({
      world: { grid, min: [-0.3, 0.1], max: [-0.3 + 30 * 0.1, 0.1 + 20 * 0.7], require_cover: true },
    });
    expect(problems).toBeUndefined();
    expect(layout?.fragments).toHaveLength(600);
    expect(layout?.fragments[31]).toMatchObject({ name: "cell-1-1", levels: [{ settings: { viewRange: 5 } }] });
  });

  it("makes grids of three dimensions, several, and beside fragments", () => {
    const grid = { name: "tower", origin: [0, 0, 0], size: [10, 4, 10], columns: 2, rows: 1, layers: 3 };
    const { layout } = parseLayout({
      fragment: [{ name: "sky", min: [0, 12, 0], max: [20, 99, 10] }],
      world: { grid: [grid, { ...grid, name: "mine", origin: [0, -12, 0] }] },
    });
    expect(layout?.fragments).toHaveLength(13);
    const found = layout?.fragments.find(({ name }) => name === "tower-1-0-2");
    expect(found?.box).toEqual({ min: { x: 10, y: 8, z: 0 }, max: { x: 20, y: 12, z: 10 } });
  });

  it("is one fragment that is everywhere where there are none", () => {
    const { layout } = parseLayout({});
    expect(layout?.fragments.map(({ name }) => name)).toEqual(["world"]);
    expect(layout?.locator.locate(1e30, -1e30, 5)).toBe(0);
  });

  it("reads the rules of the world", () => {
    const { layout } = parseLayout({
      world: {
        swap_margin: 2,
        swap_dwell_ticks: 9,
        view_hysteresis: 0.2,
        tier: [{ within: 0.5 }, { within: 1, every: 3 }],
      },
    });
    expect(layout?.rules).toMatchObject({ swapMargin: 2, swapDwellTicks: 9, viewHysteresis: 0.2 });
    expect(layout?.rules.tiers).toEqual([
      { within: 0.5, every: 1 },
      { within: 1, every: 3 },
    ]);
  });

  it("has a margin of 1 by default, and of half a fragment where they are smaller", () => {
    const marginOf = (side: number): unknown => {
      const grid = { name: "g", origin: [0, 0], size: [50, side], columns: 2, rows: 2 };
      return parseLayout({ world: { grid } }).layout?.rules.swapMargin;
    };
    expect([1.5, 2, 3].map(marginOf)).toEqual([0.75, 1, 1]);
    expect(parseLayout({}).layout?.rules.swapMargin).toBe(1);
  });

  it("accepts fragments that cover the world however it is cut", () => {
    for (let seed = 0; seed < 40; seed++) {
      const dimensions = seed % 2 === 0 ? 2 : 3;
      const fragment = createRandomFragments(createRandom(seed), 1 + seed, 1_000, dimensions);
      const corner = Array.from({ length: dimensions }, () => 500);
      const world = { min: corner.map((value) => -value), max: corner, require_cover: true };
      expect(problemsOf({ fragment, world })).toEqual([]);
    }
  });

  it("finds the gap wherever a fragment is missing, and the overlap wherever one is too large", () => {
    for (let seed = 0; seed < 40; seed++) {
      const dimensions = seed % 2 === 0 ? 2 : 3;
      const fragment = createRandomFragments(createRandom(seed), 6 + seed, 1_000, dimensions);
      const corner = Array.from({ length: dimensions }, () => 500);
      const world = { min: corner.map((value) => -value), max: corner, require_cover: true };
      const index = seed % fragment.length;
      const gaps = problemsOf({ fragment: fragment.toSpliced(index, 1), world });
      expect(gaps.length).toBeGreaterThan(0);
      expect(gaps.every((problem) => problem.startsWith("world.require_cover: no fragment covers"))).toBe(true);
      const lost = fragment[index] ?? north;
      const wider = lost.max.map((value, axis) => value + (value - (lost.min[axis] ?? 0)) * 0.01);
      const touchesEdge = lost.max.every((value) => value === 500);
      const overlaps = problemsOf({
        fragment: fragment.with(index, { ...lost, max: wider }),
        world: { require_cover: false },
      });
      expect(overlaps.length > 0 || touchesEdge).toBe(true);
      expect(overlaps.every((problem) => problem.includes(`"part-`) && problem.includes(" overlaps "))).toBe(true);
    }
  });

  it("allows gaps where the operator says so", () => {
    const world = { min: [0, 0], max: [100, 100], require_cover: false };
    expect(problemsOf({ fragment: [north], world })).toEqual([]);
  });

  it.each([
    [
      "an overlap, naming both",
      { fragment: [north, { ...south, min: [0, 49] }] },
      `fragment[1]: "south" (fragment[1]) overlaps "north" (fragment[0]) from [0, 49] to [100, 50]`,
    ],
    [
      "an overlap with a grid",
      { fragment: [north], world: { grid: { name: "g", origin: [90, 0], size: [20, 20], columns: 1, rows: 1 } } },
      `world.grid: "g-0-0" (world.grid) overlaps "north" (fragment[0]) from [90, 0] to [100, 20]`,
    ],
    [
      "a gap, naming both sides",
      { fragment: [north, { ...south, min: [0, 51] }], world: { min: [0, 0], max: [100, 100], require_cover: true } },
      `world.require_cover: no fragment covers the part from [0, 50] to [100, 51], between "north" (fragment[0]) and "south" (fragment[1])`,
    ],
    [
      "a gap at the edge",
      { fragment: [north], world: { min: [0, 0], max: [101, 50], require_cover: true } },
      `world.require_cover: no fragment covers the part from [100, 0] to [101, 50], beside "north" (fragment[0])`,
    ],
    [
      "a gap within the box around all, where there are no bounds",
      { fragment: [north, { ...south, min: [0, 51] }] },
      `world.require_cover: no fragment covers the part from [0, 50] to [100, 51], between "north" (fragment[0]) and "south" (fragment[1])`,
    ],
    [
      "carrying what is not there",
      { fragment: [north], world: { carries: ["south"] } },
      'world.carries: there is no fragment "south"',
    ],
    [
      "carrying nothing",
      { fragment: [north], world: { carries: [] } },
      "world.carries: expected a list of 1 to 2048 names",
    ],
    [
      "a name twice",
      { fragment: [north, { ...south, name: "north" }] },
      `fragment[1].name: "north" is the name of a fragment of fragment[0] too`,
    ],
    [
      "no name",
      { fragment: [{ min: [0, 0], max: [1, 1] }] },
      `fragment[0].name: missing, expected 1 to 64 letters, digits, "_", "." and "-"`,
    ],
    ["no bounds", { fragment: [{ name: "a", max: [1, 1] }] }, "fragment[0].min: missing, expected [x, z] or [x, y, z]"],
    [
      "bounds inside out",
      { fragment: [{ name: "a", min: [0, 1], max: [1, 1] }] },
      "fragment[0].max: expected each number to be greater than that of fragment[0].min",
    ],
    [
      "bounds of two kinds",
      { fragment: [{ name: "a", min: [0, 1], max: [1, 2, 3] }] },
      "fragment[0].max: expected as many numbers as fragment[0].min has",
    ],
    [
      "fragments of two kinds",
      { fragment: [north, { name: "a", min: [0, 0, 200], max: [1, 1, 201] }] },
      "fragment[1]: expected bounds of 2 numbers, as fragment[0] has",
    ],
    [
      "bounds that are not finite",
      { fragment: [{ name: "a", min: [0, Number.NaN], max: [1, 1] }] },
      "fragment[0].min: expected a list of 2 numbers (x, z) or 3 (x, y, z), each a number from -1000000000 to 1000000000",
    ],
    [
      "a precision too fine for the bounds",
      { fragment: [{ ...north, min: [-1e9, 0], precision: 0.01 }] },
      `fragment[0].precision: expected at least ${1e9 / (2 ** 30 - 1)} for bounds that reach 1000000000`,
    ],
    [
      "an unknown key",
      { fragment: [{ ...north, updateHz: 3 }] },
      "fragment[0].updateHz: unknown key, expected one of name, min, max, capacity, speed_limit, ticket_lifetime_seconds, update_hz, view_range, max_visible, precision, byte_budget, threshold",
    ],
    [
      "a rate out of range",
      { fragment: [{ ...north, update_hz: 129 }] },
      "fragment[0].update_hz: expected a number from 0.1 to 128",
    ],
    [
      "a range of nothing",
      { fragment: [{ ...north, view_range: 0 }] },
      "fragment[0].view_range: expected a number from 0.001 to 1000000",
    ],
    [
      "a range that no client can be told",
      { fragment: [{ ...north, view_range: 1e-50 }] },
      "fragment[0].view_range: expected a number from 0.001 to 1000000",
    ],
    [
      "a limit of speed that a client would be told as none",
      { fragment: [{ ...north, speed_limit: 1e-50 }] },
      "fragment[0].speed_limit: expected 0 for none, or at least 0.001",
    ],
    [
      "a margin in which a fragment has room",
      { fragment: [north, { ...south, max: [100, 52] }], world: { swap_margin: 2 } },
      'world.swap_margin: expected less than 2, the shortest side of "south" (fragment[1]), got 2: nobody who walks through would be in it',
    ],
    [
      "bounds that no position lies between",
      { fragment: [{ name: "a", min: [1e9 - 8, 0], max: [1e9, 1] }] },
      "fragment[0].max: expected at least 64 between the bounds: so far out, positions come in such steps",
    ],
    [
      "a grid that is finer than positions",
      { world: { grid: { name: "g", origin: [1e8, 0], size: [1e-9, 1], columns: 3, rows: 1 } } },
      "world.grid.size: expected at least 8 between the bounds: so far out, positions come in such steps",
    ],
    [
      "text for a number",
      { fragment: [{ ...north, capacity: "5" }] },
      "fragment[0].capacity: expected an integer from 0 to 1000000",
    ],
    ["a fragment that is no table", { fragment: [7, north] }, "fragment[0]: expected a table"],
    ["fragments that are no list", { fragment: north }, "fragment: expected tables, each under [[fragment]]"],
    [
      "a grid without a size",
      { world: { grid: { name: "g", origin: [0, 0], columns: 1, rows: 1 } } },
      "world.grid.size: missing",
    ],
    [
      "a grid with layers in two dimensions",
      { world: { grid: { name: "g", origin: [0, 0], size: [1, 1], columns: 1, rows: 1, layers: 2 } } },
      "world.grid.layers: expected world.grid.origin and world.grid.size with 3 numbers, x, y, z",
    ],
    [
      "a grid of too many",
      { world: { grid: { name: "g", origin: [0, 0], size: [1, 1], columns: 64, rows: 33 } } },
      `world.grid.columns: 2112 fragments in all, expected at most ${maxFragments}`,
    ],
    [
      "tiers that do not rise",
      { world: { tier: [{ within: 0.5, every: 2 }, { within: 0.5 }] } },
      "world.tier[1].within: expected more than 0.5 of world.tier[0].within",
    ],
    [
      "tiers that end too soon",
      { world: { tier: [{ within: 0.5, every: 2 }] } },
      "world.tier[0].within: expected 1 in the last tier",
    ],
    [
      "tiers that grow faster",
      {
        world: {
          tier: [
            { within: 0.5, every: 2 },
            { within: 1, every: 1 },
          ],
        },
      },
      "world.tier[1].every: expected at least 2 of world.tier[0].every",
    ],
    ["a world that is no table", { world: [] }, "world: expected a table"],
  ])("refuses %s", (_, tables, problem) => {
    expect(problemsOf(tables)).toContain(problem);
  });

  it.each([
    [
      { players: 100 },
      { players: 100, update_hz: 5 },
      "fragment[0].threshold[1].players: expected more than 100 of fragment[0].threshold[0].players, got 100",
    ],
    [
      { players: 100, update_hz: 10 },
      { players: 200, update_hz: 11 },
      "fragment[0].threshold[1].update_hz: expected at most 10 of fragment[0].threshold[0].update_hz, got 11",
    ],
    [
      { players: 100, update_hz: 10 },
      { players: 200, view_range: 101 },
      "fragment[0].threshold[1].view_range: expected at most 100 of the level before (fragment[0].threshold[0]), got 101",
    ],
    [
      { players: 100, precision: 0.009 },
      { players: 200, update_hz: 1 },
      "fragment[0].threshold[0].precision: expected at least 0.01 of the level before (fragment[0]), got 0.009",
    ],
    [
      { players: 500, update_hz: 1 },
      { players: 501, update_hz: 1 },
      "fragment[0].threshold[0].players: expected less than 500 of fragment[0].capacity, got 500",
    ],
    [
      { players: 5 },
      { players: 6, update_hz: 1 },
      "fragment[0].threshold[0]: changes nothing, expected update_hz or view_range or max_visible or precision or byte_budget",
    ],
    [
      { update_hz: 5 },
      { players: 6, update_hz: 1 },
      "fragment[0].threshold[0].players: missing, expected a population",
    ],
    [
      { players: 1, update_hz: 5, capacity: 3 },
      { players: 6, update_hz: 1 },
      "fragment[0].threshold[0].capacity: unknown key, expected one of players, update_hz, view_range, max_visible, precision, byte_budget",
    ],
  ])("refuses impossible thresholds %#, naming both places", (first, second, problem) => {
    expect(problemsOf({ fragment: [{ ...north, capacity: 500, threshold: [first, second] }] })).toContain(problem);
  });

  it("tells everything at once, and quotes no text of the file", () => {
    const secret = "hunter2 hunter2";
    const problems = problemsOf({
      fragment: [
        { ...north, name: secret, update_hz: secret },
        { ...south, precision: -1 },
      ],
    });
    expect(problems).toHaveLength(3);
    expect(problems.join("")).not.toContain("hunter2");
  });

  it("survives tables of any shape", () => {
    const random = createRandom(5);
    const values = [
      null,
      undefined,
      1,
      Number.NaN,
      "a",
      [],
      {},
      [[]],
      [0, 1],
      [0, 1, 2],
      new Date(0),
      true,
      ["__proto__"],
    ];
    const keys = [
      "name",
      "min",
      "max",
      "threshold",
      "players",
      "origin",
      "size",
      "columns",
      "rows",
      "tier",
      "__proto__",
    ];
    const any = (depth: number): unknown => {
      const pick = random();
      if (depth > 3 || pick < 0.4) return values[Math.floor(random() * values.length)];
      if (pick < 0.6) return [any(depth + 1), any(depth + 1)];
      return Object.fromEntries(keys.filter(() => random() < 0.5).map((key) => [key, any(depth + 1)]));
    };
    for (let round = 0; round < 2_000; round++) {
      const { layout, problems } = parseLayout({ fragment: any(0), world: any(0) });
      expect(layout === undefined).toBe(problems !== undefined);
    }
  });
});

function problemsOf(tables: Parameters<typeof parseLayout>[0]): string[] {
  return (parseLayout(tables).problems ?? []).map(({ path, message }) => `${path}: ${message}`);
}
