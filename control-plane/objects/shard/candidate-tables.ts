import type { AllocationPolicy, RegisterRequest } from "../../../protocol/index.ts";
import type { ShardDigest } from "../../domain/allocation/shard-choice.ts";
import { occupiedPlaces } from "../../domain/clusters/seats.ts";
import {
  type ClusterFacts,
  countersWanted,
  facetsOf,
  facetsWanted,
  fragmentFacet,
  fragmentPrefix,
  type Wants,
} from "../../domain/allocation/selector.ts";
import { toBase64Url } from "../../domain/clusters/sharding.ts";
import {
  choosableColumns,
  choosableFromValues,
  type ChoosableRow,
  type ChoosableValues,
  type ClusterRow,
  type FactsRow,
} from "./registry-rows.ts";
import type { ClusterMemory, Sql } from "./cluster-memory.ts";

/** Up to this many clusters with some facet are looked at one by one; with more, those that lack it are passed over. */
const rareFacet = 64;

/** Longest that a look at the least loaded clusters is kept: one that may not be filled faster is open again as time goes by. */
const keptForMs = 250;

const offered = "clusters.state = 'ready' AND clusters.locked = 0 AND clusters.draining = 0 AND clusters.standby = 0";
/** The same, for clusters that are found by their ids: the plus keeps SQLite from reading all that can be offered instead. */
const offeredById =
  "+clusters.state = 'ready' AND +clusters.locked = 0 AND +clusters.draining = 0 AND +clusters.standby = 0";

const columns = choosableColumns.map((name) => `clusters.${name}`).join(", ");

/** Which clusters are wanted. */
export interface CandidateQuery {
  readonly policy: AllocationPolicy;
  readonly selector: Wants;
  /** Those that do not come into question, by id. */
  readonly without: readonly string[];
  readonly limit: number;
  /** How many places one cluster has to have; 1 unless given. */
  readonly places?: number | undefined;
  readonly nowMs: number;
}

interface Clause {
  readonly sql: string;
  readonly bindings: readonly (string | number)[];
}

/**
 * The SQL that finds clusters to choose from: rows in, rows out, no rules. Limits stand in the text: with a bound one SQLite
 * prepares a statement anew each time that it runs.
 */
export class CandidateTables {
  readonly #memory: ClusterMemory;
  readonly #sql: Sql;

  constructor(memory: ClusterMemory) {
    this.#memory = memory;
    this.#sql = memory.sql;
  }

