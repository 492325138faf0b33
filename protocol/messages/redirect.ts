import { type ByteReader, decodeUtf8, encodeUtf8 } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import { fromHexDigits, toHexDigits } from "../hex-digits.ts";
import { limits } from "../limits.ts";
import { messageTypes } from "../types.ts";

/** Where a cluster is, and how to be sure of it: the same as an allocation says. */
export interface RedirectCluster {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly serverName: string; readonly caPem: string; readonly sha256: string };
  readonly wssUrl?: string | undefined;
}

/** Sends a player on to another cluster. Spec: docs/PROTOCOL.md, section 5.12. */
export interface Redirect {
  readonly type: "redirect";
  /** Of the handover: 32 lower-case hex digits. */
  readonly id: string;
  /** Shows the destination who arrives: 32 lower-case hex digits. Secret. */
  readonly key: string;
  /** Which process of the destination. */
  readonly boot: number;
  readonly cluster: RedirectCluster;
  /** The master's word that the player moves; opaque to the client. */
  readonly token: string;
}

/** The player stays: the redirect is void. */
export interface Stay {
  readonly type: "stay";
  /** Of the handover: 32 lower-case hex digits. */
  readonly id: string;
}

/** Longest texts, in bytes. Each stops a cluster from making a client hold memory. [REDIRECT-1] */
const maxClusterIdBytes = 64;
const maxShortBytes = 255;
const maxPemBytes = 8_192;
const maxUrlBytes = 512;

/** A name too long for its field is cut. Throws `BAD_VALUE` for everything else that is out of bounds. [REDIRECT-1] */
export function encodeRedirect(redirect: Omit<Redirect, "type">): Uint8Array<ArrayBuffer> {
  const { cluster, token } = redirect;
  const id = text(cluster.id, 1, maxClusterIdBytes);
  const name = encodeUtf8(cluster.name);
  const host = text(cluster.host, 1, maxShortBytes);
  const serverName = text(cluster.tls.serverName, 1, maxShortBytes);
  const caPem = text(cluster.tls.caPem, 1, maxPemBytes);
  const wssUrl = text(cluster.wssUrl ?? "", 0, maxUrlBytes);
  const word = text(token, 1, limits.maxHandoverTokenBytes);
  checkPort(cluster.port);
  const texts = id.length + name.length + host.length + serverName.length + caPem.length + wssUrl.length + word.length;
  return createFrame(messageTypes.redirect, 16 + 16 + 8 + 4 + 2 + 32 + 6 + texts)
    .raw(fromHexDigits(redirect.id, 16))
    .raw(fromHexDigits(redirect.key, 16))
    .u64(redirect.boot)
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
    .raw(wssUrl)
    .u16(word.length)
    .raw(word).bytes;
}

export function decodeRedirect(reader: ByteReader): Redirect {
  const id = toHexDigits(reader.bytes(16));
  const key = toHexDigits(reader.bytes(16));
  const boot = reader.u64();
  const clusterId = checked(reader.str8(), 1, maxClusterIdBytes);
  const name = reader.str8();
  const host = checked(reader.str8(), 1, maxShortBytes);
  const port = checkPort(reader.u16());
  const serverName = checked(reader.str8(), 1, maxShortBytes);
  const sha256 = toHexDigits(reader.bytes(32));
  const caPem = text16(reader, 1, maxPemBytes);
  const wssUrl = text16(reader, 0, maxUrlBytes);
  const token = text16(reader, 1, limits.maxHandoverTokenBytes);
  reader.end();
  const address = { id: clusterId, name, host, port, tls: { serverName, caPem, sha256 } };
  return { type: "redirect", id, key, boot, cluster: wssUrl === "" ? address : { ...address, wssUrl }, token };
}

export function encodeStay(stay: Omit<Stay, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.stay, 16).raw(fromHexDigits(stay.id, 16)).bytes;
}

export function decodeStay(reader: ByteReader): Stay {
  const stay: Stay = { type: "stay", id: toHexDigits(reader.bytes(16)) };
  reader.end();
  return stay;
}

function checkPort(port: number): number {
  if (port === 0) throw new ProtocolError("BAD_VALUE", "a cluster has no port");
  return port;
}

/** Text behind a `u16`: its length is checked before it is looked at. */
function text16(reader: ByteReader, least: number, most: number): string {
  const byteLength = reader.u16();
  checkLength(byteLength, least, most);
  return decodeUtf8(reader.bytes(byteLength));
}

function checked(value: string, least: number, most: number): string {
  text(value, least, most);
  return value;
}

/** The bytes of a text that must not be cut. */
function text(value: string, least: number, most: number): Uint8Array {
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
