import type { ByteReader, ByteWriter } from "../bytes.ts";
import type { StreamPosition } from "../handover/streams.ts";

/** Bytes of a client's position in its numbered streams. Spec: docs/PROTOCOL.md, section 5.12. */
export const positionBytes = 24;

export function writePosition<W extends ByteWriter>(writer: W, position: StreamPosition): W {
  writer.u64(position.tenure).u64(position.received).u64(position.acknowledged);
  return writer;
}

export function readPosition(reader: ByteReader): StreamPosition {
  return { tenure: reader.u64(), received: reader.u64(), acknowledged: reader.u64() };
}
