import type { AllocateRequest, Allocation } from "../../protocol/index.ts";
import { parseAllocation } from "./answers.ts";
import { type AllocationContext, keepAsking, type WaitOptions } from "./asking.ts";

/** A ticket and where to use it, and what was asked for, so that the same can be asked again. */
export interface ClientAllocation extends Allocation {
  readonly request: AllocateRequest;
}

/**
 * Asks for a ticket. Where an answer is lost or the master is busy, the same request is repeated under the same
 * `Idempotency-Key`: the master then gives the same ticket, not a second seat. With `wait` in the request it waits for its turn.
 *
 * @throws SustenetError what the master refused it with, or `TIMEOUT` or the last try's error when the deadline passed.
 */
export async function allocateTicket(
  request: AllocateRequest,
  context: AllocationContext,
  options?: WaitOptions,
): Promise<ClientAllocation> {
  const question = {
    path: "/v1/allocate",
    request,
    parse: parseAllocation,
    placeOf: ({ place }: { place: string }) => ({ place }),
    giveUp: ({ reservationId }: { reservationId: string }) => releaseRequest(reservationId),
  };
  return { ...(await keepAsking(question, context, options)), request };
}

/** Gives a seat back, or a place in the waiting room. */
export function releaseRequest(reservationId: string) {
  return { method: "DELETE", path: `/v1/allocate/${encodeURIComponent(reservationId)}` } as const;
}
