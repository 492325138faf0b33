import { describe, expect, it } from "vitest";
import { readArguments } from "./arguments.ts";
import { flagHelp } from "./flag-help.ts";
import { settingRows } from "./setting-table.ts";

/** What flags come to, by setting. */
function values(...args: string[]): Record<string, unknown> {
  return Object.fromEntries([...readArguments(args).flags.values].map(([name, { value }]) => [name, value]));
}

const problems = (...args: string[]): readonly string[] => readArguments(args).flags.problems;

describe("flags", () => {
  it("are named like the keys, with = or a space before the value", () => {
    expect(values("--tick-hz", "60", "--server-name=A = B", "--tags", "a,b", "--port=free")).toEqual({
      "cluster.tick_hz": 60,
      "all.server_name": "A = B",
      "cluster.tags": ["a", "b"],
      "all.port": "free",
    });
  });

  it("may stand alone where they take true or false", () => {
    expect(values("--tls12")).toEqual({ "cluster.tls12": true });
    expect(values("--tls12", "--tick-hz", "1")).toEqual({ "cluster.tls12": true, "cluster.tick_hz": 1 });
    expect(values("--tls12=false")).toEqual({ "cluster.tls12": false });
  });

  it("take the last of two, and numbers below zero", () => {
    expect(values("--max-speed", "1", "--max-speed", "-2")).toEqual({ "cluster.max_speed": -2 });
  });

  it("leave what follows -- to the program", () => {
    const read = readArguments(["--print-config", "--", "--nonsense"]);
    expect(read.printConfig).toBe(true);
    expect(read.flags.problems).toEqual([]);
  });

  it("explain themselves", () => {
    expect(readArguments(["--help"]).help).toBe(true);
    expect(readArguments(["-h", "--tick-hz", "1"])).toMatchObject({ help: true, flags: { problems: [] } });
    expect(readArguments(["--", "--help"]).help).toBe(false);
    for (const { key, expected } of settingRows) {
      expect(flagHelp()).toContain(`--${key.replaceAll("_", "-")}\n      ${expected}\n`);
    }
  });

  it("are asked for a value that is missing", () => {
    expect(problems("--tick-hz")).toEqual(["--tick-hz: expected a whole number from 1 to 128 after it"]);
    expect(problems("--tick-hz=")).toEqual(["--tick-hz: expected a whole number from 1 to 128 after it"]);
    expect(problems("--config", "--tls12")).toEqual(["--config: expected a file after it"]);
  });

  it("that are unknown are pointed out, and what is no flag is not quoted", () => {
    expect(problems("--prot", "6300", "--nope", "--tls12")).toEqual([
      "--prot: unknown flag; did you mean --port?",
      "--nope: unknown flag",
    ]);
    expect(problems("--tickhz=1", "hunter2", "--$(secret)")).toEqual([
      "--tickhz: unknown flag; did you mean --tick-hz?",
      "argument 2: expected a flag like --tick-hz",
      "argument 3: expected a flag like --tick-hz",
    ]);
  });
});
