import { type ClientOptions, WebSocket } from "ws";
import { type ClusterMessage, decodeClusterMessage, encodeJoin } from "../../protocol/index.ts";
import { hello } from "./test-client.ts";
import { until } from "./until.ts";

/** A client over WebSocket that says exactly what a test tells it to. */
export class WebSocketClient {
  readonly socket: WebSocket;
  readonly received: ClusterMessage[] = [];
  /** Status of an upgrade that was refused. */
  status: number | undefined;
  /** Close code, once it is closed; 1006 without one. */
  closeCode: number | undefined;

  constructor(
    port: number,
    tls: { serverName: string; caPem: string },
    options: ClientOptions = {},
    subprotocol = "sustenet.v1",
  ) {
    const trust = { servername: tls.serverName, ca: tls.caPem };
    this.socket = new WebSocket(`wss://127.0.0.1:${port}/`, subprotocol === "" ? [] : [subprotocol], {
      ...trust,
      perMessageDeflate: false,
      ...options,
    });
    this.socket.on("message", (data) => {
      if (Buffer.isBuffer(data)) this.received.push(decodeClusterMessage(new Uint8Array(data)));
    });
    this.socket.on("unexpected-response", (_request, response) => {
      this.status = response.statusCode;
      this.closeCode = 1006;
      this.socket.terminate();
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", (code) => (this.closeCode = code));
  }

  async opened(): Promise<this> {
    await until("a WebSocket", () => {
      if (this.closeCode !== undefined) throw new Error(`no WebSocket: ${this.status ?? this.closeCode}`);
      return this.socket.readyState === WebSocket.OPEN;
    });
    return this;
  }

  /** Sends frames as the stream binding writes them, each as a message without its length. */
  send(...frames: readonly Uint8Array[]): void {
    for (const frame of frames) this.socket.send(frame.subarray(2));
  }

  join(ticket: string): void {
    this.send(hello(), encodeJoin({ ticket }));
  }

  async next<T extends ClusterMessage["type"]>(type: T): Promise<Extract<ClusterMessage, { type: T }>> {
    return until(`a ${type} message`, () => {
      const index = this.received.findIndex((message) => message.type === type);
      const [message] = index < 0 ? [] : this.received.splice(index, 1);
      if (message === undefined && this.closeCode !== undefined) throw new Error(`closed before a ${type} message`);
      return message !== undefined && isOfType(message, type) ? message : undefined;
    });
  }

  /** Its close code, once it is over. */
  async gone(): Promise<number> {
    return until("the end of the WebSocket", () => this.closeCode);
  }

  close(): void {
    this.socket.terminate();
  }
}

function isOfType<T extends ClusterMessage["type"]>(
  message: ClusterMessage,
  type: T,
): message is Extract<ClusterMessage, { type: T }> {
  return message.type === type;
}
