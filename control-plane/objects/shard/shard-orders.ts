import type { LinkCommand, LinkReport, RegisterRequest } from "../../../protocol/index.ts";
import {
  type ClusterOrders,
  ordersAtRegistration,
  ordersCommand,
  settingsInForce,
} from "../../domain/clusters/cluster-orders.ts";
import { logEvent } from "../../log.ts";
import type { OrderTables } from "./order-tables.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";

/** What operators have ordered, as a shard carries it out. Each method is one step without a wait in it. */
export class ShardOrders {
  readonly #parts: ShardParts;
  readonly #orders: OrderTables;

  constructor(parts: ShardParts) {
    this.#parts = parts;
    this.#orders = parts.orders;
  }

  /**
   * Takes orders if they are newer than those that are known here, and puts them into force at once. Orders are kept even where there is
   * no such cluster now: it may be about to register.
   *
   * @returns whether the cluster is here
   */
  take(clusterId: string, orders: ClusterOrders, nowMs: number): boolean {
    const { storage, tables, links, standings } = this.#parts;
    const row = tables.cluster(clusterId);
    const isHere = row !== undefined && row.state !== "gone";
    const before = this.#orders.orders(clusterId);
    if (orders.version <= before.version) return isHere;
    storage.transactionSync(() => {
      this.#orders.putOrders(clusterId, orders);
      if (isHere && isLeaving(before) !== isLeaving(orders)) this.#tellWorld(row, orders);
      if (row !== undefined) this.#putIntoForce(row, orders);
      standings.note(clusterId);
    });
    links.send(clusterId, [ordersCommand(orders, nowMs)]);
    return isHere;
  }

  /** Whether a cluster has its players taken over decides what it carries. [WORLD-6] */
  #tellWorld({ world, cluster_id: clusterId, boot }: ClusterRow, orders: ClusterOrders): void {
    if (world === "") return;
    const departure = { clusterId, boot, leaving: isLeaving(orders), ordersVersion: orders.version };
    this.#parts.outbox.put(world, { kind: "leave", departure });
  }

  /**
   * A process is about to end: nobody is sent there any more, and others take over what it carries. Holds until something registers in its
   * place, and does not end that; saying it again changes nothing. [WORLD-8]
   */
  noteEnd({ clusterId, boot }: { readonly clusterId: string; readonly boot: number }, endsByMs: number): void {
    const { storage, tables, outbox, standings } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row?.boot !== boot || row.ends_by > 0) return;
    const { world } = row;
    storage.transactionSync(() => {
      this.#orders.putEnd(clusterId, endsByMs);
      if (world !== "") outbox.put(world, { kind: "leave", departure: { clusterId, boot, ending: true } });
      this.#putIntoForce({ ...row, ends_by: endsByMs }, this.#orders.orders(clusterId));
      standings.note(clusterId);
    });
    logEvent("info", "registry.ending", { clusterId, boot });
  }

  /** A cluster has registered: its row has what it says of itself. To be called in the same transaction. */
  apply(
    clusterId: string,
    registration: { readonly keyId: string; readonly details: RegisterRequest },
    nowMs: number,
  ): void {
    const { keyId, details } = registration;
    this.#orders.putDeclared(clusterId, keyId, details);
    const row = this.#parts.tables.cluster(clusterId);
    const known = this.#orders.orders(clusterId);
    if (row === undefined || known.version === 0) return;
    const orders = ordersAtRegistration(known, nowMs);
    if (orders !== known) this.#orders.putOrders(clusterId, orders);
    this.#putIntoForce(row, orders);
  }

  #putIntoForce(row: ClusterRow, orders: ClusterOrders): void {
    const { tables, candidates } = this.#parts;
    const { cluster_id: clusterId } = row;
    const inForce = settingsInForce(this.#orders.declared(row), orders);
    this.#orders.putInForce(clusterId, {
      ...inForce,
      ticketLifetimeSeconds: inForce.ticketLifetimeSeconds,
      locked: orders.locked,
      draining: orders.drain !== null || row.ends_by > 0,
      joinRatePerSecond: inForce.joinRatePerSecond,
    });
    candidates.putFacts(clusterId, { ...inForce, gameBuild: row.game_build });
    // The load depends on the capacity.
    tables.addOccupancy(clusterId, 0, 0);
  }

  /** What a cluster that reports has to be told: its orders, until it says that it has them. */
  commandsFor(row: ClusterRow, report: LinkReport, nowMs: number): readonly LinkCommand[] {
    const orders = this.#orders.orders(row.cluster_id);
    if (orders.version === 0 || report.ordersVersion === orders.version) return [];
    return report.full || report.ordersVersion !== undefined ? [ordersCommand(orders, nowMs)] : [];
  }

  /**
   * A cluster ends itself: if it was told to drain, it has done so, and whatever registers next is a new process. To be called in a
   * transaction.
   *
   * @returns whether it was told to
   */
  endDrain(clusterId: string): boolean {
    const orders = this.#orders.orders(clusterId);
    if (orders.drain === null) return false;
    // Here at once, so that the order is not given again to a process that comes before the book has heard of it.
    this.#orders.putOrders(clusterId, { ...orders, drain: null });
    this.#parts.outbox.put(clusterId, { kind: "drain-ended", orderedAtMs: orders.drain.orderedAtMs });
    return true;
  }

  /** Whether a key may still register. */
  isRevoked(keyId: string): boolean {
    return this.#orders.isRevoked(keyId);
  }

  /**
   * A key is withdrawn: it is not taken any more, and processes that registered with it have to stop. Those of which it is not known,
   * as they registered with an earlier version of the master, have to register again. Repeating it is harmless.
   *
   * @param end takes a cluster off the list, within the transaction
   * @returns the clusters that were stopped
   */
  revokeKey(keyId: string, nowMs: number, end: (row: ClusterRow) => void): readonly string[] {
    const { storage, tables, registrations, links } = this.#parts;
    const revoked = this.#orders.clustersOfKey(keyId);
    const unknown = this.#orders.clustersOfKey("");
    storage.transactionSync(() => {
      this.#orders.putRevoked(keyId, nowMs);
      registrations.deleteClusterKey(keyId);
      for (const tokenHash of this.#orders.tokenHashesOfKey(keyId)) {
        registrations.noteFencedToken(tokenHash, "key-ended", nowMs);
      }
      for (const row of revoked) end(row);
      for (const row of unknown) tables.setGone(row.cluster_id);
    });
    for (const row of revoked) links.fence(row.cluster_id, "key-ended");
    for (const row of unknown) links.close(row.cluster_id, "REGISTER_AGAIN");
    logEvent("info", "registry.key_revoked", { keyId, clusters: revoked.length, unknown: unknown.length });
    return revoked.map((row) => row.cluster_id);
  }
}

function isLeaving({ drain }: ClusterOrders): boolean {
  return drain?.movePlayers === true;
}
