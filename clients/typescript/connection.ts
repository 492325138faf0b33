import {
  type ClusterMessage,
  encodeClose,
  encodeHello,
  encodeJoin,
  encodePing,
  encodePong,
  type Message,
  type Position,
  ProtocolError,
  versions,
  type Welcome,
} from "../../protocol/index.ts";
import { type Clock, withDeadline } from "./clock.ts";
import { ClockSync } from "./clock-sync.ts";
import { type CloseEvent, closeEventOfFarewell, errorOfCloseEvent, leftEvent, localCloseEvent } from "./close-event.ts";
import type { ClusterAddress, Transport } from "./transport.ts";
import { Wire } from "./wire.ts";

/** What a connection needs from outside. */
export interface ConnectionContext {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Name and version of the client software, for the cluster's log; at most 64 bytes. */
  readonly clientName: string;
  readonly connectTimeoutMs: number;
  readonly joinTimeoutMs: number;
  /** How long the other side may take to end the connection after it was told. */
  readonly leaveTimeoutMs: number;
  /** Bytes that may wait to be sent. */
  readonly maxQueuedBytes: number;
}

/** What a joined connection tells. */
export interface ConnectionHandlers {
  onMessage(message: Message): void;
  onPosition(position: Position): void;
  /** A PONG came: round trip and clock are newer. */
  onLatency(): void;
  /** Called once; nothing follows. */
  onClose(event: CloseEvent): void;
}

/** Bounds what a cluster can make us do with the intervals that it dictates. */
const minPingIntervalMs = 10;
const minIdleTimeoutMs = 50;

type Phase = "connecting" | "joining" | "joined" | "ended";
type Delivery = (handlers: ConnectionHandlers) => void;

/**
 * One connection to one cluster, from the TLS handshake to its end. Spec: docs/PROTOCOL.md, sections 5 and 7.
 *
 * What comes after WELCOME waits until {@link start} says where it goes.
 */
export class ClusterConnection {
  readonly #context: ConnectionContext;
  readonly #wire: Wire;
  readonly #joined = Promise.withResolvers<Welcome>();
  readonly #disconnected = Promise.withResolvers<undefined>();
  #phase: Phase = "connecting";
  #clockSync = new ClockSync(0, 0);
  #lastReceivedMs = 0;
  #cancelPing: () => void = doNothing;
  #cancelIdle: () => void = doNothing;
  #handlers: ConnectionHandlers | undefined;
  #held: Delivery[] = [];

