import { describe, expect, it } from "vitest";
import {
  hasRoom,
  isVacant,
  maxSeatsPerCluster,
  occupiedPlaces,
  reserveSeat,
  type Seat,
  ticketsUntilMs,
  withdrawHold,
  withoutJoin,
} from "./seats.ts";

const empty = { capacity: 2, seats: 0, joined: 0, players: 0 };

function request(changes: Partial<Parameters<typeof reserveSeat>[2]> = {}) {
  return { reservationId: "r1", playerId: "p1", generation: 1, expiresAt: 100, ...changes };
}

function seatOf(changes: Partial<Seat> = {}): Seat {
  return { playerId: "p1", joined: undefined, hold: undefined, earlierUntilMs: 0, fence: undefined, ...changes };
}

describe("occupancy", () => {
  it("counts seats, and players whom the cluster counts but has not named", () => {
    expect(occupiedPlaces({ capacity: 10, seats: 4, joined: 3, players: 3 })).toBe(4);
    expect(occupiedPlaces({ capacity: 10, seats: 4, joined: 3, players: 5 })).toBe(6);
    expect(occupiedPlaces({ capacity: 10, seats: 4, joined: 3, players: 1 })).toBe(4);
  });

  it("ends one under the capacity; without one, where a shard could hold no more", () => {
    expect(hasRoom({ ...empty, seats: 1 })).toBe(true);
    expect(hasRoom({ ...empty, seats: 2 })).toBe(false);
    expect(hasRoom({ ...empty, seats: 1, players: 1 })).toBe(false);
    expect(hasRoom({ ...empty, capacity: 0, seats: maxSeatsPerCluster - 1 })).toBe(true);
    expect(hasRoom({ ...empty, capacity: 0, seats: maxSeatsPerCluster })).toBe(false);
    expect(hasRoom({ ...empty, capacity: 1_000_000, seats: maxSeatsPerCluster })).toBe(false);
  });
});

describe("a reservation", () => {
  it("holds until its ticket cannot join any more, clock skew included", () => {
    const outcome = reserveSeat(empty, undefined, request());
    expect(outcome).toEqual({
      ok: true,
      seat: seatOf({ hold: { reservationId: "r1", generation: 1, untilMs: 105_000 } }),
    });
  });

  it("is refused on a full cluster", () => {
    expect(reserveSeat({ ...empty, seats: 2 }, undefined, request())).toEqual({ ok: false, reason: "full" });
  });

  it("gives the same operation the same seat, even on a full cluster, and never for shorter", () => {
    const seat = seatOf({ hold: { reservationId: "r1", generation: 1, untilMs: 105_000 } });
    const full = { ...empty, seats: 2 };
    expect(reserveSeat(full, seat, request({ expiresAt: 50 }))).toEqual({ ok: true, seat });
    const later = reserveSeat(full, seat, request({ expiresAt: 200 }));
    expect(later.ok && ticketsUntilMs(later.seat)).toBe(205_000);
  });

  it("lets a player who has a seat use it again, and remembers until when the older ticket may join", () => {
    const seat = seatOf({ hold: { reservationId: "r1", generation: 1, untilMs: 305_000 } });
    const outcome = reserveSeat(
      { ...empty, seats: 2 },
      seat,
      request({ reservationId: "r2", generation: 2, expiresAt: 200 }),
    );
    expect(outcome).toEqual({
      ok: true,
      seat: seatOf({
        hold: { reservationId: "r2", generation: 2, untilMs: 205_000 },
        earlierUntilMs: 305_000,
      }),
    });
  });

  it("does not replace a newer one of the same player", () => {
    const held = seatOf({ hold: { reservationId: "r5", generation: 5, untilMs: 105_000 } });
    expect(reserveSeat(empty, held, request({ generation: 4 }))).toEqual({ ok: false, reason: "superseded" });
  });

  it("takes over what the session has forgotten before there was a ticket, and nothing that is held for a party", () => {
    const hold = { reservationId: "r5", generation: 5, untilMs: 105_000 };
    const taken = reserveSeat(empty, seatOf({ hold }), request({ reservationId: "again", generation: 5 }));
    expect(taken).toMatchObject({
      ok: true,
      seat: { hold: { reservationId: "again", generation: 5 }, earlierUntilMs: 105_000 },
    });
    const held = seatOf({ hold: { ...hold, ofParty: true } });
    expect(reserveSeat(empty, held, request({ reservationId: "late", generation: 5 }))).toMatchObject({ ok: false });
    // Who claims that hold is of the party: what was there before it had been forgotten.
    const claim = request({ reservationId: "claim", generation: 5, holdId: "r5" });
    expect(reserveSeat(empty, held, claim)).toMatchObject({ ok: true, seat: { hold: { reservationId: "claim" } } });
  });

  it("[SEC-44] is not refused for what a cluster says of who joined", () => {
    const seat = seatOf({ joined: { reservationId: "forged", generation: Number.MAX_SAFE_INTEGER } });
    expect(reserveSeat(empty, seat, request({ generation: 1 })).ok).toBe(true);
    expect(withoutJoin(seat, "forged")).toEqual(seatOf());
    expect(withoutJoin(seat, "other")).toEqual(seat);
  });

  it("that never came to a ticket can be taken back at once, but not with the time of an earlier one", () => {
    const fresh = seatOf({ hold: { reservationId: "r1", generation: 1, untilMs: 105_000 } });
    expect(isVacant(withdrawHold(fresh, "r1"), 0)).toBe(true);
    expect(withdrawHold(fresh, "r2")).toEqual(fresh);
    const shared = { ...fresh, earlierUntilMs: 90_000 };
    expect(isVacant(withdrawHold(shared, "r1"), 89_999)).toBe(false);
    expect(isVacant(withdrawHold(shared, "r1"), 90_000)).toBe(true);
  });
});

describe("a seat", () => {
  it("is vacant only when its cluster has accounted for the time after its tickets", () => {
    const seat = seatOf({ hold: { reservationId: "r1", generation: 1, untilMs: 105_000 } });
    expect(isVacant(seat, 104_999)).toBe(false);
    expect(isVacant(seat, 105_000)).toBe(true);
    expect(isVacant({ ...seat, joined: { reservationId: "r0", generation: 0 } }, 105_000)).toBe(false);
  });
});
