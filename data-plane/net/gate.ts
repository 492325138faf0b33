import { type AddressInfo, createServer, type Server } from "node:net";
import { addressGroup } from "./address-group.ts";
import type { Admission } from "./admission.ts";
import { awaitClientHello } from "./client-hello.ts";
import { Handshake } from "./handshake.ts";
import { readProxyHeader, type TrustedProxies } from "./proxy-header.ts";
import { TurnQueue } from "./turn-queue.ts";

export interface GateOptions {
  /** 0 means whichever is free. */
  readonly port: number;
  /** Name of the setting that says the port, for advice. */
  readonly portSetting: string;
  /** `undefined` means every address. */
  readonly host: string | undefined;
  readonly handshakeTimeoutMs: number;
  readonly admission: Admission;
  /** If given, every connection must come from one of them, and begin with the header of the PROXY protocol. */
  readonly proxies: TrustedProxies | undefined;
  /** A connection that did not get to a session. */
  readonly onRefused: (reason: string, address: string) => void;
  /** Told when a handshake begins and when it is over. */
  readonly onHandshake: (change: 1 | -1, handshake: Handshake) => void;
}

/** Overdue handshakes that are ended in one turn of the event loop. */
const maxEndedATurn = 16;

/** The cluster cannot listen where it should; the message says what to do. */
export class ListenError extends Error {}

/** A TCP server that is listening. */
export interface Gate {
  readonly port: number;
  /** Lets nobody in any more, and drops handshakes under way. */
  close(): void;
}

/**
 * A plain TCP server in front of TLS: a connection is counted, and refused, before anything is spent on it.
 *
 * @throws ListenError
 */
export async function createGate(options: GateOptions, onAdmitted: (handshake: Handshake) => void): Promise<Gate> {
  const { admission, proxies, onRefused } = options;
  // In the order in which they began, and so of their deadlines.
  const handshakes = new Set<Handshake>();
  const turns = new TurnQueue();
  // A small buffer: nothing is read from a stranger before somebody asks for it.
  const tcp = createServer({ noDelay: true, highWaterMark: 1 }, (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) {
      // Its peer has gone already.
      socket.destroy();
      return;
    }
    // Who is behind a proxy is not known yet: such a connection counts in all only.
    const pass = proxies === undefined ? admission.admit(addressGroup(address)) : admission.admitUnknown();
    const refusal = typeof pass === "string" ? pass : undefined;
    if (typeof pass === "string" || proxies?.includes(address) === false) {
      if (typeof pass !== "string") pass.release(false);
      onRefused(refusal ?? "PROXY_NOT_TRUSTED", address);
      socket.destroy();
      return;
    }
    const handshake = new Handshake({
      socket,
      address,
      pass,
      startedAtMs: performance.now(),
      onEnd: (fault, peer) => {
        handshakes.delete(handshake);
        options.onHandshake(-1, handshake);
        if (fault !== undefined) onRefused(fault, peer);
      },
    });
    handshakes.add(handshake);
    options.onHandshake(1, handshake);
    const begin = (): void => beginTls(handshake, turns, onAdmitted);
    if (proxies === undefined) begin();
    else unwrap(handshake, admission, begin);
  });
  const port = await listen(tcp, options);
  const { handshakeTimeoutMs } = options;
  const deadlines = setInterval(() => endOverdue(), Math.min(50, handshakeTimeoutMs / 4));
  /** Absolute: unlike a socket's own timeout, bytes that arrive do not put it off. A crowd is ended bit by bit. [TLS-4] */
  const endOverdue = (): void => {
    let ended = 0;
    for (const handshake of handshakes) {
      if (performance.now() - handshake.startedAtMs < handshakeTimeoutMs) return;
      if (ended === maxEndedATurn) {
        setImmediate(endOverdue);
        return;
      }
      ended += 1;
      handshake.fail("HANDSHAKE_TIMEOUT");
    }
  };
  return {
    port,
    close: () => {
      clearInterval(deadlines);
      tcp.close();
      for (const handshake of handshakes) handshake.fail(undefined);
    },
  };
}

/** TLS begins when the first record has come, and not with others in one turn: a handshake takes about a millisecond. */
function beginTls(handshake: Handshake, turns: TurnQueue, onAdmitted: (handshake: Handshake) => void): void {
  awaitClientHello(handshake.socket, (sound) => {
    if (!sound) {
      handshake.fail("HANDSHAKE_FAILED");
      return;
    }
    turns.add(() => {
      if (handshake.open) onAdmitted(handshake);
    });
  });
}

/** Reads for whom the proxy speaks, and counts that one. */
function unwrap(handshake: Handshake, admission: Admission, onKnown: () => void): void {
  readProxyHeader(handshake.socket, (header) => {
    if (!handshake.open) return;
    if (header === undefined) {
      handshake.fail("PROXY_HEADER_MALFORMED");
      return;
    }
    const address = header.clientAddress ?? handshake.address;
    const refusal = handshake.become(address, () => admission.admit(addressGroup(address)));
    if (refusal === undefined) onKnown();
    else handshake.fail(refusal, false);
  });
}

async function listen(server: Server, options: GateOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
  server.once("listening", () => {
    const address: AddressInfo | string | null = server.address();
    if (address === null || typeof address === "string") reject(new ListenError("The listener has no port."));
    else resolve(address.port);
  });
  server.listen({ port: options.port, host: options.host });
  const bound = await promise;
  server.removeAllListeners("error");
  // Later errors, as running out of file descriptors, end one accept and not the server.
  server.on("error", () => undefined);
  return bound;
}

/** `[all] port` is also the flag `--port`. */
function freeFlag(portSetting: string): string {
  const key = /^\[\w+\] (\w+)$/.exec(portSetting)?.[1];
  return key === undefined ? "" : ` (--${key.replaceAll("_", "-")} free takes any that is free)`;
}

function listenError(error: NodeJS.ErrnoException, { port, host, portSetting }: GateOptions): ListenError {
  const where = host === undefined ? `port ${port}` : `${host} port ${port}`;
  const advice: Readonly<Record<string, string>> = {
    EADDRINUSE: `another process has it: stop that one, or set another ${portSetting}${freeFlag(portSetting)}`,
    EACCES: "this user may not: use a port from 1024 up, or give the process the right to it",
    EADDRNOTAVAIL: "this machine does not have that address: mend [cluster] host",
    ENOTFOUND: "there is no such host: mend [cluster] host",
  };
  const reason = advice[error.code ?? ""] ?? `the system says ${error.code ?? "no"}`;
  return new ListenError(`Cannot listen at ${where}: ${reason}.`, { cause: error });
}
