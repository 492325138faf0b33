import type { MasterEvent } from "../domain/master-event.ts";
import { logEvent } from "../log.ts";
import { withDeadline } from "./deadline.ts";
import { eventHub } from "./remote.ts";

const timeoutMs = 2_000;

/**
 * Tells operators who watch that something has happened, behind the answer. At most once: what does not get through is lost, and
 * nothing waits for it.
 */
export function announce(env: Env, waitUntil: (work: Promise<unknown>) => void, events: readonly MasterEvent[]): void {
  if (events.length === 0) return;
  const told = withDeadline(eventHub(env).publish(events), timeoutMs, "the event hub");
  waitUntil(told.catch((error: unknown) => logEvent("warn", "events.lost", { count: events.length, error })));
}
