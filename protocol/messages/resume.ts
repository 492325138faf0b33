import type { ByteReader } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import { limits } from "../limits.ts";
import { messageTypes } from "../types.ts";

/** The second frame of a client that comes back. Spec: docs/PROTOCOL.md, section 5.10. */
export interface Resume {
  readonly type: "resume";
  /** How many numbered frames the client has received, modulo 2^32. */
  readonly received: number;
  /** Of the latest RESUME_TOKEN: 1 to 64 bytes. Secret. A view on the received frame. */
  readonly token: Uint8Array;
}

/** Answers RESUME. */
export interface Resumed {
  readonly type: "resumed";
  /** How many numbered frames the cluster has received, modulo 2^32. */
  readonly received: number;
  /** The cluster's clock, in milliseconds. */
  readonly timeMs: number;
  readonly tick: number;
  readonly tickHz: number;
}

/** What a client needs to come back with. */
export interface ResumeToken {
  readonly type: "resumeToken";
  /** How long the player is kept after its connection has dropped. */
  readonly graceMs: number;
  /** 1 to 64 bytes. Secret. A view on the received frame. */
  readonly token: Uint8Array;
}

/** How many numbered frames have been received. */
export interface Ack {
  readonly type: "ack";
  /** Modulo 2^32. */
  readonly received: number;
}

/** Throws `BAD_VALUE` for a token that is empty or longer than 64 bytes. [RESUME-2] */
export function encodeResume(resume: Omit<Resume, "type">): Uint8Array<ArrayBuffer> {
  return encodeWithToken(messageTypes.resume, resume.received, resume.token);
}

/** Bytes after the layout are ignored, as in JOIN. [FRAME-5] */
export function decodeResume(reader: ByteReader): Resume {
  return { type: "resume", received: reader.u32(), token: decodeToken(reader) };
}

export function encodeResumed(resumed: Omit<Resumed, "type">): Uint8Array<ArrayBuffer> {
  const { received, timeMs, tick, tickHz } = resumed;
  return createFrame(messageTypes.resumed, 17).u32(received).f64(timeMs).u32(tick).u8(tickHz).bytes;
}

export function decodeResumed(reader: ByteReader): Resumed {
  const resumed: Resumed = {
    type: "resumed",
    received: reader.u32(),
    timeMs: reader.f64(),
    tick: reader.u32(),
    tickHz: reader.u8(),
  };
  reader.end();
  return resumed;
}

/** Throws `BAD_VALUE` for a token that is empty or longer than 64 bytes. [RESUME-2] */
export function encodeResumeToken(message: Omit<ResumeToken, "type">): Uint8Array<ArrayBuffer> {
  return encodeWithToken(messageTypes.resumeToken, message.graceMs, message.token);
}

export function decodeResumeToken(reader: ByteReader): ResumeToken {
  const message: ResumeToken = { type: "resumeToken", graceMs: reader.u32(), token: decodeToken(reader) };
  reader.end();
  return message;
}

export function encodeAck(ack: Omit<Ack, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.ack, 4).u32(ack.received).bytes;
}

export function decodeAck(reader: ByteReader): Ack {
  const ack: Ack = { type: "ack", received: reader.u32() };
  reader.end();
  return ack;
}

function encodeWithToken(type: number, number: number, token: Uint8Array): Uint8Array<ArrayBuffer> {
  checkTokenLength(token.length);
  return createFrame(type, 6 + token.length)
    .u32(number)
    .u16(token.length)
    .raw(token).bytes;
}

function decodeToken(reader: ByteReader): Uint8Array {
  const byteLength = reader.u16();
  checkTokenLength(byteLength);
  return reader.bytes(byteLength);
}

function checkTokenLength(byteLength: number): void {
  if (byteLength < 1 || byteLength > limits.maxResumeTokenBytes) {
    throw new ProtocolError("BAD_VALUE", `a resume token has 1 to ${limits.maxResumeTokenBytes} bytes`);
  }
}
