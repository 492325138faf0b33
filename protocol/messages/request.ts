import type { ByteReader } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** Asks the other side for an answer. Spec: docs/PROTOCOL.md, section 5.9. */
export interface Request {
  readonly type: "request";
  /** Names the request among those that its sender has open. */
  readonly id: number;
  /** How long the sender waits, in milliseconds; at least 1. */
  readonly deadlineMs: number;
  /** 0 to 255; the whole range is the game's. */
  readonly command: number;
  /** A view on the received frame. */
  readonly payload: Uint8Array;
}

/** Answers a request. */
export interface Response {
  readonly type: "response";
  readonly id: number;
  /** One of {@link responseStatuses}, or of a later version. */
  readonly status: number;
  /** A view on the received frame; empty unless the status is `OK`. */
  readonly payload: Uint8Array;
}

/** The sender of a request waits no longer. */
export interface Cancel {
  readonly type: "cancel";
  readonly id: number;
}

/** What became of a request. Spec: docs/PROTOCOL.md, section 5.9. */
export const responseStatuses = { OK: 0, FAILED: 1, UNHANDLED: 2, BUSY: 3, DEADLINE: 4 } as const;

/** Throws `FRAME_TOO_LARGE` for a payload over 65,525 bytes, `BAD_VALUE` for a deadline of 0. */
export function encodeRequest(request: Omit<Request, "type">): Uint8Array<ArrayBuffer> {
  checkDeadline(request.deadlineMs);
  return createFrame(messageTypes.request, 9 + request.payload.length)
    .u32(request.id)
    .u32(request.deadlineMs)
    .u8(request.command)
    .raw(request.payload).bytes;
}

/** [REQUEST-2] */
export function decodeRequest(reader: ByteReader): Request {
  const id = reader.u32();
  const deadlineMs = reader.u32();
  const command = reader.u8();
  checkDeadline(deadlineMs);
  return { type: "request", id, deadlineMs, command, payload: reader.rest() };
}

/** Throws `FRAME_TOO_LARGE` for a payload over 65,529 bytes. */
export function encodeResponse(response: Omit<Response, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.response, 5 + response.payload.length)
    .u32(response.id)
    .u8(response.status)
    .raw(response.payload).bytes;
}

export function decodeResponse(reader: ByteReader): Response {
  return { type: "response", id: reader.u32(), status: reader.u8(), payload: reader.rest() };
}

export function encodeCancel(cancel: Omit<Cancel, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.cancel, 4).u32(cancel.id).bytes;
}

export function decodeCancel(reader: ByteReader): Cancel {
  const cancel: Cancel = { type: "cancel", id: reader.u32() };
  reader.end();
  return cancel;
}

function checkDeadline(deadlineMs: number): void {
  if (deadlineMs < 1) throw new ProtocolError("BAD_VALUE", "a request has a deadline of at least 1 ms");
}
