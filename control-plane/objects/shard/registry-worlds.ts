import type { RegisterRequest } from "../../../protocol/index.ts";
import { ordersAtRegistration } from "../../domain/clusters/cluster-orders.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";
import type { WorldNotice } from "../world/world-map.ts";

/** What a shard knows of its clusters' worlds: who of them carries what. Decision: docs/adr/0012-world-map.md. */
export class RegistryWorlds {
  readonly #parts: ShardParts;

  constructor(parts: ShardParts) {
    this.#parts = parts;
  }

  /**
   * A cluster has registered, and its row is as operators have ordered: part of that transaction. `previous` is its row before, if
   * there was one. [WORLD-3]
   */
  noteRegistration(
    registration: { readonly clusterId: string; readonly shard: string; readonly boot: number; readonly nowMs: number },
    { world, tls }: Pick<RegisterRequest, "world" | "tls">,
    previous: ClusterRow | undefined,
  ): void {
    const { tables, candidates, orders, outbox, standings } = this.#parts;
    const { clusterId, shard, boot, nowMs } = registration;
    const name = world?.name ?? "";
    if (previous !== undefined && previous.world !== "" && previous.world !== name) this.noteEnd(previous);
    const lifetimes = new Map<string, number>();
    for (const { name: fragment, ticketLifetimeSeconds } of world?.fragments ?? []) {
      if (ticketLifetimeSeconds !== undefined) lifetimes.set(fragment, ticketLifetimeSeconds);
    }
    tables.setFragmentLifetimes(clusterId, lifetimes);
    const announced = (world?.fragments ?? []).map((area) => area.name);
    if (name === "") {
      candidates.putFragments(clusterId, announced);
      tables.setWorld(clusterId, { world: "", version: 0, standby: false });
      return;
    }
    const before = previous?.world === name ? candidates.fragmentsOf(clusterId) : [];
    const carried = before.filter((fragment) => announced.includes(fragment));
    candidates.putFragments(clusterId, carried);
    const version = previous?.world === name ? previous.world_version : 0;
    tables.setWorld(clusterId, { world: name, version, standby: carried.length === 0 });
    const peer = world?.peer === undefined ? undefined : { ...world.peer, tls };
    const fragments = world?.fragments ?? [];
    const { drain, version: ordersVersion } = ordersAtRegistration(orders.orders(clusterId), nowMs);
    const leaving = drain?.movePlayers === true;
    const standing = standings.announced(clusterId);
    const announcement = { clusterId, boot, shard, fragments, peer, leaving, ordersVersion, ...standing };
    outbox.put(name, { kind: "announce", announcement });
  }

  /** A cluster is no more, or no more here: part of that transaction. */
  noteEnd(row: ClusterRow): void {
    if (row.world === "") return;
    this.#parts.outbox.put(row.world, { kind: "withdraw", clusterId: row.cluster_id, boot: row.boot });
  }

  /** The world's word on who carries what. Older word, and word about an older process, changes nothing. [WORLD-4] */
  apply({ world, version, clusters }: WorldNotice): void {
    const { storage, tables, candidates, links } = this.#parts;
    storage.transactionSync(() => {
      for (const { clusterId, boot, carried } of clusters) {
        const row = tables.cluster(clusterId);
        if (row?.world !== world || row.state === "gone" || row.boot !== boot || row.world_version > version) continue;
        candidates.putFragments(clusterId, carried);
        tables.setWorld(clusterId, { world, version, standby: carried.length === 0 });
        links.send(clusterId, [{ type: "world", version }]);
      }
    });
  }
}
