import { describe, expect, it } from "vitest";
import type { AllocateRequest } from "../../protocol/index.ts";
import { allocateTicket, type ClientAllocation } from "./allocation.ts";
import { errorOfAnswer } from "./answers.ts";
import type { WaitingProgress } from "./asking.ts";
import { localError, SustenetError } from "./error.ts";
import type { MasterRequest } from "./master-http.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { sampleAllocation } from "./testing/scripted-master.ts";
import { nextUncaughtError } from "./testing/uncaught-error.ts";

const cluster = {
  id: "c",
  name: "C",
  host: "127.0.0.1",
  port: 1,
  tls: { serverName: "c.invalid", caPem: "-----BEGIN CERTIFICATE-----", sha256: "0".repeat(64) },
};

function placed(position: number, more: object = {}): object {
  const place = `${position}~tag`;
  return {
    status: "waiting",
    reservationId: "r1",
    place,
    position,
    estimateSeconds: null,
    retryAfterSeconds: 2,
    ...more,
  };
}

/** Asks a master that answers so, one entry a call; the last one repeats. */
function start(
  script: readonly (object | SustenetError)[],
  request: AllocateRequest = { wait: true },
  hear: () => void = () => undefined,
) {
  const clock = new ManualClock();
  const requests: MasterRequest[] = [];
  const progress: WaitingProgress[] = [];
  const abort = new AbortController();
  const outcome: { value?: ClientAllocation; error?: SustenetError } = {};
  const asked = () => requests.filter(({ method }) => method === "POST");
  const call = async (each: MasterRequest): Promise<unknown> => {
    const step = script[Math.min(asked().length, script.length - 1)];
    requests.push(each);
    if (each.method === "DELETE") return undefined;
    if (step instanceof SustenetError) throw step;
    return step;
  };
  const context = { call, clock, random: () => 0, timeoutMs: 10_000, waitTimeoutMs: 60_000 };
  const onWaiting = (each: WaitingProgress): void => {
    progress.push(each);
    hear();
  };
  allocateTicket(request, context, { signal: abort.signal, onWaiting }).then(
    (value) => (outcome.value = value),
    (error: SustenetError) => (outcome.error = error),
  );
  return { clock, requests, asked, progress, abort, outcome };
}

describe("waiting for a seat", () => {
  it("[WAIT-5] comes again when it was told to, with the place and the same key, until there is a ticket", async () => {
    const run = start([
      placed(3, { estimateSeconds: 9 }),
      placed(1, { retryAfterSeconds: 5 }),
      sampleAllocation(cluster),
    ]);
    await run.clock.advance(1_999);
    expect(run.asked()).toHaveLength(1);
    await run.clock.advance(1);
    expect(run.asked()).toHaveLength(2);
    await run.clock.advance(5_000);
    expect(run.outcome.value).toEqual({ ...sampleAllocation(cluster), request: { wait: true } });
    expect(run.progress).toEqual([
      { position: 3, estimateSeconds: 9 },
      { position: 1, estimateSeconds: undefined },
    ]);
    expect(run.asked().map(({ body }) => body)).toEqual([
      { wait: true },
      { wait: true, place: "3~tag" },
      { wait: true, place: "1~tag" },
    ]);
    expect(new Set(run.asked().map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(run.requests).toHaveLength(3);
    expect(run.clock.pending).toBe(0);
  });

  it("[WAIT-2] keeps its place though the game fails at what it is told: the error surfaces", async () => {
    const uncaught = nextUncaughtError();
    const run = start([placed(3), sampleAllocation(cluster)], { wait: true }, () => {
      throw new RangeError("a bug of the game");
    });
    await run.clock.advance(2_000);
    expect(run.outcome.value?.ticket).toBe("ticket-1");
    await expect(uncaught).resolves.toBeInstanceOf(RangeError);
  });

  it("[WAIT-2] keeps its place when an answer is lost or the master is busy", async () => {
    const lost = [localError("NETWORK"), errorOfAnswer(503, { code: "WAITING_ROOM_FULL", detail: "x" }, undefined)];
    const run = start([placed(2), ...lost, placed(1), sampleAllocation(cluster)]);
    await run.clock.advance(10_000);
    expect(run.outcome.value?.ticket).toBe("ticket-1");
    expect(run.asked().map(({ body }) => body)).toContainEqual({ wait: true, place: "2~tag" });
    expect(run.requests.every(({ method }) => method === "POST")).toBe(true);
  });

  it("[WAIT-5] gives the place up when it is called off", async () => {
    const run = start([placed(2)]);
    await run.clock.advance(3_000);
    run.abort.abort();
    await run.clock.advance(0);
    expect(run.outcome.error).toMatchObject({ code: "CLOSED" });
    expect(run.requests.at(-1)).toEqual({ method: "DELETE", path: "/v1/allocate/r1" });
    const { length } = run.requests;
    await run.clock.advance(60_000);
    expect(run.requests).toHaveLength(length);
    expect(run.clock.pending).toBe(0);
  });

  it("[WAIT-5] gives the place up at its deadline, which is longer than that of those who do not wait", async () => {
    const run = start([placed(2)]);
    await run.clock.advance(30_000);
    expect(run.outcome.error).toBeUndefined();
    await run.clock.advance(30_000);
    expect(run.outcome.error).toMatchObject({ code: "TIMEOUT" });
    expect(run.requests.at(-1)).toMatchObject({ method: "DELETE" });
    const busy = start([errorOfAnswer(503, { code: "NO_CLUSTER_AVAILABLE", detail: "x" }, undefined)], {});
    await busy.clock.advance(10_000);
    expect(busy.outcome.error).toMatchObject({ code: "NO_CLUSTER_AVAILABLE" });
  });

  it.each([{ place: 7 }, { position: "first" }, { retryAfterSeconds: null }, { estimateSeconds: "soon" }])(
    "refuses an answer with %s",
    async (more) => {
      const run = start([placed(1, more)]);
      await run.clock.advance(0);
      expect(run.outcome.error).toMatchObject({ code: "BAD_ANSWER" });
    },
  );

  it("is not made to ask without end by a master that names no time", async () => {
    const run = start([placed(1, { retryAfterSeconds: 0 })]);
    await run.clock.advance(5_500);
    expect(run.asked()).toHaveLength(6);
  });
});
