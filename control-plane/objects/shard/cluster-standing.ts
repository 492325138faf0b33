import { type ClusterTrigger, type KeptState, shownState, stateAfter } from "../../domain/clusters/cluster-states.ts";
import { logEvent } from "../../log.ts";
import { type ClusterRow, mayServe } from "./registry-rows.ts";
import { recordedCluster } from "./shard-records.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Changes the states of a shard's clusters; logs every change, and puts it on record. */
export class ClusterStanding {
  readonly #parts: Pick<ShardParts, "tables" | "records" | "announce" | "standings">;

  constructor(parts: Pick<ShardParts, "tables" | "records" | "announce" | "standings">) {
    this.#parts = parts;
  }

  /** Something has happened to a cluster. `because` is for the log. */
  apply(row: ClusterRow, event: ClusterTrigger, because: string = event): void {
    this.move(row, stateAfter(row.state, event, mayServe(row)), because);
  }

  /** The cluster has given a sign of life: it may be offered, if nothing else is in the way. */
  sign(row: ClusterRow, nowMs: number): void {
    this.#parts.tables.renew(row.cluster_id, nowMs);
    this.apply(row, "sign");
  }

  move(row: ClusterRow, to: KeptState, because: string): void {
    if (to === row.state) return;
    const { tables, records, standings } = this.#parts;
    if (to === "gone") tables.setGone(row.cluster_id);
    else tables.setState(row.cluster_id, to);
    standings.note(row.cluster_id);
    records.cluster(to, recordedCluster(row), Date.now());
    logMove(row, to, because);
    this.#parts.announce([
      { type: "cluster.state", subject: `cluster:${row.cluster_id}`, data: { state: to, because } },
    ]);
  }
}

/** The cluster is no more, or no more here. */
export function logLeft(row: ClusterRow, because: string): void {
  const to = stateAfter(row.state, "left", mayServe(row));
  if (to !== row.state) logMove(row, to, because);
}

/** @param row as it was before, if there was one */
export function logMove(
  row: Pick<ClusterRow, "cluster_id" | "draining"> & { readonly state: KeptState | "" },
  to: KeptState,
  because: string,
): void {
  const from = row.state === "" ? "" : shownState(row.state, row.draining === 1);
  const level = to === "suspect" ? "warn" : "info";
  logEvent(level, "registry.cluster_state", { clusterId: row.cluster_id, from, state: to, because });
}
