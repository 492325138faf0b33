import { backoffMs, type Clock, wait } from "./clock.ts";
import { closeEventOfError } from "./close-event.ts";
import type { Joined, SentOn } from "./opening.ts";
import type { RejoinAttempt } from "./entrance.ts";
import { SustenetError } from "./error.ts";
import type { SessionMemory } from "./session-memory.ts";

/** What it takes to resume a session. */
export interface Resumption {
  readonly open: (memory: SessionMemory, signal: AbortSignal) => Promise<Joined | SentOn>;
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
}

/** Tries before it gives up, however long the cluster waits. */
const maxAttempts = 8;
/** The first try comes soon: most connections are lost to a change of network that is over by then. */
const backoff = { baseMs: 200, maxMs: 4_000 } as const;

/** After this many tries in a row at whose address nothing listened, the process that held the session is taken for dead. */
const maxRefusals = 3;

/**
 * Takes a session up again after `failure`, within the time that the cluster keeps its player. Waits grow and are jittered.
 *
 * @param soon whether the first try is made at once: nothing is wrong with the network
 * @param lately how often it was lost lately, soon after it had been taken up: waits begin as if so many tries had failed
 * @returns undefined when there is nothing to resume any more: then the way is to allocate and join
 * @throws SustenetError `CLOSED` when the signal aborts
 */
export async function resumeSession(
  { open, clock, random }: Resumption,
  memory: SessionMemory,
  failure: SustenetError,
  signal: AbortSignal,
  onAttempt: (attempt: RejoinAttempt) => void,
  soon = false,
  lately = 0,
): Promise<Joined | SentOn | undefined> {
  const { token } = memory;
  if (token === undefined) return undefined;
  const endMs = clock.nowMs() + token.graceMs;
  // It may not wait so long that nothing is left to be taken up.
  const maxMs = lately === 0 ? backoff.maxMs : Math.max(backoff.baseMs, Math.min(backoff.maxMs, token.graceMs / 4));
  let reason = failure;
  let refusals = 0;
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const delayMs = soon && attempt === 1 ? 0 : backoffMs(attempt + lately, { ...backoff, maxMs }, random);
    if (clock.nowMs() + delayMs >= endMs) return undefined;
    onAttempt({ attempt, delayMs, reason: closeEventOfError(reason) });
    await wait(clock, delayMs, signal);
    try {
      return await open(memory, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof SustenetError)) throw error;
      // The cluster has spoken: it knows nothing to resume, or stops.
      if (error.origin === "cluster" || !passing.has(error.code)) return undefined;
      refusals = isRefused(error) ? refusals + 1 : 0;
      if (refusals === maxRefusals) return undefined;
      reason = error;
    }
  }
  return undefined;
}

const passing: ReadonlySet<string> = new Set(["NETWORK", "TIMEOUT", "CONNECTION_LOST"]);

/** Whether the machine is there and nothing listens: as when the process was killed. Runtimes that cannot tell, say nothing. */
function isRefused({ cause }: SustenetError): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ECONNREFUSED";
}
