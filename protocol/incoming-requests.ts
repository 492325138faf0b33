import { ProtocolError } from "./error.ts";
import { limits } from "./limits.ts";
import { encodeResponse, type Request, responseStatuses } from "./messages/request.ts";
import type { After } from "./outgoing-requests.ts";

/** What a handler answers: the payload, or `undefined` for a request that it does not handle. */
export type RequestAnswer = Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** Handles a request. `signal` aborts when nobody waits for the answer any more. */
export type RequestHandler = (command: number, payload: Uint8Array, signal: AbortSignal) => RequestAnswer;

export interface IncomingRequestsOptions {
  readonly send: (frame: Uint8Array) => boolean;
  readonly after: After;
  /** `undefined` while nobody handles requests. */
  readonly handler: () => RequestHandler | undefined;
  /** Throws for an answer that the other side would not take. */
  readonly check?: (payload: Uint8Array) => void;
  /** A handler threw, rejected, or answered more than a frame carries, or the other side takes. */
  readonly onError: (error: unknown) => void;
}

interface Running {
  readonly abort: AbortController;
  readonly cancelTimer: () => void;
}

const noPayload = new Uint8Array(0);
const none = new Map<number, Running>();

/** The requests of the other side that this side works on. Spec: docs/PROTOCOL.md, section 5.9. */
export class IncomingRequests {
  readonly #options: IncomingRequestsOptions;
  /** A table of its own from the first request on. */
  #open = none;
  /** Handlers that are not done, called off or not: what really costs. */
  #running = 0;

  constructor(options: IncomingRequestsOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  /** REQUEST has come. @throws ProtocolError `BAD_VALUE` when its id is open. [REQUEST-1] */
  receive({ id, deadlineMs, command, payload }: Request): void {
    if (this.#open.has(id)) throw new ProtocolError("BAD_VALUE", "a request with the id of one that is open");
    const handler = this.#options.handler();
    if (handler === undefined) return this.#refuse(id, responseStatuses.UNHANDLED);
    // [REQUEST-5]
    if (this.#running >= limits.maxPendingRequests) return this.#refuse(id, responseStatuses.BUSY);
    const abort = new AbortController();
    // [REQUEST-3]
    const cancelTimer = this.#options.after(Math.min(deadlineMs, limits.maxRequestMs), () => {
      this.#open.delete(id);
      this.#refuse(id, responseStatuses.DEADLINE);
      abort.abort();
    });
    const running = { abort, cancelTimer };
    if (this.#open === none) this.#open = new Map();
    this.#open.set(id, running);
    this.#running += 1;
    void this.#run(id, running, () => handler(command, payload, abort.signal));
  }

  /** CANCEL has come. One for a request that is not open is ignored. [REQUEST-4] */
  cancel(id: number): void {
    const running = this.#open.get(id);
    if (running === undefined) return;
    this.#open.delete(id);
    running.cancelTimer();
    running.abort.abort();
  }

  /** How many wait for an answer. */
  get open(): number {
    return this.#open.size;
  }

  /** Those that wait are told that it came to nothing: the side that would answer is about to change. */
  giveUp(): void {
    for (const id of this.#open.keys()) {
      this.cancel(id);
      this.#refuse(id, responseStatuses.FAILED);
    }
  }

  /** Nobody can be answered any more. */
  end(): void {
    for (const id of this.#open.keys()) this.cancel(id);
  }

  /** Synchronous up to what the handler itself waits for. */
  async #run(id: number, running: Running, handle: () => RequestAnswer): Promise<void> {
    let frame: Uint8Array;
    try {
      const answer = handle();
      // A thenable need not be a Promise.
      const payload = answer === undefined || answer instanceof Uint8Array ? answer : await answer;
      assertAnswer(payload);
      if (payload !== undefined) this.#options.check?.(payload);
      const status = payload === undefined ? responseStatuses.UNHANDLED : responseStatuses.OK;
      frame = encodeResponse({ id, status, payload: payload ?? noPayload });
    } catch (error) {
      frame = encodeResponse({ id, status: responseStatuses.FAILED, payload: noPayload });
      if (!running.abort.signal.aborted) this.#options.onError(error);
    }
    this.#running -= 1;
    if (this.#open.get(id) !== running) return;
    this.#open.delete(id);
    running.cancelTimer();
    this.#options.send(frame);
  }

  #refuse(id: number, status: number): void {
    this.#options.send(encodeResponse({ id, status, payload: noPayload }));
  }
}

/** Only the compiler keeps other answers out, and a game in JavaScript has none: a text would go out as zeros. */
function assertAnswer(payload: unknown): void {
  if (payload === undefined || payload instanceof Uint8Array) return;
  throw new TypeError("a request is answered with a Uint8Array, or undefined");
}
