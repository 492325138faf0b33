import type { Socket } from "node:net";

/** The head of a TLS record: type, version, length. */
const headBytes = 5;
const handshakeRecord = 0x16;
/** Longest body of a TLS record (RFC 8446, section 5.1). */
const maxRecordBytes = 16_384;
/** Wait before looking again at a first record that has not come in one piece; doubles each time. */
const firstWaitMs = 20;

/**
 * Waits for the whole first record of a TLS client, and leaves it in the socket: until then nothing is spent on TLS, and what
 * drips in piles up in the system, looked at ever more rarely. Its deadline is the caller's. [NET-2]
 *
 * @param socket with a small read buffer, so that it reads only what it is asked for
 * @param onRecord told when it is there; `false` if what came is the beginning of no TLS
 */
export function awaitClientHello(socket: Socket, onRecord: (sound: boolean) => void): void {
  let held: Buffer = Buffer.alloc(0);
  let waitMs = firstWaitMs;
  let timer: NodeJS.Timeout | undefined;
  const done = (sound: boolean): void => {
    socket.off("readable", onReadable);
    socket.off("close", onClose);
    clearTimeout(timer);
    if (held.length > 0) socket.unshift(held);
    onRecord(sound);
  };
  const look = (): void => {
    timer = undefined;
    const read: unknown = socket.read();
    if (!Buffer.isBuffer(read)) return;
    held = held.length === 0 ? read : Buffer.concat([held, read]);
    if (held[0] !== handshakeRecord) return done(false);
    if (held.length >= headBytes) {
      const length = held.readUInt16BE(3);
      if (length === 0 || length > maxRecordBytes) return done(false);
      if (held.length >= headBytes + length) return done(true);
    }
    // Not all of it: what comes next may gather, unread, for a while.
    timer = setTimeout(look, waitMs);
    waitMs *= 2;
  };
  const onReadable = (): void => {
    if (timer === undefined) look();
  };
  const onClose = (): void => clearTimeout(timer);
  socket.on("readable", onReadable);
  socket.on("close", onClose);
  // What came right behind a proxy's header is there already, and tells nobody.
  look();
}
