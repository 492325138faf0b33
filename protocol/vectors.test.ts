/**
 * Runs the vectors through the decoder, in every runtime that this suite runs in. It imports no encoder: the expected bytes
 * and results are literal.
 */
import { describe, expect, it } from "vitest";
import { closeCodeAdvice, closeCodeName } from "./codes.ts";
import { decodeClientMessage, decodeClusterMessage } from "./decode.ts";
import { ProtocolError } from "./error.ts";
import { FrameParser } from "./frame.ts";
import { messageTypes } from "./types.ts";
import { fromHex, toHex } from "./vectors/hex.ts";
import ahead from "./vectors/ahead.json" with { type: "json" };
import arrive from "./vectors/arrive.json" with { type: "json" };
import close from "./vectors/close.json" with { type: "json" };
import codes from "./vectors/codes.json" with { type: "json" };
import entities from "./vectors/entities.json" with { type: "json" };
import fragment from "./vectors/fragment.json" with { type: "json" };
import hello from "./vectors/hello.json" with { type: "json" };
import join from "./vectors/join.json" with { type: "json" };
import kinds from "./vectors/kinds.json" with { type: "json" };
import message from "./vectors/message.json" with { type: "json" };
import move from "./vectors/move.json" with { type: "json" };
import ping from "./vectors/ping.json" with { type: "json" };
import pong from "./vectors/pong.json" with { type: "json" };
import position from "./vectors/position.json" with { type: "json" };
import redirect from "./vectors/redirect.json" with { type: "json" };
import reject from "./vectors/reject.json" with { type: "json" };
import stay from "./vectors/stay.json" with { type: "json" };
import stream from "./vectors/stream.json" with { type: "json" };
import streams from "./vectors/streams.json" with { type: "json" };
import types from "./vectors/types.json" with { type: "json" };
import ack from "./vectors/ack.json" with { type: "json" };
import cancel from "./vectors/cancel.json" with { type: "json" };
import request from "./vectors/request.json" with { type: "json" };
import response from "./vectors/response.json" with { type: "json" };
import resume from "./vectors/resume.json" with { type: "json" };
import resumeToken from "./vectors/resume-token.json" with { type: "json" };
import resumed from "./vectors/resumed.json" with { type: "json" };
import state from "./vectors/state.json" with { type: "json" };
import welcome from "./vectors/welcome.json" with { type: "json" };

interface MessageVectors {
  readonly message: string;
  readonly type: number;
  readonly receivers: readonly string[];
  readonly valid: readonly {
    readonly name: string;
    readonly rules: readonly string[];
    readonly hex: string;
    readonly fields: object;
  }[];
  readonly rejected: readonly {
    readonly name: string;
    readonly rules: readonly string[];
    readonly hex: string;
    readonly error: string;
  }[];
}

const files: readonly MessageVectors[] = [
  hello,
  join,
  welcome,
  reject,
  close,
  ping,
  pong,
  resume,
  resumed,
  resumeToken,
  ack,
  redirect,
  stay,
  ahead,
  arrive,
  streams,
  move,
  position,
  kinds,
  entities,
  fragment,
  message,
  state,
  request,
  response,
  cancel,
];

const decoders = { cluster: decodeClientMessage, client: decodeClusterMessage } as const;

/** How a stream may be cut; the result must not depend on it. [FRAME-1] */
const cuts = {
  whole: (bytes: Uint8Array): Uint8Array[] => [bytes],
  "one byte at a time": (bytes: Uint8Array): Uint8Array[] => Array.from(bytes, (byte) => Uint8Array.of(byte)),
} as const;

for (const file of files) {
  describe(`${file.message}.json`, () => {
    it("has the type byte of the code", () => {
      expect(file.type).toBe(new Map<string, number>(Object.entries(messageTypes)).get(file.message));
    });

    for (const entry of file.valid) {
      it(`accepts ${titleOf(entry)}`, () => {
        for (const pieces of cutsOf(entry.hex)) {
          for (const receiver of receiversOf(file)) {
            expect(decoders[receiver](onlyFrame(pieces))).toEqual({ type: file.message, ...fieldsOf(entry.fields) });
          }
        }
      });
    }

    for (const entry of file.rejected) {
      it(`refuses ${titleOf(entry)}: ${entry.error}`, () => {
        for (const pieces of cutsOf(entry.hex)) {
          for (const receiver of receiversOf(file)) {
            expect(errorCodeOf(() => decoders[receiver](onlyFrame(pieces)))).toBe(entry.error);
          }
        }
      });
    }

    it("[FRAME-4] is refused in a direction that does not have it", () => {
      for (const receiver of ["cluster", "client"] as const) {
        if (file.receivers.includes(receiver)) continue;
        for (const entry of file.valid) {
          expect(errorCodeOf(() => decoders[receiver](onlyFrame([fromHex(entry.hex)])))).toBe("UNKNOWN_TYPE");
        }
      }
    });
  });
}

