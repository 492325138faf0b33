import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import {
  type ClusterMessage,
  decodeClusterMessage,
  encodeHello,
  encodeJoin,
  FrameParser,
  limits,
} from "../../protocol/index.ts";
import { until } from "./until.ts";

/** Where a cluster under test listens, and how to trust it. */
export interface TestTarget {
  readonly port: number;
  readonly serverName: string;
  readonly caPem: string;
}

/** A client that says exactly what a test tells it to, byte by byte if need be, over a real TLS socket. */
export class TestClient {
  readonly socket: TLSSocket;
  readonly received: ClusterMessage[] = [];
  /** True once the connection is gone, whichever way. */
  closed = false;
  /** Whether the cluster ended it in order, with FIN rather than a reset. */
  ended = false;
  errorCode: string | undefined;
  readonly #parser = new FrameParser(limits.maxFrameBytes);

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (piece: Buffer) => {
      this.#parser.push(piece, (frame) => {
        // Copied, as views live only for the call.
        this.received.push(decodeClusterMessage(new Uint8Array(frame)));
        return true;
      });
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code;
    });
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Connects; the certificate is verified as a client has to. */
  static async open(target: TestTarget, options: ConnectionOptions = {}): Promise<TestClient> {
    const client = TestClient.begin(target, options);
    await until("a TLS connection", () => {
      if (client.errorCode !== undefined) throw new Error(`no TLS connection: ${client.errorCode}`);
      return client.socket.authorized;
    });
    return client;
  }

  /** Begins to connect, and does not wait for it. */
  static begin(target: TestTarget, options: ConnectionOptions = {}): TestClient {
    return new TestClient(
      connect({ host: "127.0.0.1", port: target.port, servername: target.serverName, ca: target.caPem, ...options }),
    );
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** HELLO and JOIN, back to back, as every client does. */
  join(ticket: string): void {
    this.send(hello(), encodeJoin({ ticket }));
  }

  /** The next message of a type that has not been taken yet. */
  async next<T extends ClusterMessage["type"]>(
    type: T,
    timeoutMs = 30_000,
  ): Promise<Extract<ClusterMessage, { type: T }>> {
    return until(
      `a ${type} message`,
      () => {
        for (const [index, message] of this.received.entries()) {
          if (!isOfType(message, type)) continue;
          this.received.splice(index, 1);
          return message;
        }
        if (this.closed) throw new Error(`closed before a ${type} message came; held: ${this.types().join()}`);
        return undefined;
      },
      timeoutMs,
    );
  }

  types(): string[] {
    return this.received.map((message) => message.type);
  }

  async gone(timeoutMs = 30_000): Promise<void> {
    await until("the end of the connection", () => this.closed, timeoutMs);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A frame of any type and body, in order or not. */
export function rawFrame(type: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const frame = Buffer.alloc(3 + body.length);
  frame.writeUInt16LE(1 + body.length, 0);
  frame.writeUInt8(type, 2);
  frame.set(body, 3);
  return frame;
}

/** A HELLO that is in order. */
export function hello(): Uint8Array {
  return encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "test" });
}

function isOfType<T extends ClusterMessage["type"]>(
  message: ClusterMessage,
  type: T,
): message is Extract<ClusterMessage, { type: T }> {
  return message.type === type;
}
