import type { AllocateRequest, Waiting } from "../../protocol/index.ts";
import { parseWaiting } from "./answers.ts";
import { backoffMs, type Clock, notBeforeMs, wait, withDeadline } from "./clock.ts";
import { callSafely } from "./emitter.ts";
import { localError, SustenetError } from "./error.ts";
import type { MasterRequest } from "./master-http.ts";

/** What an allocation needs from outside. */
export interface AllocationContext {
  /** Calls the master for the player who is logged in. */
  readonly call: (request: MasterRequest, signal?: AbortSignal) => Promise<unknown>;
  readonly clock: Clock;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
  /** For the whole of it, tries and waits included. */
  readonly timeoutMs: number;
  /** The same, where the request wants to wait for a seat. */
  readonly waitTimeoutMs: number;
}

/** How things stand in the waiting room. */
export interface WaitingProgress {
  /** From 1: the first in line. */
  readonly position: number;
  /** How long it will take yet, in seconds, as far as that is known. */
  readonly estimateSeconds: number | undefined;
}

/** For calls that may wait for a seat. */
export interface WaitOptions {
  /** Calls it off, and gives a place in the waiting room up: it then rejects with `CLOSED`. */
  readonly signal?: AbortSignal | undefined;
  /** Told of every place that the master names, where the request has `wait`. */
  readonly onWaiting?: ((progress: WaitingProgress) => void) | undefined;
  /** For the whole of it, instead of the client's own deadline. */
  readonly timeoutMs?: number | undefined;
}

/** What is asked for, until there is an answer. */
export interface Question<T> {
  readonly path: string;
  readonly request: AllocateRequest;
  readonly parse: (answer: unknown) => T;
  /** What a retry says of the place that it has. */
  readonly placeOf: (waiting: Waiting) => { readonly place?: string };
  /** Gives a place in the waiting room up. */
  readonly giveUp: (waiting: Waiting) => MasterRequest;
}

const backoff = { baseMs: 250, maxMs: 4_000 } as const;

/**
 * Repeats a request under one `Idempotency-Key`, where an answer is lost, the master is busy, or the player has to wait: that
 * gives one seat, not two. A place in the waiting room that is not needed any more is given up.
 *
 * @throws SustenetError what the master refused it with, or `TIMEOUT` or the last try's error when the deadline passed.
 */
export async function keepAsking<T>(
  question: Question<T>,
  context: AllocationContext,
  options: WaitOptions = {},
): Promise<T> {
  const { clock } = context;
  const timeoutMs = options.timeoutMs ?? (question.request.wait === true ? context.waitTimeoutMs : context.timeoutMs);
  const endMs = clock.nowMs() + timeoutMs;
  let waiting: Waiting | undefined;
  const run = async (signal: AbortSignal): Promise<T> => {
    let idempotencyKey = crypto.randomUUID();
    for (let attempt = 1; ; attempt++) {
      const { path, request } = question;
      const body = waiting === undefined ? request : { ...request, ...question.placeOf(waiting) };
      const reply = await replyTo(context.call({ method: "POST", path, body, idempotencyKey }, signal));
      if (reply instanceof SustenetError) {
        const growing = backoffMs(attempt, backoff, context.random);
        const delayMs = Math.max(notBeforeMs(reply.retryAfterMs, context.random), growing);
        // Rather the master's own reason now than a bare TIMEOUT later.
        if (!isPassing(reply) || clock.nowMs() + delayMs >= endMs) throw reply;
        // So long ago that the ticket has expired unused: only a new key gets a new one.
        if (reply.code === "TICKET_EXPIRED") [idempotencyKey, waiting] = [crypto.randomUUID(), undefined];
        await wait(clock, delayMs, signal);
        continue;
      }
      const told = parseWaiting(reply.answer);
      if (told === undefined) {
        waiting = undefined;
        return question.parse(reply.answer);
      }
      [waiting, attempt] = [told, 0];
      const progress = { position: told.position, estimateSeconds: told.estimateSeconds ?? undefined };
      callSafely(() => options.onWaiting?.(progress));
      const delayMs = told.retryAfterSeconds * 1_000;
      if (clock.nowMs() + delayMs >= endMs) throw localError("TIMEOUT", "There was no seat in time.");
      await wait(clock, delayMs, signal);
    }
  };
  try {
    return await withDeadline(clock, timeoutMs, "the allocation", run, options.signal);
  } finally {
    // Nobody waits for the answer: a place that is not given up ends by itself.
    if (waiting !== undefined) context.call(question.giveUp(waiting)).catch(() => undefined);
  }
}

async function replyTo(call: Promise<unknown>): Promise<{ readonly answer: unknown } | SustenetError> {
  try {
    return { answer: await call };
  } catch (error) {
    if (error instanceof SustenetError) return error;
    throw error;
  }
}

/** Whether the same call may succeed in a while. */
function isPassing({ code, status }: SustenetError): boolean {
  if (code === "NETWORK" || code === "TIMEOUT") return true;
  if (code === "ALLOCATION_IN_PROGRESS" || code === "TICKET_EXPIRED" || code === "PARTY_NOT_READY") return true;
  return status !== undefined && (status >= 500 || status === 429);
}
