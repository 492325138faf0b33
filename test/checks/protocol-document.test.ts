/** docs/PROTOCOL.md and the code say the same: message types, directions, layouts, limits and codes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  closeCodeAdvice,
  closeCodes,
  decodeClientMessage,
  decodeClusterMessage,
  encodeAck,
  encodeAhead,
  encodeArrive,
  encodeCancel,
  encodeClose,
  encodeFragment,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodeMove,
  encodePing,
  encodePong,
  encodePosition,
  encodeRedirect,
  encodeReject,
  encodeRequest,
  encodeResponse,
  encodeResume,
  encodeResumed,
  encodeResumeToken,
  encodeState,
  encodeStay,
  encodeStreams,
  encodeWelcome,
  features,
  limits,
  messageTypes,
  ProtocolError,
  responseStatuses,
} from "../../protocol/index.ts";

import { maxHandles } from "../../protocol/entities/view.ts";
import { fieldTypes } from "../../protocol/entities/wire.ts";
import { settingTable } from "../../data-plane/config/setting-table.ts";
import { defaultLimits } from "../../data-plane/limits.ts";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "docs/PROTOCOL.md"), "utf8");

describe("section 5, messages", () => {
  const rows = tableOf("## 5. Messages").map(([type = "", name = "", direction = ""]) => ({
    type: Number(type),
    name,
    direction,
  }));

  it("lists the types of the code, and no others", () => {
    const listed = rows.map(({ name, type }) => [camelCase(name), type]);
    expect(Object.fromEntries(listed)).toEqual(messageTypes);
    expect(listed).toHaveLength(Object.keys(messageTypes).length);
  });

  it.each(rows)("[FRAME-4] $name goes $direction, in the code as well", ({ type, direction }) => {
    expect({
      toCluster: isKnown(decodeClientMessage, type),
      toClient: isKnown(decodeClusterMessage, type),
    }).toEqual({
      toCluster: direction === "client → cluster" || direction === "both",
      toClient: direction === "cluster → client" || direction === "both",
    });
  });

  it("keeps the system's types below 0x40, and the game's from there on", () => {
    const game = Object.entries(messageTypes).filter(([, type]) => type >= 0x40);
    expect(game.map(([name]) => name)).toEqual(["message", "state", "request", "response", "cancel"]);
  });
});

describe("section 5, layouts", () => {
  const placement = { sequence: 0, x: 0, y: 0, z: 0, heading: 0 };
  const nothing = new Uint8Array();
  const requests = "### 5.9 REQUEST, RESPONSE and CANCEL";
  const movingOn = "### 5.12 AHEAD, REDIRECT, STAY, ARRIVE and STREAMS";
  const id = "00".repeat(16);
  const address = {
    id: "c",
    name: "",
    host: "h",
    port: 1,
    tls: { serverName: "s", caPem: "p", sha256: "00".repeat(32) },
  };
  const resuming = "### 5.10 RESUME, RESUMED, RESUME_TOKEN and ACK";

  it.each([
    { heading: "### 5.1 HELLO", frame: encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "" }) },
    { heading: "### 5.2 JOIN", frame: encodeJoin({ ticket: "t" }), variable: 1 },
    { heading: "### 5.4 REJECT", frame: encodeReject("FULL"), variable: closeCodes.FULL.text.length },
    { heading: "### 5.7 MOVE and POSITION", frame: encodeMove(placement) },
    { heading: "### 5.7 MOVE and POSITION", frame: encodePosition(placement) },
    { heading: "### 5.8 MESSAGE and STATE", frame: encodeMessage({ command: 0, payload: nothing }) },
    { heading: "### 5.8 MESSAGE and STATE", frame: encodeState({ command: 0, payload: nothing }) },
    {
      heading: "#### FRAGMENT",
      frame: encodeFragment({ tick: 0, updateHz: 1, viewRange: 1, precision: 1, speedLimit: 0, name: "n" }),
      variable: 1,
    },
    { heading: requests, frame: encodeRequest({ id: 0, deadlineMs: 1, command: 0, payload: nothing }) },
    { heading: requests, table: 1, frame: encodeResponse({ id: 0, status: 0, payload: nothing }) },
    { heading: requests, table: 2, frame: encodeCancel({ id: 0 }) },
    { heading: resuming, frame: encodeResume({ received: 0, token: Uint8Array.of(1) }), variable: 1 },
    { heading: resuming, table: 1, frame: encodeResumed({ received: 0, timeMs: 0, tick: 0, tickHz: 0 }) },
    { heading: resuming, table: 2, frame: encodeResumeToken({ graceMs: 0, token: Uint8Array.of(1) }), variable: 1 },
    { heading: resuming, table: 3, frame: encodeAck({ received: 0 }) },
    {
      heading: movingOn,
      frame: encodeRedirect({ id, key: id, boot: 0, cluster: address, token: "t" }),
      variable: 5,
    },
    { heading: movingOn, table: 1, frame: encodeStay({ id }) },
    { heading: movingOn, table: 2, frame: encodeAhead({ id, cluster: address }), variable: 4 },
    {
      heading: movingOn,
      table: 3,
      frame: encodeArrive({ id, key: id, position: { tenure: 0, received: 0, acknowledged: 0 }, token: "t" }),
      variable: 1,
    },
    { heading: movingOn, table: 4, frame: encodeStreams({ tenure: 0, received: 0, fresh: true }) },
    { heading: "### 5.6 PING and PONG", frame: encodePing({ timeMs: 0 }) },
    { heading: "### 5.6 PING and PONG", table: 1, frame: encodePong({ echoMs: 0, timeMs: 0 }) },
    {
      heading: "### 5.3 WELCOME",
      frame: encodeWelcome({
        ...placement,
        version: 1,
        features: 0,
        playerNumber: 0,
        timeMs: 0,
        tick: 0,
        tickHz: 0,
        pingIntervalMs: 0,
        idleTimeoutMs: 0,
        maxFrameBytes: 0,
        fragment: "",
        cluster: "",
      }),
    },
  ])("$heading has as many bytes as the encoder writes", ({ heading, frame, table = 0, variable = 0 }) => {
    const bytes = tableOf(heading, table).reduce((sum, [, type = ""]) => sum + sizeOf(type), 0);
    expect(frame.length - 3).toBe(bytes + variable);
  });

  it("lists the statuses of RESPONSE", () => {
    const listed = tableOf(requests, 3).map(([number = "", name = ""]) => [name, Number(number)]);
    expect(Object.fromEntries(listed)).toEqual(responseStatuses);
  });

  it("[KINDS-1] lists the types of field", () => {
    const listed = tableOf("#### KINDS", 1).map(([code = "", name = ""]) => [name, Number(code)]);
    expect(Object.fromEntries(listed)).toEqual(fieldTypes);
  });

  it("[HELLO-4] lists the optional features, by their bits", () => {
    const listed = tableOf("### 5.1 HELLO", 1).map(([bit = "", name = ""]) => [name.toLowerCase(), 2 ** Number(bit)]);
    expect(Object.fromEntries(listed)).toEqual(features);
  });

  it("[CLOSE-1] CLOSE is laid out as REJECT", () => {
    const reject = encodeReject("INTERNAL", 77);
    const close = encodeClose("INTERNAL", 77);
    expect([...close.subarray(3)]).toEqual([...reject.subarray(3)]);
  });
});

describe("limits", () => {
  it.each([
    ["ENTITIES-1", `less than ${count(maxHandles)}`],
    ["FRAME-3", `${count(limits.maxHelloBytes)} for \`HELLO\``],
    ["FRAME-3", `${count(limits.maxJoinBytes)} for \`JOIN\``],
    ["FRAME-3", count(limits.maxFrameBytes)],
    ["HELLO-5", `longer than ${count(limits.maxClientNameBytes)} bytes`],
    ["RESUME-2", `longer than ${count(limits.maxResumeTokenBytes)} bytes`],
    ["ARRIVE-1", `longer than ${count(limits.maxHandoverTokenBytes)} bytes`],
    ["REQUEST-3", `after ${limits.maxRequestMs / 1_000} s`],
    ["REQUEST-5", `at most ${limits.maxPendingRequests} requests`],
    ["JOIN-3", `longer than ${count(limits.maxTicketBytes)} bytes`],
    ["TICKET-1", `At most ${count(limits.maxTicketBytes)} bytes`],
    ["TLS-4", `longer than ${limits.handshakeTimeoutMs / 1_000} s`],
    ["JOIN-2", `within ${limits.joinTimeoutMs / 1_000} s`],
    ["TICKET-7", `now + ${limits.clockSkewMs / 1_000} s`],
    ["TICKET-7", `(${defaultLimits.maxTicketLifetimeSeconds} s by default)`],
    [
      "BUDGET-1",
      `${count(settingTable.maxBytesPerSecond.fallback)} bytes and ${count(settingTable.maxMessagesPerSecond.fallback)} frames`,
    ],
    ["SLOW-1", `(${defaultLimits.maxQueuedBytes / 1_048_576} MiB or ${count(defaultLimits.maxQueuedFrames)} frames)`],
    ["SLOW-1", `no headway for ${defaultLimits.stallTimeoutMs / 1_000} s`],
    [
      "ACK-3",
      `${defaultLimits.maxUnacknowledgedBytes / 1_048_576} MiB and ${count(defaultLimits.maxUnacknowledgedFrames)} frames`,
    ],
  ])("of %s: %s", (id, words) => {
    expect(ruleOf(id)).toContain(words);
  });
});

describe("section 8, codes", () => {
  const rows = tableOf("## 8. Codes");

  it("lists the codes of the code, and no others", () => {
    const listed = rows.map(([number = "", name = ""]) => [name, Number(number)]);
    const known = Object.entries(closeCodes).map(([name, row]) => [name, row.number]);
    expect(listed).toEqual(known);
  });

  it.each(rows)("[CLOSE-3] %s %s, sent in %s: %s", (number = "", _name = "", sentIn = "", does = "") => {
    expect(closeCodeAdvice(Number(number))).toBe(does.startsWith("allocate again") ? "allocate" : "stop");
    expect(sentIn).toMatch(/^(CLOSE|REJECT|CLOSE, REJECT)$/);
  });
});

/** The cells of the `index`th table after a heading, without its head; code marks are taken off. */
function tableOf(heading: string, index = 0): string[][] {
  const start = text.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`no heading "${heading}"`);
  const tables: string[][][] = [];
  let table: string[][] | undefined;
  for (const line of text.slice(start + heading.length + 2).split("\n")) {
    if (line.startsWith("#")) break;
    if (!line.startsWith("|")) {
      table = undefined;
      continue;
    }
    if (table === undefined) tables.push((table = []));
    const cells = line.split("|").slice(1, -1);
    table.push(cells.map((cell) => cell.trim().replaceAll("`", "")));
  }
  const found = tables[index];
  if (found === undefined) throw new Error(`no table ${index} under "${heading}"`);
  return found.slice(2);
}

