import type { Seat } from "../clusters/seats.ts";

/** A member's seat while it is held for the party: no ticket has been made for it yet. `seat`: the one the player has there. */
export function holdForParty(
  seat: Seat | undefined,
  hold: { readonly holdId: string; readonly playerId: string; readonly untilMs: number },
): Seat {
  const { holdId: reservationId, playerId, untilMs } = hold;
  if (seat === undefined) {
    const held = { reservationId, generation: 0, untilMs, ofParty: true };
    return { playerId, joined: undefined, hold: held, earlierUntilMs: 0, fence: undefined };
  }
  if (seat.hold?.reservationId === reservationId) {
    return { ...seat, hold: { ...seat.hold, untilMs: Math.max(seat.hold.untilMs, untilMs) } };
  }
  // The member's own operation, which is newer than any before, takes the hold's place when the seat is claimed.
  const generation = seat.hold?.generation ?? 0;
  return {
    ...seat,
    hold: { reservationId, generation, untilMs, ofParty: true },
    earlierUntilMs: Math.max(seat.earlierUntilMs, seat.hold?.untilMs ?? 0),
  };
}
