import { hasRoom } from "../../domain/clusters/seats.ts";
import type { ChoosableRow, ClusterRow } from "./registry-rows.ts";

/** The part of an object's SQL that its tables need. */
export type Sql = Pick<SqlStorage, "exec">;

type Storage = { readonly sql: Sql } & Pick<DurableObjectStorage, "transactionSync">;

/** Clusters of the least load, as a query found them. */
export interface CandidatePage {
  /** The least loaded first, when it was read. */
  readonly rows: readonly ChoosableRow[];
  /** No cluster that is not among them had a smaller load; `Infinity` where there were no others. */
  readonly nextLoad: number;
  readonly untilMs: number;
}

/** What changes of a cluster by its seats, its reports and its signs of life. */
type Serving =
  | "next_join_at"
  | "seats"
  | "joined"
  | "players"
  | "load"
  | "tick_ms"
  | "report_sequence"
  | "reported_at"
  | "previous_report_at"
  | "renewed_at"
  | "link_lost_at";
export type ServingChange = Partial<Pick<ClusterRow, Serving>>;

/** How many are remembered, of each kind, before all of them are forgotten: rows have certificates in them. */
const maxRows = 1_024;
const maxPages = 64;

/** Statements that change what is remembered. Found once for each text: there are few, and they do not change. */
const changesClusters = /\b(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+(?:clusters|facets)\b/i;

/**
 * A shard's storage, and what the shard remembers of its clusters: an allocation looks at some of them, and seats, reports and signs
 * of life change no more than a few numbers of one of them. Every other change that goes through here makes all forgotten, and so does a
 * step that is undone. Rows that were handed out stay as they were read.
 */
export class ClusterMemory {
  readonly sql: Sql;
  readonly #storage: Storage;
  readonly #changes = new Map<string, boolean>();
  readonly #rows = new Map<string, ClusterRow>();
  readonly #pages = new Map<string, CandidatePage>();
  readonly #whenUndone: (() => void)[] = [];

  constructor(storage: Storage) {
    this.#storage = storage;
    const { sql } = storage;
    this.sql = {
      exec: (query, ...bindings) => {
        if (this.#isChange(query)) this.#forget();
        return sql.exec(query, ...bindings);
      },
    };
  }

  /** A step that is stored whole, or not at all. */
  transactionSync<T>(step: () => T): T {
    try {
      return this.#storage.transactionSync(step);
    } catch (error) {
      this.#forget();
      for (const forget of this.#whenUndone) forget();
      throw error;
    }
  }

  /** For whoever remembers something else of what is stored here. */
  onUndone(forget: () => void): void {
    this.#whenUndone.push(forget);
  }

  cluster(clusterId: string): ClusterRow | undefined {
    const known = this.#rows.get(clusterId);
    if (known !== undefined) return known;
    const [row] = this.#storage.sql
      .exec<ClusterRow>("SELECT * FROM clusters WHERE cluster_id = ?", clusterId)
      .toArray();
    if (row !== undefined) {
      if (this.#rows.size >= maxRows) this.#rows.clear();
      this.#rows.set(clusterId, row);
    }
    return row;
  }

  /** This is so of a cluster from now on. */
  change(clusterId: string, change: ServingChange): void {
    const columns = Object.keys(change).map((name) => `${name} = ?`);
    this.#storage.sql.exec(
      `UPDATE clusters SET ${columns.join(", ")} WHERE cluster_id = ?`,
      ...Object.values(change),
      clusterId,
    );
    const known = this.#rows.get(clusterId);
    if (known === undefined) return this.#forget();
    const row = { ...known, ...change };
    this.#rows.set(clusterId, row);
    for (const [key, page] of this.#pages) this.#changeOnPage(key, page, row, change);
  }

  #changeOnPage(key: string, page: CandidatePage, row: ClusterRow, change: ServingChange): void {
    const at = page.rows.findIndex(({ cluster_id }) => cluster_id === row.cluster_id);
    const was = page.rows[at];
    if (was !== undefined) this.#pages.set(key, { ...page, rows: page.rows.with(at, { ...was, ...change }) });
    // It may belong there now.
    else if (row.load < page.nextLoad) this.#pages.delete(key);
  }

  /** A page that was kept under `key`, if the least loaded cluster with room for one more is still sure to be on it. */
  page(key: string, nowMs: number): CandidatePage | undefined {
    const page = this.#pages.get(key);
    if (page === undefined || nowMs >= page.untilMs) return undefined;
    const isOpen = (row: ChoosableRow): boolean => hasRoom(row) && row.next_join_at <= nowMs;
    return page.rows.some((row) => row.load <= page.nextLoad && isOpen(row)) ? page : undefined;
  }

  keepPage(key: string, page: CandidatePage): void {
    if (this.#pages.size >= maxPages) this.#pages.clear();
    this.#pages.set(key, page);
  }

  #forget(): void {
    this.#rows.clear();
    this.#pages.clear();
  }

  #isChange(query: string): boolean {
    let changes = this.#changes.get(query);
    if (changes === undefined) {
      // Some statements have values in their text; those that change clusters do not.
      if (this.#changes.size >= maxRows) this.#changes.clear();
      changes = changesClusters.test(query);
      this.#changes.set(query, changes);
    }
    return changes;
  }
}
