import type { LinkAck, LinkCommand, LinkReport } from "../../protocol/index.ts";
import { exclusionOf, pickCluster } from "../domain/pick.ts";
import { maxReportsPerSecond, ReportBudget } from "../domain/report-budget.ts";
import { applyReport, type ReportEffects } from "../domain/reports.ts";
import { isVacant, maxSeatsPerCluster, reserveSeat, type Seat, withdrawHold } from "../domain/seats.ts";
import type { AllocatedCluster, SeatAnswer, SeatRequest } from "./seat-request.ts";
import { refuse, type Refusal } from "./refusal.ts";
import type { RegistryLeases } from "./registry-leases.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";

/** How many of the least loaded clusters are compared. */
const candidatePage = 16;

/** Gives seats and takes them back. Each method is one step without a wait in it, so no two can interleave. */
export class RegistrySeats {
  readonly #parts: ShardParts;
  readonly #leases: RegistryLeases;
  readonly #budget = new ReportBudget();

  constructor(parts: ShardParts, leases: RegistryLeases) {
    this.#parts = parts;
    this.#leases = leases;
  }

  /** The seat that the operation has, or a new one. Asking again gives the same. */
  reserve(request: SeatRequest, nowMs: number): SeatAnswer {
    const { tables } = this.#parts;
    const held = tables.holdOf(request.reservationId);
    const holder = held === undefined ? undefined : tables.cluster(held.clusterId);
    if (holder !== undefined) return this.#seatAt(holder, request, nowMs);
    return request.clusterId === undefined
      ? this.#reserveAnywhere(request, nowMs)
      : this.#reserveAt(request.clusterId, request, nowMs);
  }

  #reserveAt(clusterId: string, request: SeatRequest, nowMs: number): SeatAnswer {
    const row = this.#parts.tables.cluster(clusterId);
    if (row === undefined || row.state === "gone") {
      return refuse(
        "CLUSTER_NOT_FOUND",
        `There is no cluster ${clusterId}. GET /v1/clusters lists those that there are.`,
      );
    }
    const why = exclusionOf(candidateOf(row, this.#leases.isLive(row, nowMs)));
    if (why !== undefined && why !== "full") {
      return refuse("NO_CLUSTER_AVAILABLE", `The cluster ${clusterId} is ${why} now. Choose another one.`, 5);
    }
    return this.#seatAt(row, request, nowMs);
  }

  #reserveAnywhere(request: SeatRequest, nowMs: number): SeatAnswer {
    const { tables } = this.#parts;
    // A dead lease among the candidates makes all leases be looked at, which takes the dead ones out: twice is enough.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const candidates = tables.candidates(candidatePage).map((row) => candidateOf(row, true));
      const picked = pickCluster(candidates, Math.random);
      if (picked === undefined) break;
      if (this.#leases.isLive(picked.row, nowMs)) return this.#seatAt(picked.row, request, nowMs);
    }
    return refuse("NO_CLUSTER_AVAILABLE", "No cluster has room now. Try again shortly.", 5);
  }

