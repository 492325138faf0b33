import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import {
  type Allocation,
  type ClientMessage,
  decodeClientMessage,
  encodeWelcome,
  FrameParser,
  limits,
  type Welcome,
} from "../../../protocol/index.ts";
import { createTestCertificate, type TestCertificate } from "./certificate.ts";

/** How long a test waits for something that must happen. */
const patienceMs = 30_000;

export const sampleWelcome: Omit<Welcome, "type"> = {
  version: 1,
  features: 0,
  playerNumber: 7,
  timeMs: 1_000,
  tick: 30,
  tickHz: 30,
  pingIntervalMs: 5_000,
  idleTimeoutMs: 15_000,
  maxFrameBytes: 1_024,
  x: 1,
  y: 2,
  z: 3,
  heading: 4,
  fragment: "meadow",
  cluster: "Test 1",
};

/** The cluster's end of one connection. */
export class Peer {
  readonly socket: TLSSocket;
  /** Every message that the client sent. */
  readonly received: ClientMessage[] = [];
  /** How many reads brought them. */
  reads = 0;
  readonly closed: Promise<void>;
  #watchers = new Set<() => void>();
  #taken = 0;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    const parser = new FrameParser(limits.maxFrameBytes);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#notify());
    socket.on("data", (chunk: Buffer) => {
      this.reads += 1;
      parser.push(new Uint8Array(chunk), (frame) => this.received.push(decodeClientMessage(frame)) > 0);
      this.#notify();
    });
  }

  /** The next message of this type; others are passed over. */
  async next<T extends ClientMessage["type"]>(type: T): Promise<Extract<ClientMessage, { type: T }>> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      while (this.#taken < this.received.length) {
        const message = this.received[this.#taken++];
        if (message !== undefined && isOfType(message, type)) return message;
      }
      if (this.socket.destroyed) throw new Error(`the connection ended before ${type} came`);
      await this.#change(deadline, type);
    }
  }

  /** Takes HELLO and JOIN, and welcomes; returns the ticket. */
  async welcome(changes: Partial<Welcome> = {}): Promise<string> {
    await this.next("hello");
    const { ticket } = await this.next("join");
    this.send(encodeWelcome({ ...sampleWelcome, ...changes }));
    return ticket;
  }

  /** Sends the frames in one write. */
  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  #change(deadline: number, type: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(
        () => {
          this.#watchers.delete(done);
          reject(new Error(`${type} did not come`));
        },
        Math.max(0, deadline - Date.now()),
      );
      this.#watchers.add(done);
    });
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** A cluster that does what the test says, over real TLS. */
export interface ScriptedCluster {
  /** Its part of an allocation. */
  readonly address: Allocation["cluster"];
  /** Every connection that got through its handshake. */
  readonly peers: Peer[];
  /** Faults of the scripts; a test that expects none checks that it is empty. */
  readonly faults: unknown[];
  close(): Promise<void>;
}

export const serverName = "test.cluster.invalid";

/** Starts a cluster on a free port; `script` plays each connection, told which it is (from 0). */
export async function startScriptedCluster(
  script: (peer: Peer, index: number) => Promise<void> | void,
  options: {
    readonly tls?: TlsOptions;
    readonly certificate?: TestCertificate;
    readonly address?: Partial<Allocation["cluster"]["tls"]>;
  } = {},
): Promise<ScriptedCluster> {
  const certificate = options.certificate ?? (await createTestCertificate(serverName));
  const peers: Peer[] = [];
  const faults: unknown[] = [];
  const server = createServer({ cert: certificate.certPem, key: certificate.keyPem, ...options.tls }, (socket) => {
    const peer = new Peer(socket);
    const index = peers.push(peer) - 1;
    Promise.resolve(script(peer, index)).catch((fault: unknown) => faults.push(fault));
  });
  server.on("tlsClientError", () => undefined);
  const sockets = new Set<{ destroy: () => void }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listen(server);
  const { certPem: caPem, sha256 } = certificate;
  return {
    address: {
      id: "cluster-1",
      name: "Test 1",
      host: "127.0.0.1",
      port,
      tls: { serverName, caPem, sha256, ...options.address },
    },
    peers,
    faults,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Listens on a free loopback port. */
export async function listen(server: {
  listen: (port: number, host: string, done: () => void) => unknown;
  address: () => AddressInfo | string | null;
}): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function isOfType<T extends ClientMessage["type"]>(
  message: ClientMessage,
  type: T,
): message is Extract<ClientMessage, { type: T }> {
  return message.type === type;
}
