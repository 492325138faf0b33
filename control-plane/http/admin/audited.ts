import type { Context } from "hono";
import type { AuditAction } from "../../domain/operators/audit-actions.ts";
import type { AuditDetails } from "../../domain/operators/audit-chain.ts";
import { recordAudit, recordAuditOutcome } from "../../objects/operators/audit.ts";
import { ProblemError, problemOfRefusal } from "../problem.ts";
import type { MasterHono } from "../route-parts.ts";
import type { Operator } from "./operator.ts";

/** What is about to be done. `details` hold no secret. */
export interface AuditedAction {
  readonly action: AuditAction;
  /** As `cluster:…`, `key:…`, `player:…`. */
  readonly target: string;
  readonly details: AuditDetails;
}

/** What may be answered where an action is written down first. */
export const auditProblems = ["AUDIT_UNAVAILABLE"] as const;

/**
 * Does `work`, for an operator: it begins once the audit log holds durably what is to be done, and what came of it is written after
 * it. Nothing is answered before.
 *
 * @throws ProblemError `AUDIT_UNAVAILABLE`, or what `work` throws
 */
export async function audited<T>(
  context: Context<MasterHono>,
  operator: Operator,
  action: AuditedAction,
  work: () => Promise<T>,
): Promise<T> {
  const entry = { ...action, actor: operator.id, requestId: context.get("requestId") };
  const receipt = await recordAudit(context.env, entry);
  if (!receipt.ok) throw problemOfRefusal(receipt);
  const outcome = async (outcome: "done" | "failed", details: AuditDetails) =>
    recordAuditOutcome(context.env, receipt.sequence, { ...entry, details, outcome });
  try {
    const result = await work();
    await outcome("done", {});
    return result;
  } catch (error) {
    await outcome("failed", { code: error instanceof ProblemError ? error.code : "INTERNAL" });
    throw error;
  }
}
