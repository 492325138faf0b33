import { expect, it } from "vitest";
import { readRequest } from "./command-help.ts";
import { commandNames, commands, helpText } from "./commands.ts";

const read = (...words: string[]) => readRequest(words, commands, helpText());

it.each([[], ["help"], ["--help"], ["-h"]])("shows every command for %j", (...words) => {
  expect(read(...words)).toEqual({ kind: "help", text: helpText() });
});

it.each(
  commandNames.flatMap((name) => [
    [name, "--help"],
    [name, "-h"],
    ["help", name],
    ["--help", name],
  ]),
)("shows how to type %s %s", (...words) => {
  const name = words.find((word) => commandNames.includes(word)) ?? "";
  expect(read(...words)).toEqual({
    kind: "help",
    text: `usage: sustenet ${commands[name]?.usage}\n\n${commands[name]?.does}`,
  });
});

it("names the nearest command for one that there is not, and not the whole list", () => {
  const request = read("enroll", "--name", "x");
  expect(request).toEqual({
    kind: "unknown",
    text: 'there is no command "enroll"; did you mean "enrol"?\nnpx sustenet help lists them all',
  });
  expect(read("qqqqqqqqq")).toMatchObject({ text: expect.not.stringContaining("mean") });
  expect(read("toString")).toMatchObject({ kind: "unknown" });
  expect(read("help", "enroll")).toMatchObject({ kind: "unknown" });
});

it("runs what is named, with what comes after it", () => {
  expect(read("lock", "--", "--help")).toMatchObject({ kind: "run", name: "lock", args: ["--", "--help"] });
});
