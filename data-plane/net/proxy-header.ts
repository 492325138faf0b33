import { BlockList, isIPv6, type Socket } from "node:net";

/**
 * What a proxy says in front of a connection: the address that it speaks for, or that it speaks for itself, as in its
 * own health checks. PROXY protocol, version 2: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt
 */
export type ProxyHeader = { readonly clientAddress: string } | { readonly clientAddress: undefined };

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const fixedBytes = 16;
/** Longest header in all; the specification promises no more than 536 in the first segment. Bounds what is held for it. */
export const maxProxyHeaderBytes = 536;
const tcp4 = 0x11;
const tcp6 = 0x21;

/** The first 16 bytes: how many follow; `undefined` when it is no such header, or a longer one than allowed. */
export function parseProxyLength(head: Uint8Array): number | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length !== fixedBytes || !bytes.subarray(0, signature.length).equals(signature)) return undefined;
  const versionAndCommand = bytes.readUInt8(12);
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) return undefined;
  const length = bytes.readUInt16BE(14);
  return fixedBytes + length <= maxProxyHeaderBytes ? length : undefined;
}

/** The whole header, once {@link parseProxyLength} has taken its head; `undefined` when it is malformed. */
export function parseProxyHeader(head: Uint8Array, rest: Uint8Array): ProxyHeader | undefined {
  const [, , , , , , , , , , , , versionAndCommand, family] = head;
  // A LOCAL connection, and one of a kind without addresses, counts as the proxy's own.
  if (versionAndCommand === 0x20 || family === 0x00) return { clientAddress: undefined };
  const bytes = Buffer.from(rest.buffer, rest.byteOffset, rest.length);
  if (family === tcp4 && bytes.length >= 12) return { clientAddress: bytes.subarray(0, 4).join(".") };
  if (family === tcp6 && bytes.length >= 36) {
    const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
    return { clientAddress: groups.join(":") };
  }
  return undefined;
}

/**
 * Takes the header, and not a byte more, off a socket that nothing has read from; what follows stays in it for TLS.
 * `undefined` stands for a malformed one. Its deadline is the caller's.
 */
export function readProxyHeader(socket: Socket, onHeader: (header: ProxyHeader | undefined) => void): void {
  let head: Buffer | undefined;
  let missing = 0;
  const done = (header: ProxyHeader | undefined): void => {
    socket.off("readable", onReadable);
    onHeader(header);
  };
  const onReadable = (): void => {
    if (head === undefined) {
      const read: unknown = socket.read(fixedBytes);
      if (!Buffer.isBuffer(read)) return;
      const length = parseProxyLength(read);
      if (length === undefined) return done(undefined);
      head = read;
      missing = length;
    }
    if (missing === 0) return done(parseProxyHeader(head, new Uint8Array(0)));
    const rest: unknown = socket.read(missing);
    if (!Buffer.isBuffer(rest)) return;
    done(rest.length === missing ? parseProxyHeader(head, rest) : undefined);
  };
  socket.on("readable", onReadable);
}

/** Which peers are proxies to be believed. */
export class TrustedProxies {
  readonly #list = new BlockList();

  /** @param ranges as `10.0.0.0/8` or `2001:db8::1`; they have been checked */
  constructor(ranges: readonly string[]) {
    for (const range of ranges) {
      const [address = "", prefix] = range.split("/", 2);
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      this.#list.addSubnet(address, prefix === undefined ? (family === "ipv6" ? 128 : 32) : Number(prefix), family);
    }
  }

  includes(address: string): boolean {
    const [plain = ""] = address.split("%", 1);
    return this.#list.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
  }
}
