import { describe, expect, it } from "vitest";
import { AuthorityBook } from "./authority-book.ts";
import { Endings } from "./endings.ts";

/** A player whose session at the west was ended, as of a second ago. */
function kicked(fromMs: number) {
  const authority = new AuthorityBook();
  const endings = new Endings(authority);
  authority.plays("west 1", { playerId: "ada", generation: 5, atMs: fromMs });
  endings.add({ playerId: "ada", what: "kick", atMs: Date.now() - 1_000, floor: 10 });
  return { authority, endings };
}

describe("the book of what was ended", () => {
  it("has who is played on, until nobody plays it", () => {
    const { authority, endings } = kicked(Date.now() - 5_000);
    expect(endings.open).toEqual([expect.stringMatching(/^ada, after a kick .* west 1 \(5\)$/)]);
    expect(endings.isOpen("ada")).toBe(true);
    expect(endings.longestMs).toBeGreaterThanOrEqual(1_000);
    authority.rests("west 1", { playerId: "ada", generation: 5, atMs: Date.now() });
    authority.plays("east 2", { playerId: "ada", generation: 10, atMs: Date.now() });
    expect(endings.open).toEqual([]);
    expect(endings.isOpen("ada")).toBe(false);
  });

  it("has a copy that comes back later and stays, not one that is shown out", () => {
    const { authority, endings } = kicked(Date.now() - 5_000);
    authority.rests("west 1", { playerId: "ada", generation: 5, atMs: Date.now() });
    endings.conclude();
    const laterMs = Date.now() + 1;
    authority.plays("east 2", { playerId: "ada", generation: 6, atMs: laterMs });
    authority.rests("east 2", { playerId: "ada", generation: 6, atMs: laterMs + 20 });
    expect(endings.faults).toEqual([]);
    authority.plays("west 1", { playerId: "ada", generation: 7, atMs: laterMs + 30 });
    authority.rests("west 1", { playerId: "ada", generation: 7, atMs: laterMs + 3_000 });
    expect(endings.faults).toEqual([expect.stringMatching(/came back at west 1 \(7\)$/)]);
  });
});
