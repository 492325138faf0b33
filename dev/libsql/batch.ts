import { ProtocolFault } from "./fault.ts";
import type { HranaCondition, HranaError, HranaStatementResult } from "./hrana.ts";

/** What became of a step: `undefined` while it has not run. */
export type StepOutcome = { readonly result: HranaStatementResult } | { readonly error: HranaError } | undefined;

/**
 * Whether a step of a batch runs, given what became of the ones before it.
 * @throws ProtocolFault for a condition on a step that does not come earlier
 */
export function isConditionMet(
  condition: HranaCondition,
  outcomes: readonly StepOutcome[],
  isAutocommit: () => boolean,
): boolean {
  switch (condition.type) {
    case "ok":
    case "error": {
      if (condition.step >= outcomes.length) throw new ProtocolFault("Invalid reference to step in a batch condition");
      const outcome = outcomes[condition.step];
      return outcome !== undefined && (condition.type === "ok" ? "result" in outcome : "error" in outcome);
    }
    case "not":
      return !isConditionMet(condition.cond, outcomes, isAutocommit);
    case "and":
      return condition.conds.every((each) => isConditionMet(each, outcomes, isAutocommit));
    case "or":
      return condition.conds.some((each) => isConditionMet(each, outcomes, isAutocommit));
    case "is_autocommit":
      return isAutocommit();
  }
}
