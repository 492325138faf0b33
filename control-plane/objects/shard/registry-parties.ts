import type { AllocateRequest } from "../../../protocol/index.ts";
import { holdForParty } from "../../domain/parties/party-seats.ts";
import { freePlaces, isVacant, withdrawHold } from "../../domain/clusters/seats.ts";
import type { QueuePass } from "../../domain/waiting/waiting-gate.ts";
import { failpoint } from "../../failpoint.ts";
import type { ClusterCandidates } from "./cluster-candidates.ts";
import { refuse, type Refusal } from "../refusal.ts";
import type { RegistryLeases } from "./registry-leases.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Seats for all members of a party at once. */
export interface HoldRequest {
  /** Names the hold: asking again for the same one gives the same seats. */
  readonly holdId: string;
  readonly playerIds: readonly string[];
  /** Until when the seats are held, in ms. */
  readonly untilMs: number;
  readonly wish: AllocateRequest;
  readonly pass?: QueuePass | undefined;
}

export type HoldAnswer =
  | {
      readonly ok: true;
      readonly clusterId: string;
      readonly clusterName: string;
      readonly playerIds: readonly string[];
    }
  | Refusal;

/** Holds seats for parties: for all of its members on one cluster, in one step, or for none. */
export class RegistryParties {
  readonly #parts: ShardParts;
  readonly #leases: RegistryLeases;
  readonly #candidates: ClusterCandidates;

  constructor(parts: ShardParts, leases: RegistryLeases, candidates: ClusterCandidates) {
    this.#parts = parts;
    this.#leases = leases;
    this.#candidates = candidates;
  }

  hold(request: HoldRequest, nowMs: number): HoldAnswer {
    const held = this.#holdOn(request, nowMs);
    if (held !== undefined) return held;
    const { clusterId } = request.wish;
    return clusterId === undefined ? this.#holdAnywhere(request, nowMs) : this.#holdAt(clusterId, request, nowMs);
  }

  /**
   * What is held already, for as long as this request says: who claims it is told so. Once its time is up, it is all of it or nothing: others' seats may
   * be gone while those of members who are in the game stay. Seats of a cluster that is gone are held for nobody.
   */
  #holdOn({ holdId, playerIds: wanted, untilMs }: HoldRequest, nowMs: number): HoldAnswer | undefined {
    const { storage, tables, seats } = this.#parts;
    for (const [clusterId, places] of Map.groupBy(seats.holdersOf(holdId), (place) => place.clusterId)) {
      const row = tables.cluster(clusterId);
      if (row === undefined || row.state === "gone") continue;
      const held = places.flatMap(({ playerId }) => seats.at(clusterId, playerId) ?? []);
      const playerIds = held.map(({ playerId }) => playerId);
      const isInTime = held.some(({ hold }) => hold !== undefined && hold.untilMs > nowMs);
      if (!isInTime && !wanted.every((playerId) => playerIds.includes(playerId))) continue;
      storage.transactionSync(() => {
        for (const seat of held) {
          seats.put(clusterId, holdForParty(seat, { holdId, playerId: seat.playerId, untilMs }));
        }
      });
      return seatsHeld(row, playerIds);
    }
    return undefined;
  }

  #holdAnywhere(request: HoldRequest, nowMs: number): HoldAnswer {
    const { wish, pass, playerIds } = request;
    const { row } = this.#candidates.pick(wish, { pass, places: playerIds.length }, nowMs);
    if (row !== undefined) return this.#take(row, request, nowMs);
    const detail = `No cluster has room for ${playerIds.length} now. Try again shortly.`;
    return { ...refuse("NO_CLUSTER_AVAILABLE", detail, 5), waitable: true };
  }

  #holdAt(clusterId: string, request: HoldRequest, nowMs: number): HoldAnswer {
    const row = this.#parts.tables.cluster(clusterId);
    if (row === undefined || row.state === "gone") {
      return refuse(
        "CLUSTER_NOT_FOUND",
        `There is no cluster ${clusterId}. GET /v1/clusters lists those that there are.`,
      );
    }
    const why = this.#candidates.refusalOf(row, request.wish, nowMs);
    if (why !== undefined)
      return refuse("NO_CLUSTER_AVAILABLE", `The cluster ${clusterId} ${why}. Choose another one.`, 5);
    const { length: size } = request.playerIds;
    if (row.capacity > 0 && row.capacity < size) {
      const detail = `The cluster ${clusterId} takes ${row.capacity} players, and the party has ${size}. Choose another one.`;
      return refuse("PARTY_TOO_LARGE", detail);
    }
    if (this.#candidates.withheld(row, { pass: request.pass }, nowMs) === undefined)
      return this.#take(row, request, nowMs);
    const detail = `The cluster ${clusterId} has others waiting, or takes no more for a moment. Try again shortly.`;
    return { ...refuse("CLUSTER_FULL", detail, 2), waitable: true };
  }

  #take(row: ClusterRow, { holdId, playerIds, untilMs }: HoldRequest, nowMs: number): HoldAnswer {
    const { storage, tables, seats } = this.#parts;
    const { cluster_id: clusterId } = row;
    const before = playerIds.map((playerId) => ({ playerId, seat: seats.at(clusterId, playerId) }));
    const added = before.filter(({ seat }) => seat === undefined).length;
    if (freePlaces(row) < added) {
      const detail = `The cluster ${clusterId} has no room for ${added} more. Choose another one, or try again shortly.`;
      return { ...refuse("CLUSTER_FULL", detail, 5), waitable: true };
    }
    storage.transactionSync(() => {
      for (const { playerId, seat } of before) seats.put(clusterId, holdForParty(seat, { holdId, playerId, untilMs }));
      if (added > 0) tables.addSeats(clusterId, added, nowMs);
    });
    failpoint("party.reserved");
    return seatsHeld(row, playerIds);
  }

  /** Gives back the seats that are still held: of these players, or all. No ticket was made for them. */
  release(holdId: string, playerIds?: readonly string[]): void {
    const { storage, tables, seats } = this.#parts;
    storage.transactionSync(() => {
      for (const { clusterId, playerId } of seats.holdersOf(holdId)) {
        if (playerIds !== undefined && !playerIds.includes(playerId)) continue;
        const row = tables.cluster(clusterId);
        const seat = seats.at(clusterId, playerId);
        if (row === undefined || seat === undefined) continue;
        const after = withdrawHold(seat, holdId);
        if (!isVacant(after, this.#leases.accountedAtMs(row, false))) {
          seats.put(clusterId, after);
          continue;
        }
        seats.delete(clusterId, playerId);
        tables.addOccupancy(clusterId, -1, 0);
      }
    });
  }
}

function seatsHeld(row: ClusterRow, playerIds: readonly string[]): HoldAnswer {
  return { ok: true, clusterId: row.cluster_id, clusterName: row.name, playerIds };
}