  #seatAt(row: ClusterRow, request: SeatRequest, nowMs: number): SeatAnswer {
    const { storage, tables } = this.#parts;
    const expiresAt = Math.floor(nowMs / 1_000) + request.lifetimeSeconds;
    const before = tables.seat(row.cluster_id, request.playerId);
    const outcome = reserveSeat(row, before, { ...request, expiresAt });
    if (!outcome.ok) {
      return outcome.reason === "full"
        ? refuse("CLUSTER_FULL", `The cluster ${row.cluster_id} is full. Choose another one, or try again shortly.`, 5)
        : refuse("RESERVATION_CANCELLED", "A newer allocation of this player took its place. Allocate with a new key.");
    }
    storage.transactionSync(() => {
      tables.putSeat(row.cluster_id, outcome.seat);
      if (before === undefined) tables.addOccupancy(row.cluster_id, 1, 0);
    });
    return { ok: true, expiresAt, cluster: allocatedCluster(row) };
  }

  /** Takes back a reservation for which no ticket was handed out. */
  withdraw(reservationId: string): void {
    const { storage, tables } = this.#parts;
    const held = tables.holdOf(reservationId);
    const row = held === undefined ? undefined : tables.cluster(held.clusterId);
    const seat = held === undefined ? undefined : tables.seat(held.clusterId, held.playerId);
    if (row === undefined || seat === undefined) return;
    const after = withdrawHold(seat, reservationId);
    const vacant = isVacant(after, this.#leases.accountedAtMs(row, false));
    storage.transactionSync(() => {
      if (vacant) {
        tables.deleteSeat(row.cluster_id, seat.playerId);
        tables.addOccupancy(row.cluster_id, -1, 0);
      } else {
        tables.putSeat(row.cluster_id, after);
      }
    });
  }

  /** Applies a cluster's report; what the cluster is told in return. Repeating it is harmless. */
  report(
    row: ClusterRow,
    report: LinkReport,
    { overLink, nowMs }: { readonly overLink: boolean; readonly nowMs: number },
  ): { readonly ok: true; readonly commands: readonly LinkCommand[] } | Refusal {
    const { storage, tables, settings } = this.#parts;
    if (!this.#budget.take(row.cluster_id, nowMs)) {
      return refuse("RATE_LIMITED", `A cluster may report ${maxReportsPerSecond} times a second.`, 1);
    }
    const isNew = report.sequence > row.report_sequence;
    if (isNew) {
      const accountedMs = this.#leases.accountedAtMs(row, true);
      const effects = applyReport(report, this.#seatsFor(row, report, accountedMs), accountedMs);
      if (row.seats + effects.seatsDelta > maxSeatsPerCluster) {
        return refuse("INVALID_FIELD", `joined: A cluster may have ${maxSeatsPerCluster} seats.`);
      }
      storage.transactionSync(() => {
        this.#store(row, report, effects, nowMs);
        if (overLink && report.full) tables.setLinkAccounted(row.cluster_id);
      });
    } else {
      tables.renew(row.cluster_id, nowMs);
    }
    const ack: LinkAck = {
      type: "ack",
      sequence: Math.max(report.sequence, row.report_sequence),
      reportIntervalMs: settings().reportIntervalMs,
    };
    // Fences go out with every acknowledgement until the cluster reports the old sessions gone.
    return { ok: true, commands: [ack, ...tables.fencesOf(row.cluster_id)] };
  }

  #seatsFor(row: ClusterRow, report: LinkReport, accountedMs: number): ReadonlyMap<string, Seat> {
    const { tables } = this.#parts;
    const seats = report.full ? tables.seatsOf(row.cluster_id) : tables.endedSeats(row.cluster_id, accountedMs);
    const byPlayer = new Map(seats.map((seat) => [seat.playerId, seat]));
    for (const { playerId } of report.full ? [] : [...report.joined, ...report.left]) {
      const seat = byPlayer.has(playerId) ? undefined : tables.seat(row.cluster_id, playerId);
      if (seat !== undefined) byPlayer.set(playerId, seat);
    }
    return byPlayer;
  }

  #store(row: ClusterRow, report: LinkReport, effects: ReportEffects, nowMs: number): void {
    const { tables, outbox } = this.#parts;
    const { cluster_id: clusterId, shard } = row;
    for (const seat of effects.changed) tables.putSeat(clusterId, seat);
    for (const playerId of effects.freed) tables.deleteSeat(clusterId, playerId);
    for (const { playerId, reservationId, generation } of effects.used) {
      outbox.put(playerId, { kind: "used", reservationId, generation, clusterId, shard });
    }
    tables.noteReport(clusterId, report, nowMs);
    tables.addOccupancy(clusterId, effects.seatsDelta, effects.joinedDelta);
    tables.renew(clusterId, nowMs);
  }

  /** A newer session of the player has authority: the cluster is to close its older one, and is told until it has. */
  fence(order: { readonly clusterId: string; readonly playerId: string; readonly generation: number }): void {
    const { tables, links } = this.#parts;
    const { clusterId, playerId, generation } = order;
    const seat = tables.seat(clusterId, playerId);
    if (seat?.joined === undefined || seat.joined.generation >= generation) return;
    tables.putSeat(clusterId, { ...seat, fence: Math.max(seat.fence ?? 0, generation) });
    links.send(clusterId, [{ type: "fence", playerId, generation }]);
  }
}

function candidateOf(row: ClusterRow, live: boolean) {
  return {
    row,
    live,
    clusterId: row.cluster_id,
    capacity: row.capacity,
    seats: row.seats,
    joined: row.joined,
    players: row.players,
    locked: row.locked === 1,
    draining: row.draining === 1,
  };
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
