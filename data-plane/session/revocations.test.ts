import { describe, expect, it } from "vitest";
import { Revocations } from "./revocations.ts";

function create() {
  let nowMs = 0;
  const players = new Map<string, { seat: { generation: number } }>();
  const revocations = new Revocations<{ seat: { generation: number } }>(1_000, () => nowMs);
  return {
    revocations,
    players,
    find: (id: string) => players.get(id),
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe("what the master has revoked", () => {
  it.each([
    ["banned", "BANNED"],
    ["kicked", "KICKED"],
    ["signed-out", "SIGNED_OUT"],
  ] as const)("[CLOSE-4] ends the session of who was %s with %s", (reason, code) => {
    const { revocations, players, find } = create();
    players.set("hero", { seat: { generation: 7 } });
    expect(revocations.apply([{ playerId: "hero", minGeneration: 8, reason }], find)).toEqual([
      { player: { seat: { generation: 7 } }, code },
    ]);
  });

  it("[TICKET-20] keeps tickets below out, and lets the first that is not below in", () => {
    const { revocations, find } = create();
    revocations.apply([{ playerId: "hero", minGeneration: 8, reason: "kicked" }], find);
    expect(revocations.covers("hero", 7)).toBe(true);
    expect(revocations.covers("hero", 8)).toBe(false);
    expect(revocations.covers("other", 7)).toBe(false);
  });

  it("[CLOSE-4] ends whoever is brought here for the reason of the newest order, also where an older one is told again after it", () => {
    const { revocations, find } = create();
    revocations.apply([{ playerId: "hero", minGeneration: 8, reason: "banned" }], find);
    revocations.apply([{ playerId: "hero", minGeneration: 6, reason: "kicked" }], find);
    expect(revocations.codeFor("hero", 7)).toBe("BANNED");
    revocations.apply([{ playerId: "hero", minGeneration: 9, reason: "signed-out" }], find);
    expect(revocations.codeFor("hero", 7)).toBe("SIGNED_OUT");
  });

  it("does nothing to a newer session when an old order is replayed, and lowers no floor", () => {
    const { revocations, players, find } = create();
    revocations.apply([{ playerId: "hero", minGeneration: 20, reason: "banned" }], find);
    players.set("hero", { seat: { generation: 20 } });
    expect(revocations.apply([{ playerId: "hero", minGeneration: 8, reason: "banned" }], find)).toEqual([]);
    expect(revocations.covers("hero", 19)).toBe(true);
  });

  it("holds for as long as a ticket of before may be shown, and is forgotten after that", () => {
    const { revocations, find, pass } = create();
    revocations.apply([{ playerId: "hero", minGeneration: 8, reason: "kicked" }], find);
    pass(1_000);
    expect(revocations.covers("hero", 7)).toBe(true);
    pass(1);
    expect(revocations.covers("hero", 7)).toBe(false);
  });
});
