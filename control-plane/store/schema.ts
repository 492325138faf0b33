import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

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
});

/** Players who have logged in here. */
export const players = sqliteTable("players", {
  /** The identity service's id. */
  id: text("id").primaryKey(),
  displayName: text("display_name").notNull(),
  createdAtMs: integer("created_at").notNull(),
  lastSeenAtMs: integer("last_seen_at").notNull(),
});