  /** Notes by what a cluster can be selected, but for its fragments. Its row has to be there. */
  putFacts(clusterId: string, details: Pick<RegisterRequest, "labels" | "tags" | "gameBuild">): void {
    this.#sql.exec(
      "DELETE FROM facets WHERE cluster_id = ? AND substr(facet, 1, ?) <> ?",
      clusterId,
      fragmentPrefix.length,
      fragmentPrefix,
    );
    const { labels = {}, tags, gameBuild = "" } = details;
    for (const facet of new Set(facetsOf({ labels, tags, gameBuild, fragments: [] }))) {
      this.#sql.exec("INSERT INTO facets (facet, cluster_id) VALUES (?, ?)", facet, clusterId);
    }
  }

  /** By what a cluster can be selected. It has to be there. */
  factsOf(clusterId: string): ClusterFacts {
    const row = this.#sql
      .exec<FactsRow>("SELECT labels, tags, counters, game_build FROM clusters WHERE cluster_id = ?", clusterId)
      .one();
    const labels: ClusterFacts["labels"] = JSON.parse(row.labels);
    const tags: ClusterFacts["tags"] = JSON.parse(row.tags);
    const counters: ClusterFacts["counters"] = JSON.parse(row.counters);
    return { labels, tags, counters, gameBuild: row.game_build, fragments: this.fragmentsOf(clusterId) };
  }

  /** The fragments that a cluster carries. */
  fragmentsOf(clusterId: string): string[] {
    return this.#sql
      .exec<{ facet: string }>(
        "SELECT facet FROM facets WHERE cluster_id = ? AND substr(facet, 1, ?) = ?",
        clusterId,
        fragmentPrefix.length,
        fragmentPrefix,
      )
      .toArray()
      .map(({ facet }) => facet.slice(fragmentPrefix.length));
  }

  /** Notes which fragments a cluster carries; all others it does not. */
  putFragments(clusterId: string, fragments: readonly string[]): void {
    for (const name of this.fragmentsOf(clusterId)) {
      if (fragments.includes(name)) continue;
      this.#sql.exec("DELETE FROM facets WHERE cluster_id = ? AND facet = ?", clusterId, fragmentFacet(name));
    }
    for (const name of fragments) {
      this.#sql.exec("INSERT OR IGNORE INTO facets (facet, cluster_id) VALUES (?, ?)", fragmentFacet(name), clusterId);
    }
  }

  /**
   * Those of the clusters with room that come into question first. Those without a limit that have more than enough to do are
   * among them only where there are no others.
   */
  promising({ policy, selector, without, limit, places = 1, nowMs }: CandidateQuery): readonly ChoosableRow[] {
    const open = (condition: string) =>
      roomFor(withoutThese(this.#source(selector, condition), without), places, nowMs);
    const found = open(offered);
    const byLoad = policy === "packed" ? "clusters.load DESC" : "clusters.load";
    // Of one more than that, some are drawn.
    const most = policy === "distributed" ? limit + 1 : limit;
    const rows = this.#select(found, `clusters.load < 1 ORDER BY ${byLoad} LIMIT ${most}`);
    if (rows.length === 0) return this.#select(found, `clusters.capacity = 0 ORDER BY clusters.load LIMIT ${limit}`);
    return rows.length > limit ? this.#drawn(open(offeredById), limit) : rows;
  }

  /** The least loaded of them, by a look that may be a moment old; what seats were given since counts. */
  leastLoaded(selector: Wants, limit: number, nowMs: number): readonly ChoosableRow[] {
    const key = `${limit} ${JSON.stringify(selector)}`;
    const kept = this.#memory.page(key, nowMs);
    if (kept !== undefined) return kept.rows;
    const found = this.promising({ policy: "load", selector, without: [], limit: limit + 1, nowMs });
    const rows = found.slice(0, limit);
    this.#memory.keepPage(key, {
      rows,
      // With one below 1 all below 1 were looked for.
      nextLoad: found[limit]?.load ?? (rows.some(({ load }) => load < 1) ? 1 : Number.POSITIVE_INFINITY),
      untilMs: nowMs + keptForMs,
    });
    return rows;
  }

  /** Some clusters with room, drawn by chance: ids are digests, so those that follow a random one are as good as random. */
  #drawn(found: Clause, limit: number): ChoosableRow[] {
    const region = this.#sql.exec<{ region: string }>("SELECT region FROM clusters LIMIT 1").one().region;
    const start = `${region}.${toBase64Url(crypto.getRandomValues(new Uint8Array(16)))}`;
    const page = (side: string, most: number) =>
      this.#select(
        found,
        `clusters.load < 1 AND clusters.cluster_id ${side} ? ORDER BY clusters.cluster_id LIMIT ${most}`,
        start,
      );
    const after = page(">=", limit);
    return after.length === limit ? after : [...after, ...page("<", limit - after.length)];
  }

  /** Of these clusters, those that can be offered and have what is wanted. */
  named(clusterIds: readonly string[], selector: Wants): ChoosableRow[] {
    if (clusterIds.length === 0) return [];
    const condition = "clusters.cluster_id IN (SELECT value FROM json_each(?))";
    return this.#select(this.#source(selector, offeredById), condition, JSON.stringify(clusterIds));
  }

  /** Suspects whose links broke after `sinceMs`, and which have room and what is wanted: for want of better ones. */
  lastResorts(selector: Wants, sinceMs: number, limit: number): ChoosableRow[] {
    const lately = `clusters.state = 'suspect' AND clusters.link_lost_at > ${Math.floor(sinceMs)}`;
    const found = this.#source(selector, offered.replace("clusters.state = 'ready'", lately));
    return this.#select(found, `1 ORDER BY clusters.load LIMIT ${limit}`);
  }

  /** Any clusters, for an explanation: those that can be offered first. */
  any(limit: number): ClusterRow[] {
    return this.#sql
      .exec<ClusterRow>(
        `SELECT * FROM clusters WHERE state <> 'gone' ORDER BY state, locked, draining, load LIMIT ${limit}`,
      )
      .toArray();
  }

  /** The most players that one of the clusters that have what is wanted could take, were it empty. */
  largest(selector: Wants): number {
    const rows = this.#select(
      this.#source(selector, offered),
      "1 ORDER BY (CASE clusters.capacity WHEN 0 THEN 1e9 ELSE clusters.capacity END) DESC LIMIT 1",
    );
    const capacity = rows[0]?.capacity;
    return capacity === 0 ? Number.POSITIVE_INFINITY : (capacity ?? 0);
  }

  /** What this shard has to offer. */
  digest(shard: string, nowMs: number): ShardDigest {
    const best = (policy: AllocationPolicy, limit: number) =>
      this.promising({ policy, selector: {}, without: [], limit, nowMs });
    const { clusters } = this.#sql
      .exec<{ clusters: number }>(`SELECT count(*) AS clusters FROM clusters WHERE ${offered}`)
      .one();
    const places = best("distributed", 16).map(occupiedPlaces);
    return {
      shard,
      clusters,
      lowestLoad: best("load", 1)[0]?.load,
      packedLoad: best("packed", 1)[0]?.load,
      fewestPlaces: places.length === 0 ? undefined : Math.min(...places),
    };
  }

  #select(source: Clause, condition: string, ...bindings: (string | number)[]): ChoosableRow[] {
    const found = this.#sql.exec(`${source.sql} AND ${condition}`, ...source.bindings, ...bindings);
    return Array.from(found.raw<ChoosableValues>(), choosableFromValues);
  }

  /** The clusters that can be offered and have what is wanted, by the shorter way to them. */
  #source(selector: Wants, condition: string): Clause {
    const facets = facetsWanted(selector);
    const rare = facets.find((facet) => this.#isRare(facet));
    const others = facets.filter((facet) => facet !== rare);
    const counters = countersWanted(selector);
    const from =
      rare === undefined
        ? `FROM clusters WHERE ${condition}`
        : `FROM facets AS rare CROSS JOIN clusters ON clusters.cluster_id = rare.cluster_id
           WHERE rare.facet = ? AND ${condition}`;
    const has = "EXISTS (SELECT 1 FROM facets WHERE facet = ? AND cluster_id = clusters.cluster_id)";
    const counts = "(clusters.counters ->> ?) BETWEEN ? AND ?";
    return {
      sql: [`SELECT ${columns} ${from}`, ...others.map(() => has), ...counters.map(() => counts)].join(" AND "),
      bindings: [
        ...(rare === undefined ? [] : [rare]),
        ...others,
        // A counter's name has no quotation mark in it.
        ...counters.flatMap(({ name, min, max }) => [`$."${name}"`, min, max]),
      ],
    };
  }

  #isRare(facet: string): boolean {
    const { found } = this.#sql
      .exec<{ found: number }>(
        `SELECT count(*) AS found FROM (SELECT 1 FROM facets WHERE facet = ? LIMIT ${rareFacet + 1})`,
        facet,
      )
      .one();
    return found <= rareFacet;
  }
}

function withoutThese(source: Clause, clusterIds: readonly string[]): Clause {
  if (clusterIds.length === 0) return source;
  return {
    sql: `${source.sql} AND clusters.cluster_id NOT IN (SELECT value FROM json_each(?))`,
    bindings: [...source.bindings, JSON.stringify(clusterIds)],
  };
}

/** Of those clusters, the ones that may be joined now, by so many at a time. */
function roomFor(source: Clause, places: number, nowMs: number): Clause {
  const several =
    places === 1
      ? ""
      : " AND (clusters.capacity = 0 OR clusters.capacity - clusters.seats - max(0, clusters.players - clusters.joined) >= ?)";
  return {
    sql: `${source.sql} AND clusters.next_join_at <= ?${several}`,
    bindings: [...source.bindings, nowMs, ...(places === 1 ? [] : [places])],
  };
}
