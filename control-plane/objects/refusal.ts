import type { AllocationExplanation, BanNotice, FenceReason, ProblemCode } from "../../protocol/index.ts";

/** How an object says no: errors lose their class between objects, so it is an answer like any other. */
export interface Refusal {
  readonly ok: false;
  readonly code: ProblemCode;
  /** What is wrong and what to do; fit for the caller. */
  readonly detail: string;
  readonly retryAfterSeconds?: number | undefined;
  /** With `BANNED`. */
  readonly ban?: BanNotice | undefined;
  /** With `CLUSTER_FENCED`. */
  readonly fencedBy?: FenceReason | undefined;
  /** Of an allocation that was to be explained. */
  readonly explanation?: AllocationExplanation | undefined;
  /** Whether what is missing is a free seat, which may come: somebody may wait for it. */
  readonly waitable?: boolean | undefined;
}

export function refuse(code: ProblemCode, detail: string, retryAfterSeconds?: number): Refusal {
  return retryAfterSeconds === undefined ? { ok: false, code, detail } : { ok: false, code, detail, retryAfterSeconds };
}
