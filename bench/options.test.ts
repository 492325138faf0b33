import { describe, expect, it } from "vitest";
import { parseBenchOptions } from "./options.ts";

const scenarios = ["echo", "join", "world-views", "world-crowd"];

describe("the flags of the benchmarks", () => {
  it("are all scenarios and all contenders by default", () => {
    const options = parseBenchOptions([], scenarios);
    expect(options).toMatchObject({ scenarios, cores: { server: 0, load: 1 }, profileDir: undefined });
    expect(options).toHaveProperty("loads", [250, 500, 1_000]);
  });

  it("choose scenarios, contenders and cores", () => {
    const options = parseBenchOptions(["join", "--contenders", "sustenet,raw-tls", "--server-core", "3"], scenarios);
    expect(options).toMatchObject({ scenarios: ["join"], cores: { server: 3, load: 1 } });
    expect(options).toHaveProperty("contenders", new Set(["sustenet", "raw-tls"]));
  });

  it("take the first words of a name for all that begin so, and other loads of a world", () => {
    const options = parseBenchOptions(["world", "--players", "100,750"], scenarios);
    expect(options).toMatchObject({ scenarios: ["world-views", "world-crowd"], loads: [100, 750] });
    expect(() => parseBenchOptions(["wor"], scenarios)).toThrow("wor");
  });

  it.each([
    [["--players", "250,0"], 'not "0"'],
    [["swim"], 'there is no scenario "swim": take echo, join, world-views, world-crowd'],
    [["--contenders", "raw-udp"], 'not "raw-udp"'],
    [["--load-core", "x"], 'a core is a number, not "x"'],
    [["--fast"], "--fast"],
  ])("are refused with what would do: %j", (args, message) => {
    expect(() => parseBenchOptions(args, scenarios)).toThrow(message);
  });
});
