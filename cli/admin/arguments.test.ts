import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { UsageError } from "../usage-error.ts";
import { choosesMaster, namesMaster, parseAdminArguments } from "./arguments.ts";
import { formatTable } from "./table.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sustenet-cli-"));
  vi.stubEnv("SUSTENET_MASTER", "");
  vi.stubEnv("SUSTENET_TOKEN", "");
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function api(...args: string[]) {
  return () => parseAdminArguments(args, {}, 0).api();
}

describe("which master", () => {
  it("is named by a flag or by the environment", () => {
    vi.stubEnv("SUSTENET_TOKEN", "a.b.c");
    expect(api("--master", "https://master.example.com")).not.toThrow();
    expect(api("--master", "http://127.0.0.1:6256")).not.toThrow();
    expect(api()).toThrow(/--master URL/);
    expect(namesMaster([])).toBe(false);
    expect(namesMaster(["--master=x"])).toBe(true);
    vi.stubEnv("SUSTENET_MASTER", "https://master.example.com");
    expect(api()).not.toThrow();
    expect(namesMaster([])).toBe(true);
  });

  it("of the environment gives way to a database that is named", () => {
    expect(choosesMaster([])).toBe(false);
    expect(choosesMaster(["--master", "x"])).toBe(true);
    vi.stubEnv("SUSTENET_MASTER", "https://master.example.com");
    expect(choosesMaster([])).toBe(true);
    for (const flags of [["--database", "master.env"], ["--database=master.env"]]) {
      expect(choosesMaster(flags)).toBe(false);
      expect(() => choosesMaster([...flags, "--master=x"])).toThrow("--database or --master, not both");
    }
  });

  it.each(["http://master.example.com", "http://localhost.example.com", "ftp://127.0.0.1", "nonsense", "127.0.0.1"])(
    "[SEC-83] is never sent a token in the clear: %s",
    (url) => {
      vi.stubEnv("SUSTENET_TOKEN", "a.b.c");
      expect(api("--master", url)).toThrow(UsageError);
    },
  );
});

describe("the token", () => {
  it("comes from a file or the environment, and never from an argument", () => {
    const file = join(folder, "token");
    writeFileSync(file, "a.b.c\n");
    const master = ["--master", "https://master.example.com"];
    expect(api(...master, "--token-file", file)).not.toThrow();
    expect(api(...master)).toThrow(/SUSTENET_TOKEN/);
    expect(api(...master, "--token-file", join(folder, "none"))).toThrow(/cannot be read/);
    expect(api(...master, "--token", "a.b.c")).toThrow(/token/);
  });

  it("is not repeated when it is none", () => {
    vi.stubEnv("SUSTENET_TOKEN", "two words");
    expect(api("--master", "https://master.example.com")).toThrow("what was given is no access token");
  });
});

describe("what was typed", () => {
  it("is refused where it does not fit", () => {
    expect(() => parseAdminArguments(["x"], {}, 0)).toThrow("expected no arguments");
    expect(() => parseAdminArguments([], {}, 1)).toThrow("expected 1 argument");
    expect(() => parseAdminArguments(["--surprise"], {}, 0)).toThrow(UsageError);
    const given = parseAdminArguments(["--deadline", "soon"], { deadline: { type: "string" } }, 0);
    expect(() => given.count("deadline")).toThrow("--deadline takes a whole number");
  });
});

describe("a table", () => {
  it("has columns as wide as they have to be", () => {
    expect(formatTable(["ID", "NAME"], [["long-id", "x"], ["y"]])).toBe("ID       NAME\nlong-id  x\ny");
  });
});
