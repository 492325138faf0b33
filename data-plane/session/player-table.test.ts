import { describe, expect, it } from "vitest";
import type { SeatRef } from "../../protocol/index.ts";
import { PlayerTable } from "./player-table.ts";

interface TestPlayer {
  readonly id: string;
  readonly number: number;
  readonly seat: SeatRef;
}

function player(table: PlayerTable<TestPlayer>, playerId: string, generation: number): TestPlayer {
  const seat = { reservationId: `${playerId}-${generation}`, playerId, generation };
  const made = { id: playerId, number: table.takeNumber(), seat };
  table.add(made);
  return made;
}

describe("PlayerTable", () => {
  it("finds players by number and by id, and numbers them apart", () => {
    const table = new PlayerTable<TestPlayer>(1_000, () => 0);
    const a = player(table, "a", 1);
    const b = player(table, "b", 1);
    expect(a.number).not.toBe(b.number);
    expect(table.byNumber(a.number)).toBe(a);
    expect(table.byId("b")).toBe(b);
    expect([...table]).toEqual([a, b]);
    table.remove(a);
    expect([table.byNumber(a.number), table.byId("a"), table.size]).toEqual([undefined, undefined, 1]);
  });

  it("[TICKET-9] admits only generations newer than the live one", () => {
    const table = new PlayerTable<TestPlayer>(1_000, () => 0);
    player(table, "a", 5);
    expect([4, 5, 6].map((generation) => table.admits("a", generation))).toEqual([false, false, true]);
    expect(table.admits("b", 0)).toBe(true);
  });

  it("[TICKET-9] keeps generations out that have lost to a newer one, also after it has left", () => {
    let now = 0;
    const table = new PlayerTable<TestPlayer>(1_000, () => now);
    table.remove(player(table, "a", 5));
    expect([4, 5, 6].map((generation) => table.admits("a", generation))).toEqual([false, false, true]);
    now = 1_001;
    expect(table.admits("a", 4)).toBe(true);
  });

  it("[TICKET-9] does not let an older session that goes take the newer one with it", () => {
    const table = new PlayerTable<TestPlayer>(1_000, () => 0);
    const old = player(table, "a", 1);
    const fresh = player(table, "a", 2);
    table.remove(old);
    expect(table.byId("a")).toBe(fresh);
    expect(table.size).toBe(1);
  });

  it("fences: names the session that has to end, and keeps its like out", () => {
    const table = new PlayerTable<TestPlayer>(1_000, () => 0);
    const a = player(table, "a", 5);
    expect(table.fence("a", 5)).toBeUndefined();
    expect(table.fence("a", 6)).toBe(a);
    table.remove(a);
    expect(table.fence("b", 3)).toBeUndefined();
    expect([table.admits("b", 2), table.admits("b", 3)]).toEqual([false, true]);
    table.fence("b", 2);
    expect(table.admits("b", 2)).toBe(false);
  });
});
