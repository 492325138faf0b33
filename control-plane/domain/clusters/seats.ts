import { limits, type SeatRef } from "../../../protocol/index.ts";

/** What a cluster's seats add up to. Kept with the cluster, so that an allocation does not count rows. */
export interface Occupancy {
  /** Most players; 0 means no limit. */
  readonly capacity: number;
  /** Players who have a seat here: in the game, or holding a ticket that may still join. */
  readonly seats: number;
  /** Those of `seats` that the cluster has reported as in the game. */
  readonly joined: number;
  /** Players in the game by the cluster's own last count. */
  readonly players: number;
}

/**
 * A player's one seat on one cluster. A player is never on a cluster twice (the newer connection replaces the older),
 * so all tickets of one player for one cluster share a seat.
 */
export interface Seat {
  readonly playerId: string;
  /** The ticket use that the cluster has reported as in the game. */
  readonly joined: { readonly reservationId: string; readonly generation: number } | undefined;
  /** The newest reservation that has not joined. */
  readonly hold: Hold | undefined;
  /** Until when tickets of earlier reservations may join, in ms; 0 when there are none. */
  readonly earlierUntilMs: number;
  /** Generation to which the cluster has been told to close this player's older sessions, until it reports them gone. */
  readonly fence: number | undefined;
}

export interface Hold {
  readonly reservationId: string;
  readonly generation: number;
  /** Until when its ticket may join: expiry and clock skew, in ms. */
  readonly untilMs: number;
  /** It is held for a member of a party: no ticket has been made for it. */
  readonly ofParty?: boolean | undefined;
}

/** What a player asks a cluster's shard for. */
export interface ReservationRequest {
  /** Names the operation: asking again for the same one gives the same seat. */
  readonly reservationId: string;
  readonly playerId: string;
  readonly generation: number;
  /** When its ticket is to expire, in seconds since 1970. */
  readonly expiresAt: number;
  /** The hold of a party that the seat is claimed from: no ticket was ever made for it. */
  readonly holdId?: string | undefined;
}

export type ReservationOutcome =
  | { readonly ok: true; readonly seat: Seat }
  | { readonly ok: false; readonly reason: "full" | "superseded" };

/** How many places of a cluster are taken. Players whom it counts but has not named yet take places too. */
export function occupiedPlaces(cluster: Occupancy): number {
  return cluster.seats + Math.max(0, cluster.players - cluster.joined);
}

/**
 * Most seats of one cluster, whatever it says: its shard reads them all for a full report. Stops a cluster from filling the shard
 * with players that it has made up.
 */
export const maxSeatsPerCluster = 100_000;

export function hasRoom(cluster: Occupancy, places = 1): boolean {
  return freePlaces(cluster) >= places;
}

/** How many more a cluster has room for. */
export function freePlaces(cluster: Occupancy): number {
  const limit = cluster.capacity === 0 ? maxSeatsPerCluster : Math.min(cluster.capacity, maxSeatsPerCluster);
  return Math.max(0, limit - occupiedPlaces(cluster));
}

/** Gives `request` a seat, or the seat that it has already. `seat` is the player's seat on that cluster, if any. */
export function reserveSeat(
  cluster: Occupancy,
  seat: Seat | undefined,
  request: ReservationRequest,
): ReservationOutcome {
  const { reservationId, playerId, generation } = request;
  const untilMs = request.expiresAt * 1_000 + limits.clockSkewMs;
  if (seat === undefined) {
    if (!hasRoom(cluster)) return { ok: false, reason: "full" };
    const hold = { reservationId, generation, untilMs };
    return { ok: true, seat: { playerId, joined: undefined, hold, earlierUntilMs: 0, fence: undefined } };
  }
  const { hold } = seat;
  if (hold?.reservationId === reservationId) {
    return { ok: true, seat: { ...seat, hold: { ...hold, untilMs: Math.max(hold.untilMs, untilMs) } } };
  }
  // Only against what was reserved here. Who is in the game is the cluster's word, which must not lock a player out; a session
  // refuses by itself to hand out a ticket that is not its newest. Two of one generation: the session has lost all memory of one before it
  // came to a ticket. A party's hold has the generation of what was there before it, and is for who claims it.
  const newest = hold?.generation ?? 0;
  const isOfOthers = hold?.ofParty === true && hold.reservationId !== request.holdId;
  const isSuperseded = isOfOthers ? generation <= newest : generation < newest;
  if (isSuperseded) return { ok: false, reason: "superseded" };
  return {
    ok: true,
    seat: {
      ...seat,
      hold: { reservationId, generation, untilMs },
      earlierUntilMs:
        hold === undefined || hold.reservationId === request.holdId
          ? seat.earlierUntilMs
          : Math.max(seat.earlierUntilMs, hold.untilMs),
    },
  };
}

