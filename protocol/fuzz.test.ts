/** Random bytes, from fixed seeds: a decoder either understands them or throws ProtocolError, and never anything else. */
import { describe, expect, it } from "vitest";
import { decodeClientMessage, decodeClusterMessage } from "./decode.ts";
import { ProtocolError } from "./error.ts";
import { FrameParser } from "./frame.ts";
import { encodeArrive, encodeStreams } from "./messages/arrive.ts";
import { encodeHello } from "./messages/hello.ts";
import { encodeJoin } from "./messages/join.ts";
import { encodeMessage } from "./messages/message.ts";
import { encodeMove, encodePosition } from "./messages/move.ts";
import { encodePing } from "./messages/ping.ts";
import { encodeAhead, encodeRedirect, encodeStay } from "./messages/redirect.ts";
import { encodeReject } from "./messages/farewell.ts";
import { encodeCancel, encodeRequest, encodeResponse } from "./messages/request.ts";
import { encodeAck, encodeResume, encodeResumed, encodeResumeToken } from "./messages/resume.ts";
import { encodeState } from "./messages/state.ts";
import { encodeWelcome } from "./messages/welcome.ts";
import { messageTypes } from "./types.ts";

const rounds = 4_000;
const types = Object.values(messageTypes);

const samples = [
  encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "fuzz" }),
  encodeJoin({ ticket: "a.b.c" }),
  encodeMove({ sequence: 1, x: 1, y: 2, z: 3, heading: 4 }),
  encodePosition({ sequence: 1, x: 1, y: 2, z: 3, heading: 4 }),
  encodePing({ timeMs: 1 }),
  encodeReject("FULL", 1),
  encodeMessage({ command: 1, payload: Uint8Array.of(1, 2, 3) }),
  encodeState({ command: 1, payload: Uint8Array.of(1, 2, 3) }),
  encodeRequest({ id: 1, deadlineMs: 2, command: 3, payload: Uint8Array.of(4) }),
  encodeResponse({ id: 1, status: 0, payload: Uint8Array.of(1) }),
  encodeCancel({ id: 1 }),
  encodeResume({ received: 1, token: Uint8Array.of(1, 2) }),
  encodeResumed({ received: 1, timeMs: 1, tick: 1, tickHz: 30 }),
  encodeResumeToken({ graceMs: 1, token: Uint8Array.of(1, 2) }),
  encodeAck({ received: 1 }),
  encodeRedirect({
    id: "ab".repeat(16),
    key: "cd".repeat(16),
    boot: 1,
    cluster: { id: "c", name: "n", host: "h", port: 1, tls: { serverName: "s", caPem: "p", sha256: "ef".repeat(32) } },
    token: "a.b.c",
  }),
  encodeStay({ id: "ab".repeat(16) }),
  encodeAhead({
    id: "ab".repeat(16),
    cluster: { id: "c", name: "n", host: "h", port: 1, tls: { serverName: "s", caPem: "p", sha256: "ef".repeat(32) } },
  }),
  encodeArrive({
    id: "ab".repeat(16),
    key: "cd".repeat(16),
    position: { tenure: 1, received: 2, acknowledged: 3 },
    token: "a.b.c",
  }),
  encodeStreams({ tenure: 1, received: 2, fresh: false }),
  encodeWelcome({
    version: 1,
    features: 0,
    playerNumber: 1,
    timeMs: 1,
    tick: 1,
    tickHz: 30,
    pingIntervalMs: 1,
    idleTimeoutMs: 1,
    maxFrameBytes: 1,
    x: 0,
    y: 0,
    z: 0,
    heading: 0,
    fragment: "f",
    cluster: "c",
  }),
];

describe.each([1, 2, 3])("seed %d", (seed) => {
  it("[FRAME-4] [FRAME-5] random bodies of every type are understood or refused", () => {
    const random = createRandom(seed);
    const outcomes = new Set<string>();
    for (let round = 0; round < rounds; round++) {
      const frame = randomBytes(random, 1 + random(80));
      if (random(4) > 0) frame[0] = types[random(types.length)] ?? 0;
      for (const decode of [decodeClientMessage, decodeClusterMessage]) {
        outcomes.add(outcomeOf(() => decode(frame).type));
      }
    }
    // It must have gone both ways, or it proves nothing.
    expect(outcomes).toContain("message");
    expect(outcomes).toContain("UNKNOWN_TYPE");
    expect(outcomes).toContain("TRUNCATED");
  });

  it("[FRAME-1] [FRAME-3] mangled streams in random pieces yield frames within the limit, or end", () => {
    const random = createRandom(seed + 100);
    let frames = 0;
    let errors = 0;
    for (let round = 0; round < rounds / 4; round++) {
      const stream = mangled(random);
      const limit = 1 + random(300);
      const parser = new FrameParser(limit);
      const outcome = outcomeOf(() => {
        for (let at = 0; at < stream.length;) {
          const step = 1 + random(12);
          parser.push(stream.subarray(at, at + step), (frame) => {
            expect(frame.length).toBeGreaterThanOrEqual(1);
            expect(frame.length).toBeLessThanOrEqual(limit);
            frames += 1;
            outcomeOf(() => decodeClientMessage(frame).type);
            outcomeOf(() => decodeClusterMessage(frame).type);
            return random(50) > 0;
          });
          at += step;
        }
        return "ended";
      });
      if (outcome !== "ended") errors += 1;
    }
    expect(frames).toBeGreaterThan(0);
    expect(errors).toBeGreaterThan(0);
  });
});

/** Good frames in a row, with some bytes changed, dropped or put in. */
function mangled(random: (below: number) => number): Uint8Array {
  const stream: number[] = [];
  for (let count = 1 + random(4); count > 0; count--) stream.push(...(samples[random(samples.length)] ?? []));
  for (let count = random(4); count > 0; count--) {
    const at = random(stream.length);
    const how = random(3);
    if (how === 0) stream[at] = random(256);
    else if (how === 1) stream.splice(at, 1);
    else stream.splice(at, 0, random(256));
  }
  return Uint8Array.from(stream);
}

function outcomeOf(run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

function randomBytes(random: (below: number) => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

/** Marsaglia's xorshift32: the same numbers in every runtime. */
function createRandom(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e37_79b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
