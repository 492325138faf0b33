import { expect, it } from "vitest";
import { auditTarget, isPlayerId } from "./player-id.ts";

const id = "0f6f5d0c-3c39-4a62-8f2f-0a9f4c1f7a11";

it("tells a player's id from what is none", () => {
  expect(isPlayerId(id)).toBe(true);
  for (const text of ["bla", "", `${id}0`, `player:${id}`, id.replaceAll("-", "")])
    expect(isPlayerId(text)).toBe(false);
});

it("takes the id of a player for a target, and leaves every other as it is", () => {
  expect(auditTarget(id)).toBe(`player:${id}`);
  for (const text of [`player:${id}`, "cluster:default.x", "bla"]) expect(auditTarget(text)).toBe(text);
});
