import type {
  AllocateRequest,
  AllocationExplanation,
  ExplainedCandidate,
  ShardOutcome,
} from "../../../protocol/index.ts";
import { policyOf } from "../../domain/allocation/pick.ts";
import type { Refusal } from "../refusal.ts";
import type { SeatAnswer } from "../shard/seat-request.ts";

/** Of all shards together: it is stored with the answer. */
const maxCandidates = 200;

/** What came of asking the shards, and why, as far as the request wants to know. */
export type ExplainedSeat =
  | (Extract<SeatAnswer, { readonly ok: true }> & {
      readonly explanation?: AllocationExplanation | undefined;
      /** Where to start, as a party's leader has asked for it; otherwise the request says. */
      readonly fragment?: string | undefined;
    })
  | Refusal;

/** Gathers what the shards that were asked have said, for an explanation. */
export class AllocationAccount {
  readonly #wish: AllocateRequest;
  readonly #outcomes: Map<string, ShardOutcome>;
  #candidates: readonly ExplainedCandidate[] = [];

  /** `shards`: those that come into question, in order. */
  constructor(wish: AllocateRequest, shards: readonly string[]) {
    this.#wish = wish;
    this.#outcomes = new Map(shards.map((shard) => [shard, "not-asked"]));
  }

  note(shard: string, answer: SeatAnswer): void {
    this.#outcomes.set(shard, answer.ok ? "gave" : "refused");
    // A shard may be asked twice; what it says last is what counts.
    const others = this.#candidates.filter((candidate) => candidate.shard !== shard);
    this.#candidates = [...others, ...(answer.candidates ?? [])].slice(-maxCandidates);
  }

  /** `undefined` unless the request wants one. */
  explanation(): AllocationExplanation | undefined {
    if (this.#wish.explain !== true) return undefined;
    const shards = [...this.#outcomes].map(([shard, outcome]) => ({ shard, outcome }));
    return { policy: policyOf(this.#wish), shards, candidates: this.#candidates };
  }
}
