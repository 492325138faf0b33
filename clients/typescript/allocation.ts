import type { AllocateRequest, Allocation } from "../../protocol/index.ts";
import { parseAllocation } from "./answers.ts";
import { backoffMs, type Clock, wait, withDeadline } from "./clock.ts";
import { SustenetError } from "./error.ts";
import type { MasterRequest } from "./master-http.ts";

/** A ticket and where to use it, and what was asked for, so that the same can be asked again. */
export interface ClientAllocation extends Allocation {
  readonly request: AllocateRequest;
}

/** What an allocation needs from outside. */
export interface AllocationContext {
  /** Calls the master for the player who is logged in. */
  readonly call: (request: MasterRequest, signal: AbortSignal) => Promise<unknown>;
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
  /** For the whole of it, tries and waits included. */
  readonly timeoutMs: number;
}

const backoff = { baseMs: 250, maxMs: 4_000 } as const;

/**
 * Asks for a ticket. Where an answer is lost or the master is busy, the same request is repeated under the same
 * `Idempotency-Key`: the master then gives the same ticket, not a second seat.
 *
 * @throws SustenetError what the master refused it with, or `TIMEOUT` or the last try's error when the deadline passed.
 */
export async function allocateTicket(
  request: AllocateRequest,
  context: AllocationContext,
  parent?: AbortSignal,
): Promise<ClientAllocation> {
  const { clock, timeoutMs } = context;
  const endMs = clock.nowMs() + timeoutMs;
  const run = (signal: AbortSignal): Promise<ClientAllocation> => keepAsking(request, context, endMs, signal);
  return withDeadline(clock, timeoutMs, "the allocation", run, parent);
}

async function keepAsking(
  request: AllocateRequest,
  { call, clock, random }: AllocationContext,
  endMs: number,
  signal: AbortSignal,
): Promise<ClientAllocation> {
  let idempotencyKey = crypto.randomUUID();
  for (let attempt = 1; ; attempt++) {
    try {
      const body = await call({ method: "POST", path: "/v1/allocate", body: request, idempotencyKey }, signal);
      return { ...parseAllocation(body), request };
    } catch (error) {
      if (!(error instanceof SustenetError) || !isPassing(error)) throw error;
      const delayMs = Math.max(error.retryAfterMs, backoffMs(attempt, backoff, random));
      // Rather the master's own reason now than a bare TIMEOUT later.
      if (clock.nowMs() + delayMs >= endMs) throw error;
      // So long ago that the ticket has expired unused: only a new key gets a new one.
      if (error.code === "TICKET_EXPIRED") idempotencyKey = crypto.randomUUID();
      await wait(clock, delayMs, signal);
    }
  }
}

/** Whether the same call may succeed in a while. */
function isPassing({ code, status }: SustenetError): boolean {
  if (code === "NETWORK" || code === "TIMEOUT") return true;
  if (code === "ALLOCATION_IN_PROGRESS" || code === "TICKET_EXPIRED") return true;
  return status !== undefined && (status >= 500 || status === 429);
}
