import { expect, it } from "vitest";
import { describeWorld, type World } from "./world-table.ts";

const empty: World = { world: "main", fragments: [], provisional: [], overlaps: [], assigned: [], announced: [] };

it("shows who carries what and why, who could, and what is wrong", () => {
  const text = describeWorld({
    world: "main",
    fragments: [
      { name: "north", clusterId: "default.a" },
      { name: "south", clusterId: "default.b" },
      { name: "west", clusterId: "default.b" },
      { name: "east", clusterId: "default.b" },
    ],
    provisional: ["west"],
    overlaps: [["north", "south"]],
    disagreements: [{ fragment: "south", clusterIds: ["default.b", "default.c"] }],
    assigned: [
      { fragment: "north", clusterId: "default.a" },
      { fragment: "east", clusterId: "default.gone" },
      { fragment: "far", clusterId: "default.gone" },
    ],
    announced: [
      { clusterId: "default.a", fragments: ["north", "south"], reasons: [] },
      { clusterId: "default.b", fragments: ["south", "west", "east"], reasons: ["suspect", "full"] },
      { clusterId: "default.c", fragments: ["south"], reasons: ["full"] },
    ],
  });
  expect(text.split("\n")).toEqual([
    "FRAGMENT  CLUSTER    WHY THERE",
    "north     default.a  assigned",
    "south     default.b  by the rules",
    "west      default.b  stands in",
    "east      default.b  by the rules; assigned to default.gone",
    "far       –          assigned to default.gone",
    "",
    "CLUSTER    TAKES OVER               CAN CARRY",
    "default.a  yes                      north south",
    "default.b  no: suspect, full        south west east",
    "default.c  what no other can: full  south",
    "",
    "default.b and default.c have south with different bounds: give both the same file",
    "",
    "north and south have a place in common, and different clusters carry them: mend their layouts",
  ]);
});

it("says so where more overlap than are shown", () => {
  const text = describeWorld({ ...empty, overlaps: [["north", "south"]], moreOverlaps: true });
  expect(text.split("\n").at(-1)).toBe("there may be more that have a place in common");
});

it("says so where nobody is", () => {
  expect(describeWorld(empty)).toBe("nobody carries anything of the world main");
});
