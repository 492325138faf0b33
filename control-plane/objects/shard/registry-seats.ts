import type { LinkAck, LinkCommand, LinkReport } from "../../../protocol/index.ts";
import {
  JoinBudget,
  maxReportsPerSecond,
  maxUnbackedJoins,
  ReportBudget,
  unbackedJoinsPerSecond,
} from "../../domain/clusters/report-budget.ts";
import { applyReport, countUnbackedJoins, type ReportEffects } from "../../domain/clusters/reports.ts";
import {
  isVacant,
  maxSeatsPerCluster,
  reserveSeat,
  type Seat,
  withdrawHold,
  withoutJoin,
} from "../../domain/clusters/seats.ts";
import { BusyClusters, dictatePace } from "../../domain/clusters/report-pace.ts";
import { type FullStep, stepOfFullReport } from "../../domain/clusters/full-report.ts";
import { takesBack } from "../../domain/clusters/seat-return.ts";
import { Tally } from "../../domain/metrics/tally.ts";
import { wantsOf } from "../../domain/allocation/selector.ts";
import type { CapacityNote, ClosedCluster } from "../../domain/waiting/waiting-calls.ts";
import type { QueueGate } from "../../domain/waiting/waiting-gate.ts";
import type { QueueWish } from "../../domain/waiting/waiting-queue.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { ClusterCandidates } from "./cluster-candidates.ts";
import type { AllocatedCluster, SeatAnswer, SeatRequest } from "./seat-request.ts";
import { refuse, type Refusal } from "../refusal.ts";
import type { RegistryLeases } from "./registry-leases.ts";
import { RegistryParties } from "./registry-parties.ts";
import { RegistryQueues } from "./registry-queues.ts";
import type { ClusterRow } from "./registry-rows.ts";
import { cancelOf, type SeatPlace } from "./seat-tables.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Most joins of one cluster that wait to be told to players' sessions, if some of them have no seat here. */
const maxPendingJoins = 2 * maxUnbackedJoins;
/** After how long a cluster tells again what was not taken: by then as many joins may be as fit into one report. */
const putOffMs = (1_000 * maxUnbackedJoins) / unbackedJoinsPerSecond;

/** Gives seats and takes them back. Each method is one step without a wait in it, so no two can interleave. */
export class RegistrySeats {
  readonly parties: RegistryParties;
  readonly #parts: ShardParts;
  readonly #leases: RegistryLeases;
  readonly #queues: RegistryQueues;
  readonly #candidates: ClusterCandidates;
  readonly #budget = new ReportBudget();
  readonly #joinBudget = new JoinBudget();
  readonly #busy = new BusyClusters();
  readonly #unbacked = new Tally();
  readonly #unknown = new Tally();

