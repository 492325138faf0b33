import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { keyPath, locateKeys } from "./key-lines.ts";

/** Checks that the document is TOML, then says where each path is. */
function lines(toml: string, ...paths: readonly (readonly string[])[]): (number | undefined)[] {
  parse(toml);
  const located = locateKeys(toml);
  return paths.map((path) => located.get(keyPath(...path)));
}

describe("locateKeys", () => {
  it("finds headers and keys", () => {
    const toml = '# top\n[all]\nport = 1\n\n  [ cluster ]  # x\n\ttags = []\r\nhost="h"\n';
    expect(lines(toml, ["all"], ["all", "port"], ["cluster"], ["cluster", "tags"], ["cluster", "host"])).toEqual([
      2, 3, 5, 6, 7,
    ]);
  });

  it("is not misled by what strings and comments hold", () => {
    const toml = [
      "[all] # [cluster]",
      String.raw`server_name = "x # \" [cluster] port = 1" # port = 2`,
      "motto = 'a\\'",
      "port = 3",
    ].join("\n");
    expect(lines(toml, ["all", "server_name"], ["all", "port"], ["cluster"])).toEqual([2, 4, undefined]);
  });

  it("counts the lines inside of strings and lists", () => {
    const toml = [
      'text = """',
      "[all]",
      'port = 1""""',
      "raw = '''",
      "[x]",
      "'''",
      "list = [ # a comment with ]",
      '  "]", [1,',
      "  2], { a = 1 },",
      "]",
      "[all]",
      "port = 2",
    ].join("\n");
    expect(lines(toml, ["raw"], ["list"], ["all"], ["all", "port"])).toEqual([4, 7, 11, 12]);
  });

  it("understands quoted, dotted and inline keys", () => {
    const toml = ["all.port = 1", 'cluster = { tick_hz = 2, "ta\\u0067s" = [] }', "['x.y'.z]", "w = 1"].join("\n");
    expect(
      lines(toml, ["all"], ["all", "port"], ["cluster", "tick_hz"], ["cluster", "tags"], ["x.y", "z", "w"]),
    ).toEqual([1, 1, 2, 2, 4]);
  });

  it("tells the tables of an array apart, nested ones too, and items of lists", () => {
    const toml = [
      "[[fragment]]",
      'name = "a"',
      "[[fragment]]",
      'name = "b"',
      "[[fragment.threshold]]",
      "players = 1",
      "[[fragment.threshold]]",
      "players = 2",
      "[fragment.more]",
      "x = 1",
      "[[fragment]]",
      'name = "c"',
      "[[fragment.threshold]]",
      "players = 3",
      "[world]",
      "tier = [",
      "  { within = 0.5 },",
      "  { within = 1 } ]",
      "min = [",
      "  1,",
      "  2 ]",
    ].join("\n");
    const paths = [
      "fragment",
      "fragment.name",
      "fragment.0",
      "fragment.1.name",
      "fragment.1.threshold.0.players",
      "fragment.1.threshold.1.players",
      "fragment.1.more.x",
      "fragment.2",
      "fragment.2.threshold.0.players",
      "world.tier.1.within",
      "world.min.1",
    ];
    expect(lines(toml, ...paths.map((path) => path.split(".")))).toEqual([1, 2, 1, 4, 6, 8, 10, 11, 14, 18, 21]);
  });

  it("ends on anything", () => {
    for (const text of ["[", "[[", "a", "a =", 'a = "', "a = [", "a = {", "= = =", "]", '"""', "a = [{]", "\0"]) {
      expect(locateKeys(text)).toBeInstanceOf(Map);
    }
  });
});
