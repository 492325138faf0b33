import { type ByteReader, ByteWriter, decodeUtf8, encodeUtf8 } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { fromHexDigits, toHexDigits } from "../hex-digits.ts";

/** Where a cluster is, and how to be sure of it: the same as an allocation says. */
export interface RedirectCluster {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly serverName: string; readonly caPem: string; readonly sha256: string };
  readonly wssUrl?: string | undefined;
}

/** Longest texts, in bytes. Each stops a cluster from making a client hold memory. [REDIRECT-1] [AHEAD-1] */
const maxClusterIdBytes = 64;
const maxShortBytes = 255;
const maxPemBytes = 8_192;
const maxUrlBytes = 512;

/** A part of REDIRECT and AHEAD. A name too long for its field is cut. Throws `BAD_VALUE` for everything else that is out of bounds. [REDIRECT-1] */
export function encodeClusterAddress(cluster: RedirectCluster): Uint8Array<ArrayBuffer> {
  const id = boundedText(cluster.id, 1, maxClusterIdBytes);
  const name = encodeUtf8(cluster.name);
  const host = boundedText(cluster.host, 1, maxShortBytes);
  const serverName = boundedText(cluster.tls.serverName, 1, maxShortBytes);
  const caPem = boundedText(cluster.tls.caPem, 1, maxPemBytes);
  const wssUrl = boundedText(cluster.wssUrl ?? "", 0, maxUrlBytes);
  checkPort(cluster.port);
  const texts = id.length + name.length + host.length + serverName.length + caPem.length + wssUrl.length;
  return new ByteWriter(4 + 2 + 32 + 4 + texts)
    .u8(id.length)
    .raw(id)
    .u8(name.length)
    .raw(name)
    .u8(host.length)
    .raw(host)
    .u16(cluster.port)
    .u8(serverName.length)
    .raw(serverName)
    .raw(fromHexDigits(cluster.tls.sha256, 32))
    .u16(caPem.length)
    .raw(caPem)
    .u16(wssUrl.length)
    .raw(wssUrl).bytes;
}

export function decodeClusterAddress(reader: ByteReader): RedirectCluster {
  const id = checked(reader.str8(), 1, maxClusterIdBytes);
  const name = reader.str8();
  const host = checked(reader.str8(), 1, maxShortBytes);
  const port = checkPort(reader.u16());
  const serverName = checked(reader.str8(), 1, maxShortBytes);
  const sha256 = toHexDigits(reader.bytes(32));
  const caPem = readText16(reader, 1, maxPemBytes);
  const wssUrl = readText16(reader, 0, maxUrlBytes);
  const address = { id, name, host, port, tls: { serverName, caPem, sha256 } };
  return wssUrl === "" ? address : { ...address, wssUrl };
}

function checkPort(port: number): number {
  if (port === 0) throw new ProtocolError("BAD_VALUE", "a cluster has no port");
  return port;
}

/** Text behind a `u16`: its length is checked before it is looked at. */
export function readText16(reader: ByteReader, least: number, most: number): string {
  const byteLength = reader.u16();
  checkLength(byteLength, least, most);
  return decodeUtf8(reader.bytes(byteLength));
}

function checked(value: string, least: number, most: number): string {
  boundedText(value, least, most);
  return value;
}

/** The bytes of a text that must not be cut. */
export function boundedText(value: string, least: number, most: number): Uint8Array {
  // Room for one more character than fits: the cut falls on a character's boundary, and must still fall past the limit.
  const bytes = encodeUtf8(value, most + 4);
  checkLength(bytes.length, least, most);
  return bytes;
}

function checkLength(byteLength: number, least: number, most: number): void {
  if (byteLength < least || byteLength > most) {
    throw new ProtocolError("BAD_VALUE", `a text of ${byteLength} bytes, where ${least} to ${most} are allowed`);
  }
}
