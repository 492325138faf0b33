import type { ByteReader } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** Asks for a PONG. Spec: docs/PROTOCOL.md, section 5.6. */
export interface Ping {
  readonly type: "ping";
  /** The sender's clock, in milliseconds. */
  readonly timeMs: number;
}

/** Answers a PING. */
export interface Pong {
  readonly type: "pong";
  /** `timeMs` of the PING. */
  readonly echoMs: number;
  /** The answerer's clock, in milliseconds. */
  readonly timeMs: number;
}

export function encodePing(ping: Omit<Ping, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.ping, 8).f64(ping.timeMs).bytes;
}

export function decodePing(reader: ByteReader): Ping {
  const ping: Ping = { type: "ping", timeMs: reader.f64() };
  reader.end();
  return ping;
}

export function encodePong(pong: Omit<Pong, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.pong, 16).f64(pong.echoMs).f64(pong.timeMs).bytes;
}

export function decodePong(reader: ByteReader): Pong {
  const pong: Pong = { type: "pong", echoMs: reader.f64(), timeMs: reader.f64() };
  reader.end();
  return pong;
}
