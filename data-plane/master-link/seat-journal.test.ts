import { describe, expect, it } from "vitest";
import type { SeatRef } from "../../protocol/index.ts";
import { SeatJournal } from "./seat-journal.ts";

const seat = (name: string): SeatRef => ({ reservationId: name, playerId: name, generation: 1 });
const names = (seats: readonly SeatRef[]): string[] => seats.map(({ reservationId }) => reservationId);

function journalOf(count: number): SeatJournal {
  const journal = new SeatJournal();
  for (let index = 0; index < count; index += 1) journal.joined(seat(`s${index}`));
  return journal;
}

describe("SeatJournal", () => {
  it("reports changes again, with newer ones, until they are acknowledged", () => {
    const journal = new SeatJournal();
    journal.joined(seat("a"));
    expect(journal.report(false)).toMatchObject({
      sequence: 1,
      full: false,
      players: 1,
      joined: [seat("a")],
      left: [],
    });
    journal.joined(seat("b"));
    expect(names(journal.report(false).joined)).toEqual(["a", "b"]);
    journal.acknowledge(1);
    expect(names(journal.report(false).joined)).toEqual(["a", "b"]);
    journal.acknowledge(3);
    expect(journal.report(false)).toMatchObject({ sequence: 4, players: 2, joined: [], left: [] });
  });

  it("says who left, also of those whose join was never acknowledged", () => {
    const journal = new SeatJournal();
    journal.joined(seat("a"));
    journal.report(false);
    journal.left(seat("a"));
    expect(journal.report(false)).toMatchObject({ players: 0, joined: [], left: [seat("a")] });
    // The acknowledgement of the join came late: the departure is news all the same.
    journal.acknowledge(1);
    expect(names(journal.report(false).left)).toEqual(["a"]);
  });

  it("keeps two players apart who are said to have one reservation, as by a neighbour that lies", () => {
    const journal = new SeatJournal();
    const eve: SeatRef = { ...seat("a"), playerId: "eve" };
    journal.joined(seat("a"));
    journal.joined(eve);
    expect(journal.report(true)).toMatchObject({ players: 2, joined: [seat("a"), eve] });
    journal.left(eve);
    expect(journal.report(false)).toMatchObject({ players: 1, joined: [seat("a")], left: [eve] });
    expect(journal.report(true, true).joined).toEqual([seat("a")]);
    journal.acknowledge(3);
    // It is not the honest one's departure, and does not keep its ticket from being given back.
    expect([journal.knows(eve), journal.knows(seat("a"))]).toEqual([false, true]);
  });

  it("knows whether there is news", () => {
    const journal = new SeatJournal();
    expect(journal.hasNews).toBe(false);
    journal.joined(seat("a"));
    expect(journal.hasNews).toBe(true);
    journal.report(false);
    expect(journal.hasNews).toBe(false);
    journal.left(seat("a"));
    journal.joined(seat("b"));
    journal.left(seat("b"));
    expect(journal.hasNews).toBe(true);
    journal.report(false);
    journal.acknowledge(2);
    expect(journal.hasNews).toBe(false);
  });

  it("lists everyone in a full report", () => {
    const journal = new SeatJournal();
    journal.joined(seat("a"));
    journal.report(false);
    journal.acknowledge(1);
    journal.joined(seat("b"));
    journal.joined(seat("c"));
    journal.left(seat("c"));
    expect(journal.report(true)).toMatchObject({
      full: true,
      players: 2,
      joined: [seat("a"), seat("b")],
      left: [seat("c")],
    });
  });

  it("keeps to 1,000 seats a report, and never calls a part of the players all of them", () => {
    const exact = journalOf(1_000).report(true);
    expect([exact.full, exact.joined.length]).toEqual([true, 1_000]);
    const journal = journalOf(1_001);
    const first = journal.report(true);
    expect([first.full, first.players, first.joined.length]).toEqual([false, 1_001, 1_000]);
    expect(journal.hasNews).toBe(true);
    journal.acknowledge(first.sequence);
    expect(names(journal.report(false).joined)).toEqual(["s1000"]);
  });

  it("tells everyone anew to a master that has forgotten", () => {
    const journal = journalOf(3);
    journal.acknowledge(journal.report(false).sequence);
    journal.tellAll();
    expect(names(journal.report(false).joined)).toEqual(["s0", "s1", "s2"]);
  });

  it("is bounded: past 100,000 changes the oldest departures go", () => {
    const journal = new SeatJournal();
    for (let index = 0; index < 100_010; index += 1) {
      journal.joined(seat(`s${index}`));
      journal.left(seat(`s${index}`));
    }
    expect(names(journal.report(false).left)[0]).toBe("s10");
  });
});