/**
 * Takes back a reservation for which no ticket was ever handed out: nothing can join with it. (A seat behind a ticket
 * stays taken until that ticket cannot join any more; see {@link isVacant}.)
 */
export function withdrawHold(seat: Seat, reservationId: string): Seat {
  return seat.hold?.reservationId === reservationId ? { ...seat, hold: undefined } : seat;
}

/** Until when some ticket for this seat may join, in ms; 0 when none may. */
export function ticketsUntilMs(seat: Seat): number {
  return Math.max(seat.earlierUntilMs, seat.hold?.untilMs ?? 0);
}

/**
 * Whether nobody has this seat any more: not in the game, and every ticket for it had ceased to work when the cluster made
 * its last report, at `accountedAtMs` or later. Without the second half a player who joined at the last moment, and is not
 * reported yet, would lose the seat.
 */
export function isVacant(seat: Seat, accountedAtMs: number): boolean {
  return seat.joined === undefined && ticketsUntilMs(seat) <= accountedAtMs;
}

/** One player's seats on one cluster that two shards have given: the seat that both stand for. */
export function mergeSeats(here: Seat | undefined, there: Seat): Seat {
  if (here === undefined) return there;
  const [newer, older] = (here.hold?.generation ?? 0) >= (there.hold?.generation ?? 0) ? [here, there] : [there, here];
  const joined = (here.joined?.generation ?? 0) >= (there.joined?.generation ?? 0) ? here.joined : there.joined;
  const fence = Math.max(here.fence ?? 0, there.fence ?? 0);
  return {
    playerId: here.playerId,
    joined,
    hold: newer.hold,
    earlierUntilMs: Math.max(
      here.earlierUntilMs,
      there.earlierUntilMs,
      older.hold !== undefined && older.hold.reservationId !== newer.hold?.reservationId ? older.hold.untilMs : 0,
    ),
    fence: joined !== undefined && fence > joined.generation ? fence : undefined,
  };
}

/** The player's session knows nothing of a join that the cluster has reported: the seat without it. */
export function withoutJoin(seat: Seat, reservationId: string): Seat {
  return seat.joined?.reservationId === reservationId ? { ...seat, joined: undefined, fence: undefined } : seat;
}

/** The player of `ref` is in the game: the seat after it, and whether that is news. */
export function seatAfterJoin(seat: Seat | undefined, ref: SeatRef): { readonly seat: Seat; readonly news: boolean } {
  const { playerId, reservationId, generation } = ref;
  const before = seat ?? { playerId, joined: undefined, hold: undefined, earlierUntilMs: 0, fence: undefined };
  const hold = before.hold?.reservationId === reservationId ? undefined : before.hold;
  const known = before.joined;
  if (known?.reservationId === reservationId) return { seat: { ...before, hold }, news: false };
  // Reports may tell of a short session after the one that replaced it: the newest is the one that sits here.
  const joined = known !== undefined && known.generation > generation ? known : { reservationId, generation };
  const fence = before.fence !== undefined && before.fence > joined.generation ? before.fence : undefined;
  return { seat: { ...before, joined, hold, fence }, news: true };
}

/**
 * The session of `ref` has ended: the seat after it, and whether that its ticket was used is news. An older session than the
 * one that sits here changes nothing.
 */
export function seatAfterLeave(seat: Seat, ref: SeatRef): { readonly seat: Seat; readonly news: boolean } {
  const news = seat.hold?.reservationId === ref.reservationId;
  const hold = news ? undefined : seat.hold;
  if (seat.joined?.reservationId !== ref.reservationId) return { seat: { ...seat, hold }, news };
  return { seat: { ...seat, hold, joined: undefined, fence: undefined }, news };
}