  constructor(parts: ShardParts, leases: RegistryLeases) {
    this.#parts = parts;
    this.#leases = leases;
    this.#queues = new RegistryQueues(parts);
    this.#candidates = new ClusterCandidates(parts, leases, this.#queues);
    this.parties = new RegistryParties(parts, leases, this.#candidates);
  }

  /** The seat that the operation has, or a new one. Asking again gives the same. */
  reserve(request: SeatRequest, nowMs: number): SeatAnswer {
    const { tables, seats } = this.#parts;
    // An explanation tells who is alive. To find out frees seats, so it comes before anything is read.
    if (request.wish.explain === true) this.#leases.sweep(nowMs);
    for (const { clusterId } of seats.placesOf(request.reservationId, request.playerId)) {
      const holder = tables.cluster(clusterId);
      if (holder !== undefined && holder.state !== "gone") return this.#seatAt(holder, [], request, nowMs);
    }
    if (request.returnTo !== undefined) return this.#reserveBack(request.returnTo, request, nowMs);
    const { clusterId } = request.wish;
    if (request.holdId !== undefined) return this.#claim(clusterId ?? "", request, nowMs);
    return clusterId === undefined ? this.#reserveAnywhere(request, nowMs) : this.#reserveAt(clusterId, request, nowMs);
  }

  /** A member of a party takes over the seat that is held for it. Only a seat that there is: none is made. */
  #claim(clusterId: string, request: SeatRequest, nowMs: number): SeatAnswer {
    const { tables, seats } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row !== undefined && row.state !== "gone" && seats.at(clusterId, request.playerId) !== undefined) {
      return this.#seatAt(row, [], request, nowMs);
    }
    if (row !== undefined && row.state !== "gone" && row.awaited !== "[]") {
      return refuse("ALLOCATION_IN_PROGRESS", "The cluster moves to another shard right now. Repeat the request.", 1);
    }
    return refuse("PARTY_HOLD_ENDED", "The seat is not held any more. Have the leader of the party allocate again.");
  }

  #reserveAt(clusterId: string, request: SeatRequest, nowMs: number): SeatAnswer {
    const row = this.#parts.tables.cluster(clusterId);
    if (row === undefined || row.state === "gone") return refuse("CLUSTER_NOT_FOUND", noSuchCluster(clusterId));
    const why = this.#candidates.refusalOf(row, request.wish, nowMs);
    const withheld = why === undefined ? this.#withheldFrom(row, request, nowMs) : undefined;
    if (why === undefined && withheld === undefined) return this.#seatAt(row, [clusterId], request, nowMs);
    const candidates = this.#explain(request, { winner: undefined, drawn: [] });
    if (withheld !== undefined) {
      const detail = `The cluster ${clusterId} ${withheld}. Choose another one, or try again shortly.`;
      return { ...refuse("CLUSTER_FULL", detail, 2), waitable: true, candidates };
    }
    const detail = `The cluster ${clusterId} ${why}. Choose another one.`;
    return { ...refuse("NO_CLUSTER_AVAILABLE", detail, 5), candidates };
  }

  /** Why somebody who has no seat on the cluster gets none now, although it has room. */
  #withheldFrom(row: ClusterRow, { playerId, pass }: SeatRequest, nowMs: number): string | undefined {
    const why = this.#candidates.withheld(row, { pass }, nowMs);
    if (why === undefined || this.#parts.seats.at(row.cluster_id, playerId) !== undefined) return undefined;
    return why === "awaited" ? "has others waiting for its seats" : "takes no more players for a moment";
  }

  /** The player's own seat, where the cluster still keeps the session that it belongs to. */
  #reserveBack(clusterId: string, request: SeatRequest, nowMs: number): SeatAnswer {
    const row = this.#parts.tables.cluster(clusterId);
    const seat = this.#parts.seats.at(clusterId, request.playerId);
    if (row === undefined || !this.#takesBack(row, seat, request, nowMs)) {
      return refuse("NO_CLUSTER_AVAILABLE", "There is no session to come back to.");
    }
    return this.#seatAt(row, [clusterId], request, nowMs);
  }

  #takesBack(row: ClusterRow, seat: Seat | undefined, { wish }: SeatRequest, nowMs: number): boolean {
    return takesBack({
      draining: row.draining === 1,
      live: (row.state === "ready" || row.state === "suspect") && this.#leases.isLive(row, nowMs),
      isHeld: seat?.joined !== undefined,
      fits: this.#candidates.unmetBy(row, wish) === undefined,
    });
  }

  /** Whether the player is in the game there, or kept for a return. Of a cluster that is silent nobody knows: it may have ended. [ALLOC-21] */
  holds(clusterId: string, playerId: string, nowMs: number): boolean {
    const row = this.#parts.tables.cluster(clusterId);
    if (row === undefined || this.#parts.seats.at(clusterId, playerId)?.joined === undefined) return false;
    return (row.state === "ready" || row.state === "starting") && this.#leases.isLive(row, nowMs);
  }

  #reserveAnywhere(request: SeatRequest, nowMs: number): SeatAnswer {
    const { row, drawn } = this.#candidates.pick(request.wish, request, nowMs);
    if (row !== undefined) return this.#seatAt(row, drawn, request, nowMs);
    const candidates = this.#explain(request, { winner: undefined, drawn });
    const refusal = refuse("NO_CLUSTER_AVAILABLE", "No cluster has room now. Try again shortly.", 5);
    return { ...refusal, waitable: true, candidates };
  }

  /** A queue says who waits, and learns where there is room for those who do. */
  attend(gate: QueueGate, withLargest: boolean, nowMs: number): CapacityNote {
    this.#queues.note(gate, nowMs);
    const { clusterId } = gate.wish;
    const closed = clusterId === undefined ? undefined : this.#closed(clusterId, gate.wish);
    const rows = this.#candidates.roomy(gate.wish, nowMs);
    const rooms = this.#queues.capacity(gate, rows, (row) => this.#candidates.factsOf(row), nowMs);
    if (!withLargest) return { rooms, largest: 1, closed };
    const named = clusterId === undefined ? undefined : this.#parts.tables.cluster(clusterId);
    const largest =
      clusterId === undefined
        ? this.#parts.candidates.largest(wantsOf(gate.wish))
        : named?.capacity === 0
          ? Number.POSITIVE_INFINITY
          : (named?.capacity ?? 0);
    return { rooms, largest, closed };
  }

  /** Why it is no use to wait for a cluster. [WAIT-11] */
  #closed(clusterId: string, wish: QueueWish): ClosedCluster | undefined {
    const row = this.#parts.tables.cluster(clusterId);
    if (row === undefined || row.state === "gone") {
      return { code: "CLUSTER_NOT_FOUND", detail: noSuchCluster(clusterId) };
    }
    const why = this.#candidates.closedTo(row, wish);
    if (why === undefined) return undefined;
    const detail = `The cluster ${clusterId} ${why}. Choose another one, or repeat the request to keep the place in case that it is back.`;
    return { code: "NO_CLUSTER_AVAILABLE", detail };
  }

  #seatAt(row: ClusterRow, drawn: readonly string[], request: SeatRequest, nowMs: number): SeatAnswer {
    const { seats, records } = this.#parts;
    const lifetimeSeconds = lifetimeIn(row, request.wish.fragment) ?? row.ticket_lifetime ?? request.lifetimeSeconds;
    const expiresAt = Math.floor(nowMs / 1_000) + lifetimeSeconds;
    const before = seats.at(row.cluster_id, request.playerId);
    const outcome = reserveSeat(row, before, { ...request, expiresAt });
    const winner = outcome.ok ? row : undefined;
    // Before the seat is taken: as it was when it was decided.
    const candidates = this.#explain(request, { winner, drawn });
    if (!outcome.ok) {
      const refusal =
        outcome.reason === "full"
          ? refuse(
              "CLUSTER_FULL",
              `The cluster ${row.cluster_id} is full. Choose another one, or try again shortly.`,
              5,
            )
          : refuse(
              "RESERVATION_CANCELLED",
              "A newer allocation of this player took its place. Allocate with a new key.",
            );
      return { ...refusal, waitable: outcome.reason === "full", candidates };
    }
    failpoint("allocate.chosen");
    const replaced = (request.replaces ?? [])
      .filter(({ clusterId }) => clusterId !== row.cluster_id)
      .map(({ clusterId, reservationId }) => ({
        clusterId,
        reservationId,
        seat: seats.at(clusterId, request.playerId),
      }));
    // One commit stores it all. Should an error end it half-way, no ticket is handed out for the seat: asking again does the rest, and nobody
    // asking, it is free when that ticket would have ended. So it needs no transaction within.
    if (before === undefined) this.#addSeat(row.cluster_id, outcome.seat, nowMs);
    else seats.put(row.cluster_id, outcome.seat, before);
    failpoint("allocate.taken");
    records.reserved(row, request, { nowMs, expiresAt });
    failpoint("allocate.noted");
    for (const { clusterId, reservationId, seat } of replaced) {
      // A request that comes late may name what has ended since; what is given back of that seat now is another ticket.
      if (seat?.hold?.reservationId !== reservationId) continue;
      seats.setGivenBack({ clusterId, playerId: request.playerId }, reservationId);
    }
    failpoint("allocate.reserved");
    for (const { clusterId, reservationId, seat } of replaced) this.#tellCancelled(clusterId, seat, reservationId);
    const gaveBack = request.replaces?.map(({ reservationId }) => reservationId);
    return { ok: true, expiresAt, lifetimeSeconds, cluster: allocatedCluster(row), candidates, gaveBack };
  }

  #addSeat(clusterId: string, seat: Seat, nowMs: number): void {
    const { tables, seats } = this.#parts;
    seats.add(clusterId, seat);
    try {
      tables.addSeats(clusterId, 1, nowMs);
    } catch (error) {
      // One that is not counted would be one too many.
      seats.delete(clusterId, seat.playerId);
      throw error;
    }
  }

  #explain(request: SeatRequest, choice: Parameters<ClusterCandidates["explain"]>[1]) {
    return this.#candidates.explain(request, choice);
  }

  /** Takes back a reservation for which no ticket was handed out. */
  withdraw(reservationId: string, playerId?: string): void {
    for (const held of this.#parts.seats.placesOf(reservationId, playerId)) this.#withdrawFrom(held, reservationId);
  }

  #withdrawFrom(held: SeatPlace, reservationId: string): void {
    const { storage, tables, seats } = this.#parts;
    const row = tables.cluster(held.clusterId);
    const seat = seats.at(held.clusterId, held.playerId);
    if (row === undefined || seat === undefined) return;
    const after = withdrawHold(seat, reservationId);
    const vacant = isVacant(after, this.#leases.accountedAtMs(row, false));
    storage.transactionSync(() => {
      if (vacant) {
        seats.delete(row.cluster_id, seat.playerId);
        tables.addOccupancy(row.cluster_id, -1, 0);
      } else {
        seats.put(row.cluster_id, after);
      }
    });
  }

  /** Applies a cluster's report; what the cluster is told in return. Repeating it is harmless. */
  report(
    row: ClusterRow,
    report: LinkReport,
    { overLink, nowMs }: { readonly overLink: boolean; readonly nowMs: number },
  ): { readonly ok: true; readonly commands: readonly LinkCommand[] } | Refusal {
    const { storage, tables, seats: tabled, reports, settings } = this.#parts;
    if (!this.#budget.take(row.cluster_id, nowMs)) {
      return refuse("RATE_LIMITED", `A cluster may report ${maxReportsPerSecond} times a second.`, 1);
    }
    const isNew = report.sequence > row.report_sequence;
    if (isNew) {
      const accountedMs = this.#leases.accountedAtMs(row, true);
      const step = stepOfFullReport({ of: row.full_of, next: row.full_next }, report);
      const seats = this.#seatsFor(row, report, step, accountedMs);
      if (!this.#mayJoin(row, countUnbackedJoins(report, seats), nowMs)) {
        return { ok: true, commands: [{ type: "later", sequence: report.sequence, retryAfterMs: putOffMs }] };
      }
      const effects = applyReport({ ...report, full: step.kind === "complete" }, seats, accountedMs);
      if (row.seats + effects.seatsDelta > maxSeatsPerCluster) {
        return refuse("INVALID_FIELD", `joined: A cluster may have ${maxSeatsPerCluster} seats.`);
      }
      storage.transactionSync(() => {
        this.#store(row, report, effects, nowMs);
        this.#noteFull(row, report, step);
        if (overLink && step.kind === "complete") tables.setLinkAccounted(row.cluster_id);
      });
      failpoint("report.stored");
    } else {
      this.#leases.sign(row, nowMs);
    }
    const pace = dictatePace(this.#busy.note(row.cluster_id, nowMs), settings().reportIntervalMs);
    if (pace.reportIntervalMs !== row.report_interval) {
      reports.setReportInterval(row.cluster_id, pace.reportIntervalMs);
    }
    const ack: LinkAck = {
      type: "ack",
      sequence: Math.max(report.sequence, row.report_sequence),
      reportIntervalMs: pace.reportIntervalMs,
      ...(pace.gapMs === undefined ? {} : { gapMs: pace.gapMs }),
      ...(overLink && reports.isSettled(row.cluster_id) ? { quiet: true } : {}),
      ...(row.world === "" ? {} : { worldVersion: row.world_version }),
    };
    // Fences and cancellations go out with every acknowledgement until the cluster has reported that it is done.
    return { ok: true, commands: [ack, ...tabled.fencesOf(row.cluster_id), ...tabled.cancelsOf(row.cluster_id)] };
  }

  /**
   * Whether so many joins without a seat here may be taken. If not, the report is neither applied nor acknowledged: the cluster
   * comes again with all of it, and its sign of life counts.
   */
  #mayJoin(row: ClusterRow, unbacked: number, nowMs: number): boolean {
    const { cluster_id: clusterId } = row;
    const { outbox } = this.#parts;
    const waiting = unbacked === 0 ? 0 : outbox.pending(clusterId);
    if (waiting + unbacked <= maxPendingJoins && this.#joinBudget.take(clusterId, unbacked, nowMs)) return true;
    this.#leases.sign(row, nowMs);
    const count = this.#unbacked.add(clusterId, unbacked, nowMs);
    if (count !== undefined) logEvent("warn", "registry.joins_put_off", { clusterId, count });
    return false;
  }

  /** The player was never given the ticket that the cluster has reported: nobody joined. */
  forgetJoin(
    use: { readonly clusterId: string; readonly playerId: string; readonly reservationId: string },
    nowMs: number,
  ) {
    const { storage, tables, seats } = this.#parts;
    const { clusterId, playerId, reservationId } = use;
    const count = this.#unknown.add(clusterId, 1, nowMs);
    if (count !== undefined) logEvent("warn", "registry.unknown_tickets_used", { clusterId, count });
    const row = tables.cluster(clusterId);
    const seat = seats.at(clusterId, playerId);
    if (row === undefined || seat?.joined?.reservationId !== reservationId) return;
    const after = withoutJoin(seat, reservationId);
    const vacant = isVacant(after, this.#leases.accountedAtMs(row, false));
    storage.transactionSync(() => {
      if (vacant) seats.delete(clusterId, playerId);
      else seats.put(clusterId, after);
      tables.addOccupancy(clusterId, vacant ? -1 : 0, -1);
    });
  }

  #seatsFor(row: ClusterRow, report: LinkReport, step: FullStep, accountedMs: number): ReadonlyMap<string, Seat> {
    const { seats: tabled } = this.#parts;
    const isWhole = step.kind === "complete" && report.part === undefined;
    const seats = isWhole ? tabled.all(row.cluster_id) : tabled.ended(row.cluster_id, accountedMs);
    if (step.kind === "complete" && !isWhole) {
      // Those of earlier parts are in the game, and not needed here.
      seats.push(...tabled.unnamed(row.cluster_id, row.full_mark + (step.begins ? 1 : 0)));
    }
    const byPlayer = new Map(seats.map((seat) => [seat.playerId, seat]));
    for (const { playerId } of isWhole ? [] : [...report.joined, ...report.left, ...(report.cancelled ?? [])]) {
      const seat = byPlayer.has(playerId) ? undefined : tabled.at(row.cluster_id, playerId);
      if (seat !== undefined) byPlayer.set(playerId, seat);
    }
    return byPlayer;
  }

  /** While a full report is under way, all that is in the game is marked as it is named: what is not, in the end, has left. */
  #noteFull(row: ClusterRow, report: LinkReport, { progress, begins }: FullStep): void {
    const { cluster_id: clusterId } = row;
    const { seats, reports } = this.#parts;
    if (report.part === undefined && row.full_of === 0) return;
    const mark = row.full_mark + (begins ? 1 : 0);
    const named = report.joined.map(({ playerId }) => playerId);
    seats.mark(clusterId, named, mark);
    reports.setFullProgress(clusterId, progress, mark);
  }

  #store(row: ClusterRow, report: LinkReport, effects: ReportEffects, nowMs: number): void {
    const { tables, seats, outbox, records } = this.#parts;
    const { cluster_id: clusterId, shard } = row;
    for (const seat of effects.changed) seats.put(clusterId, seat);
    for (const playerId of effects.freed) seats.delete(clusterId, playerId);
    const ended = new Map(effects.ended.map((ref) => [ref.reservationId, ref]));
    for (const { playerId, reservationId, generation } of effects.used) {
      // Whether it was this player's ticket at all is for the session to say: until then nothing of it is put on record.
      const endedAtMs = ended.delete(reservationId) ? nowMs : undefined;
      const use = { reservationId, generation, clusterId, shard, atMs: nowMs, endedAtMs };
      outbox.put(playerId, { kind: "used", ...use }, clusterId);
    }
    for (const ref of ended.values()) records.left(clusterId, ref, nowMs);
    tables.noteReport(clusterId, report, effects, nowMs);
    this.#leases.sign(row, nowMs);
  }

  /** A player has given a seat back. It is free once the cluster says that the ticket joins no more, or the ticket ends. */
  giveBack(reservationId: string, playerId?: string): void {
    const { seats } = this.#parts;
    const places = seats.placesOf(reservationId, playerId);
    for (const held of places) seats.setGivenBack(held, reservationId);
    failpoint("release.noted");
    for (const held of places) {
      this.#tellCancelled(held.clusterId, seats.at(held.clusterId, held.playerId), reservationId);
    }
  }

  /** The cluster is to promise that a ticket joins no more. One that is not linked is told with its next acknowledgement. */
  #tellCancelled(clusterId: string, seat: Seat | undefined, reservationId: string): void {
    if (seat?.hold?.reservationId !== reservationId) return;
    const { playerId, hold } = seat;
    this.#parts.links.send(clusterId, [cancelOf(playerId, hold)]);
  }

  /**
   * A newer session of the player has authority: the cluster is to close its older one, and is told until it has. Where nobody is known to be in the
   * game it is told once: a handover may bring the older one there yet. One that comes all the same is fenced when it is reported.
   */
  fence(order: { readonly clusterId: string; readonly playerId: string; readonly generation: number }): void {
    const { seats, links } = this.#parts;
    const { clusterId, playerId, generation } = order;
    const seat = seats.at(clusterId, playerId);
    if (seat?.joined !== undefined) {
      if (seat.joined.generation >= generation) return;
      seats.put(clusterId, { ...seat, fence: Math.max(seat.fence ?? 0, generation) });
      failpoint("fence.noted");
    }
    links.send(clusterId, [{ type: "fence", playerId, generation }]);
  }
}

function noSuchCluster(clusterId: string): string {
  return `There is no cluster ${clusterId}. GET /v1/clusters lists those that there are.`;
}

/** What the cluster has said of tickets that start in this fragment, in seconds. */
function lifetimeIn(row: ClusterRow, fragment: string | undefined): number | undefined {
  if (fragment === undefined) return undefined;
  const lifetimes: Record<string, number> = JSON.parse(row.fragment_lifetimes);
  return Object.hasOwn(lifetimes, fragment) ? lifetimes[fragment] : undefined;
}

function allocatedCluster(row: ClusterRow): AllocatedCluster {
  const tls: AllocatedCluster["tls"] = JSON.parse(row.tls);
  return {
    id: row.cluster_id,
    name: row.name,
    host: row.host,
    port: row.port,
    tls,
    ...(row.wss_url === null ? {} : { wssUrl: row.wss_url }),
    boot: row.boot,
    protocol: { min: row.proto_min, max: row.proto_max },
  };
}
