import { type ByteReader, decodeUtf8, encodeUtf8 } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import type { StreamPosition } from "../handover/streams.ts";
import { limits } from "../limits.ts";
import { messageTypes } from "../types.ts";
import { positionBytes, readPosition, writePosition } from "./position-fields.ts";

/** The client's second frame. Spec: docs/PROTOCOL.md, section 5.2. */
export interface Join {
  readonly type: "join";
  /** The join ticket, a compact JWS of 1 to 2,048 bytes. */
  readonly ticket: string;
  /** Where the client is in the streams of an earlier session, if it had one. Section 5.12. */
  readonly position?: StreamPosition | undefined;
}

/** Throws `BAD_VALUE` for a ticket that is empty or longer than 2,048 bytes. [JOIN-3] */
export function encodeJoin(join: Omit<Join, "type">): Uint8Array<ArrayBuffer> {
  // Room for one more character than fits: the cut falls on a character's boundary, and must still fall past the limit.
  const ticket = encodeUtf8(join.ticket, limits.maxTicketBytes + 4);
  checkTicketLength(ticket.length);
  const { position } = join;
  const writer = createFrame(messageTypes.join, 2 + ticket.length + (position === undefined ? 0 : positionBytes))
    .u16(ticket.length)
    .raw(ticket);
  return (position === undefined ? writer : writePosition(writer, position)).bytes;
}

/** Bytes after the layout are ignored: a later version may append fields. [FRAME-5] */
export function decodeJoin(reader: ByteReader): Join {
  const ticketBytes = reader.u16();
  checkTicketLength(ticketBytes);
  const ticket = decodeUtf8(reader.bytes(ticketBytes));
  if (reader.remaining < positionBytes) return { type: "join", ticket };
  return { type: "join", ticket, position: readPosition(reader) };
}

function checkTicketLength(ticketBytes: number): void {
  if (ticketBytes < 1 || ticketBytes > limits.maxTicketBytes) {
    throw new ProtocolError("BAD_VALUE", `a ticket has 1 to ${limits.maxTicketBytes} bytes, not ${ticketBytes}`);
  }
}
