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
    "7000",
  ];
  expect(parseStartOptions(args)).toEqual({
    players: 50,
    clusters: 3,
    seconds: 30,
    json: true,
    port: 7000,
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
  const message = new RegExp(`${flag} takes a whole number from`);
  expect(() => parseStartOptions([`${flag}=${value}`])).toThrow(message);
  expect(() => parseStartOptions([flag, value])).toThrow(message);
});

it.each([
  [["--port", "6666"], /--port 6666 cannot be: browsers and fetch call nobody/],
  [["--plyers", "5"], /^there is no flag --plyers; did you mean --players\?$/],
  [["--players"], /^--players needs a value after it$/],
  [["5"], /^"5" is not expected here$/],
])("says in plain words what is wrong with %j", (args, message) => {
  expect(() => parseStartOptions(args)).toThrow(message);
});
