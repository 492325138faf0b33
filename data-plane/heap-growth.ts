import { setFlagsFromString } from "node:v8";

/** How much the heap may grow past what lives before all of it is marked again, in percent of what lives. */
const growthPercent = 100;

const flag = "--heap-growing-percent";

/**
 * Lets the heap of this process double before it is collected in full. By itself V8 takes one that grows slowly, as a cluster's does
 * while players come, for one that has to stay small, and marks all that lives anew for each two megabytes that are added.
 * Whoever gives Node the flag has chosen otherwise. docs/adr/0019-heap-growth.md
 *
 * @param given flags that Node was started with
 * @returns whether it has been changed
 */
export function letHeapGrow(given: readonly string[] = process.execArgv): boolean {
  // V8 takes underscores for hyphens.
  if (given.some((one) => one.replaceAll("_", "-").startsWith(flag))) return false;
  setFlagsFromString(`${flag}=${growthPercent}`);
  return true;
}
