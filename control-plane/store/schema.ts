import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { auditOutcomes } from "../domain/operators/audit-chain.ts";

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

/** The audit log, row by row as its one writer made it: see control-plane/domain/operators/audit-chain.ts. */
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
/** Who was given a seat where, and what came of it. Kept for as long as RECORDS_RETENTION_DAYS says. */
export const allocations = sqliteTable(
  "allocations",
  {
    reservationId: text("reservation_id").primaryKey(),
    playerId: text("player_id").notNull(),
    clusterId: text("cluster_id").notNull(),
    /** Empty until the record of the allocation itself has come. */
    clusterName: text("cluster_name").notNull(),
    region: text("region").notNull(),
    generation: integer("generation").notNull(),
    /** When the seat was given; as long as only its use is known, when that was reported. */
    allocatedAtMs: integer("allocated_at").notNull(),
    expiresAtMs: integer("expires_at"),
    joinedAtMs: integer("joined_at"),
    leftAtMs: integer("left_at"),
  },
  (table) => [
    index("allocations_by_player").on(table.playerId, table.allocatedAtMs),
    index("allocations_by_cluster").on(table.clusterId, table.allocatedAtMs),
    index("allocations_by_time").on(table.allocatedAtMs),
  ],
);

/** What was saved last of each player: a copy of what the player's session holds. */
export const playerSaves = sqliteTable("player_saves", {
  playerId: text("player_id").primaryKey(),
  generation: integer("generation").notNull(),
  version: integer("version").notNull(),
  /** Base64. */
  state: text("state").notNull(),
  savedAtMs: integer("saved_at").notNull(),
});

/** What became of clusters, and when. Kept for as long as RECORDS_RETENTION_DAYS says. */
export const clusterEvents = sqliteTable(
  "cluster_events",
  {
    eventId: text("event_id").primaryKey(),
    clusterId: text("cluster_id").notNull(),
    event: text("event").notNull(),
    clusterName: text("cluster_name").notNull(),
    shard: text("shard").notNull(),
    boot: integer("boot").notNull(),
    atMs: integer("at").notNull(),
  },
  (table) => [
    index("cluster_events_by_cluster").on(table.clusterId, table.atMs),
    index("cluster_events_by_time").on(table.atMs),
  ],
);

/** Players who have deleted their account: records of them that were still on their way when they did are not kept. */
export const erasedPlayers = sqliteTable("erased_players", {
  id: text("id").primaryKey(),
  erasedAtMs: integer("erased_at").notNull(),
  /** The least generation that a ticket from after it can have. 0 of one that a release before this one has noted. */
  minGeneration: integer("min_generation").notNull().default(0),
});

/** Bans as they were given, for people to look up. Who is banned, the player's session decides. */
export const bans = sqliteTable(
  "bans",
  {
    id: text("id").primaryKey(),
    playerId: text("player_id").notNull(),
    reason: text("reason").notNull(),
    note: text("note").notNull(),
    untilMs: integer("until"),
    bannedAtMs: integer("banned_at").notNull(),
    bannedBy: text("banned_by").notNull(),
    liftedAtMs: integer("lifted_at"),
    liftedBy: text("lifted_by"),
  },
  (table) => [
    index("bans_by_player").on(table.playerId, table.bannedAtMs),
    index("bans_by_time").on(table.bannedAtMs, table.id),
  ],
);

/** A copy of the key ring, private halves encrypted, for the day on which its object is lost. */
export const signingKeys = sqliteTable("signing_keys", {
  kid: text("kid").primaryKey(),
  /** As the ring stores it, JSON. */
  record: text("record").notNull(),
  /** Of the ring, when this was copied. */
  version: integer("version").notNull(),
  copiedAtMs: integer("copied_at").notNull(),
  /** Set once the ring has it no more. */
  droppedAtMs: integer("dropped_at"),
});