describe("types.json", () => {
  for (const entry of types.rejected) {
    it(`${titleOf(entry)} at the ${entry.receiver}`, () => {
      const decode = entry.receiver === "cluster" ? decodeClientMessage : decodeClusterMessage;
      expect(errorCodeOf(() => decode(onlyFrame([fromHex(entry.hex)])))).toBe(entry.error);
    });
  }
});

describe("codes.json", () => {
  for (const { number, name, advice } of codes.codes) {
    it(`[CLOSE-3] ${number} is ${name ?? "unknown"}: ${advice}`, () => {
      expect(closeCodeName(number)).toBe(name ?? undefined);
      expect(closeCodeAdvice(number)).toBe(advice);
    });
  }
});

describe("stream.json", () => {
  for (const entry of stream.streams) {
    const expected = { frames: entry.frames, error: entry.error };
    const whole = entry.pieces.join("");

    it(`${titleOf(entry)}, in its pieces`, () => {
      expect(read(entry.pieces.map(fromHex), entry.limits)).toEqual(expected);
    });
    for (const [cut, pieces] of Object.entries(cuts)) {
      it(`${titleOf(entry)}, ${cut}`, () => {
        expect(read(pieces(fromHex(whole)), entry.limits)).toEqual(expected);
      });
    }
    it(`${titleOf(entry)}, cut in two at every place`, () => {
      const bytes = fromHex(whole);
      // A long stream is cut at its first bytes only: that is where lengths and types are.
      for (let at = 0; at <= Math.min(bytes.length, 200); at++) {
        expect(read([bytes.subarray(0, at), bytes.subarray(at)], entry.limits)).toEqual(expected);
      }
    });
  }
});

/** What a receiver makes of a stream: the frames before its end or its error. */
function read(pieces: readonly Uint8Array[], limits: readonly number[]): { frames: string[]; error: string | null } {
  const frames: string[] = [];
  const limitOf = (frame: number): number => limits[frame] ?? limits.at(-1) ?? 0;
  const parser = new FrameParser(limitOf(0));
  try {
    for (const piece of pieces) {
      parser.push(piece, (frame) => {
        frames.push(toHex(frame));
        parser.maxFrameBytes = limitOf(frames.length);
        return true;
      });
    }
  } catch (error) {
    if (error instanceof ProtocolError) return { frames, error: error.code };
    throw error;
  }
  return { frames, error: null };
}

function onlyFrame(pieces: readonly Uint8Array[]): Uint8Array {
  const { frames, error } = read(pieces, [65_535]);
  expect({ count: frames.length, error }).toEqual({ count: 1, error: null });
  return fromHex(frames[0] ?? "");
}

function cutsOf(hex: string): Uint8Array[][] {
  return Object.values(cuts).map((cut) => cut(fromHex(hex)));
}

function receiversOf(file: MessageVectors): ("cluster" | "client")[] {
  const receivers = (["cluster", "client"] as const).filter((receiver) => file.receivers.includes(receiver));
  expect(receivers).toHaveLength(file.receivers.length);
  return receivers;
}

/** JSON has no bytes: payload, token and changes are hexadecimal there. */
function fieldsOf(fields: object): object {
  if ("changes" in fields && typeof fields.changes === "string") return { ...fields, changes: fromHex(fields.changes) };
  if ("payload" in fields && typeof fields.payload === "string") return { ...fields, payload: fromHex(fields.payload) };
  // Of a handover it is text.
  if (!("token" in fields) || typeof fields.token !== "string" || "key" in fields) return fields;
  return { ...fields, token: fromHex(fields.token) };
}

function errorCodeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return "none";
}

function titleOf(entry: { readonly name: string; readonly rules: readonly string[] }): string {
  return `${entry.rules.map((rule) => `[${rule}]`).join(" ")} ${entry.name}`;
}
