import { constants } from "node:crypto";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { addressGroup } from "./address-group.ts";
import type { Admission, AdmissionPass } from "./admission.ts";

export interface ListenerOptions {
  /** 0 means whichever is free. */
  readonly port: number;
  /** `undefined` means every address. */
  readonly host: string | undefined;
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly tls12: boolean;
  readonly handshakeTimeoutMs: number;
  readonly admission: Admission;
  /** A connection whose handshake is done; whoever takes it releases the pass. */
  readonly onConnection: (socket: TLSSocket, pass: AdmissionPass) => void;
  /** A connection that did not get that far. */
  readonly onRefused: (reason: string, address: string) => void;
  /** Told when a handshake begins and when it is over. */
  readonly onHandshake: (change: 1 | -1) => void;
}

/** The cluster cannot listen where it should; the message says what to do. */
export class ListenError extends Error {}

/** A TLS server that is listening. */
export interface Listener {
  readonly port: number;
  /** Lets nobody in any more, and drops handshakes under way. Connections that were handed over go on. */
  close(): void;
}

/** [TLS-1] */
const ciphers = ["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"].join(":");

/**
 * Starts to listen.
 *
 * @throws ListenError
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const { admission, onRefused } = options;
  const handshakes = new Map<string, Handshake>();
  const tls = createTlsServer({
    key: options.keyPem,
    cert: options.certificatePem,
    minVersion: options.tls12 ? "TLSv1.2" : "TLSv1.3",
    maxVersion: "TLSv1.3",
    ciphers,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    // Only a second net: the deadline of a Handshake is the one that holds.
    handshakeTimeout: options.handshakeTimeoutMs * 2,
  });
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  tls.on("secureConnection", (socket) => {
    const pass = handshakes.get(peerName(socket))?.succeed();
    if (pass === undefined) socket.destroy();
    else options.onConnection(socket, pass);
  });

  // A plain TCP server in front: a connection is counted, and refused, before TLS spends anything on it.
  const tcp = createTcpServer({ noDelay: true }, (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) {
      // Its peer has gone already.
      socket.destroy();
      return;
    }
    const pass = admission.admit(addressGroup(address));
    if (typeof pass === "string") {
      onRefused(pass, address);
      socket.destroy();
      return;
    }
    const name = peerName(socket);
    const handshake = new Handshake(socket, pass, options.handshakeTimeoutMs, (fault) => {
      handshakes.delete(name);
      options.onHandshake(-1);
      if (fault !== undefined) onRefused(fault, address);
    });
    handshakes.set(name, handshake);
    options.onHandshake(1);
    tls.emit("connection", socket);
  });
  const port = await listen(tcp, options.port, options.host);
  return {
    port,
    close: () => {
      tcp.close();
      for (const handshake of handshakes.values()) handshake.abandon();
    },
  };
}

/** A TLS handshake under way, with its deadline and its place among the unauthenticated. */
class Handshake {
  readonly #socket: Socket;
  readonly #pass: AdmissionPass;
  readonly #onEnd: (fault: string | undefined) => void;
  readonly #timer: NodeJS.Timeout;
  #open = true;

  constructor(socket: Socket, pass: AdmissionPass, timeoutMs: number, onEnd: (fault: string | undefined) => void) {
    this.#socket = socket;
    this.#pass = pass;
    this.#onEnd = onEnd;
    // Absolute: unlike a socket's own timeout, bytes that arrive do not put it off. [TLS-4]
    this.#timer = setTimeout(() => this.#fail("HANDSHAKE_TIMEOUT"), timeoutMs);
    socket.on("error", () => socket.destroy());
    // Somebody who only measures the latency connects and closes without a byte: that is no fault.
    socket.on("close", () => this.#fail(socket.bytesRead > 0 ? "HANDSHAKE_FAILED" : undefined));
  }

  /** The pass goes over to the caller; `undefined` when it is too late. */
  succeed(): AdmissionPass | undefined {
    return this.#finish(undefined) ? this.#pass : undefined;
  }

  abandon(): void {
    this.#fail(undefined);
  }

  #fail(fault: string | undefined): void {
    if (!this.#finish(fault)) return;
    this.#pass.release(fault !== undefined);
    this.#socket.destroy();
  }

  #finish(fault: string | undefined): boolean {
    if (!this.#open) return false;
    this.#open = false;
    clearTimeout(this.#timer);
    this.#onEnd(fault);
    return true;
  }
}

/** Names the connection: a TLS socket does not tell which TCP socket it runs over, but shares its addresses. */
function peerName(socket: Socket | TLSSocket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}

async function listen(server: Server, port: number, host: string | undefined): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)));
  server.once("listening", () => {
    const address: AddressInfo | string | null = server.address();
    if (address === null || typeof address === "string") reject(new ListenError("The listener has no port."));
    else resolve(address.port);
  });
  server.listen({ port, host });
  const bound = await promise;
  server.removeAllListeners("error");
  // Later errors, as running out of file descriptors, end one accept and not the server.
  server.on("error", () => undefined);
  return bound;
}

function listenError(error: NodeJS.ErrnoException, port: number, host: string | undefined): ListenError {
  const where = host === undefined ? `port ${port}` : `${host} port ${port}`;
  const advice: Readonly<Record<string, string>> = {
    EADDRINUSE: "another process has it: stop that one, or set another [all] port",
    EACCES: "this user may not: use a port from 1024 up, or give the process the right to it",
    EADDRNOTAVAIL: "this machine does not have that address: mend [cluster] host",
    ENOTFOUND: "there is no such host: mend [cluster] host",
  };
  const reason = advice[error.code ?? ""] ?? `the system says ${error.code ?? "no"}`;
  return new ListenError(`Cannot listen at ${where}: ${reason}.`, { cause: error });
}
