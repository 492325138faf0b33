import type { ByteReader } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { fromHexDigits, toHexDigits } from "../hex-digits.ts";
import { limits } from "../limits.ts";
import { messageTypes } from "../types.ts";
import {
  boundedText,
  decodeClusterAddress,
  encodeClusterAddress,
  readText16,
  type RedirectCluster,
} from "./cluster-address.ts";

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

/** The player may be sent there in a moment: a connection may be opened ahead. */
export interface Ahead {
  readonly type: "ahead";
  /** Of the handover: 32 lower-case hex digits. */
  readonly id: string;
  readonly cluster: RedirectCluster;
}

/** A name too long for its field is cut. Throws `BAD_VALUE` for everything else that is out of bounds. [REDIRECT-1] */
export function encodeRedirect(redirect: Omit<Redirect, "type">): Uint8Array<ArrayBuffer> {
  const cluster = encodeClusterAddress(redirect.cluster);
  const word = boundedText(redirect.token, 1, limits.maxHandoverTokenBytes);
  return createFrame(messageTypes.redirect, 16 + 16 + 8 + cluster.length + 2 + word.length)
    .raw(fromHexDigits(redirect.id, 16))
    .raw(fromHexDigits(redirect.key, 16))
    .u64(redirect.boot)
    .raw(cluster)
    .u16(word.length)
    .raw(word).bytes;
}

export function decodeRedirect(reader: ByteReader): Redirect {
  const id = toHexDigits(reader.bytes(16));
  const key = toHexDigits(reader.bytes(16));
  const boot = reader.u64();
  const cluster = decodeClusterAddress(reader);
  const token = readText16(reader, 1, limits.maxHandoverTokenBytes);
  reader.end();
  return { type: "redirect", id, key, boot, cluster, token };
}

export function encodeStay(stay: Omit<Stay, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.stay, 16).raw(fromHexDigits(stay.id, 16)).bytes;
}

export function decodeStay(reader: ByteReader): Stay {
  const stay: Stay = { type: "stay", id: toHexDigits(reader.bytes(16)) };
  reader.end();
  return stay;
}

/** As {@link encodeRedirect}. [AHEAD-1] */
export function encodeAhead(ahead: Omit<Ahead, "type">): Uint8Array<ArrayBuffer> {
  const cluster = encodeClusterAddress(ahead.cluster);
  return createFrame(messageTypes.ahead, 16 + cluster.length)
    .raw(fromHexDigits(ahead.id, 16))
    .raw(cluster).bytes;
}

export function decodeAhead(reader: ByteReader): Ahead {
  const id = toHexDigits(reader.bytes(16));
  const cluster = decodeClusterAddress(reader);
  reader.end();
  return { type: "ahead", id, cluster };
}
