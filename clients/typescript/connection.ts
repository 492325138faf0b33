import {
  allFeatures,
  type ClusterMessage,
  encodeAck,
  encodeClose,
  encodeHello,
  encodeJoin,
  encodePing,
  encodePong,
  encodeResume,
  type Entities,
  features,
  type Fragment,
  isNumbered,
  type Kinds,
  limits,
  type Message,
  messageTypes,
  type Position,
  ProtocolError,
  type Resumed,
  type ResumeToken,
  type State,
  versions,
  type Welcome,
} from "../../protocol/index.ts";
import { type Clock, withDeadline } from "./clock.ts";
import { ClockSync } from "./clock-sync.ts";
import { type CloseEvent, closeEventOfFarewell, errorOfCloseEvent, leftEvent, localCloseEvent } from "./close-event.ts";
import { SessionMemory } from "./session-memory.ts";
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
  /** Optional features to offer; by default all. [HELLO-4] */
  readonly features?: number | undefined;
}

/** What a joined connection tells. */
export interface ConnectionHandlers {
  onMessage(message: Message): void;
  onState(state: State): void;
  onPosition(position: Position): void;
  /** May throw ProtocolError: it ends the connection. */
  onWorld(message: Kinds | Entities | Fragment): void;
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

/** With what to get in: a ticket, or what a session before it left. */
export type Admittance = { readonly ticket: string } | { readonly memory: SessionMemory };

/**
 * One connection to one cluster, from the TLS handshake to its end. Spec: docs/PROTOCOL.md, sections 5 and 7.
 *
 * What comes after WELCOME waits until {@link start} says where it goes.
 */
export class ClusterConnection {
  readonly #context: ConnectionContext;
  readonly #wire: Wire;
  readonly #joined = Promise.withResolvers<SessionMemory>();
  readonly #disconnected = Promise.withResolvers<undefined>();
  #phase: Phase = "connecting";
  #clockSync = new ClockSync(0, 0);
  #lastReceivedMs = 0;
  #cancelPing: () => void = doNothing;
  #cancelIdle: () => void = doNothing;
  #cancelAck: (() => void) | undefined;
  /** From when on an ACK that waits goes along with what is sent; infinite while none waits. */
  #ackAlongFromMs = Number.POSITIVE_INFINITY;
  #cluster: ClusterAddress | undefined;
  #memory: SessionMemory | undefined;
  /** How much the cluster has received, between RESUMED and RESUME_TOKEN. */
  #resumedFrom: number | undefined;
  #handlers: ConnectionHandlers | undefined;
  #held: Delivery[] = [];

