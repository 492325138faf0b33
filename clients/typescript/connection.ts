import {
  type Ahead,
  allFeatures,
  type ClusterMessage,
  encodeAck,
  encodeClose,
  encodePong,
  type Entities,
  type Fragment,
  isNumbered,
  type Kinds,
  limits,
  type Message,
  messageTypes,
  type Position,
  ProtocolError,
  type Redirect,
  type ResumeToken,
  type State,
  type Streams,
  type Welcome,
} from "../../protocol/index.ts";
import { Admission, type Admittance, type Admitted } from "./admission.ts";
import type { Clock } from "./clock.ts";
import { type CloseEvent, closeEventOfFarewell, errorOfCloseEvent, leftEvent, localCloseEvent } from "./close-event.ts";
import { Heartbeat } from "./heartbeat.ts";
import { afterRedirect, featureOf, news } from "./message-rules.ts";
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
  /** The player is sent on to another cluster: from now on only this side's end, STAY and another REDIRECT are told. */
  onRedirect(redirect: Redirect): void;
  /** The player may be sent on in a moment. */
  onAhead(ahead: Ahead): void;
  /** The player stays: the redirect with this id is void, and the word that there might be one. */
  onStay(id: string): void;
  /** A PONG came: round trip and clock are newer. */
  onLatency(): void;
  /** Called once; nothing follows. */
  onClose(event: CloseEvent): void;
}

type Phase = "connecting" | "joining" | "joined" | "ended";
type Delivery = (handlers: ConnectionHandlers) => void;

/** How a connection got in. */
export type Entry =
  | {
      readonly type: "joined";
      readonly memory: SessionMemory;
      /** The numbered streams began; otherwise they go on. */
      readonly fresh: boolean;
    }
  /** The player has been handed on meanwhile. */
  | { readonly type: "redirect"; readonly redirect: Redirect };

/**
 * One connection to one cluster, from the TLS handshake to its end. Spec: docs/PROTOCOL.md, sections 5 and 7.
 *
 * What comes after WELCOME waits until {@link start} says where it goes.
 */
export class ClusterConnection {
  readonly #context: ConnectionContext;
  readonly #wire: Wire;
  readonly #heartbeat: Heartbeat;
  readonly #entered = Promise.withResolvers<Entry>();
  readonly #disconnected = Promise.withResolvers<undefined>();
  #phase: Phase = "connecting";
  #cancelAck: (() => void) | undefined;
  /** From when on an ACK that waits goes along with what is sent; infinite while none waits. */
  #ackAlongFromMs = Number.POSITIVE_INFINITY;
  #cluster: ClusterAddress | undefined;
  #memory: SessionMemory | undefined;
  #admittance: Admittance | undefined;
  #admission: Admission | undefined;
  /** The player has been sent on: nothing of the game is taken any more. */
  #isLeft = false;
  #lastNewsMs = 0;
  #handlers: ConnectionHandlers | undefined;
  #held: Delivery[] = [];
  /** How it ended, where that was before {@link start}. */
  #over: CloseEvent | undefined;

