import { beforeEach, describe, expect, it } from "vitest";
import { ByteReader } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { IncomingRequests, type RequestHandler } from "./incoming-requests.ts";
import { limits } from "./limits.ts";
import { decodeCancel, decodeRequest, decodeResponse, responseStatuses } from "./messages/request.ts";
import { type After, OutgoingRequests } from "./outgoing-requests.ts";
import type { RequestErrorCode } from "./request-error.ts";
import { messageTypes } from "./types.ts";

/** Timers that fire when the test says so. */
class Timers {
  #nowMs = 0;
  readonly #open = new Set<{ readonly dueMs: number; readonly run: () => void }>();

  readonly after: After = (ms, run) => {
    const timer = { dueMs: this.#nowMs + ms, run };
    this.#open.add(timer);
    return () => this.#open.delete(timer);
  };

  get pending(): number {
    return this.#open.size;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of this.#open) {
      if (timer.dueMs > this.#nowMs || !this.#open.delete(timer)) continue;
      timer.run();
    }
  }
}

let timers: Timers;
let sent: string[];
let handler: RequestHandler | undefined;
let errors: unknown[];
let accepting: boolean;
let asking: OutgoingRequests;
let answering: IncomingRequests;

const payload = Uint8Array.of(1, 2, 3);
const wait = (): Promise<void> => Promise.resolve().then(() => undefined);

/** Notes a frame, and hands it to the other side. */
function send(frame: Uint8Array): boolean {
  if (!accepting) return false;
  const reader = new ByteReader(frame, 3);
  if (frame[2] === messageTypes.request) {
    const request = decodeRequest(reader);
    sent.push(`request ${request.id} ${request.deadlineMs}`);
    answering.receive(request);
  } else if (frame[2] === messageTypes.cancel) {
    const { id } = decodeCancel(reader);
    sent.push(`cancel ${id}`);
    answering.cancel(id);
  } else {
    const response = decodeResponse(reader);
    sent.push(`response ${response.id} ${response.status}`);
    asking.receive(response);
  }
  return true;
}

beforeEach(() => {
  timers = new Timers();
  sent = [];
  errors = [];
  accepting = true;
  handler = (_command, bytes) => bytes;
  asking = new OutgoingRequests({ send, after: timers.after });
  answering = new IncomingRequests({
    send,
    after: timers.after,
    handler: () => handler,
    onError: (error) => errors.push(error),
  });
});

const codeOf = async (outcome: Promise<unknown>): Promise<RequestErrorCode | "answered"> =>
  outcome.then(
    () => "answered",
    (error: { code: RequestErrorCode }) => error.code,
  );

describe("a request", () => {
  it("[REQUEST-4] is answered once, with bytes of its own", async () => {
    expect(await asking.request(7, payload, 1_000)).toEqual(payload);
    expect(sent).toEqual(["request 1 1000", "response 1 0"]);
    expect([asking.pending, answering.running, timers.pending]).toEqual([0, 0, 0]);
  });

  it("[REQUEST-4] is answered in any order", async () => {
    const open: ((bytes: Uint8Array) => void)[] = [];
    handler = () => new Promise<Uint8Array>((resolve) => open.push(resolve));
    const both = Promise.all([asking.request(1, payload, 1_000), asking.request(2, payload, 1_000)]);
    open[1]?.(Uint8Array.of(2));
    await wait();
    open[0]?.(Uint8Array.of(1));
    expect(await both).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(sent.slice(2)).toEqual(["response 2 0", "response 1 0"]);
  });

  it("fails where the handler throws or rejects, and says so to the handler's side alone", async () => {
    handler = () => {
      throw new Error("secret");
    };
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("FAILED");
    handler = () => Promise.reject(new Error("secret"));
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("FAILED");
    expect(errors).toHaveLength(2);
  });

  it("fails where the answer does not fit a frame", async () => {
    handler = () => new Uint8Array(65_530);
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("FAILED");
    handler = () => new Uint8Array(65_529);
    expect(await asking.request(1, payload, 1_000)).toHaveLength(65_529);
  });

  it("fails where the answer is no bytes, which JavaScript lets through", async () => {
    for (const wrong of ["text", [1], new ArrayBuffer(2)]) {
      handler = () => JSON.parse("null") ?? wrong;
      expect(await codeOf(asking.request(1, payload, 1_000))).toBe("FAILED");
    }
    expect(String(errors[0])).toBe("TypeError: a request is answered with a Uint8Array, or undefined");
  });

  it("may be answered by any thenable, as some databases have them", async () => {
    const answer = Promise.resolve(payload);
    // oxlint-disable-next-line unicorn/no-thenable -- it is what this is about
    const query: Promise<Uint8Array> = Object.assign(Object.create(null), { then: answer.then.bind(answer) });
    handler = () => query;
    expect(await asking.request(1, payload, 1_000)).toEqual(payload);
  });

  it("[REQUEST-4] is unhandled where nobody answers, at all or this one", async () => {
    handler = () => undefined;
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("UNHANDLED");
    handler = undefined;
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("UNHANDLED");
  });

  it("[REQUEST-4] takes a status that it does not know for a failure", async () => {
    handler = () => new Promise(() => undefined);
    const outcome = asking.request(1, payload, 1_000);
    asking.receive({ type: "response", id: 1, status: 200, payload });
    expect(await codeOf(outcome)).toBe("FAILED");
  });
});

describe("a deadline", () => {
  it("[REQUEST-3] ends a request at both sides, each by itself", async () => {
    const signals: AbortSignal[] = [];
    handler = (_command, _bytes, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const outcome = asking.request(1, payload, 1_000);
    timers.advance(999);
    expect([asking.pending, signals[0]?.aborted]).toEqual([1, false]);
    timers.advance(1);
    expect(await codeOf(outcome)).toBe("TIMEOUT");
    expect(signals[0]?.aborted).toBe(true);
    expect(timers.pending).toBe(0);
  });

  it("[REQUEST-3] is answered with DEADLINE, after 60 s whatever was asked for", () => {
    handler = () => new Promise(() => undefined);
    answering.receive({ type: "request", id: 9, deadlineMs: 4_000_000_000, command: 1, payload });
    timers.advance(limits.maxRequestMs - 1);
    expect(sent).toEqual([]);
    timers.advance(1);
    expect(sent).toEqual([`response 9 ${responseStatuses.DEADLINE}`]);
  });

  it("[REQUEST-2] is from 1 ms to 60 s", async () => {
    for (const timeoutMs of [0, 0.5, -1, limits.maxRequestMs + 1, Number.NaN]) {
      await expect(asking.request(1, payload, timeoutMs)).rejects.toThrow(RangeError);
    }
    expect(await codeOf(asking.request(1, payload, limits.maxRequestMs))).toBe("answered");
    expect(await codeOf(asking.request(1, payload, 1))).toBe("answered");
  });
});

describe("calling off", () => {
  it("[REQUEST-4] tells the other side, whose handler is told, and gets no answer", async () => {
    let finish: (bytes: Uint8Array) => void = () => undefined;
    let heard: AbortSignal | undefined;
    handler = (_command, _bytes, signal) => {
      heard = signal;
      return new Promise((resolve) => (finish = resolve));
    };
    const controller = new AbortController();
    const outcome = asking.request(1, payload, 1_000, controller.signal);
    controller.abort();
    expect(await codeOf(outcome)).toBe("CANCELLED");
    expect(heard?.aborted).toBe(true);
    finish(payload);
    await wait();
    expect(sent).toEqual(["request 1 1000", "cancel 1"]);
    expect(timers.pending).toBe(0);
  });

  it("sends nothing where it was called off before", async () => {
    expect(await codeOf(asking.request(1, payload, 1_000, AbortSignal.abort()))).toBe("CANCELLED");
    expect(sent).toEqual([]);
  });

  it("[REQUEST-4] ignores RESPONSE and CANCEL to what is not open", () => {
    asking.receive({ type: "response", id: 77, status: 0, payload });
    answering.cancel(77);
    expect(sent).toEqual([]);
  });
});

describe("bounds", () => {
  beforeEach(() => {
    handler = () => new Promise(() => undefined);
  });

  it("[REQUEST-5] at the asking side: 64 are open, one more is refused at once", async () => {
    for (let count = 0; count < limits.maxPendingRequests; count++) void codeOf(asking.request(1, payload, 1_000));
    expect(asking.pending).toBe(limits.maxPendingRequests);
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("TOO_MANY");
  });

  it("[REQUEST-5] at the answering side: those called off count until their handler is done", () => {
    for (let id = 0; id < limits.maxPendingRequests; id++) {
      answering.receive({ type: "request", id, deadlineMs: 1_000, command: 1, payload });
      answering.cancel(id);
    }
    expect(sent).toEqual([]);
    answering.receive({ type: "request", id: 1, deadlineMs: 1_000, command: 1, payload });
    expect(sent).toEqual([`response 1 ${responseStatuses.BUSY}`]);
  });

  it("[REQUEST-1] an id that is open is malformed, and good again afterwards", () => {
    const request = { type: "request", id: 5, deadlineMs: 1_000, command: 1, payload } as const;
    answering.receive(request);
    expect(() => answering.receive(request)).toThrow(ProtocolError);
    answering.cancel(5);
    answering.receive(request);
  });

  it("fails where nothing can be sent", async () => {
    accepting = false;
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("QUEUE_FULL");
    expect([asking.pending, timers.pending]).toEqual([0, 0]);
  });

  it("ends every request with its session", async () => {
    const outcome = asking.request(1, payload, 1_000);
    asking.end();
    answering.end();
    expect(await codeOf(outcome)).toBe("ENDED");
    expect(await codeOf(asking.request(1, payload, 1_000))).toBe("ENDED");
    expect(timers.pending).toBe(0);
  });
});
