import { describe, expect, it } from "vitest";
import { maxRevokedPlayers } from "../../../protocol/index.ts";
import { heldVersion, repeatDelayMs, type Revocation, revokeCommands } from "./revocations.ts";

function revocation(version: number): Revocation {
  return { playerId: `player-${version}`, minGeneration: version * 10, reason: "kicked", version };
}

describe("the version that a cluster holds", () => {
  it("is what it says, unless that cannot be", () => {
    expect(heldVersion(undefined, 7)).toBe(0);
    expect(heldVersion(7, 7)).toBe(7);
    expect(heldVersion(8, 7)).toBe(0);
  });
});

describe("what a cluster is told", () => {
  it("is nothing when nothing is due", () => {
    expect(revokeCommands(3, [])).toEqual([]);
  });

  it("follows on what it holds, oldest first", () => {
    const [command, ...more] = revokeCommands(3, [revocation(9), revocation(5)]);
    expect(more).toEqual([]);
    expect(command).toMatchObject({ since: 3, version: 9 });
    expect(command?.players.map(({ playerId }) => playerId)).toEqual(["player-5", "player-9"]);
  });

  it("comes in bounded messages that follow on each other", () => {
    const due = Array.from({ length: maxRevokedPlayers + 1 }, (_, index) => revocation(index + 1));
    expect(revokeCommands(0, due).map(({ since, version, players }) => [since, version, players.length])).toEqual([
      [0, maxRevokedPlayers, maxRevokedPlayers],
      [maxRevokedPlayers, maxRevokedPlayers + 1, 1],
    ]);
  });

  it("takes no version back for what has to be said again", () => {
    expect(revokeCommands(7, [revocation(2)])).toMatchObject([{ since: 7, version: 7 }]);
  });
});

it("repeats with growing, jittered pauses up to 15 s", () => {
  expect(repeatDelayMs(0, 0)).toBe(500);
  expect(repeatDelayMs(0, 1)).toBe(1_000);
  expect(repeatDelayMs(3, 1)).toBe(8_000);
  expect(repeatDelayMs(40, 1)).toBe(15_000);
});
