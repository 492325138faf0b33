import type { AllocateRequest, ExplainedCandidate } from "../../protocol/index.ts";
import { maxExplainedCandidates } from "../../protocol/index.ts";
import { explainCandidates } from "../domain/explanation.ts";
import { latencyToCluster, measuredClusters } from "../domain/latency.ts";
import { type Candidate, exclusionOf, pickCluster, policyOf } from "../domain/pick.ts";
import { type ClusterFacts, unmetBy, wantsOf } from "../domain/selector.ts";
import type { RegistryLeases } from "./registry-leases.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";

/** How many clusters are compared. */
const candidatePage = 16;

interface RowCandidate extends Candidate {
  readonly row: ClusterRow;
}

/** The cluster to give, if there is one, and those that were compared. */
interface Choice {
  readonly row: ClusterRow | undefined;
  readonly drawn: readonly string[];
}

/** Chooses a cluster of a shard for an allocation, and says why. */
export class ClusterCandidates {
  readonly #parts: ShardParts;
  readonly #leases: RegistryLeases;

  constructor(parts: ShardParts, leases: RegistryLeases) {
    this.#parts = parts;
    this.#leases = leases;
  }

  /**
   * The cluster to give, and those that it was compared with. Clusters that the wish wants avoided come into question only where
   * there is no other, and with `sparing` not even then. [ALLOC-12]
   */
  pick(wish: AllocateRequest, nowMs: number, sparing: boolean): Choice {
    const avoid = wish.avoid ?? [];
    const choice = this.#pickWithout(avoid, wish, nowMs);
    if (choice.row !== undefined || sparing) return choice;
    const any = avoid.length === 0 ? choice : this.#pickWithout([], wish, nowMs);
    return any.row === undefined ? this.#lastResort(any.drawn, wish, nowMs) : any;
  }

  #pickWithout(without: readonly string[], wish: AllocateRequest, nowMs: number): Choice {
    const policy = policyOf(wish);
    const selector = wantsOf(wish);
    let drawn: readonly string[] = [];
    // A dead lease among the candidates makes all leases be looked at, which takes the dead ones out: twice is enough.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const rows = this.#parts.candidates.promising({ policy, selector, without, limit: candidatePage });
      const measured =
        policy === "latency" ? measuredClusters(wish.latencies ?? {}).filter((id) => !without.includes(id)) : [];
      const byId = new Map(
        [...rows, ...this.#parts.candidates.named(measured, selector)].map((row) => [row.cluster_id, row]),
      );
      drawn = [...byId.keys()];
      const picked = pickCluster(
        [...byId.values()].map((row) => candidateOf(row, true, wish)),
        policy,
        Math.random,
      );
      if (picked === undefined) break;
      if (this.#leases.isLive(picked.row, nowMs)) return { row: picked.row, drawn };
    }
    return { row: undefined, drawn };
  }

  #lastResort(drawn: readonly string[], wish: AllocateRequest, nowMs: number): Choice {
    const since = this.#leases.lastResortSinceMs(nowMs);
    const rows = this.#parts.candidates.lastResorts(wantsOf(wish), since, candidatePage);
    const last = pickCluster(
      rows.map((row) => candidateOf(row, true, wish)),
      policyOf(wish),
      Math.random,
    );
    return { row: last?.row, drawn: [...drawn, ...rows.map((row) => row.cluster_id)] };
  }

  /** Why a cluster that was asked for by its id cannot be given; that it is full is for its seats to say. */
  refusalOf(row: ClusterRow, wish: AllocateRequest, nowMs: number): string | undefined {
    const why = exclusionOf(candidateOf(row, this.#leases.isLive(row, nowMs), wish));
    if (why !== undefined && why !== "full") return `is ${why} now`;
    const unmet = unmetBy(wantsOf(wish), this.#factsOf(row));
    return unmet === undefined ? undefined : `does not have the ${unmet.replace("-", " ")} that is asked for`;
  }

  /** Why each of the shard's clusters won or lost, going by the last look at all leases. Nothing, unless the request wants to know. */
  explain(
    shard: string,
    wish: AllocateRequest,
    choice: { readonly winner: ClusterRow | undefined; readonly drawn: readonly string[] },
  ): readonly ExplainedCandidate[] {
    if (wish.explain !== true) return [];
    const { tables, candidates } = this.#parts;
    const shown = new Map(candidates.any(maxExplainedCandidates).map((row) => [row.cluster_id, row]));
    // The one that it is about belongs in, however many there are.
    const subject = choice.winner?.cluster_id ?? wish.clusterId;
    const row = subject === undefined || shown.has(subject) ? undefined : tables.cluster(subject);
    const rows = row === undefined ? [...shown.values()] : [row, ...[...shown.values()].slice(1)];
    const { winner, drawn } = choice;
    return explainCandidates(
      rows.map((each) =>
        Object.assign(candidateOf(each, each.state === "ready", wish), { facts: this.#factsOf(each) }),
      ),
      {
        shard,
        policy: policyOf(wish),
        selector: wantsOf(wish),
        clusterId: wish.clusterId,
        avoid: wish.avoid ?? [],
        drawn: new Set(drawn),
        winner: winner === undefined ? undefined : candidateOf(winner, true, wish),
      },
    );
  }

  #factsOf(row: ClusterRow): ClusterFacts {
    const labels: ClusterFacts["labels"] = JSON.parse(row.labels);
    const tags: ClusterFacts["tags"] = JSON.parse(row.tags);
    const counters: ClusterFacts["counters"] = JSON.parse(row.counters);
    const fragments = this.#parts.candidates.fragmentsOf(row.cluster_id);
    return { labels, tags, counters, gameBuild: row.game_build, fragments };
  }
}

function candidateOf(row: ClusterRow, live: boolean, wish: AllocateRequest): RowCandidate {
  return {
    row,
    live,
    clusterId: row.cluster_id,
    capacity: row.capacity,
    seats: row.seats,
    joined: row.joined,
    players: row.players,
    tickMs: row.tick_ms,
    locked: row.locked === 1,
    draining: row.draining === 1,
    standby: row.standby === 1,
    starting: row.state === "starting",
    latencyMs: latencyToCluster(wish.latencies ?? {}, row.cluster_id),
  };
}
