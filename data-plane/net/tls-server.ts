import { constants } from "node:crypto";
import { createServer, type TLSSocket } from "node:tls";
import { createGate, type GateOptions } from "./gate.ts";
import type { Handshake } from "./handshake.ts";
import { HandshakeTable } from "./handshake-table.ts";

/** What a listener shows: PEM, the certificate with what it chains to. */
export interface Credentials {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface TlsServerOptions extends GateOptions {
  readonly credentials: Credentials;
  readonly tls12: boolean;
}

/** A TLS server that is listening. */
export interface Listener {
  readonly port: number;
  /** Shows another certificate from the next handshake on; connections that stand are not touched. */
  show(credentials: Credentials): void;
  /** Lets nobody in any more, and drops handshakes under way. Connections that were handed over go on. */
  close(): void;
}

/** [TLS-1] */
const ciphers = ["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"].join(":");

/**
 * Starts to listen, and tells of each connection whose TLS handshake is done while its {@link Handshake} is still open.
 *
 * @throws ListenError
 */
export async function createTlsServer(
  options: TlsServerOptions,
  onSecure: (socket: TLSSocket, handshake: Handshake) => void,
): Promise<Listener> {
  const handshakes = new HandshakeTable<Handshake>();
  const contextFor = ({ keyPem, certificatePem }: Credentials): object => ({
    key: keyPem,
    cert: certificatePem,
    minVersion: options.tls12 ? "TLSv1.2" : "TLSv1.3",
    maxVersion: "TLSv1.3",
    ciphers,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
  const tls = createServer({
    ...contextFor(options.credentials),
    // Only a second net: the deadline of a Handshake is the one that holds.
    handshakeTimeout: options.handshakeTimeoutMs * 2,
  });
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  tls.on("secureConnection", (socket) => {
    const handshake = handshakes.find(socket);
    if (handshake?.open === true) onSecure(socket, handshake);
    else socket.destroy();
  });
  const onHandshake: GateOptions["onHandshake"] = (change, handshake) => {
    if (change === -1) handshakes.delete(handshake);
    options.onHandshake(change, handshake);
  };
  const gate = await createGate({ ...options, onHandshake }, (handshake) => {
    handshakes.add(handshake);
    tls.emit("connection", handshake.socket);
  });
  return {
    port: gate.port,
    show: (credentials) => tls.setSecureContext(contextFor(credentials)),
    close: () => gate.close(),
  };
}
