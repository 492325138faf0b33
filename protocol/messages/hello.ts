import { type ByteReader, decodeUtf8, encodeUtf8 } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import { limits } from "../limits.ts";
import { messageTypes } from "../types.ts";

/** "SUST" as the wire has it. */
const magic = 0x5453_5553;

/** The client's first frame. Spec: docs/PROTOCOL.md, section 5.1. */
export interface Hello {
  readonly type: "hello";
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Bit set of optional features; version 1 defines none. */
  readonly features: number;
  /** Name and version of the client software; at most 64 bytes of UTF-8. */
  readonly client: string;
}

/** A client name longer than 64 bytes is cut. */
export function encodeHello(hello: Omit<Hello, "type">): Uint8Array<ArrayBuffer> {
  const client = encodeUtf8(hello.client, limits.maxClientNameBytes);
  return createFrame(messageTypes.hello, 11 + client.length)
    .u32(magic)
    .u8(hello.minVersion)
    .u8(hello.maxVersion)
    .u32(hello.features)
    .u8(client.length)
    .raw(client).bytes;
}

/** Bytes after the layout are ignored: a later version may append fields. [FRAME-5] */
export function decodeHello(reader: ByteReader): Hello {
  if (reader.u32() !== magic) throw new ProtocolError("BAD_VALUE", "HELLO has another magic"); // [HELLO-1]
  const minVersion = reader.u8();
  const maxVersion = reader.u8();
  if (minVersion < 1 || minVersion > maxVersion) {
    throw new ProtocolError("BAD_VALUE", "HELLO has an impossible version range"); // [HELLO-2]
  }
  const features = reader.u32();
  const clientBytes = reader.u8();
  if (clientBytes > limits.maxClientNameBytes) {
    throw new ProtocolError("BAD_VALUE", "HELLO has a client name over 64 bytes"); // [HELLO-5]
  }
  return { type: "hello", minVersion, maxVersion, features, client: decodeUtf8(reader.bytes(clientBytes)) };
}
