/** TLS over TCP for Node: the only file of this library that needs Node. */
import { createHash, X509Certificate } from "node:crypto";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { localError, type SustenetError } from "./error.ts";
import type { ClusterAddress, Transport, TransportConnection, TransportHandlers } from "./transport.ts";

/** [TLS-1] */
const ciphers = "TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

const unreadable = "The certificate to trust does not parse.";

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Verifies the certificate's chain and name, and then its fingerprint as well. [TLS-2] [TLS-3] */
export const nodeTlsTransport: Transport = {
  connect(cluster, handlers, signal) {
    const { promise, resolve, reject } = Promise.withResolvers<TransportConnection>();
    if (signal.aborted) return Promise.reject(localError("CLOSED"));

    let socket: TLSSocket;
    try {
      socket = connect(optionsFor(cluster));
    } catch (cause) {
      // Thrown by a PEM or a port that cannot be.
      return Promise.reject(localError("CERTIFICATE_MISMATCH", unreadable, { cause }));
    }
    const drop = (): void => void socket.destroy();
    signal.addEventListener("abort", drop, { once: true });
    let failure: unknown;
    let verified = false;

    socket.setNoDelay(true);
    socket.on("error", (error) => (failure = error));
    socket.once("secureConnect", () => {
      const mismatch = certificateFault(socket, cluster);
      if (mismatch !== undefined) {
        failure = mismatch;
        socket.destroy();
        return;
      }
      verified = true;
      signal.removeEventListener("abort", drop);
      resolve(connectionOf(socket));
    });
    socket.on("data", (chunk: Buffer) => {
      if (verified) handlers.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    });
    socket.once("close", () => {
      signal.removeEventListener("abort", drop);
      if (verified) handlers.onClose(failure);
      else reject(connectFault(socket, failure));
    });
    return promise;
  },
} satisfies { connect: (cluster: ClusterAddress, handlers: TransportHandlers, signal: AbortSignal) => unknown };

function optionsFor({ host, port, tls }: ClusterAddress): ConnectionOptions {
  return {
    host,
    port,
    servername: tls.serverName,
    ca: tls.caPem,
    ciphers,
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
    // What the master names is trusted as it is, also where it chains to an authority that it does not name.
    allowPartialTrustChain: true,
  };
}

/**
 * The fingerprint is compared even where the chain holds: the master names certificates, not an authority. There are two
 * while a cluster changes its certificate. [TLS-2] [TLS-6]
 */
function certificateFault(socket: TLSSocket, cluster: ClusterAddress): SustenetError | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized || certificate === undefined) return localError("CERTIFICATE_MISMATCH");
  const shown = fingerprint(certificate.raw);
  try {
    const named = (cluster.tls.caPem.match(pemBlock) ?? []).map((pem) => fingerprint(new X509Certificate(pem).raw));
    return [cluster.tls.sha256, ...named].includes(shown) ? undefined : localError("CERTIFICATE_MISMATCH");
  } catch (cause) {
    // OpenSSL has passed over what does not parse. Thrown here, in an event of the socket, it would end the game's process.
    return localError("CERTIFICATE_MISMATCH", unreadable, { cause });
  }
}

function fingerprint(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

/** Why no verified connection came about. */
function connectFault(socket: TLSSocket, failure: unknown): SustenetError {
  if (failure instanceof Error && failure.name === "SustenetError") return localError("CERTIFICATE_MISMATCH");
  // Node leaves this null unless the handshake went through and the certificate did not.
  if (socket.authorizationError) return localError("CERTIFICATE_MISMATCH", undefined, { cause: failure });
  return localError("NETWORK", "The cluster cannot be reached.", { cause: failure });
}

function connectionOf(socket: TLSSocket): TransportConnection {
  return {
    get queuedBytes() {
      return socket.writableLength;
    },
    write: (bytes) => {
      if (socket.writable) socket.write(bytes);
    },
    close: () => void socket.end(),
    abort: () => void socket.destroy(),
  };
}
