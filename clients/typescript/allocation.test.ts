import { describe, expect, it } from "vitest";
import { allocateTicket, type ClientAllocation } from "./allocation.ts";
import { errorOfAnswer } from "./answers.ts";
import { localError, type SustenetError } from "./error.ts";
import type { MasterRequest } from "./master-http.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { sampleAllocation } from "./testing/scripted-master.ts";

const cluster = {
  id: "c",
  name: "C",
  host: "127.0.0.1",
  port: 1,
  tls: { serverName: "c.invalid", caPem: "-----BEGIN CERTIFICATE-----", sha256: "0".repeat(64) },
};

/** What the master does, one entry a call; the last one repeats. */
type Script = readonly (SustenetError | "ticket" | "silence")[];

function start(script: Script): {
  clock: ManualClock;
  requests: MasterRequest[];
  abort: AbortController;
  outcome: { value?: ClientAllocation; error?: SustenetError };
} {
  const clock = new ManualClock();
  const requests: MasterRequest[] = [];
  const abort = new AbortController();
  const outcome: { value?: ClientAllocation; error?: SustenetError } = {};
  const call = async (request: MasterRequest): Promise<unknown> => {
    const step = script[Math.min(requests.length, script.length - 1)];
    requests.push(request);
    if (step === "ticket") return sampleAllocation(cluster);
    if (step === "silence" || step === undefined) return new Promise(() => undefined);
    throw step;
  };
  const context = { call, clock, random: () => 0, timeoutMs: 10_000, waitTimeoutMs: 100_000 };
  allocateTicket({ region: "eu" }, context, { signal: abort.signal }).then(
    (value) => (outcome.value = value),
    (error: SustenetError) => (outcome.error = error),
  );
  return { clock, requests, abort, outcome };
}

const answer = (status: number, code: string, retryAfterSeconds?: number): SustenetError =>
  errorOfAnswer(status, { code, detail: code, retryAfterSeconds }, undefined);

describe("allocateTicket", () => {
  it("asks with a key of its own and says what was asked", async () => {
    const { clock, requests, outcome } = start(["ticket"]);
    await clock.advance(0);
    expect(outcome.value).toEqual({ ...sampleAllocation(cluster), request: { region: "eu" } });
    expect(requests).toMatchObject([{ method: "POST", path: "/v1/allocate", body: { region: "eu" } }]);
    expect(requests[0]?.idempotencyKey).toMatch(/^[\w-]{8,128}$/);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ["a connection that broke", localError("NETWORK")],
    ["an answer that did not come", localError("TIMEOUT")],
    ["ALLOCATION_IN_PROGRESS", answer(409, "ALLOCATION_IN_PROGRESS")],
    ["NO_CLUSTER_AVAILABLE", answer(503, "NO_CLUSTER_AVAILABLE")],
    ["INTERNAL", answer(500, "INTERNAL")],
    ["RATE_LIMITED", answer(429, "RATE_LIMITED")],
    ["a proxy's 502", errorOfAnswer(502, undefined, undefined)],
  ])("repeats the same request with the same key after %s", async (_, error) => {
    const { clock, requests, outcome } = start([error, error, "ticket"]);
    await clock.advance(1_000);
    expect(outcome.value?.ticket).toBe("ticket-1");
    expect(requests).toHaveLength(3);
    expect(new Set(requests.map((request) => JSON.stringify(request))).size).toBe(1);
  });

  it.each([
    answer(409, "CLUSTER_FULL"),
    answer(404, "CLUSTER_NOT_FOUND"),
    answer(401, "UNAUTHENTICATED"),
    answer(422, "INVALID_FIELD"),
    answer(410, "RESERVATION_CANCELLED"),
    localError("NOT_LOGGED_IN"),
    localError("BAD_ANSWER"),
  ])("gives up at once after $code", async (error) => {
    const { clock, requests, outcome } = start([error, "ticket"]);
    await clock.advance(9_000);
    expect(outcome.error).toBe(error);
    expect(requests).toHaveLength(1);
  });

  it("waits longer from try to try", async () => {
    const { clock, requests } = start([localError("NETWORK")]);
    const counts: number[] = [];
    for (const ms of [124, 1, 249, 1, 499, 1]) {
      await clock.advance(ms);
      counts.push(requests.length);
    }
    expect(counts).toEqual([1, 2, 2, 3, 3, 4]);
  });

  it("does not come back before Retry-After", async () => {
    const { clock, requests } = start([answer(503, "NO_CLUSTER_AVAILABLE", 4), "ticket"]);
    await clock.advance(3_999);
    expect(requests).toHaveLength(1);
    await clock.advance(1);
    expect(requests).toHaveLength(2);
  });

  it("gives up at once, with the reason, when it may not come back before its deadline", async () => {
    const { clock, outcome } = start([answer(503, "NO_CLUSTER_AVAILABLE", 10), "ticket"]);
    await clock.advance(0);
    expect(outcome.error).toMatchObject({ code: "NO_CLUSTER_AVAILABLE", retryAfterMs: 10_000 });
    expect(clock.pending).toBe(0);
  });

  it("ends at its deadline whatever happens", async () => {
    const silent = start(["silence"]);
    await silent.clock.advance(9_999);
    expect(silent.outcome.error).toBeUndefined();
    await silent.clock.advance(1);
    expect(silent.outcome.error).toMatchObject({ code: "TIMEOUT" });

    const failing = start([localError("NETWORK")]);
    await failing.clock.advance(10_000);
    expect(failing.outcome.error).toMatchObject({ code: "NETWORK" });
    expect(failing.requests.length).toBeLessThan(10);
    expect(failing.clock.pending).toBe(0);
  });

  it("takes a new key when the ticket of the old one has expired meanwhile", async () => {
    const { clock, requests, outcome } = start([localError("TIMEOUT"), answer(410, "TICKET_EXPIRED"), "ticket"]);
    await clock.advance(1_000);
    expect(outcome.value?.ticket).toBe("ticket-1");
    const keys = requests.map((request) => request.idempotencyKey);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
  });

  it("stops when it is called off, even between two tries", async () => {
    const { clock, requests, abort, outcome } = start([localError("NETWORK"), "ticket"]);
    await clock.advance(50);
    abort.abort();
    await clock.advance(1_000);
    expect(outcome.error).toMatchObject({ code: "CLOSED" });
    expect(requests).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});
