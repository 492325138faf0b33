import { describe, expect, it } from "vitest";
import { parseBenchOptions } from "./options.ts";

const scenarios = ["echo", "join"];

describe("the flags of the benchmarks", () => {
  it("are all scenarios and all contenders by default", () => {
    const options = parseBenchOptions([], scenarios);
    expect(options).toMatchObject({ scenarios, cores: { server: 0, load: 1 }, profileDir: undefined });
  });

  it("choose scenarios, contenders and cores", () => {
    const options = parseBenchOptions(["join", "--contenders", "sustenet,raw-tls", "--server-core", "3"], scenarios);
    expect(options).toMatchObject({ scenarios: ["join"], cores: { server: 3, load: 1 } });
    expect(options).toHaveProperty("contenders", new Set(["sustenet", "raw-tls"]));
  });

  it.each([
    [["swim"], 'there is no scenario "swim": take echo, join'],
    [["--contenders", "raw-udp"], 'not "raw-udp"'],
    [["--load-core", "x"], 'a core is a number, not "x"'],
    [["--fast"], "--fast"],
  ])("are refused with what would do: %j", (args, message) => {
    expect(() => parseBenchOptions(args, scenarios)).toThrow(message);
  });
});
