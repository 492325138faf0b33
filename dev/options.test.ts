import { expect, it } from "vitest";
import { parseStartOptions } from "./options.ts";

it("has defaults that run until Ctrl-C", () => {
  expect(parseStartOptions([])).toEqual({
    players: 10,
    clusters: 2,
    seconds: undefined,
    json: false,
    port: undefined,
    stateDir: ".sustenet",
  });
});

it("takes every flag", () => {
  const args = [
    "--players",
    "50",
    "--clusters",
    "3",
    "--seconds",
    "30",
    "--json",
    "--state",
    "elsewhere",
    "--port",
    "7",
  ];
  expect(parseStartOptions(args)).toEqual({
    players: 50,
    clusters: 3,
    seconds: 30,
    json: true,
    port: 7,
    stateDir: "elsewhere",
  });
});

it.each([
  ["--players", "1001"],
  ["--players", "-1"],
  ["--players", "1.5"],
  ["--players", ""],
  ["--clusters", "17"],
  ["--seconds", "0"],
  ["--port", "65536"],
])("refuses %s %s and says what it takes", (flag, value) => {
  expect(() => parseStartOptions([`${flag}=${value}`])).toThrow(new RegExp(`${flag} takes a whole number from`));
});
