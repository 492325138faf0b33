import type { Announcement, WorldState } from "../../domain/worlds/world-map.ts";
import { outboxSchema, outboxSourceSchema } from "../outbox.ts";

/** Append-only: see `migrateStorage`. */
export const worldMigrations: readonly string[] = [
  `
  CREATE TABLE world (name TEXT NOT NULL, version INTEGER NOT NULL) STRICT;
  CREATE TABLE announcements (
    cluster_id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    announcement TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE carriers (fragment TEXT PRIMARY KEY, cluster_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE assignments (fragment TEXT PRIMARY KEY, cluster_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
  ${outboxSchema}
  ${outboxSourceSchema}
  `,
  // Fragments that nobody could take over: see `settleCarriers`.
  "CREATE TABLE provisional (fragment TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;",
];

/** The SQL of a world's map: rows in, rows out, no rules. */
export class WorldTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** What is stored; `undefined` for a world of which nobody has spoken yet. */
  read(): WorldState | undefined {
    const world = this.#sql.exec<{ name: string; version: number }>("SELECT name, version FROM world").toArray()[0];
    if (world === undefined) return undefined;
    const announcements = this.#sql
      .exec<{ announcement: string }>("SELECT announcement FROM announcements ORDER BY place")
      .toArray()
      // Written by `write`: it has the shape that it had there.
      .map((row): Announcement => JSON.parse(row.announcement));
    return {
      ...world,
      announcements,
      carriers: this.#pairs("carriers"),
      provisional: this.#provisional(),
      assignments: this.#pairs("assignments"),
    };
  }

  write(before: WorldState, after: WorldState): void {
    this.#sql.exec("DELETE FROM world");
    this.#sql.exec("INSERT INTO world (name, version) VALUES (?, ?)", after.name, after.version);
    const known = new Set(before.announcements);
    const stays = new Set(after.announcements.map(({ clusterId }) => clusterId));
    for (const { clusterId } of before.announcements) {
      if (!stays.has(clusterId)) this.#sql.exec("DELETE FROM announcements WHERE cluster_id = ?", clusterId);
    }
    for (const announcement of after.announcements) {
      if (known.has(announcement)) continue;
      this.#sql.exec(
        `INSERT INTO announcements (cluster_id, place, announcement)
         VALUES (?, (SELECT coalesce(max(place), 0) + 1 FROM announcements), ?)
         ON CONFLICT (cluster_id) DO UPDATE SET announcement = excluded.announcement`,
        announcement.clusterId,
        JSON.stringify(announcement),
      );
    }
    if (after.carriers !== before.carriers) this.#replacePairs("carriers", after.carriers);
    if (after.provisional !== before.provisional) this.#replaceProvisional(after.provisional);
    if (after.assignments !== before.assignments) this.#replacePairs("assignments", after.assignments);
  }

  #provisional(): ReadonlySet<string> {
    const rows = this.#sql.exec<{ fragment: string }>("SELECT fragment FROM provisional").toArray();
    return new Set(rows.map(({ fragment }) => fragment));
  }

  #replaceProvisional(fragments: ReadonlySet<string>): void {
    this.#sql.exec("DELETE FROM provisional");
    for (const fragment of fragments) this.#sql.exec("INSERT INTO provisional (fragment) VALUES (?)", fragment);
  }

  #pairs(table: "carriers" | "assignments"): ReadonlyMap<string, string> {
    const rows = this.#sql.exec<{ fragment: string; cluster_id: string }>(`SELECT fragment, cluster_id FROM ${table}`);
    return new Map(rows.toArray().map(({ fragment, cluster_id }) => [fragment, cluster_id]));
  }

  #replacePairs(table: "carriers" | "assignments", pairs: ReadonlyMap<string, string>): void {
    this.#sql.exec(`DELETE FROM ${table}`);
    for (const [fragment, clusterId] of pairs) {
      this.#sql.exec(`INSERT INTO ${table} (fragment, cluster_id) VALUES (?, ?)`, fragment, clusterId);
    }
  }
}