  constructor(context: ConnectionContext) {
    this.#context = context;
    this.#wire = new Wire(
      {
        onMessage: (message) => this.#receive(message),
        onMalformed: (error) => this.#malformed(error),
      },
      context.maxQueuedBytes,
    );
    // Nobody may be waiting for it when it fails.
    this.#joined.promise.catch(doNothing);
  }

  get rttMs(): number | undefined {
    return this.#clockSync.rttMs;
  }

  /** The cluster's clock now. */
  serverTimeMs(): number {
    return this.#context.clock.nowMs() + this.#clockSync.offsetMs;
  }

  get queuedBytes(): number {
    return this.#wire.queuedBytes;
  }

  /** Opens the transport. Throws what it throws, or `CONNECTION_LOST`. */
  async connect(cluster: ClusterAddress, signal: AbortSignal): Promise<void> {
    const handlers = {
      onData: (bytes: Uint8Array) => {
        this.#lastReceivedMs = this.#context.clock.nowMs();
        this.#wire.receive(bytes);
      },
      onClose: () => {
        this.#disconnected.resolve(undefined);
        this.#end(localCloseEvent("CONNECTION_LOST"));
      },
    };
    const transport = await this.#context.transport.connect(cluster, handlers, signal);
    this.#wire.attach(transport);
    // It came too late: nobody waits any more.
    if (signal.aborted) this.#wire.abort();
  }

  /** Sends HELLO and JOIN, and nothing more until WELCOME comes. [JOIN-1] Throws what ended the attempt. */
  async join(ticket: string): Promise<Welcome> {
    if (this.#phase === "connecting") {
      this.#phase = "joining";
      const { min: minVersion, max: maxVersion } = versions;
      this.#wire.send(encodeHello({ minVersion, maxVersion, features: 0, client: this.#context.clientName }));
      this.#wire.send(encodeJoin({ ticket }));
    }
    return this.#joined.promise;
  }

  /** Says where things go; what has waited goes there at once. */
  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    for (const deliver of this.#held.splice(0)) deliver(handlers);
  }

  /** Queues a frame; false, and nothing is queued, unless joined and within the bound. */
  send(frame: Uint8Array): boolean {
    return this.#phase === "joined" && this.#wire.send(frame);
  }

  /** Sends CLOSE, and resolves when the connection has ended. [CLOSE-2] */
  async leave(): Promise<void> {
    this.#end(leftEvent, encodeClose("NORMAL"));
    await this.#disconnected.promise;
  }

  /** Ends the connection at once, without a word. */
  abort(): void {
    this.#end(localCloseEvent("CONNECTION_LOST"));
    this.#wire.abort();
  }

  #receive(message: ClusterMessage): void {
    if (this.#phase === "joining") this.#receiveAnswer(message);
    else if (this.#phase === "joined") this.#receiveJoined(message);
    else throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} before JOIN`);
  }

  /** [WELCOME-1] */
  #receiveAnswer(message: ClusterMessage): void {
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "reject") this.#end(closeEventOfFarewell(message));
    else throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} before WELCOME`);
  }

  #receiveJoined(message: ClusterMessage): void {
    switch (message.type) {
      case "message":
        return this.#deliver((handlers) => handlers.onMessage(message));
      case "position":
        return this.#deliver((handlers) => handlers.onPosition(message));
      case "ping":
        return this.#answer(message.timeMs);
      case "pong":
        if (this.#clockSync.ponged(message, this.#context.clock.nowMs())) {
          this.#deliver((handlers) => handlers.onLatency());
        }
        return;
      case "close":
        return this.#end(closeEventOfFarewell(message));
      case "welcome":
      case "reject":
        throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} after WELCOME`);
    }
  }

  #welcome(welcome: Welcome): void {
    if (welcome.version < versions.min || welcome.version > versions.max) {
      throw new ProtocolError("BAD_VALUE", "WELCOME has a version that was not offered"); // [HELLO-3]
    }
    if (welcome.features !== 0) {
      throw new ProtocolError("BAD_VALUE", "WELCOME has features that were not offered"); // [HELLO-4]
    }
    this.#phase = "joined";
    this.#clockSync = new ClockSync(welcome.timeMs, this.#context.clock.nowMs());
    this.#keepPinging(Math.max(minPingIntervalMs, welcome.pingIntervalMs));
    this.#watchIdle(Math.max(minIdleTimeoutMs, welcome.idleTimeoutMs));
    this.#joined.resolve(welcome);
  }

  /** [PING-1] */
  #answer(echoMs: number): void {
    const pong = encodePong({ echoMs, timeMs: this.#context.clock.nowMs() });
    if (!this.#wire.send(pong)) {
      this.#end(localCloseEvent("QUEUE_FULL"));
      this.#wire.abort();
    }
  }

  /** A PING at once, so that the clock is good early, and then again and again. [PING-2] */
  #keepPinging(intervalMs: number): void {
    const nowMs = this.#context.clock.nowMs();
    if (this.#wire.send(encodePing({ timeMs: nowMs }))) this.#clockSync.pinged(nowMs);
    this.#cancelPing = this.#context.clock.after(intervalMs, () => this.#keepPinging(intervalMs));
  }

  /** [PING-3] */
  #watchIdle(timeoutMs: number): void {
    const { clock } = this.#context;
    const leftMs = this.#lastReceivedMs + timeoutMs - clock.nowMs();
    if (leftMs > 0) {
      this.#cancelIdle = clock.after(leftMs, () => this.#watchIdle(timeoutMs));
      return;
    }
    this.#end(localCloseEvent("CONNECTION_LOST", `Nothing came from the cluster for ${timeoutMs} ms.`));
    this.#wire.abort();
  }

  #malformed(cause: ProtocolError): void {
    const event = localCloseEvent("BAD_FRAME", `The cluster sent something malformed (${cause.code}).`);
    this.#end(event, this.#phase === "joined" ? encodeClose("PROTOCOL_ERROR") : undefined);
  }

  #deliver(delivery: Delivery): void {
    if (this.#handlers === undefined) this.#held.push(delivery);
    else delivery(this.#handlers);
  }

  #end(event: CloseEvent, lastFrame?: Uint8Array): void {
    if (this.#phase === "ended") return;
    const wasJoined = this.#phase === "joined";
    this.#phase = "ended";
    this.#cancelPing();
    this.#cancelIdle();
    this.#wire.end(lastFrame);
    this.#endTransport();
    if (wasJoined) this.#deliver((handlers) => handlers.onClose(event));
    else this.#joined.reject(errorOfCloseEvent(event));
  }

  /** A peer that does not end its side is not waited for. */
  #endTransport(): void {
    if (!this.#wire.attached) return this.#disconnected.resolve(undefined);
    const cancel = this.#context.clock.after(this.#context.leaveTimeoutMs, () => {
      this.#wire.abort();
      this.#disconnected.resolve(undefined);
    });
    void this.#disconnected.promise.then(cancel);
  }
}

/** A joined connection and what WELCOME said. */
export interface Joined {
  readonly connection: ClusterConnection;
  readonly welcome: Welcome;
}

/**
 * Connects to the cluster and joins with the ticket, each within its deadline.
 *
 * @throws SustenetError `NETWORK`, `TIMEOUT`, `CERTIFICATE_MISMATCH`, `CONNECTION_LOST`, `BAD_FRAME`, `CLOSED` or REJECT's code.
 */
export async function openConnection(
  { cluster, ticket }: { readonly cluster: ClusterAddress; readonly ticket: string },
  context: ConnectionContext,
  parent?: AbortSignal,
): Promise<Joined> {
  const connection = new ClusterConnection(context);
  const { clock, connectTimeoutMs, joinTimeoutMs } = context;
  try {
    const connect = (signal: AbortSignal): Promise<void> => connection.connect(cluster, signal);
    await withDeadline(clock, connectTimeoutMs, "connecting to the cluster", connect, parent);
    const join = (): Promise<Welcome> => connection.join(ticket);
    const welcome = await withDeadline(clock, joinTimeoutMs, "joining the cluster", join, parent);
    return { connection, welcome };
  } catch (error) {
    connection.abort();
    throw error;
  }
}

function doNothing(): void {}
