import type { ReachFault } from "../../../protocol/index.ts";
import type { KeptState } from "../../domain/clusters/cluster-states.ts";
import type { JoinRate } from "../../domain/allocation/join-rate.ts";
import { orderSchema } from "./order-tables.ts";
import { outboxSchema, outboxSourceSchema } from "../outbox.ts";
import { recordNumberSchema, recordOutboxSchema } from "../records/record-outbox.ts";
import { keyRepeatsSchema, registryKeysSchema } from "./registry-keys.ts";
import { revocationSchema } from "./revocation-tables.ts";
import { seatSchema } from "./seat-tables.ts";
import { worldStandingSchema } from "./world-standings.ts";

/** Append-only: see `migrateStorage`. Times are milliseconds since 1970. */
export const registryMigrations: readonly string[] = [
  `
  CREATE TABLE clusters (
    cluster_id TEXT PRIMARY KEY,
    shard TEXT NOT NULL,
    boot INTEGER NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    locked INTEGER NOT NULL DEFAULT 0,
    draining INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    wss_url TEXT,
    tls TEXT NOT NULL,
    tags TEXT NOT NULL,
    software TEXT NOT NULL,
    proto_min INTEGER NOT NULL,
    proto_max INTEGER NOT NULL,
    capacity INTEGER NOT NULL,
    seats INTEGER NOT NULL DEFAULT 0,
    joined INTEGER NOT NULL DEFAULT 0,
    players INTEGER NOT NULL DEFAULT 0,
    load REAL NOT NULL DEFAULT 0,
    renewed_at INTEGER NOT NULL,
    linked INTEGER NOT NULL DEFAULT 0,
    link_accounted INTEGER NOT NULL DEFAULT 0,
    report_sequence INTEGER NOT NULL DEFAULT 0,
    reported_at INTEGER NOT NULL DEFAULT 0,
    previous_report_at INTEGER NOT NULL DEFAULT 0,
    registered_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX clusters_by_load ON clusters (state, locked, draining, load);

  CREATE TABLE seats (
    cluster_id TEXT NOT NULL,
    player_id TEXT NOT NULL,
    joined_reservation TEXT,
    joined_generation INTEGER,
    hold_reservation TEXT,
    hold_generation INTEGER,
    hold_until INTEGER,
    earlier_until INTEGER NOT NULL DEFAULT 0,
    fence INTEGER,
    tickets_until INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, player_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX seats_by_hold ON seats (hold_reservation) WHERE hold_reservation IS NOT NULL;
  CREATE INDEX seats_by_end ON seats (cluster_id, tickets_until) WHERE joined_generation IS NULL;
  CREATE INDEX seats_by_fence ON seats (cluster_id) WHERE fence IS NOT NULL;

  CREATE TABLE fenced_tokens (token_hash TEXT PRIMARY KEY, fenced_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE cluster_keys (key_id TEXT PRIMARY KEY, x TEXT NOT NULL, checked_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE assertions (jti TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX assertions_by_expiry ON assertions (expires_at);
  CREATE TABLE regions (region TEXT PRIMARY KEY, noted_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE sweep (next_at INTEGER NOT NULL) STRICT;
  ${outboxSchema}
  `,
  // How often each key has registered lately: see `useAssertion`.
  `
  CREATE TABLE registrations (key_id TEXT PRIMARY KEY, windows TEXT NOT NULL, forget_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX registrations_by_end ON registrations (forget_at);
  `,
  // What clusters are selected by, and how loaded those without a limit are. A ticket lifetime that is NULL is the master's own.
  `
  ALTER TABLE clusters ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE clusters ADD COLUMN counters TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE clusters ADD COLUMN game_build TEXT NOT NULL DEFAULT '';
  ALTER TABLE clusters ADD COLUMN ticket_lifetime INTEGER;
  ALTER TABLE clusters ADD COLUMN tick_ms REAL;
  CREATE TABLE facets (
    facet TEXT NOT NULL,
    cluster_id TEXT NOT NULL REFERENCES clusters (cluster_id) ON DELETE CASCADE,
    PRIMARY KEY (facet, cluster_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX facets_by_cluster ON facets (cluster_id);
  CREATE INDEX clusters_without_limit ON clusters (state, locked, draining, load) WHERE capacity = 0;
  INSERT OR IGNORE INTO facets (facet, cluster_id)
    SELECT 'tag' || char(10) || tag.value, cluster_id FROM clusters, json_each(clusters.tags) AS tag;
  `,
  // Which key has brought a region: see `admitsRegion`.
  `
  ALTER TABLE regions ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
  `,
  outboxSourceSchema,
  recordOutboxSchema,
  // Which world a cluster is in, what of it it can carry, and which version of the map was last heard. What it does carry is in `facets`.
  `
  ALTER TABLE clusters ADD COLUMN world TEXT NOT NULL DEFAULT '';
  ALTER TABLE clusters ADD COLUMN world_version INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN standby INTEGER NOT NULL DEFAULT 0;
  `,
  // Seconds by fragment, where a ticket's lifetime is not the cluster's own.
  "ALTER TABLE clusters ADD COLUMN fragment_lifetimes TEXT NOT NULL DEFAULT '{}';",
  // Whether a cluster's link broke, and whether its address was reached: see `stateAfter`.
  `
  ALTER TABLE clusters ADD COLUMN link_lost_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN reached INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE clusters ADD COLUMN probed_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN probe_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN probe_failures INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN probe_fault TEXT NOT NULL DEFAULT '';
  CREATE INDEX clusters_by_lost_link ON clusters (link_lost_at) WHERE link_lost_at > 0;
  CREATE INDEX clusters_by_probe ON clusters (probe_at) WHERE probe_at > 0;
  `,
  // How fast a cluster may be filled (see `JoinRate`), and the queues that wait for seats of this shard (see `QueueGate`).
  `
  ALTER TABLE clusters ADD COLUMN join_rate REAL;
  ALTER TABLE clusters ADD COLUMN next_join_at REAL NOT NULL DEFAULT 0;
  CREATE TABLE queue_gates (queue TEXT PRIMARY KEY, gate TEXT NOT NULL, until_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  orderSchema,
  revocationSchema,
  // Full reports in parts: how far one has come, and in which one a seat was named last. And what the cluster was told last of how
  // often to report.
  `
  ALTER TABLE clusters ADD COLUMN full_of INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN full_next INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN full_mark INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN report_interval INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE seats ADD COLUMN seen_in INTEGER NOT NULL DEFAULT 0;
  `,
  // Which reservation its player has given back while its ticket could still join.
  `
  ALTER TABLE seats ADD COLUMN given_back TEXT;
  CREATE INDEX seats_by_given_back ON seats (cluster_id) WHERE given_back IS NOT NULL;
  `,
  // Moves between shards: which of them have not told their seats yet, and whether the cluster went away from here.
  `
  ALTER TABLE clusters ADD COLUMN awaited TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE clusters ADD COLUMN awaited_until INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE clusters ADD COLUMN displaced INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX clusters_by_awaited ON clusters (awaited_until) WHERE awaited <> '[]';
  `,
  registryKeysSchema,
  keyRepeatsSchema,
  worldStandingSchema,
  // Until when the registered process wants to have ended, as it has said itself; 0: it has not.
  "ALTER TABLE clusters ADD COLUMN ends_by INTEGER NOT NULL DEFAULT 0;",
  recordNumberSchema,
  seatSchema,
  // Why: see `FenceReason`.
  "ALTER TABLE fenced_tokens ADD COLUMN fenced_by TEXT NOT NULL DEFAULT 'unknown';",
];

/** What it takes to choose among clusters: of each of them it is read for every allocation, so it is no more than that. */
export interface ChoosableRow extends Record<string, SqlStorageValue> {
  cluster_id: string;
  state: KeptState;
  locked: number;
  draining: number;
  standby: number;
  capacity: number;
  seats: number;
  joined: number;
  players: number;
  load: number;
  tick_ms: number | null;
  renewed_at: number;
  linked: number;
  link_lost_at: number;
  join_rate: number | null;
  next_join_at: number;
}

/** How fast a cluster may be filled; `undefined` for any rate. */
export function joinRateOf(row: ChoosableRow): JoinRate | undefined {
  return row.join_rate === null ? undefined : { perSecond: row.join_rate, nextAtMs: row.next_join_at };
}

/** The columns of a {@link ChoosableRow}, in the order in which {@link choosableFromValues} takes them. */
export const choosableColumns = [
  "cluster_id",
  "state",
  "locked",
  "draining",
  "standby",
  "capacity",
  "seats",
  "joined",
  "players",
  "load",
  "tick_ms",
  "renewed_at",
  "linked",
  "link_lost_at",
  "join_rate",
  "next_join_at",
] as const satisfies readonly (keyof ChoosableRow)[];

type Values<Names extends readonly (keyof ChoosableRow)[]> = { -readonly [I in keyof Names]: ChoosableRow[Names[I]] };
export type ChoosableValues = Values<typeof choosableColumns>;

/** A row from its bare values: an object that the runtime makes of each takes twice as long as all the rest. */
export function choosableFromValues(values: ChoosableValues): ChoosableRow {
  return {
    cluster_id: values[0],
    state: values[1],
    locked: values[2],
    draining: values[3],
    standby: values[4],
    capacity: values[5],
    seats: values[6],
    joined: values[7],
    players: values[8],
    load: values[9],
    tick_ms: values[10],
    renewed_at: values[11],
    linked: values[12],
    link_lost_at: values[13],
    join_rate: values[14],
    next_join_at: values[15],
  };
}

/** What a cluster can be selected by, but for what is in `facets`. JSON, but for the build. */
export interface FactsRow extends Record<string, SqlStorageValue> {
  labels: string;
  tags: string;
  counters: string;
  game_build: string;
}

export interface ClusterRow extends ChoosableRow, FactsRow {
  shard: string;
  boot: number;
  token_hash: string;
  name: string;
  region: string;
  host: string;
  port: number;
  wss_url: string | null;
  tls: string;
  software: string;
  proto_min: number;
  proto_max: number;
  ticket_lifetime: number | null;
  world: string;
  world_version: number;
  fragment_lifetimes: string;
  link_accounted: number;
  report_sequence: number;
  reported_at: number;
  previous_report_at: number;
  registered_at: number;
  reached: number;
  /** Of the last attempt at its address; empty when that succeeded, or there was none. */
  probe_fault: ReachFault | "";
  /** Of the key that it registered with; empty when that was at an earlier version of the master. */
  key_id: string;
  /** The version of the key set that its process says it holds. */
  keys_held: number | null;
  declared: string;
  full_of: number;
  full_next: number;
  full_mark: number;
  report_interval: number;
  /** Names of shards, JSON. */
  awaited: string;
  awaited_until: number;
  displaced: number;
  ends_by: number;
}

/** Whether a cluster that gives signs of life can be offered: players can reach it, and all its seats are known here. */
export function mayServe(row: Pick<ClusterRow, "reached" | "awaited">): boolean {
  return row.reached === 1 && row.awaited === "[]";
}
