import { logEvent } from "../../log.ts";
import type { AuditEntry, AuditReceipt } from "./audit-log.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { refuse } from "../refusal.ts";
import { auditLog } from "../remote.ts";

/**
 * Writes down that somebody is about to do something. Only once this has answered with `ok` may it be done: see
 * docs/adr/0008-audit-log.md.
 */
export async function recordAudit(
  env: Env,
  entry: Pick<AuditEntry, "actor" | "action" | "target" | "details" | "requestId">,
): Promise<AuditReceipt> {
  return append(env, { ...entry, outcome: "intended", intent: null });
}

/** Writes down what came of it. That this fails does not undo anything: the intent then stands without an outcome. */
export async function recordAuditOutcome(
  env: Env,
  intent: number,
  entry: Pick<AuditEntry, "actor" | "action" | "target" | "details" | "requestId"> & {
    readonly outcome: "done" | "failed";
  },
): Promise<void> {
  const receipt = await append(env, { ...entry, intent });
  if (!receipt.ok) logEvent("error", "audit.outcome_lost", { intent, requestId: entry.requestId });
}

async function append(env: Env, entry: AuditEntry): Promise<AuditReceipt> {
  try {
    return await withDeadline(auditLog(env).append(entry), objectCallTimeoutMs, "the audit log");
  } catch (error) {
    logEvent("error", "audit.append_failed", { requestId: entry.requestId, action: entry.action, error });
    return refuse(
      "AUDIT_UNAVAILABLE",
      "The audit log cannot be written now, so nothing was done. Try again shortly.",
      5,
    );
  }
}
