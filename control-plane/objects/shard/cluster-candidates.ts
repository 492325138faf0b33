import type { AllocateRequest, ExplainedCandidate } from "../../../protocol/index.ts";
import { maxExplainedCandidates } from "../../../protocol/index.ts";
import { explainCandidates } from "../../domain/allocation/explanation.ts";
import { latencyToCluster, measuredClusters } from "../../domain/allocation/latency.ts";
import { type Candidate, exclusionOf, pickCluster, policyOf } from "../../domain/allocation/pick.ts";
import { type ClusterFacts, unmetBy, wantsNothing, wantsOf } from "../../domain/allocation/selector.ts";
import type { QueuePass } from "../../domain/waiting/waiting-gate.ts";
import type { QueueWish } from "../../domain/waiting/waiting-queue.ts";
import type { RegistryLeases } from "./registry-leases.ts";
import type { RegistryQueues } from "./registry-queues.ts";
import type { ChoosableRow, ClusterRow } from "./registry-rows.ts";
import type { SeatRequest } from "./seat-request.ts";
import type { ShardParts } from "./shard-parts.ts";

/** How many clusters are compared. */
const candidatePage = 16;

/** For whom a cluster is chosen. */
export interface Seeker {
  readonly pass?: QueuePass | undefined;
  /** How many seats on one cluster; 1 unless given. */
  readonly places?: number | undefined;
  /** Whether clusters that are to be avoided are out of the question. */
  readonly sparing?: boolean | undefined;
}

interface RowCandidate extends Candidate {
  readonly row: ChoosableRow;
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
  readonly #queues: RegistryQueues;

  constructor(parts: ShardParts, leases: RegistryLeases, queues: RegistryQueues) {
    this.#parts = parts;
    this.#leases = leases;
    this.#queues = queues;
  }

  /**
   * The cluster to give, and those that it was compared with. Clusters that the wish wants avoided come into question only where
   * there is no other, and with `sparing` not even then. [ALLOC-12]
   */
  pick(wish: AllocateRequest, seeker: Seeker, nowMs: number): Choice {
    const avoid = wish.avoid ?? [];
    const choice = this.#pickWithout(avoid, wish, seeker, nowMs);
    if (choice.row !== undefined || seeker.sparing === true) return choice;
    const any = avoid.length === 0 ? choice : this.#pickWithout([], wish, seeker, nowMs);
    return any.row === undefined ? this.#lastResort(any.drawn, wish, seeker, nowMs) : any;
  }

