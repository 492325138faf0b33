import type { AllocationPolicy, CandidateReason, ExplainedCandidate } from "../../../protocol/index.ts";
import { type Candidate, exclusionOf, loadOf, scoreOf } from "./pick.ts";
import { occupiedPlaces } from "../clusters/seats.ts";
import { type ClusterFacts, unmetBy, type Wants } from "./selector.ts";

/** What was asked for, and what came of it. */
export interface Decision {
  readonly shard: string;
  readonly policy: AllocationPolicy;
  readonly selector: Wants;
  readonly clusterId: string | undefined;
  /** Those that the request wants avoided, by id. */
  readonly avoid: readonly string[];
  /** Those that were compared. */
  readonly drawn: ReadonlySet<string>;
  readonly winner: Candidate | undefined;
}

/** Why each candidate won or lost. */
export function explainCandidates(
  candidates: readonly (Candidate & { readonly facts: ClusterFacts })[],
  decision: Decision,
): readonly ExplainedCandidate[] {
  return candidates.map((candidate) => ({
    clusterId: candidate.clusterId,
    shard: decision.shard,
    reason: reasonOf(candidate, decision),
    load: loadOf(candidate),
    places: occupiedPlaces(candidate),
    capacity: candidate.capacity,
    ...(candidate.latencyMs === undefined ? {} : { latencyMs: candidate.latencyMs }),
    score: scoreOf(candidate, decision.policy),
  }));
}

function reasonOf(candidate: Candidate & { readonly facts: ClusterFacts }, decision: Decision): CandidateReason {
  const { winner, policy, drawn, selector, clusterId } = decision;
  if (candidate.clusterId === winner?.clusterId) return "won";
  if (clusterId !== undefined && candidate.clusterId !== clusterId) return "other-cluster";
  const excluded = exclusionOf(candidate) ?? unmetBy(selector, candidate.facts);
  if (excluded !== undefined) return excluded;
  if (decision.avoid.includes(candidate.clusterId) && !drawn.has(candidate.clusterId)) return "avoided";
  if (winner === undefined || !drawn.has(candidate.clusterId)) return "not-drawn";
  return scoreOf(candidate, policy) === scoreOf(winner, policy) ? "tie" : "outscored";
}
