import { describe, expect, it } from "vitest";
import { type ClusterFacts, facetsOf, facetsWanted, unmetBy, wantsNothing } from "./selector.ts";

const facts: ClusterFacts = {
  labels: { mode: "ctf", map: "" },
  tags: ["pvp", "ranked"],
  counters: { rooms: 3 },
  gameBuild: "1.4.2",
  fragments: ["north"],
};

describe("a selector", () => {
  it.each([
    [undefined, {}],
    [undefined, { labels: {}, tags: [], counters: {} }],
    [undefined, { labels: { mode: "ctf", map: "" }, tags: ["ranked", "ranked"], gameBuild: "1.4.2" }],
    [undefined, { counters: { rooms: {} } }],
    [undefined, { counters: { rooms: { min: 3, max: 3 } } }],
    ["label", { labels: { mode: "race" } }],
    ["label", { labels: { ctf: "mode" } }],
    ["label", { labels: { constructor: "ctf" } }],
    ["tag", { tags: ["pvp", "pve"] }],
    ["tag", { tags: ["mode"] }],
    ["game-build", { gameBuild: "1.4.3" }],
    ["counter", { counters: { rooms: { min: 4 } } }],
    ["counter", { counters: { rooms: { max: 2 } } }],
    ["counter", { counters: { seats: {} } }],
    ["counter", { counters: { constructor: {} } }],
    [undefined, { fragment: "north" }],
    ["fragment", { fragment: "south" }],
  ] as const)("[ALLOC-9] finds %s missing for %j", (missing, selector) => {
    expect(unmetBy(selector, facts)).toBe(missing);
  });

  it("wants nothing of a cluster that says nothing of itself when it asks for nothing", () => {
    const silent: ClusterFacts = { labels: {}, tags: [], counters: {}, gameBuild: "", fragments: [] };
    expect(unmetBy({}, silent)).toBeUndefined();
    expect(unmetBy({ gameBuild: "1" }, silent)).toBe("game-build");
    expect(facetsOf(silent)).toEqual([]);
  });

  it.each([
    [true, {}],
    [true, { labels: {}, tags: [], counters: {}, fragment: undefined }],
    [false, { labels: { map: "" } }],
    [false, { tags: ["pvp"] }],
    [false, { gameBuild: "1" }],
    [false, { counters: { rooms: {} } }],
    [false, { fragment: "north" }],
  ] as const)("leaves open (%s) which cluster it is with %j", (open, selector) => {
    expect(wantsNothing(selector)).toBe(open);
  });

  it("tells a label, a tag and a build of the same text apart", () => {
    expect(new Set(facetsWanted({ labels: { x: "" }, tags: ["x"], gameBuild: "x" })).size).toBe(3);
  });
});
