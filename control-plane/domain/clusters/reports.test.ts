import { describe, expect, it } from "vitest";
import { accountedAtMs, applyReport, countUnbackedJoins } from "./reports.ts";
import type { Seat } from "./seats.ts";

function held(playerId: string, generation: number, untilMs = 100_000): Seat {
  return {
    playerId,
    joined: undefined,
    hold: { reservationId: `${playerId}-${generation}`, generation, untilMs },
    earlierUntilMs: 0,
    fence: undefined,
  };
}

function joined(playerId: string, generation: number): Seat {
  return {
    playerId,
    joined: { reservationId: `${playerId}-${generation}`, generation },
    hold: undefined,
    earlierUntilMs: 0,
    fence: undefined,
  };
}

function ref(playerId: string, generation: number) {
  return { reservationId: `${playerId}-${generation}`, playerId, generation };
}

function seats(...list: Seat[]): Map<string, Seat> {
  return new Map(list.map((seat) => [seat.playerId, seat]));
}

const delta = { full: false, joined: [], left: [] };

describe("a report", () => {
  it("turns a hold into a joined seat, once", () => {
    const first = applyReport({ ...delta, joined: [ref("a", 1)] }, seats(held("a", 1)), 0);
    expect(first).toEqual({
      changed: [joined("a", 1)],
      freed: [],
      used: [ref("a", 1)],
      ended: [],
      seatsDelta: 0,
      joinedDelta: 1,
    });
    const again = applyReport({ ...delta, joined: [ref("a", 1)] }, seats(joined("a", 1)), 0);
    expect(again).toMatchObject({ freed: [], used: [], seatsDelta: 0, joinedDelta: 0 });
  });

  it("seats a player of whom nothing was known: the cluster knows who is there", () => {
    const effects = applyReport({ ...delta, joined: [ref("a", 1)] }, seats(), 0);
    expect(effects).toMatchObject({ changed: [joined("a", 1)], used: [ref("a", 1)], seatsDelta: 1, joinedDelta: 1 });
  });

  it("[SEC-44] does not say of which generation a reservation is", () => {
    const lie = { ...ref("a", 1), generation: Number.MAX_SAFE_INTEGER };
    const effects = applyReport({ ...delta, joined: [lie] }, seats(held("a", 1)), 0);
    expect(effects).toMatchObject({ changed: [joined("a", 1)], used: [ref("a", 1)] });
  });

  it("counts the joins that no seat backs", () => {
    const known = seats(held("a", 2), joined("b", 1));
    const count = (...list: ReturnType<typeof ref>[]): number => countUnbackedJoins({ joined: list }, known);
    expect(count(ref("a", 2), ref("b", 1))).toBe(0);
    expect(count(ref("a", 1), ref("b", 2), ref("c", 1), ref("c", 2))).toBe(4);
  });

  it("keeps a newer hold when an older ticket joins", () => {
    const seat = { ...held("a", 2), earlierUntilMs: 50_000 };
    const { changed } = applyReport({ ...delta, joined: [ref("a", 1)] }, seats(seat), 0);
    expect(changed).toEqual([{ ...seat, joined: { reservationId: "a-1", generation: 1 } }]);
  });

  it("frees the seat of who left", () => {
    const effects = applyReport({ ...delta, left: [ref("a", 1)] }, seats(joined("a", 1)), 0);
    expect(effects).toMatchObject({ freed: ["a"], used: [], seatsDelta: -1, joinedDelta: -1 });
  });

  it("knows the newest session of a player who came twice, whatever the order", () => {
    const report = { ...delta, joined: [ref("a", 2), ref("a", 1)], left: [ref("a", 1)] };
    const effects = applyReport(report, seats(held("a", 2)), 0);
    expect(effects.changed).toEqual([joined("a", 2)]);
    expect(effects.used).toEqual([ref("a", 2), ref("a", 1)]);
    expect(effects).toMatchObject({ seatsDelta: 0, joinedDelta: 1 });
  });

  it("tells of a ticket that was used for a session that is over already", () => {
    const short = applyReport({ ...delta, joined: [ref("a", 1)], left: [ref("a", 1)] }, seats(held("a", 1)), 0);
    expect(short).toMatchObject({ freed: ["a"], used: [ref("a", 1)], seatsDelta: -1, joinedDelta: 0 });
    const unnamed = applyReport({ ...delta, left: [ref("a", 1)] }, seats(held("a", 1)), 0);
    expect(unnamed).toMatchObject({ freed: ["a"], used: [ref("a", 1)] });
  });

  it("that is full ends the sessions that it does not name, and leaves the holds", () => {
    const before = seats(joined("a", 1), joined("b", 1), held("c", 1));
    const effects = applyReport({ full: true, joined: [ref("a", 1)], left: [] }, before, 0);
    expect(effects).toMatchObject({ freed: ["b"], seatsDelta: -1, joinedDelta: -1 });
    expect(effects.changed.filter((seat) => seat.playerId === "c")).toEqual([held("c", 1)]);
  });

  it("frees a hold whose time was up when the report before was acknowledged, and no other", () => {
    const before = seats(held("a", 1, 1_000), held("b", 1, 1_001));
    expect(applyReport(delta, before, 1_000)).toMatchObject({ freed: ["a"], seatsDelta: -1, joinedDelta: 0 });
  });

  it("ends a fence when the older session is gone, or a new one has joined", () => {
    const fenced = { ...joined("a", 1), fence: 2 };
    const left = applyReport({ ...delta, left: [ref("a", 1)] }, seats({ ...fenced, earlierUntilMs: 9 }), 0);
    expect(left.changed).toEqual([{ ...fenced, joined: undefined, fence: undefined, earlierUntilMs: 9 }]);
    const newer = applyReport({ ...delta, joined: [ref("a", 3)] }, seats(fenced), 0);
    expect(newer.changed).toEqual([joined("a", 3)]);
    const still = applyReport({ ...delta, joined: [ref("a", 1)] }, seats(fenced), 0);
    expect(still.changed.every((seat) => seat.fence === 2)).toBe(true);
  });
});

describe("accounting", () => {
  it("reaches to the report before the last", () => {
    expect(accountedAtMs({ previousReportAtMs: 7_000, pingAtMs: 0, reportIntervalMs: 1_000 })).toBe(7_000);
  });

  it("reaches as far as a later ping, less what a report may lag", () => {
    expect(accountedAtMs({ previousReportAtMs: 7_000, pingAtMs: 60_000, reportIntervalMs: 1_000 })).toBe(54_000);
    expect(accountedAtMs({ previousReportAtMs: 0, pingAtMs: 100, reportIntervalMs: 1_000 })).toBe(0);
  });
});
