import type { LinkReport, SeatRef } from "../../../protocol/index.ts";
import { isVacant, type Seat, seatAfterJoin, seatAfterLeave, withdrawHold } from "./seats.ts";

/** What a report changes. */
export interface ReportEffects {
  /** Seats as they are after the report, where they differ from before. */
  readonly changed: readonly Seat[];
  /** Players whose seat is free now. */
  readonly freed: readonly string[];
  /** Tickets that have been used, as far as this is news. */
  readonly used: readonly SeatRef[];
  /** Sessions that have ended, as far as this is news: of who left, and of who was replaced by a newer one. */
  readonly ended: readonly Pick<SeatRef, "playerId" | "reservationId">[];
  /** By how much the cluster's number of seats changes. */
  readonly seatsDelta: number;
  /** By how much its number of seats that are in the game changes. */
  readonly joinedDelta: number;
}

/**
 * Applies a cluster's report to its seats. Applying it again changes nothing more.
 *
 * @param seats by player: every seat that the report names, those that might be vacant, and for a full report all
 * @param accountedAtMs see {@link isVacant}
 */
export function applyReport(
  report: Pick<LinkReport, "full" | "joined" | "left" | "cancelled">,
  seats: ReadonlyMap<string, Seat>,
  accountedAtMs: number,
): ReportEffects {
  const after = new Map(seats);
  const used: SeatRef[] = [];
  const named = new Set<string>();
  for (const told of report.joined) {
    const ref = asReserved(after.get(told.playerId), told);
    const { seat, news } = seatAfterJoin(after.get(ref.playerId), ref);
    after.set(ref.playerId, seat);
    named.add(ref.playerId);
    if (news) used.push(ref);
  }
  for (const ref of report.left) {
    const before = after.get(ref.playerId);
    if (before === undefined) continue;
    const { seat, news } = seatAfterLeave(before, ref);
    after.set(ref.playerId, seat);
    if (news) used.push(ref);
  }
  for (const { playerId, reservationId } of report.cancelled ?? []) {
    const before = after.get(playerId);
    if (before !== undefined) after.set(playerId, withdrawHold(before, reservationId));
  }
  if (report.full) {
    for (const [playerId, seat] of after) {
      if (!named.has(playerId)) after.set(playerId, { ...seat, joined: undefined, fence: undefined });
    }
  }
  return compare(seats, after, used, accountedAtMs);
}

/** The generation of a reservation is the master's to say, not the cluster's. */
function asReserved(seat: Seat | undefined, ref: SeatRef): SeatRef {
  const hold = seat?.hold;
  return hold?.reservationId === ref.reservationId ? { ...ref, generation: hold.generation } : ref;
}

/** How many joins of a report no seat backs: neither a reservation that was made here, nor a join that is known. */
export function countUnbackedJoins(report: Pick<LinkReport, "joined">, seats: ReadonlyMap<string, Seat>): number {
  return report.joined.filter(({ playerId, reservationId }) => {
    const seat = seats.get(playerId);
    return seat?.hold?.reservationId !== reservationId && seat?.joined?.reservationId !== reservationId;
  }).length;
}

function compare(
  before: ReadonlyMap<string, Seat>,
  after: ReadonlyMap<string, Seat>,
  used: readonly SeatRef[],
  accountedAtMs: number,
): ReportEffects {
  const changed: Seat[] = [];
  const freed: string[] = [];
  const sits = ({ playerId, reservationId }: Pick<SeatRef, "playerId" | "reservationId">) =>
    after.get(playerId)?.joined?.reservationId === reservationId;
  const ended: Pick<SeatRef, "playerId" | "reservationId">[] = used.filter((ref) => !sits(ref));
  let seatsDelta = 0;
  let joinedDelta = 0;
  for (const [playerId, seat] of after) {
    const old = before.get(playerId);
    const sat = old?.joined === undefined ? undefined : { playerId, reservationId: old.joined.reservationId };
    if (sat !== undefined && !sits(sat)) ended.push(sat);
    const vacant = isVacant(seat, accountedAtMs);
    seatsDelta += (vacant ? 0 : 1) - (old === undefined ? 0 : 1);
    joinedDelta += (seat.joined === undefined ? 0 : 1) - (old?.joined === undefined ? 0 : 1);
    if (!vacant) {
      if (seat !== old) changed.push(seat);
    } else if (old !== undefined) {
      freed.push(playerId);
    }
  }
  return { changed, freed, used, ended, seatsDelta, joinedDelta };
}

/** What is known about when a cluster last gave account of its players. Times in ms; 0: never. */
export interface Accounting {
  /** When the report before the last one came. The last one was made after that, as it followed an acknowledgement. */
  readonly previousReportAtMs: number;
  /** When a ping came over a link whose first, full report has come; 0 without such a link. */
  readonly pingAtMs: number;
  readonly reportIntervalMs: number;
}

const transitMarginMs = 5_000;

/**
 * Until when every join on a cluster is known here. A cluster reports a change within its interval and over the same
 * ordered link as its pings: a ping that came later than that, with no report before it, says that there was no change.
 */
export function accountedAtMs(accounting: Accounting): number {
  const { previousReportAtMs, pingAtMs, reportIntervalMs } = accounting;
  return Math.max(previousReportAtMs, pingAtMs - reportIntervalMs - transitMarginMs, 0);
}
