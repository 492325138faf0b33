import { DurableObject } from "cloudflare:workers";
import {
  type ClusterOrders,
  type DrainOrder,
  noOrders,
  type OrderedSettings,
} from "../../domain/clusters/cluster-orders.ts";
import { shardsForCluster } from "../../domain/clusters/sharding.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { readMasterSettings } from "../../settings.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { announce } from "./events.ts";
import { Outbox, outboxSchema, type OutboxMessage, outboxSourceSchema } from "../outbox.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { registryShard } from "../remote.ts";
import { migrateStorage, migrateStored } from "../schema.ts";

/** Append-only: see `migrateStorage`. */
export const orderBookMigrations: readonly string[] = [
  `
  CREATE TABLE book (cluster_id TEXT NOT NULL, body TEXT NOT NULL) STRICT;
  ${outboxSchema}
  ${outboxSourceSchema}
  `,
];

/** What is to change; what is left out stays as it is. */
export interface OrderChange {
  readonly locked?: boolean | undefined;
  readonly drain?: DrainOrder | null | undefined;
  /** All of them anew. */
  readonly settings?: OrderedSettings | undefined;
}

export type OrderAnswer = { readonly ok: true; readonly orders: ClusterOrders } | Refusal;

/**
 * What operators have ordered of one cluster, for good: a cluster may register at another shard tomorrow. Shards have copies, and ask here
 * when the cluster registers. See docs/adr/0010-orders-of-clusters.md.
 */
export class ClusterOrderBook extends DurableObject<Env> {
  readonly #outbox: Outbox<ClusterOrders>;
  #isKnown: boolean;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    // A cluster of which nothing was ever ordered stores nothing, however often its shard asks.
    this.#isKnown = migrateStored(context.storage, orderBookMigrations);
    this.#outbox = new Outbox<ClusterOrders>(context.storage.sql, Date.now, (message) => this.#deliver(message));
  }

  current(): ClusterOrders {
    const row = this.#isKnown
      ? this.ctx.storage.sql.exec<{ body: string }>("SELECT body FROM book").toArray()[0]
      : undefined;
    if (row === undefined) return noOrders;
    const orders: ClusterOrders = JSON.parse(row.body);
    return orders;
  }

  /**
   * Changes the orders, and tells every shard at which the cluster may be. When this answers, the change is durable; shards that could be
   * reached have it.
   *
   * @param ifVersion refuse if somebody else has changed them since
   */
  async change(clusterId: string, change: OrderChange, ifVersion?: number): Promise<OrderAnswer> {
    const before = this.current();
    if (ifVersion !== undefined && before.version !== ifVersion) {
      return refuse("ORDERS_CHANGED", `The version is ${before.version} now, not ${ifVersion}. Read it again.`);
    }
    const orders: ClusterOrders = {
      version: before.version + 1,
      locked: change.locked ?? before.locked,
      drain: change.drain === undefined ? before.drain : change.drain,
      settings: change.settings ?? before.settings,
    };
    await this.#put(clusterId, orders);
    return { ok: true, orders };
  }

  /** A cluster that was told to drain has ended. Whatever registers next is a new process. Repeating it is harmless. */
  async drainEnded(clusterId: string, orderedAtMs: number): Promise<void> {
    const orders = this.current();
    // Another one since: it is not the one that was carried out.
    if (orders.drain?.orderedAtMs !== orderedAtMs) return;
    await this.#put(clusterId, { ...orders, version: orders.version + 1, drain: null });
  }

  async #put(clusterId: string, orders: ClusterOrders): Promise<void> {
    if (!this.#isKnown) migrateStorage(this.ctx.storage, orderBookMigrations);
    this.#isKnown = true;
    const { sql } = this.ctx.storage;
    this.ctx.storage.transactionSync(() => {
      sql.exec("DELETE FROM book");
      sql.exec("INSERT INTO book (cluster_id, body) VALUES (?, ?)", clusterId, JSON.stringify(orders));
      // Newer orders say all that older ones did.
      sql.exec("DELETE FROM outbox");
      for (const shard of shardsForCluster(readMasterSettings(this.env).shards, clusterId)) {
        this.#outbox.put(shard, orders);
      }
    });
    failpoint("orders.recorded");
    await this.#schedule();
    failpoint("orders.scheduled");
    await this.#outbox.deliverDue();
    announce(this.env, (work) => this.ctx.waitUntil(work), [
      {
        type: "cluster.orders",
        subject: `cluster:${clusterId}`,
        data: { version: orders.version, locked: orders.locked, draining: orders.drain !== null },
      },
    ]);
    logEvent("info", "orders.changed", { clusterId, version: orders.version });
  }

  override async alarm(): Promise<void> {
    try {
      if (!this.#isKnown) return;
      await this.#outbox.deliverDue();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  async #schedule(): Promise<void> {
    await wakeAt(this.ctx.storage, [this.#outbox.nextDueAtMs()]);
  }

  async #deliver({ target, payload }: OutboxMessage<ClusterOrders>): Promise<void> {
    const row = this.ctx.storage.sql.exec<{ cluster_id: string }>("SELECT cluster_id FROM book").one();
    const told = registryShard(this.env, target).takeOrders(row.cluster_id, payload);
    await withDeadline(told, objectCallTimeoutMs, "a registry shard");
    failpoint("orders.delivered");
  }
}
