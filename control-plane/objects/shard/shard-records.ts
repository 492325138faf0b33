import type { SeatRef } from "../../../protocol/index.ts";
import { toBase64Url } from "../../domain/clusters/sharding.ts";
import type { ClusterEventName } from "../../domain/store-record.ts";
import type { RecordOutbox } from "../records/record-outbox.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { SeatRequest } from "./seat-request.ts";

/** What a shard puts on record of its clusters and seats. To be called in the transaction that changes them, but for {@link ShardRecords.reserved}. */
export class ShardRecords {
  readonly #outbox: RecordOutbox;

  constructor(outbox: RecordOutbox) {
    this.#outbox = outbox;
  }

  /**
   * A seat was given. To be called whenever it is, before the answer: whoever asks again for the same seat may not have come this far, and its
   * record is the same.
   */
  reserved(row: ClusterRow, request: SeatRequest, times: { nowMs: number; expiresAt: number }): void {
    const { reservationId, playerId, generation } = request;
    this.#outbox.put({
      kind: "allocation",
      reservationId,
      playerId,
      clusterId: row.cluster_id,
      clusterName: row.name,
      region: row.region,
      generation,
      atMs: times.nowMs,
      expiresAtMs: times.expiresAt * 1_000,
    });
  }

  /** The player's session has confirmed a join. */
  joined(clusterId: string, region: string, ref: SeatRef, atMs: number): void {
    const { reservationId, playerId, generation } = ref;
    this.#outbox.put({ kind: "join", reservationId, playerId, clusterId, region, generation, atMs });
  }

  left(clusterId: string, ref: Pick<SeatRef, "reservationId" | "playerId">, atMs: number): void {
    const { reservationId, playerId } = ref;
    this.#outbox.put({ kind: "leave", reservationId, playerId, clusterId, atMs });
  }

  cluster(
    event: ClusterEventName,
    of: { readonly clusterId: string; readonly name: string; readonly shard: string; readonly boot: number },
    atMs: number,
  ): void {
    const { clusterId, name: clusterName, shard, boot } = of;
    const eventId = toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
    this.#outbox.put({ kind: "cluster", eventId, event, clusterId, clusterName, shard, boot, atMs });
  }
}

/** A cluster as it is on record. */
export function recordedCluster(row: ClusterRow) {
  return { clusterId: row.cluster_id, name: row.name, shard: row.shard, boot: row.boot };
}
