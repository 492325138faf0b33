import { expect, it } from "vitest";
import { forgottenDashes } from "./forgotten-dashes.ts";

const names = ["players", "clusters"];

it("says so where npm took a flag for its own", () => {
  const environment = { npm_config_players: "5", npm_config_loglevel: "notice" };
  expect(forgottenDashes("npm start", names, environment)).toBe(
    "npm keeps --players for itself: put -- before, as in npm start -- --players …",
  );
});

it("says nothing where none was forgotten", () => {
  expect(forgottenDashes("npm start", names, { npm_config_loglevel: "notice" })).toBeUndefined();
});
