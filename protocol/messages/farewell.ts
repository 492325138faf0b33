import { type ByteReader, encodeUtf8 } from "../bytes.ts";
import { type CloseCode, closeCodes } from "../codes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

interface Farewell {
  /** One of {@link closeCodes}, or of a later version. */
  readonly code: number;
  /** Do not try again sooner. */
  readonly retryAfterMs: number;
  /** Plain English for a log or a developer. */
  readonly text: string;
}

/** Answers JOIN. Spec: docs/PROTOCOL.md, section 5.4. */
export interface Reject extends Farewell {
  readonly type: "reject";
}

/** Ends a session, from either side. Spec: docs/PROTOCOL.md, section 5.5. */
export interface Close extends Farewell {
  readonly type: "close";
}

/** REJECT with the code's own text. */
export function encodeReject(code: CloseCode, retryAfterMs = 0): Uint8Array<ArrayBuffer> {
  return encodeFarewell(messageTypes.reject, code, retryAfterMs);
}

/** CLOSE with the code's own text. */
export function encodeClose(code: CloseCode, retryAfterMs = 0): Uint8Array<ArrayBuffer> {
  return encodeFarewell(messageTypes.close, code, retryAfterMs);
}

export function decodeReject(reader: ByteReader): Reject {
  return { type: "reject", ...decodeFarewell(reader) };
}

export function decodeClose(reader: ByteReader): Close {
  return { type: "close", ...decodeFarewell(reader) };
}

function encodeFarewell(type: number, code: CloseCode, retryAfterMs: number): Uint8Array<ArrayBuffer> {
  const row = closeCodes[code];
  const text = encodeUtf8(row.text);
  return createFrame(type, 7 + text.length)
    .u16(row.number)
    .u32(retryAfterMs)
    .u8(text.length)
    .raw(text).bytes;
}

function decodeFarewell(reader: ByteReader): Farewell {
  const farewell = { code: reader.u16(), retryAfterMs: reader.u32(), text: reader.str8() };
  reader.end();
  return farewell;
}
