import { limits } from "./limits.ts";
import { encodeCancel, encodeRequest, type Response, responseStatuses } from "./messages/request.ts";
import { RequestError, type RequestErrorCode } from "./request-error.ts";

/** Calls `run` once after so many milliseconds; the returned function calls it off. */
export type After = (ms: number, run: () => void) => () => void;

export interface OutgoingRequestsOptions {
  /** Queues a frame; false when it cannot. */
  readonly send: (frame: Uint8Array) => boolean;
  readonly after: After;
  /** Where the ids go on, for a side that carries on what another began; by default at the beginning. */
  readonly lastId?: number;
}

interface Open {
  readonly settle: (outcome: Uint8Array | RequestErrorCode) => void;
}

const codes: ReadonlyMap<number, RequestErrorCode> = new Map([
  [responseStatuses.UNHANDLED, "UNHANDLED"],
  [responseStatuses.BUSY, "BUSY"],
  [responseStatuses.DEADLINE, "TIMEOUT"],
]);

const none = new Map<number, Open>();

/** The requests that this side has open. Spec: docs/PROTOCOL.md, section 5.9. */
export class OutgoingRequests {
  readonly #options: OutgoingRequestsOptions;
  /** A table of its own from the first request on: most of the many connections never make one. */
  #open = none;
  #lastId: number;
  #ended = false;

  constructor(options: OutgoingRequestsOptions) {
    this.#options = options;
    this.#lastId = options.lastId ?? 0;
  }

  /** The last id that was used: for who carries on. */
  get lastId(): number {
    return this.#lastId;
  }

  get pending(): number {
    return this.#open.size;
  }

  /**
   * Sends a request, and resolves with the payload of its answer: bytes of its own.
   *
   * @param timeoutMs 1 to 60,000
   * @throws RequestError always as a rejection; ProtocolError for what the wire cannot carry
   */
  async request(command: number, payload: Uint8Array, timeoutMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (!(timeoutMs >= 1 && timeoutMs <= limits.maxRequestMs)) {
      throw new RangeError(`a request has 1 to ${limits.maxRequestMs} ms, not ${timeoutMs}`);
    }
    if (this.#ended) throw new RequestError("ENDED");
    if (signal?.aborted === true) throw new RequestError("CANCELLED");
    if (this.#open.size >= limits.maxPendingRequests) throw new RequestError("TOO_MANY"); // [REQUEST-5]
    const id = this.#takeId();
    const frame = encodeRequest({ id, deadlineMs: Math.ceil(timeoutMs), command, payload });
    // Open before it is sent: the answer may come at once.
    const answer = this.#await(id, timeoutMs, signal);
    if (!this.#options.send(frame)) this.#open.get(id)?.settle("QUEUE_FULL");
    return answer;
  }

  /** RESPONSE has come. One to a request that is not open is ignored: it crossed with the deadline or CANCEL. [REQUEST-4] */
  receive({ id, status, payload }: Response): void {
    // Copied so, as a Buffer's own `slice` copies nothing.
    const answer = status === responseStatuses.OK ? new Uint8Array(payload) : undefined;
    this.#open.get(id)?.settle(answer ?? codes.get(status) ?? "FAILED");
  }

  /** Nothing will be answered any more, unless {@link begin} is called. */
  end(code: "ENDED" | "MOVED" = "ENDED"): void {
    this.#ended = true;
    for (const open of this.#open.values()) open.settle(code);
  }

  /** Requests are possible again. */
  begin(): void {
    this.#ended = false;
  }

  #await(id: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const giveUp = (code: RequestErrorCode): void => {
      // The answer would be for nobody. [REQUEST-4]
      this.#options.send(encodeCancel({ id }));
      settle(code);
    };
    const onAbort = (): void => giveUp("CANCELLED");
    const cancelTimer = this.#options.after(timeoutMs, () => giveUp("TIMEOUT"));
    const settle = (outcome: Uint8Array | RequestErrorCode): void => {
      this.#open.delete(id);
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
      if (typeof outcome === "string") reject(new RequestError(outcome));
      else resolve(outcome);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (this.#open === none) this.#open = new Map();
    this.#open.set(id, { settle });
    return promise;
  }

  #takeId(): number {
    do {
      this.#lastId = (this.#lastId + 1) >>> 0;
    } while (this.#open.has(this.#lastId));
    return this.#lastId;
  }
}
