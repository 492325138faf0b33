import { describe, expect, it } from "vitest";
import type { AllocateRequest } from "../../../protocol/index.ts";
import {
  forgettableOperations,
  hashAllocateRequest,
  isUnused,
  maxOperations,
  nextForgetAtMs,
  nextOperationStep,
  type Operation,
  operationRetentionMs,
  reservationIdOf,
  supersededBy,
  unreportedRetentionMs,
} from "./operations.ts";

const nowMs = 1_000_000_000;

function operation(changes: Partial<Operation> = {}): Operation {
  return {
    key: "key-0001",
    bodyHash: "body",
    reservationId: "r1",
    generation: 1,
    state: "recorded",
    shard: undefined,
    queue: undefined,
    clusterId: undefined,
    expiresAt: undefined,
    answer: undefined,
    recordedAtMs: nowMs,
    ...changes,
  };
}

function committed(changes: Partial<Operation> = {}): Operation {
  return operation({ state: "committed", expiresAt: nowMs / 1_000 + 60, answer: "answer", ...changes });
}

const retry = { bodyHash: "body", nowMs, inFlight: "none" } as const;

describe("a request with a key", () => {
  it("that is new begins", () => {
    expect(nextOperationStep(undefined, retry)).toEqual({ kind: "begin" });
  });

  it("that was recorded, and is worked on by nobody, is carried on", () => {
    expect(nextOperationStep(operation(), retry)).toEqual({ kind: "resume", operation: operation() });
  });

  it("that was committed is answered as before", () => {
    expect(nextOperationStep(committed(), retry)).toEqual({
      kind: "answer",
      answer: "answer",
      reservationId: committed().reservationId,
    });
  });

  it("that was committed is answered even while another allocation is made", () => {
    expect(nextOperationStep(committed(), { ...retry, inFlight: "other" }).kind).toBe("answer");
  });

  it.each([
    ["IDEMPOTENCY_KEY_REUSED", committed(), { bodyHash: "other" }],
    ["IDEMPOTENCY_KEY_REUSED", operation(), { bodyHash: "other", inFlight: "same" }],
    ["ALLOCATION_IN_PROGRESS", operation(), { inFlight: "same" }],
    ["ALLOCATION_IN_PROGRESS", undefined, { inFlight: "other" }],
    ["TICKET_EXPIRED", committed({ expiresAt: nowMs / 1_000 }), {}],
    ["TICKET_CONSUMED", committed({ state: "consumed" }), {}],
    ["TICKET_CONSUMED", committed({ state: "consumed", expiresAt: 1 }), {}],
    ["RESERVATION_CANCELLED", committed({ state: "cancelled" }), {}],
    ["RESERVATION_CANCELLED", operation({ state: "cancelled" }), {}],
  ] as const)("is refused with %s", (code, known, changes) => {
    expect(nextOperationStep(known, { ...retry, ...changes })).toMatchObject({ kind: "refuse", code });
  });
});

describe("a commit", () => {
  it("ends older operations that could still be used, and no others", () => {
    const list = [
      operation({ key: "recorded", generation: 1 }),
      committed({ key: "unused", generation: 2 }),
      committed({ key: "expired", generation: 3, expiresAt: 1 }),
      committed({ key: "consumed", generation: 4, state: "consumed" }),
      committed({ key: "newer", generation: 9 }),
    ];
    const ended = supersededBy(list, committed({ generation: 5 }), nowMs);
    expect(ended.map(({ key }) => key)).toEqual(["recorded", "unused"]);
    expect(isUnused(committed({ expiresAt: nowMs / 1_000 }), nowMs)).toBe(false);
  });
});

