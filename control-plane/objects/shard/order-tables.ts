import { type ClusterOrders, type DeclaredSettings, noOrders } from "../../domain/clusters/cluster-orders.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { Sql } from "./cluster-memory.ts";

/** Part of the schema of a registry shard. `declared` is JSON of what the cluster has said of itself. */
export const orderSchema = `
  ALTER TABLE clusters ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
  ALTER TABLE clusters ADD COLUMN declared TEXT NOT NULL DEFAULT '';
  CREATE INDEX clusters_by_key ON clusters (key_id);
  CREATE TABLE cluster_orders (
    cluster_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE revoked_keys (key_id TEXT PRIMARY KEY, revoked_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** The SQL of what operators have ordered, at a shard: rows in, rows out, no rules. */
export class OrderTables {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  orders(clusterId: string): ClusterOrders {
    const row = this.#sql
      .exec<{ body: string }>("SELECT body FROM cluster_orders WHERE cluster_id = ?", clusterId)
      .toArray()[0];
    if (row === undefined) return noOrders;
    const orders: ClusterOrders = JSON.parse(row.body);
    return orders;
  }

  putOrders(clusterId: string, orders: ClusterOrders): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO cluster_orders (cluster_id, version, body) VALUES (?, ?, ?)",
      clusterId,
      orders.version,
      JSON.stringify(orders),
    );
  }

  /** What the cluster of a row has said of itself. A row of an earlier version knows no other than what is in force. */
  declared(row: ClusterRow): DeclaredSettings {
    if (row.declared !== "") {
      const declared: DeclaredSettings = JSON.parse(row.declared);
      return declared;
    }
    const tags: string[] = JSON.parse(row.tags);
    const labels: Record<string, string> = JSON.parse(row.labels);
    const { capacity, ticket_lifetime: lifetime, join_rate: rate } = row;
    return {
      capacity,
      tags,
      labels,
      ...(lifetime === null ? {} : { ticketLifetimeSeconds: lifetime }),
      ...(rate === null ? {} : { joinRatePerSecond: rate }),
    };
  }

  putDeclared(clusterId: string, keyId: string, declared: DeclaredSettings): void {
    const { capacity, tags, labels, ticketLifetimeSeconds, joinRatePerSecond } = declared;
    const text = JSON.stringify({ capacity, tags, labels, ticketLifetimeSeconds, joinRatePerSecond });
    this.#sql.exec("UPDATE clusters SET key_id = ?, declared = ? WHERE cluster_id = ?", keyId, text, clusterId);
  }

  /** Puts what is in force into a cluster's row. */
  putInForce(
    clusterId: string,
    values: {
      readonly locked: boolean;
      readonly draining: boolean;
      readonly capacity: number;
      readonly tags: readonly string[];
      readonly labels: Readonly<Record<string, string>>;
      readonly ticketLifetimeSeconds: number | undefined;
      readonly joinRatePerSecond: number | undefined;
    },
  ): void {
    this.#sql.exec(
      `UPDATE clusters SET locked = ?, draining = ?, capacity = ?, tags = ?, labels = ?, ticket_lifetime = ?, join_rate = ?
       WHERE cluster_id = ?`,
      values.locked ? 1 : 0,
      values.draining ? 1 : 0,
      values.capacity,
      JSON.stringify(values.tags),
      JSON.stringify(values.labels),
      values.ticketLifetimeSeconds ?? null,
      values.joinRatePerSecond ?? null,
      clusterId,
    );
  }

  /** The process that is registered is about to end. */
  putEnd(clusterId: string, endsByMs: number): void {
    this.#sql.exec("UPDATE clusters SET ends_by = ? WHERE cluster_id = ?", endsByMs, clusterId);
  }

  isRevoked(keyId: string): boolean {
    return this.#sql.exec("SELECT 1 FROM revoked_keys WHERE key_id = ?", keyId).toArray().length > 0;
  }

  putRevoked(keyId: string, nowMs: number): void {
    this.#sql.exec("INSERT OR IGNORE INTO revoked_keys (key_id, revoked_at) VALUES (?, ?)", keyId, nowMs);
  }

  /** The clusters that are not gone and have registered with this key; with '', those of which it is not known. */
  clustersOfKey(keyId: string): ClusterRow[] {
    return this.#sql.exec<ClusterRow>("SELECT * FROM clusters WHERE key_id = ? AND state <> 'gone'", keyId).toArray();
  }

  /** The hashes of the tokens of all that registered with this key, also of those that are gone: by it they may still save. */
  tokenHashesOfKey(keyId: string): string[] {
    return this.#sql
      .exec<{ token_hash: string }>("SELECT token_hash FROM clusters WHERE key_id = ?", keyId)
      .toArray()
      .map((row) => row.token_hash);
  }
}
