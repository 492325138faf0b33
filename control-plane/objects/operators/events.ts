import type { MasterEvent } from "../../domain/operators/master-event.ts";
import { logEvent } from "../../log.ts";
import { withDeadline } from "../deadline.ts";
import { eventHub } from "../remote.ts";

const timeoutMs = 2_000;
/** Most events that wait for being told together. Stops the end of a whole fleet from filling the memory. */
const maxWaiting = 256;

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * Tells operators who watch that something has happened, behind the answer. At most once: what does not get through is lost, and
 * nothing waits for it.
 */
export function announce(env: Env, waitUntil: WaitUntil, events: readonly MasterEvent[]): void {
  if (events.length === 0) return;
  const told = withDeadline(eventHub(env).publish(events), timeoutMs, "the event hub");
  waitUntil(told.catch((error: unknown) => logEvent("warn", "events.lost", { count: events.length, error })));
}

/** The same for an object in which much may happen in one step: all of that is told in one call. */
export class Announcer {
  readonly #env: Env;
  readonly #waitUntil: WaitUntil;
  #waiting: MasterEvent[] = [];
  #lost = 0;

  constructor(env: Env, waitUntil: WaitUntil) {
    this.#env = env;
    this.#waitUntil = waitUntil;
  }

  announce(events: readonly MasterEvent[]): void {
    if (events.length === 0) return;
    if (this.#waiting.length === 0) this.#waitUntil(Promise.resolve().then(() => this.#tell()));
    const taken = events.slice(0, maxWaiting - this.#waiting.length);
    this.#lost += events.length - taken.length;
    this.#waiting.push(...taken);
  }

  #tell(): void {
    const events = this.#waiting;
    this.#waiting = [];
    if (this.#lost > 0) logEvent("warn", "events.lost", { count: this.#lost });
    this.#lost = 0;
    announce(this.#env, this.#waitUntil, events);
  }
}
