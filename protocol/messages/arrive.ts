import { type ByteReader, decodeUtf8, encodeUtf8 } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import type { StreamPosition } from "../handover/streams.ts";
import { fromHexDigits, toHexDigits } from "../hex-digits.ts";
import { limits } from "../limits.ts";
import { messageTypes } from "../types.ts";
import { positionBytes, readPosition, writePosition } from "./position-fields.ts";

/** The second frame of a client that another cluster has sent here. Spec: docs/PROTOCOL.md, section 5.12. */
export interface Arrive {
  readonly type: "arrive";
  /** Of the REDIRECT: 32 lower-case hex digits. */
  readonly id: string;
  /** Of the REDIRECT: 32 lower-case hex digits. Secret. */
  readonly key: string;
  readonly position: StreamPosition;
  /** Of the REDIRECT. */
  readonly token: string;
}

/** From where the numbered streams go on. Follows WELCOME and RESUMED. */
export interface Streams {
  readonly type: "streams";
  /** Names the cluster's time with the streams. */
  readonly tenure: number;
  /** How many numbered frames of the client's it has taken; not modulo anything. */
  readonly received: number;
  /** The streams begin anew, both ways. */
  readonly fresh: boolean;
}

/** Throws `BAD_VALUE` for an id or key that is not 128 bits in hexadecimal, and a token out of its bounds. [ARRIVE-1] */
export function encodeArrive(arrive: Omit<Arrive, "type">): Uint8Array<ArrayBuffer> {
  // Room for one more character than fits: the cut falls on a character's boundary, and must still fall past the limit.
  const token = encodeUtf8(arrive.token, limits.maxHandoverTokenBytes + 4);
  checkTokenLength(token.length);
  const writer = createFrame(messageTypes.arrive, 16 + 16 + positionBytes + 2 + token.length)
    .raw(fromHexDigits(arrive.id, 16))
    .raw(fromHexDigits(arrive.key, 16));
  return writePosition(writer, arrive.position).u16(token.length).raw(token).bytes;
}

/** Bytes after the layout are ignored, as in JOIN. [FRAME-5] */
export function decodeArrive(reader: ByteReader): Arrive {
  const id = toHexDigits(reader.bytes(16));
  const key = toHexDigits(reader.bytes(16));
  const position = readPosition(reader);
  const tokenBytes = reader.u16();
  checkTokenLength(tokenBytes);
  return { type: "arrive", id, key, position, token: decodeUtf8(reader.bytes(tokenBytes)) };
}

export function encodeStreams({ tenure, received, fresh }: Omit<Streams, "type">): Uint8Array<ArrayBuffer> {
  checkFresh(received, fresh);
  return createFrame(messageTypes.streams, 17).u64(tenure).u64(received).u8(Number(fresh)).bytes;
}

export function decodeStreams(reader: ByteReader): Streams {
  const tenure = reader.u64();
  const received = reader.u64();
  const flag = reader.u8();
  reader.end();
  if (flag > 1) throw new ProtocolError("BAD_VALUE", "fresh is 0 or 1");
  const fresh = flag === 1;
  checkFresh(received, fresh);
  return { type: "streams", tenure, received, fresh };
}

/** [STREAMS-1] */
function checkFresh(received: number, fresh: boolean): void {
  if (fresh && received !== 0) throw new ProtocolError("BAD_VALUE", "fresh streams of which something was received");
}

function checkTokenLength(tokenBytes: number): void {
  if (tokenBytes < 1 || tokenBytes > limits.maxHandoverTokenBytes) {
    throw new ProtocolError("BAD_VALUE", `a handover's token has 1 to ${limits.maxHandoverTokenBytes} bytes`);
  }
}
