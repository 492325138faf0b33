import type { Allocation } from "../../protocol/index.ts";

/** Where a cluster is, and how to be sure of it; from the master. */
export type ClusterAddress = Allocation["cluster"];

/** Where to knock, and by what to know who opens: the same for the same address, whatever the cluster is called. */
export function doorOf({ host, port, wssUrl, tls }: ClusterAddress): string {
  return JSON.stringify([host, port, wssUrl ?? "", tls.serverName, tls.sha256, tls.caPem]);
}

/** What a transport tells of a connection. */
export interface TransportHandlers {
  /** Bytes as they come, cut anywhere. The transport does not touch them again. */
  onData(bytes: Uint8Array): void;
  /** The connection has ended, from whichever side; called once, and nothing follows. `cause` is for logs. */
  onClose(cause?: unknown): void;
}

/** An open, verified connection. No method throws. */
export interface TransportConnection {
  /** Bytes written that the operating system has not taken yet. */
  readonly queuedBytes: number;
  write(bytes: Uint8Array): void;
  /** Sends what is queued, then ends the connection. */
  close(): void;
  /** Ends the connection at once. */
  abort(): void;
}

/** Opens connections to clusters: TLS over TCP in Node, WebSocket in browsers. */
export interface Transport {
  /**
   * Resolves once the connection is encrypted and the cluster's certificate is verified; nothing is sent before. [TLS-3]
   * When `signal` aborts first, the attempt is dropped.
   *
   * @throws SustenetError `NETWORK` or `CERTIFICATE_MISMATCH`.
   */
  connect(cluster: ClusterAddress, handlers: TransportHandlers, signal: AbortSignal): Promise<TransportConnection>;
}