  constructor(context: ConnectionContext) {
    this.#context = context;
    this.#wire = new Wire(
      {
        onMessage: (message, byteLength) => this.#receive(message, byteLength),
        onMalformed: (error) => this.#malformed(error),
      },
      context.maxQueuedBytes,
    );
    this.#heartbeat = new Heartbeat({
      clock: context.clock,
      send: (frame) => this.#wire.send(frame),
      onSilence: (timeoutMs) => {
        this.#end(localCloseEvent("CONNECTION_LOST", `Nothing came from the cluster for ${timeoutMs} ms.`));
        this.#wire.abort();
      },
    });
    // Nobody may be waiting for it when it fails.
    this.#entered.promise.catch(doNothing);
  }

  get rttMs(): number | undefined {
    return this.#heartbeat.rttMs;
  }

  /** When something of the game last came, by this side's clock. */
  get lastNewsMs(): number {
    return this.#lastNewsMs;
  }

  /** The cluster's clock now. */
  serverTimeMs(): number {
    return this.#heartbeat.serverTimeMs();
  }

  get queuedBytes(): number {
    return this.#wire.queuedBytes;
  }

  /** Opens the transport. Throws what it throws, or `CONNECTION_LOST`. */
  async connect(cluster: ClusterAddress, signal: AbortSignal): Promise<void> {
    this.#cluster = cluster;
    const handlers = {
      onData: (bytes: Uint8Array) => {
        this.#heartbeat.heard();
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

  /** Sends HELLO and what gets it in, and nothing more until the answer comes. [JOIN-1] Throws what ended the attempt. */
  async enter(admittance: Admittance): Promise<Entry> {
    if (this.#phase === "connecting") {
      this.#phase = "joining";
      this.#admittance = admittance;
      this.#admission = new Admission(admittance, this.#features);
      for (const frame of this.#admission.frames(this.#context.clientName)) this.#wire.send(frame);
    }
    return this.#entered.promise;
  }

  /** Says where things go; what has waited goes there at once. */
  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    const over = this.#over;
    try {
      for (const deliver of this.#held.splice(0)) {
        // One of them may have ended it.
        if (over === undefined && this.#phase === "ended") return;
        deliver(handlers);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // It has ended already, and sends nothing more: but what was said before its end was malformed.
      if (over !== undefined) return handlers.onClose(malformedEvent(error));
      return this.#malformed(error);
    }
    if (over !== undefined) handlers.onClose(over);
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
    return this.#context.features ?? allFeatures;
  }

  #receive(message: ClusterMessage, byteLength: number): void {
    if (this.#phase === "joining") this.#receiveAnswer(message);
    else if (this.#phase === "joined") this.#receiveJoined(message, byteLength);
    else throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} before JOIN`);
  }

  /** [WELCOME-1] [RESUME-3] [ARRIVE-5] */
  #receiveAnswer(message: ClusterMessage): void {
    if (message.type === "reject") return this.#end(closeEventOfFarewell(message));
    const admitted = this.#admission?.take(message);
    if (admitted?.type === "joined") this.#takeUp(admitted);
    else if (admitted?.type === "redirect") this.#sentOn(admitted.redirect);
  }

  #receiveJoined(message: ClusterMessage, byteLength: number): void {
    const memory = this.#memoryFor(message.type);
    if (this.#isLeft && !afterRedirect.has(message.type)) return;
    if (news.has(message.type)) this.#lastNewsMs = this.#heartbeat.lastHeardMs;
    switch (message.type) {
      case "redirect":
        return this.#redirected(memory, message);
      case "ahead":
        return this.#deliver((handlers) => handlers.onAhead(message));
      case "stay":
        return this.#deliver((handlers) => handlers.onStay(message.id));
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
        return memory.acknowledge(message.received);
      case "resumeToken":
        return this.#takeToken(memory, message);
      case "position":
        return this.#deliver((handlers) => handlers.onPosition(message));
      case "kinds":
        memory.heardKinds();
        return this.#deliver((handlers) => handlers.onWorld(message));
      case "entities":
      case "fragment":
        return this.#deliver((handlers) => handlers.onWorld(message));
      case "ping":
        return this.#answer(message.timeMs);
      case "pong":
        if (this.#heartbeat.ponged(message)) {
          this.#deliver((handlers) => handlers.onLatency());
        }
        return;
      case "close":
        return this.#end(closeEventOfFarewell(message));
      case "welcome":
      case "resumed":
      case "reject":
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

  /** The last of the answer has come. Only now: until here the game may have sent more, which waits as well. */
  #takeUp({ welcome, streams, resumed, token }: Extract<Admitted, { readonly type: "joined" }>): void {
    const { fresh, memory } = this.#memoryAfter(welcome, streams);
    let again: readonly Uint8Array[] = [];
    if (!fresh && streams !== undefined) {
      const at = welcome === undefined || this.#cluster === undefined ? undefined : { cluster: this.#cluster, welcome };
      again = memory.takeUp(streams, at);
    } else if (resumed !== undefined) {
      memory.acknowledge(resumed.received);
      again = memory.streams?.unreceived(resumed.received) ?? [];
    }
    if (token !== undefined) this.#takeToken(memory, token);
    this.#wire.sendAgain(again);
    this.#begin(memory, resumed?.timeMs ?? welcome?.timeMs);
    memory.line = (frame) => this.send(frame);
    this.#entered.resolve({ type: "joined", memory, fresh });
  }

  /** Whose streams it is about: those of a session before, if they go on. */
  #memoryAfter(
    welcome: Welcome | undefined,
    streams: Streams | undefined,
  ): { readonly memory: SessionMemory; readonly fresh: boolean } {
    const admittance = this.#admittance;
    if (admittance === undefined || this.#cluster === undefined) throw new Error("an answer without a question");
    const earlier = admittance.type === "join" ? admittance.earlier : admittance.memory;
    const goesOn = admittance.type === "resume" || streams?.fresh === false;
    if (goesOn && earlier !== undefined) return { memory: earlier, fresh: false };
    if (welcome === undefined) throw new Error("a session without WELCOME");
    const { clock, maxQueuedBytes } = this.#context;
    return { memory: new SessionMemory(this.#cluster, welcome, clock, maxQueuedBytes, streams?.tenure), fresh: true };
  }

  /** In place of an answer to RESUME or ARRIVE. What comes over this connection now is about that alone. [REDIRECT-2] */
  #sentOn(redirect: Redirect): void {
    const admittance = this.#admittance;
    this.#isLeft = true;
    if (admittance !== undefined && admittance.type !== "join") this.#begin(admittance.memory);
    this.#entered.resolve({ type: "redirect", redirect });
  }

  /** What the game sends from now on waits for the destination. [HAND-9] */
  #redirected(memory: SessionMemory, redirect: Redirect): void {
    if (!this.#isLeft) {
      this.#isLeft = true;
      this.#cancelAck?.();
      this.#cancelAck = undefined;
      memory.line = undefined;
    }
    this.#deliver((handlers) => handlers.onRedirect(redirect));
  }

  #begin(memory: SessionMemory, timeMs?: number): void {
    this.#phase = "joined";
    this.#memory = memory;
    this.#lastNewsMs = this.#context.clock.nowMs();
    this.#heartbeat.begin(memory.welcome, timeMs);
  }

  /** Answered with ACK, which shows the cluster that it has come. [RESUME-4] */
  #takeToken(memory: SessionMemory, { token, graceMs }: ResumeToken): void {
    memory.takeToken(new Uint8Array(token), graceMs);
    this.#acknowledge(memory);
  }

  /** [ACK-2] */
  #count(memory: SessionMemory, byteLength: number): void {
    if (memory.streams === undefined) return;
    if (memory.count(byteLength)) return this.#acknowledge(memory);
    // The game may have left in what it was told.
    if (this.#cancelAck !== undefined || this.#phase === "ended") return;
    const { clock } = this.#context;
    this.#ackAlongFromMs = clock.nowMs() + limits.ackAlongMs;
    this.#cancelAck = clock.after(limits.ackDelayMs, () => this.#acknowledge(memory));
  }

  #acknowledge({ streams }: SessionMemory): void {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    this.#ackAlongFromMs = Number.POSITIVE_INFINITY;
    if (streams === undefined) return;
    // The bound is for what the game sends, and ACK may go beyond it: but not without an end, for a cluster that reads nothing.
    if (this.#wire.queuedBytes > 2 * this.#context.maxQueuedBytes) return this.#stuck();
    this.#wire.sendAgain([encodeAck({ received: streams.report() })]);
  }

  /** [PING-1] */
  #answer(echoMs: number): void {
    const pong = encodePong({ echoMs, timeMs: this.#context.clock.nowMs() });
    if (!this.#wire.send(pong)) this.#stuck();
  }

  /** Not even an answer finds room. */
  #stuck(): void {
    this.#end(localCloseEvent("QUEUE_FULL"));
    this.#wire.abort();
  }

  #malformed(cause: ProtocolError): void {
    this.#end(malformedEvent(cause), this.#phase === "joined" ? encodeClose("PROTOCOL_ERROR") : undefined);
  }

  #deliver(delivery: Delivery): void {
    if (this.#handlers === undefined) this.#held.push(delivery);
    else delivery(this.#handlers);
  }

  #end(event: CloseEvent, lastFrame?: Uint8Array): void {
    if (this.#phase === "ended") return;
    const wasJoined = this.#phase === "joined";
    this.#phase = "ended";
    this.#heartbeat.end();
    this.#cancelAck?.();
    // Another connection may have it by now.
    if (wasJoined && this.#memory !== undefined && !this.#isLeft) this.#memory.line = undefined;
    this.#wire.end(lastFrame);
    this.#endTransport();
    if (wasJoined && this.#handlers === undefined) this.#over = event;
    else if (wasJoined) this.#handlers?.onClose(event);
    else this.#entered.reject(errorOfCloseEvent(event));
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

function malformedEvent({ code, message }: ProtocolError): CloseEvent {
  return localCloseEvent("BAD_FRAME", `The cluster sent something malformed (${code}): ${message}.`);
}

function doNothing(): void {}