describe("what is remembered", () => {
  it("lasts a day after the ticket's end", () => {
    const endedMs = nowMs - operationRetentionMs;
    const recordedAtMs = endedMs - 60_000;
    const over = committed({ key: "over", recordedAtMs, expiresAt: endedMs / 1_000 });
    const kept = committed({ key: "kept", recordedAtMs, generation: 2, expiresAt: endedMs / 1_000 + 1 });
    const never = operation({ key: "never", recordedAtMs: endedMs });
    expect(forgettableOperations([over, kept, never], nowMs)).toEqual(["over", "never"]);
  });

  it("keeps the newest ticket for a month while nobody has said that it joined, as on a cluster that cannot reach the master", () => {
    const expiresAt = nowMs / 1_000;
    const older = committed({ key: "older", generation: 1, expiresAt });
    const newest = committed({ key: "newest", generation: 2, expiresAt });
    const waiting = operation({ key: "waiting", generation: 3 });
    const laterMs = nowMs + operationRetentionMs;
    expect(forgettableOperations([older, newest, waiting], laterMs)).toEqual(["older", "waiting"]);
    expect(nextForgetAtMs([newest])).toBe(nowMs + unreportedRetentionMs);
    expect(forgettableOperations([newest], nowMs + unreportedRetentionMs)).toEqual(["newest"]);
    // Whoever has joined by a newer one has ended it.
    const joined = { ...newest, key: "joined", generation: 4, state: "consumed" } as const;
    expect(forgettableOperations([newest, joined], laterMs)).toEqual(["newest", "joined"]);
    expect(nextForgetAtMs([])).toBeUndefined();
  });

  it("is bounded, and a live ticket is never forgotten", () => {
    const live = committed({ key: "live", generation: 1 });
    const rest = Array.from({ length: maxOperations }, (_, index) =>
      operation({ key: `spam-${index}`, generation: index + 2 }),
    );
    expect(forgettableOperations(rest, nowMs)).toEqual([]);
    expect(forgettableOperations([live, ...rest], nowMs)).toEqual([]);
    const more = operation({ key: "more", generation: 1_000 });
    expect(forgettableOperations([live, ...rest, more], nowMs)).toEqual(["spam-0"]);
  });
});

describe("the hash of a request", () => {
  it("tells different requests apart, and does not mind how they are written", async () => {
    const hashes = await Promise.all(
      [{}, { clusterId: "a" }, { region: "a" }, { clusterId: "a", region: "b" }, { clusterId: "ab" }].map(
        hashAllocateRequest,
      ),
    );
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(await hashAllocateRequest({ region: "b", clusterId: "a" })).toBe(hashes[3]);
    expect(await hashAllocateRequest({ region: undefined, clusterId: "a" })).toBe(hashes[1]);
  });

  it("[ALLOC-1] covers every field, and every part of one", async () => {
    const selector = { labels: { a: "b" }, tags: ["t"], counters: { rooms: { min: 1, max: 2 } }, gameBuild: "1" };
    const whole = { clusterId: "a", policy: "load", latencies: { eu: 5, us: 6 }, selector, explain: true } as const;
    const changed: readonly AllocateRequest[] = [
      whole,
      { ...whole, clusterId: "b" },
      { ...whole, region: "eu" },
      { ...whole, policy: "packed" },
      { ...whole, latencies: { eu: 6, us: 5 } },
      { ...whole, explain: false },
      { ...whole, selector: { ...selector, labels: { a: "c" } } },
      { ...whole, selector: { ...selector, tags: [] } },
      { ...whole, selector: { ...selector, counters: { rooms: { min: 1 } } } },
      { ...whole, selector: { ...selector, gameBuild: "2" } },
      { ...whole, selector: undefined },
    ];
    const hashes = await Promise.all(changed.map(hashAllocateRequest));
    expect(new Set(hashes).size).toBe(hashes.length);
    const reordered = { explain: true, selector, latencies: { us: 6, eu: 5 }, policy: "load", clusterId: "a" } as const;
    expect(await hashAllocateRequest(reordered)).toBe(hashes[0]);
  });

  it("is that of the first release for what its clients could ask", async () => {
    expect(await hashAllocateRequest({ region: "eu" })).toBe(
      "478bb385382e3b46614a9cba8f07b8ae8a674713e447331dc50dacaf6a3b4218",
    );
  });
});

describe("the name of an operation", () => {
  const [seed, other] = [new Uint8Array(16).fill(7), new Uint8Array(16).fill(8)];
  const [body, another] = ["a1".repeat(32), "a2".repeat(32)];

  it("is the same for the same request, and another for another one, or with another seed", () => {
    expect(reservationIdOf(seed, body)).toBe(reservationIdOf(seed, body));
    const names = [reservationIdOf(seed, body), reservationIdOf(seed, another), reservationIdOf(other, body)];
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^[\w-]{22}$/);
  });

  it("is as random as the seed, whatever is asked for", () => {
    expect(reservationIdOf(new Uint8Array(16), "00".repeat(32))).toBe("A".repeat(22));
    expect(reservationIdOf(new Uint8Array(16).fill(255), "00".repeat(32))).toBe(`${"_".repeat(21)}w`);
    expect(reservationIdOf(new Uint8Array(16), "ff".repeat(32))).toBe(`${"_".repeat(21)}w`);
  });
});