  #pickWithout(without: readonly string[], wish: AllocateRequest, seeker: Seeker, nowMs: number): Choice {
    const policy = policyOf(wish);
    const selector = wantsOf(wish);
    const { candidates } = this.#parts;
    const { places } = seeker;
    let drawn: readonly string[] = [];
    // A dead lease among the candidates makes all leases be looked at, which takes the dead ones out: two looks are enough. What was
    // kept of an earlier one may not be all there is, and is none of them.
    const mayBeKept = policy === "load" && without.length === 0 && (places ?? 1) === 1;
    for (const isKept of mayBeKept ? [true, false, false] : [false, false]) {
      const rows = isKept
        ? candidates.leastLoaded(selector, candidatePage, nowMs)
        : this.#withMeasured(wish, {
            without,
            rows: candidates.promising({ policy, selector, without, limit: candidatePage, places, nowMs }),
          });
      drawn = rows.map((row) => row.cluster_id);
      const picked = pickCluster(
        rows.map((row) => candidateOf(row, true, wish, this.withheld(row, seeker, nowMs))),
        policy,
        Math.random,
        places,
      );
      if (picked === undefined && !isKept) break;
      if (picked !== undefined && this.#leases.isLive(picked.row, nowMs)) {
        return { row: this.#whole(picked.row), drawn };
      }
    }
    return { row: undefined, drawn };
  }

  /** Those, and the clusters that the player has measured, where latency decides. */
  #withMeasured(
    wish: AllocateRequest,
    { without, rows }: { readonly without: readonly string[]; readonly rows: readonly ChoosableRow[] },
  ): readonly ChoosableRow[] {
    if (policyOf(wish) !== "latency") return rows;
    const measured = measuredClusters(wish.latencies ?? {}).filter((id) => !without.includes(id));
    const named = this.#parts.candidates.named(measured, wantsOf(wish));
    return [...new Map([...rows, ...named].map((row) => [row.cluster_id, row])).values()];
  }

  #lastResort(drawn: readonly string[], wish: AllocateRequest, seeker: Seeker, nowMs: number): Choice {
    const since = this.#leases.lastResortSinceMs(nowMs);
    const rows = this.#parts.candidates.lastResorts(wantsOf(wish), since, candidatePage);
    const last = pickCluster(
      rows.map((row) => candidateOf(row, true, wish, this.withheld(row, seeker, nowMs))),
      policyOf(wish),
      Math.random,
      seeker.places,
    );
    return {
      row: last === undefined ? undefined : this.#whole(last.row),
      drawn: [...drawn, ...rows.map((row) => row.cluster_id)],
    };
  }

  /** All that is known of the one that was chosen. */
  #whole({ cluster_id: clusterId }: ChoosableRow): ClusterRow | undefined {
    return this.#parts.tables.cluster(clusterId);
  }

  /** Why a cluster's room is not for this one. */
  withheld(row: ChoosableRow, { pass }: Seeker, nowMs: number): "awaited" | "join-rate" | undefined {
    return this.#queues.withheld(row, () => this.factsOf(row), pass, nowMs);
  }

  /** Clusters with room for those who wait for them, as they were seen last. */
  roomy(wish: QueueWish, nowMs: number): readonly ChoosableRow[] {
    const { candidates } = this.#parts;
    const { clusterId } = wish;
    const selector = wantsOf(wish);
    const rows =
      clusterId === undefined
        ? candidates.leastLoaded(selector, candidatePage, nowMs)
        : candidates.named([clusterId], selector);
    return rows.filter((row) => this.#leases.isLive(row, nowMs));
  }

  /** Why a cluster that was asked for by its id cannot be given; that it is full is for its seats to say. */
  refusalOf(row: ClusterRow, wish: AllocateRequest, nowMs: number): string | undefined {
    const why = exclusionOf(candidateOf(row, this.#leases.isLive(row, nowMs), wish));
    if (why !== undefined && why !== "full") return `is ${why} now`;
    return this.#lacking(row, wish);
  }

  /** The same for those who wait for it, as far as it is not over by itself: one that is silent or starting is back, or gone, soon. */
  closedTo(row: ClusterRow, wish: QueueWish): string | undefined {
    if (row.locked === 1) return "is locked now";
    return row.draining === 1 ? "is draining now" : this.#lacking(row, wish);
  }

  /** What the wish wants and the cluster lacks. Its facts are read only for a wish that wants something. */
  unmetBy(row: ClusterRow, wish: QueueWish): ReturnType<typeof unmetBy> {
    const wants = wantsOf(wish);
    return wantsNothing(wants) ? undefined : unmetBy(wants, this.factsOf(row));
  }

  #lacking(row: ClusterRow, wish: QueueWish): string | undefined {
    const unmet = this.unmetBy(row, wish);
    return unmet === undefined ? undefined : `does not have the ${unmet.replace("-", " ")} that is asked for`;
  }

  /** Why each of the shard's clusters won or lost, going by the last look at all leases. Nothing, unless the request wants to know. */
  explain(
    { shard, wish, pass }: Pick<SeatRequest, "shard" | "wish" | "pass">,
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
      rows.map((each) => {
        const withheld = this.withheld(each, { pass }, Date.now());
        return Object.assign(candidateOf(each, each.state === "ready", wish, withheld), { facts: this.factsOf(each) });
      }),
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

  factsOf(row: ChoosableRow): ClusterFacts {
    return this.#parts.candidates.factsOf(row.cluster_id);
  }
}

function candidateOf(
  row: ChoosableRow,
  live: boolean,
  wish: AllocateRequest,
  withheld?: RowCandidate["withheld"],
): RowCandidate {
  return {
    row,
    live,
    withheld,
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
    latencyMs: wish.latencies === undefined ? undefined : latencyToCluster(wish.latencies, row.cluster_id),
  };
}
