import { describe, expect, it } from "vitest";
import { stepsPerSession } from "../../../protocol/handover/generation.ts";
import { AuthorityBook } from "./authority-book.ts";
import { Replacements } from "./replacements.ts";

const playerId = "ada";
let atMs = 0;

/** A player at the west, of whom another device tries to get in. */
function met() {
  const authority = new AuthorityBook();
  const replacements = new Replacements(authority);
  const plays = (holder: string, session: number): void =>
    authority.plays(holder, { playerId, generation: session * stepsPerSession, atMs: (atMs += 1) });
  const rests = (holder: string): void => authority.rests(holder, { playerId, generation: 0, atMs: (atMs += 1) });
  plays("west 1", 1);
  return { authority, replacements, plays, rests, cameBack: replacements.begin(playerId) };
}

describe("the book of sessions that ended for another device", () => {
  it("has one that ended for a device that was never in the game", () => {
    const { replacements, plays, rests, cameBack } = met();
    rests("west 1");
    plays("west 1", 3);
    cameBack();
    replacements.conclude();
    expect(replacements.faults).toEqual([expect.stringMatching(/^ada \(\d+\) was ended at west 1 /)]);
    replacements.conclude();
    expect(replacements.faults).toHaveLength(1);
  });

  it("has none that ended for a device that got in", () => {
    const { replacements, plays, rests, cameBack } = met();
    rests("west 1");
    plays("west 1", 2);
    rests("west 1");
    plays("west 1", 3);
    cameBack();
    replacements.conclude();
    expect(replacements.faults).toEqual([]);
  });

  it("has none of a session that goes on, of a killed cluster, or of who went elsewhere", () => {
    const lasting = met();
    lasting.replacements.conclude();
    const killed = met();
    killed.authority.end("west 1", (atMs += 1));
    const moved = met();
    moved.rests("west 1");
    for (const { plays, cameBack } of [killed, moved]) {
      plays("east 2", 3);
      cameBack();
    }
    for (const { replacements } of [lasting, killed, moved]) {
      replacements.conclude();
      expect(replacements.faults).toEqual([]);
    }
  });
});