/** Bytes of a field that are always there. */
function sizeOf(type: string): number {
  const times = /^(\d+) × (.+)$/.exec(type);
  if (times !== null) return Number(times[1]) * sizeOf(times[2] ?? "");
  const literal = /^(\d+) bytes$/.exec(type);
  if (literal !== null) return Number(literal[1]);
  const size = { u8: 1, u16: 2, u32: 4, u64: 8, f32: 4, f64: 8, str8: 1, bytes16: 2, rest: 0 };
  const found = new Map(Object.entries(size)).get(type);
  if (found === undefined) throw new Error(`no such type: "${type}"`);
  return found;
}

function ruleOf(id: string): string {
  const start = text.indexOf(`**[${id}]**`);
  if (start < 0) throw new Error(`no rule [${id}]`);
  const rest = text.slice(start);
  const end = rest.search(/\n(- |\n)/);
  return rest.slice(0, end < 0 ? undefined : end).replaceAll(/\s+/g, " ");
}

function isKnown(decode: (frame: Uint8Array) => unknown, type: number): boolean {
  try {
    decode(Uint8Array.of(type));
  } catch (error) {
    if (error instanceof ProtocolError) return error.code !== "UNKNOWN_TYPE";
    throw error;
  }
  return true;
}

/** Of a name in the document. */
function camelCase(name: string): string {
  return name.toLowerCase().replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