  constructor(context: ConnectionContext) {
    this.#context = context;
    this.#wire = new Wire(
      {
        onMessage: (message, byteLength) => this.#receive(message, byteLength),
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
    this.#cluster = cluster;
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

  /** Sends HELLO and JOIN or RESUME, and nothing more until the answer comes. [JOIN-1] Throws what ended the attempt. */
  async enter(admittance: Admittance): Promise<SessionMemory> {
    if (this.#phase === "connecting") {
      this.#phase = "joining";
      const { min: minVersion, max: maxVersion } = versions;
      const client = this.#context.clientName;
      this.#wire.send(encodeHello({ minVersion, maxVersion, features: this.#features, client }));
      if ("memory" in admittance) this.#askToResume(admittance.memory);
      else this.#wire.send(encodeJoin(admittance));
    }
    return this.#joined.promise;
  }

  /** Says where things go; what has waited goes there at once. */
  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    try {
      for (const deliver of this.#held.splice(0)) deliver(handlers);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#malformed(error);
    }
  }

  /** Queues a frame; false, and nothing is queued, unless joined and within the bound. */
  send(frame: Uint8Array): boolean {
    if (this.#phase !== "joined" || !this.#wire.send(frame)) return false;
    // Along with it, as it goes out in the same write. [ACK-2]
    const memory = this.#memory;
    if (memory !== undefined && this.#context.clock.nowMs() >= this.#ackAlongFromMs) this.#acknowledge(memory);
    return true;
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

  get #features(): number {
    return this.#context.features ?? allFeatures & ~features.handover;
  }

  #receive(message: ClusterMessage, byteLength: number): void {
    if (this.#phase === "joining") this.#receiveAnswer(message);
    else if (this.#phase === "joined") this.#receiveJoined(message, byteLength);
    else throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} before JOIN`);
  }

  /** [WELCOME-1] [RESUME-3] */
  #receiveAnswer(message: ClusterMessage): void {
    const resuming = this.#memory !== undefined;
    if (message.type === "welcome" && !resuming) this.#welcome(message);
    else if (message.type === "resumed" && resuming && this.#resumedFrom === undefined) this.#resumed(message);
    else if (message.type === "resumeToken" && this.#resumedFrom !== undefined) this.#takeUp(message);
    else if (message.type === "reject") this.#end(closeEventOfFarewell(message));
    else throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} before WELCOME`);
  }

  #receiveJoined(message: ClusterMessage, byteLength: number): void {
    const memory = this.#memoryFor(message.type);
    switch (message.type) {
      case "message":
        this.#deliver((handlers) => handlers.onMessage(message));
        break;
      case "state":
        return this.#deliver((handlers) => handlers.onState(message));
      case "request":
        this.#deliver(() => memory.handling.receive(message));
        break;
      case "cancel":
        this.#deliver(() => memory.handling.cancel(message.id));
        break;
      case "response":
        this.#deliver(() => memory.requests.receive(message));
        break;
      case "ack":
        return memory.streams?.acknowledge(message.received);
      case "resumeToken":
        return this.#takeToken(memory, message);
      case "position":
        return this.#deliver((handlers) => handlers.onPosition(message));
      case "kinds":
      case "entities":
      case "fragment":
        return this.#deliver((handlers) => handlers.onWorld(message));
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
      case "resumed":
      case "reject":
      case "redirect":
      case "stay":
      case "streams":
        throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} after WELCOME`);
    }
    if (isNumbered(messageTypes[message.type])) this.#count(memory, byteLength);
  }

  /** What a message is for. Throws where its feature is not in force. [FRAME-4] */
  #memoryFor(type: ClusterMessage["type"]): SessionMemory {
    const memory = this.#memory;
    const feature = featureOf.get(type) ?? 0;
    if (memory === undefined || (memory.welcome.features & feature) !== feature) {
      throw new ProtocolError("UNEXPECTED_TYPE", `${type} is not in force`);
    }
    return memory;
  }

  #welcome(welcome: Welcome): void {
    if (welcome.version < versions.min || welcome.version > versions.max) {
      throw new ProtocolError("BAD_VALUE", "WELCOME has a version that was not offered"); // [HELLO-3]
    }
    if ((welcome.features & ~this.#features) !== 0) {
      throw new ProtocolError("BAD_VALUE", "WELCOME has features that were not offered"); // [HELLO-4]
    }
    if (this.#cluster === undefined) throw new Error("WELCOME without a connection");
    const { clock, maxQueuedBytes } = this.#context;
    this.#begin(new SessionMemory(this.#cluster, welcome, clock, maxQueuedBytes), welcome.timeMs);
  }

  #askToResume(memory: SessionMemory): void {
    const { token, streams } = memory;
    if (token === undefined || streams === undefined) throw new Error("nothing to resume with");
    this.#memory = memory;
    this.#wire.send(encodeResume({ received: streams.report(), token: token.bytes }));
  }

  /** Nothing is sent before the new token is here: it would tell the cluster that it is. [RESUME-4] */
  #resumed({ received, timeMs }: Resumed): void {
    this.#memory?.streams?.acknowledge(received);
    this.#resumedFrom = received;
    this.#clockSync = new ClockSync(timeMs, this.#context.clock.nowMs());
  }

  #takeUp(token: ResumeToken): void {
    const memory = this.#memory;
    if (memory === undefined) throw new Error("RESUME_TOKEN without RESUME");
    this.#takeToken(memory, token);
    // Only now: until here the game may have sent more, which waits as well.
    this.#wire.sendAgain(memory.streams?.unreceived(this.#resumedFrom ?? 0) ?? []);
    this.#begin(memory);
  }

  #begin(memory: SessionMemory, timeMs?: number): void {
    const { welcome } = memory;
    this.#phase = "joined";
    this.#memory = memory;
    memory.line = (frame) => this.send(frame);
    if (timeMs !== undefined) this.#clockSync = new ClockSync(timeMs, this.#context.clock.nowMs());
    this.#keepPinging(Math.max(minPingIntervalMs, welcome.pingIntervalMs));
    this.#watchIdle(Math.max(minIdleTimeoutMs, welcome.idleTimeoutMs));
    this.#joined.resolve(memory);
  }

  /** Answered with ACK, which shows the cluster that it has come. [RESUME-4] */
  #takeToken(memory: SessionMemory, { token, graceMs }: ResumeToken): void {
    memory.token = { bytes: new Uint8Array(token), graceMs };
    this.#acknowledge(memory);
  }

  /** [ACK-2] */
  #count(memory: SessionMemory, byteLength: number): void {
    if (memory.streams === undefined) return;
    if (memory.streams.count(byteLength)) return this.#acknowledge(memory);
    if (this.#cancelAck !== undefined) return;
    const { clock } = this.#context;
    this.#ackAlongFromMs = clock.nowMs() + limits.ackAlongMs;
    this.#cancelAck = clock.after(limits.ackDelayMs, () => this.#acknowledge(memory));
  }

  #acknowledge({ streams }: SessionMemory): void {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    this.#ackAlongFromMs = Number.POSITIVE_INFINITY;
    if (streams !== undefined) this.#wire.sendAgain([encodeAck({ received: streams.report() })]);
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
    this.#cancelAck?.();
    if (wasJoined && this.#memory !== undefined) this.#memory.line = undefined;
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

/** The feature that has to be in force for a message. */
const featureOf: ReadonlyMap<ClusterMessage["type"], number> = new Map<ClusterMessage["type"], number>([
  ["state", features.state],
  ["request", features.requests],
  ["response", features.requests],
  ["cancel", features.requests],
  ["ack", features.resume],
  ["resumeToken", features.resume],
  ["kinds", features.world],
  ["entities", features.world],
  ["fragment", features.world],
  ["redirect", features.handover],
  ["stay", features.handover],
  ["streams", features.handover],
]);

/** A joined connection, and what its session remembers. */
export interface Joined {
  readonly connection: ClusterConnection;
  readonly memory: SessionMemory;
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
  return open(cluster, { ticket }, context, parent);
}

/**
 * Connects to the cluster again and takes the session up where it was. Throws as {@link openConnection}; after `RESUME_UNKNOWN`
 * there is nothing to take up.
 */
export async function resumeConnection(
  memory: SessionMemory,
  context: ConnectionContext,
  parent?: AbortSignal,
): Promise<Joined> {
  return open(memory.cluster, { memory }, context, parent);
}

async function open(
  cluster: ClusterAddress,
  admittance: Admittance,
  context: ConnectionContext,
  parent: AbortSignal | undefined,
): Promise<Joined> {
  const connection = new ClusterConnection(context);
  const { clock, connectTimeoutMs, joinTimeoutMs } = context;
  try {
    const connect = (signal: AbortSignal): Promise<void> => connection.connect(cluster, signal);
    await withDeadline(clock, connectTimeoutMs, "connecting to the cluster", connect, parent);
    const enter = (): Promise<SessionMemory> => connection.enter(admittance);
    const memory = await withDeadline(clock, joinTimeoutMs, "joining the cluster", enter, parent);
    return { connection, memory, welcome: memory.welcome };
  } catch (error) {
    connection.abort();
    throw error;
  }
}

function doNothing(): void {}
