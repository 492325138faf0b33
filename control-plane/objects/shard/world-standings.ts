import { goodStanding, isSameStanding, standingOf, type WorldStanding } from "../../domain/worlds/world-standing.ts";
import type { Outbox } from "../outbox.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { RegistryTables } from "./registry-tables.ts";
import type { ShardMessage } from "./shard-parts.ts";

/** Part of the schema of a registry shard: what the worlds of its clusters are told of them. `standing` is JSON. */
export const worldStandingSchema = `
  CREATE TABLE world_standings (
    cluster_id TEXT PRIMARY KEY REFERENCES clusters (cluster_id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    standing TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/** A standing and which of them it is: greater is newer. 0: none was ever told. */
export interface ToldStanding {
  readonly standing: WorldStanding;
  readonly standingVersion: number;
}

/** What speaks against giving a shard's clusters more of their worlds, and that their worlds hear of it. [WORLD-7] */
export class WorldStandings {
  readonly #sql: SqlStorage;
  readonly #tables: RegistryTables;
  readonly #outbox: Outbox<ShardMessage>;

  constructor(sql: SqlStorage, tables: RegistryTables, outbox: Outbox<ShardMessage>) {
    this.#sql = sql;
    this.#tables = tables;
    this.#outbox = outbox;
  }

  /**
   * Something may have changed with a cluster: if so, its world is told, of the latest alone. Part of the transaction that has
   * changed it.
   */
  note(clusterId: string): void {
    const row = this.#tables.cluster(clusterId);
    if (row === undefined || row.world === "" || row.state === "gone") return;
    const before = this.told(clusterId);
    const told = this.#put(row, before);
    if (told === before) return;
    this.#outbox.putLatestOf(`standing ${clusterId}`, row.world, { kind: "standing", clusterId, boot: row.boot });
  }

  /** A cluster announces itself: its standing goes with that. Part of that transaction, when its row is written. */
  announced(clusterId: string): ToldStanding {
    const row = this.#tables.cluster(clusterId);
    const before = this.told(clusterId);
    return row === undefined ? before : this.#put(row, before);
  }

  told(clusterId: string): ToldStanding {
    const row = this.#sql
      .exec<{ version: number; standing: string }>(
        "SELECT version, standing FROM world_standings WHERE cluster_id = ?",
        clusterId,
      )
      .toArray()[0];
    if (row === undefined) return { standing: goodStanding, standingVersion: 0 };
    const standing: WorldStanding = JSON.parse(row.standing);
    return { standing, standingVersion: row.version };
  }

  #put(row: ClusterRow, before: ToldStanding): ToldStanding {
    const { cluster_id: clusterId, state, draining, locked, load } = row;
    const standing = standingOf({ state, draining: draining === 1, locked: locked === 1, load }, before.standing);
    if (isSameStanding(standing, before.standing)) return before;
    const standingVersion = before.standingVersion + 1;
    this.#sql.exec(
      "INSERT OR REPLACE INTO world_standings (cluster_id, version, standing) VALUES (?, ?, ?)",
      clusterId,
      standingVersion,
      JSON.stringify(standing),
    );
    return { standing, standingVersion };
  }
}
