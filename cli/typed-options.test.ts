import { describe, expect, it } from "vitest";
import { parseTyped } from "./typed-options.ts";
import { UsageError } from "./usage-error.ts";

const options = { "key-id": { type: "string" }, json: { type: "boolean" } } as const;

describe("what was typed", () => {
  it.each(["-Xy_z", "--Xy_z", "-", "Xyz"])("takes %s as a flag's value", (id) => {
    expect(parseTyped(["--key-id", id, "--json"], options, false).values).toEqual({ "key-id": id, json: true });
    expect(parseTyped(["--json", "--key-id", id], options, false).values).toEqual({ "key-id": id, json: true });
  });

  it("takes no flag for a value", () => {
    expect(() => parseTyped(["--key-id", "--json"], options, false)).toThrow(UsageError);
    expect(() => parseTyped(["--key-id", "--key-id=a"], options, false)).toThrow(UsageError);
    expect(() => parseTyped(["--key-id"], options, false)).toThrow(UsageError);
  });

  it.each([["-abc"], ["--", "-abc"]])("takes a word that begins with a dash, typed as %j", (...words) => {
    expect(parseTyped(["--json", ...words], options, true)).toMatchObject({
      values: { json: true },
      positionals: ["-abc"],
    });
  });

  it.each([
    [["--jsn"], "there is no flag --jsn; did you mean --json?"],
    [["--zzzzzzzzzzzz"], "there is no flag --zzzzzzzzzzzz"],
    [["--toString", "x"], "there is no flag --toString"],
    [["--key-id"], "--key-id needs a value after it"],
    [["--json=1"], "--json takes no value"],
    [["-a"], '"-a" is not expected here'],
    [["word"], '"word" is not expected here'],
  ])("says in plain words what is wrong with %j", (args, message) => {
    expect(() => parseTyped(args, options, false)).toThrow(new UsageError(message));
  });

  it("leaves what comes after -- as it is", () => {
    expect(parseTyped(["--", "--key-id", "-a"], options, true).positionals).toEqual(["--key-id", "-a"]);
    expect(() => parseTyped(["--key-id", "--", "-a"], options, true)).toThrow(UsageError);
  });

  it("refuses flags that there are not, and words that nobody asked for", () => {
    expect(() => parseTyped(["--nope"], options, true)).toThrow(UsageError);
    expect(() => parseTyped(["word"], options, false)).toThrow(UsageError);
  });
});
