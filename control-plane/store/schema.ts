import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { auditOutcomes } from "../domain/audit-chain.ts";

/** Keys with which clusters may register. Times are milliseconds since 1970. */
export const clusterKeys = sqliteTable("cluster_keys", {
  /** RFC 7638 thumbprint of the public key. */
  keyId: text("key_id").primaryKey(),
  /** JWK as JSON: an Ed25519 public key. */
  publicJwk: text("public_jwk").notNull(),
  /** For operators. */
  name: text("name").notNull(),
  createdAtMs: integer("created_at").notNull(),
  revokedAtMs: integer("revoked_at"),
  /** When the key ends by itself: another has taken its place. */
  retiresAtMs: integer("retires_at"),
});

/** Players who have logged in here. */
export const players = sqliteTable("players", {
  /** The identity service's id. */
  id: text("id").primaryKey(),
  displayName: text("display_name").notNull(),
  createdAtMs: integer("created_at").notNull(),
  lastSeenAtMs: integer("last_seen_at").notNull(),
});

/** The audit log, row by row as its one writer made it: see control-plane/domain/audit-chain.ts. */
export const auditLog = sqliteTable(
  "audit_log",
  {
    sequence: integer("sequence").primaryKey(),
    atMs: integer("at").notNull(),
    actor: text("actor").notNull(),
    action: text("action").notNull(),
    target: text("target").notNull(),
    /** JSON with its keys in order. */
    details: text("details").notNull(),
    requestId: text("request_id").notNull(),
    outcome: text("outcome", { enum: auditOutcomes }).notNull(),
    intent: integer("intent"),
    previousHash: text("previous_hash").notNull(),
    hash: text("hash").notNull(),
  },
  (table) => [
    index("audit_log_by_actor").on(table.actor, table.sequence),
    index("audit_log_by_target").on(table.target, table.sequence),
  ],
);
