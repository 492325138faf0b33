import {
  encodeMessage,
  encodeMove,
  features,
  type Position,
  ProtocolError,
  type RequestHandler,
  type Welcome,
} from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { type CloseEvent, leftEvent } from "./close-event.ts";
import type { ClusterConnection } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { localError, SustenetError } from "./error.ts";
import { HeldMessages } from "./held-messages.ts";
import { Journey } from "./journey.ts";
import type { Joined } from "./opening.ts";
import type { JourneyStep, SessionContext } from "./session-context.ts";
import type { SessionEvents, Placement } from "./session-events.ts";
import { WorldView } from "./world-view.ts";

const noPayload = new Uint8Array();
const defaultRequestTimeoutMs = 10_000;
/** A round trip before the first was measured, and what one may take longer than the last. */
const unknownRoundTripMs = 250;
const roundTripSpareMs = 100;

/** A player in the game, across reconnections and clusters. */
export class GameSession {
  readonly #emitter = new Emitter<SessionEvents>();
  readonly #held: HeldMessages;
  readonly #heldStates: HeldMessages;
  readonly #closed = Promise.withResolvers<CloseEvent>();
  readonly #world = new WorldView();
  readonly #journey: Journey;
  #handler: RequestHandler | undefined;
  readonly #clock: Clock;
  #placement: Placement;
  /** Of the next MOVE. POSITION before any has 0. [MOVE-3] */
  #sequence = 1;
  /** The place of its last MOVE; of that which will be sent where it goes on, while it is `moving`. */
  #asked: Placement | undefined;
  #cancelRestating: () => void = () => undefined;

  constructor(joined: Joined, context: SessionContext) {
    this.#clock = context.clock;
    this.#held = new HeldMessages((message) => this.#emitter.emit("message", message));
    this.#heldStates = new HeldMessages((state) => this.#emitter.emit("state", state));
    this.#placement = placementOf(joined.welcome);
    this.#journey = new Journey(joined, context, {
      onResuming: (attempt) => this.#emitter.emit("resuming", attempt),
      onRejoining: (attempt) => this.#emitter.emit("rejoining", attempt),
      onMoving: ({ cluster: { id, name } }) => this.#emitter.emit("moving", { cluster: { id, name } }),
      onConnection: (connection) => this.#listen(connection),
      onStep: (next, step) => this.#goOn(next, step),
      onEnd: (event) => this.#finish(event),
    });
    this.#beginWorld("new");
    this.#listen(joined.connection);
  }

  /** What the cluster said at the latest join: player number, tick rate, cluster name and more. */
  get welcome(): Welcome {
    return this.#journey.memory.welcome;
  }

  /**
   * `joined`, `resuming` while it takes up a lost connection, `moving` while it goes to another cluster, `rejoining` while the library tries to
   * get back, or `closed` for good.
   */
  get state(): "joined" | "resuming" | "moving" | "rejoining" | "closed" {
    return this.#journey.state;
  }

  /** Where the player stands, as far as is known here: its last move, or what the cluster corrected it to. */
  get position(): Placement {
    return this.#placement;
  }

  /** What the cluster shows of the player's surroundings; empty where it has no world to show. */
  get world(): WorldView {
    return this.#world;
  }

  /** The last round trip measured, in milliseconds; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#journey.played.rttMs;
  }

  /** Bytes that wait to be sent; without a connection to play over, those that wait for the next one, with what may have to be sent again. */
  get queuedBytes(): number {
    const { connection, memory } = this.#journey;
    return memory.line === undefined ? memory.waitingBytes : connection.queuedBytes;
  }

  /** Resolves when the session is over, however it ends. */
  get closed(): Promise<CloseEvent> {
    return this.#closed.promise;
  }

  /**
   * The cluster's clock now, in milliseconds, with an origin of its own, as far as is known here. Over one connection it never goes back: where a
   * round trip shows that it is wrong, it runs slower or faster for a while.
   */
  serverTimeMs(): number {
    return this.#journey.played.serverTimeMs();
  }

  /**
   * Queues a message; what is sent in one turn leaves in one write, and while the session is `resuming` or `moving` it waits for that. False,
   * and nothing is queued, while it is `rejoining`, or when more waits than `maxQueuedBytes` allows.
   *
   * @throws SustenetError `INVALID_ARGUMENT` for a command that is no u8 or a payload that is no bytes, `MESSAGE_TOO_LARGE`.
   */
  send(command: number, payload: Uint8Array = noPayload): boolean {
    const { maxFrameBytes } = this.welcome;
    assertBytes(payload);
    // Type and command count too.
    if (payload.length + 2 > maxFrameBytes) {
      throw localError("MESSAGE_TOO_LARGE", `A payload may have ${Math.max(0, maxFrameBytes - 2)} bytes here.`);
    }
    const frame = encode(() => encodeMessage({ command, payload }));
    return this.state !== "rejoining" && this.#journey.memory.send(frame);
  }

  /**
   * Asks the cluster's game, and resolves with its answer. A request survives a resume, and going on at another cluster; a rejoin only where the session
   * goes on.
   *
   * @param options `timeoutMs`: 1 to 60,000, by default 10,000. `signal`: calls it off, then it rejects with `CLOSED`.
   * @throws SustenetError `TIMEOUT`, `REQUEST_FAILED`, `REQUEST_UNHANDLED`, `REQUEST_BUSY`, `TOO_MANY_REQUESTS`,
   *   `UNSUPPORTED`, `CONNECTION_LOST`, `QUEUE_FULL`, `INVALID_ARGUMENT`, `MESSAGE_TOO_LARGE`; its advice is to allocate only where the session is over
   */
  async request(
    command: number,
    payload: Uint8Array = noPayload,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array> {
    const { maxFrameBytes } = this.welcome;
    assertBytes(payload);
    if (payload.length + 10 > maxFrameBytes) {
      throw localError("MESSAGE_TOO_LARGE", `A payload may have ${Math.max(0, maxFrameBytes - 10)} bytes here.`);
    }
    const { timeoutMs = defaultRequestTimeoutMs, signal } = options;
    try {
      if (this.state === "rejoining") throw localError("CONNECTION_LOST");
      return await this.#journey.memory.request(command, payload, timeoutMs, signal);
    } catch (cause) {
      if (cause instanceof SustenetError) throw this.state === "closed" ? cause : askAgain(cause);
      if (!(cause instanceof ProtocolError || cause instanceof RangeError)) throw cause;
      throw localError("INVALID_ARGUMENT", cause.message, { cause });
    }
  }

  /**
   * Says who answers the cluster's requests: with the payload of the answer, or `undefined` for a request that is none of its. A
   * later handler takes the place of an earlier; the returned function takes it away. To the cluster a request fails whose handler throws, or
   * answers more than it takes (`maxFrameBytes` of {@link welcome}, less 6); the error surfaces as an uncaught one.
   */
  onRequest(handler: RequestHandler): () => void {
    this.#handler = handler;
    this.#journey.memory.handler = handler;
    return () => {
      if (this.#handler !== handler) return;
      this.#handler = undefined;
      this.#journey.memory.handler = undefined;
    };
  }

  /**
   * Asks to stand there. Silence means yes; a `position` event means no. False, and nothing is queued, as with {@link send}, and while it is
   * `resuming`. While it is `moving`, the last such place is asked for at the cluster where it goes.
   *
   * @throws SustenetError `INVALID_ARGUMENT` for a number that is not finite, or a heading that is no u16.
   */
  move(placement: Placement): boolean {
    const { x, y, z, heading } = placement;
    const sequence = this.#sequence;
    const frame = encode(() => encodeMove({ sequence, x, y, z, heading }));
    const { state } = this;
    if (state !== "moving") {
      if (state !== "joined" || !this.#journey.connection.send(frame)) return false;
      this.#sequence = (sequence + 1) & 0xffff;
    }
    this.#placement = { x: Math.fround(x), y: Math.fround(y), z: Math.fround(z), heading };
    this.#asked = this.#placement;
    this.#cancelRestating();
    return true;
  }

  /**
   * Adds a handler; the returned function takes it away. Messages that came before the first `message` handler wait for it, and so does state for
   * its own: where there are more than 1,024, or 1 MiB, nobody listens, and all are dropped until somebody does. Other events do not wait; that the session has ended, {@link closed} tells at any time.
   */
  on<Name extends keyof SessionEvents>(name: Name, handler: (event: SessionEvents[Name]) => void): () => void {
    const off = this.#emitter.on(name, handler);
    if (name === "message") this.#held.release();
    if (name === "state") this.#heldStates.release();
    return off;
  }

  /** Leaves the game; resolves when the connection has ended, or its deadline has passed. [CLOSE-2] */
  async leave(): Promise<void> {
    const { connection } = this.#journey;
    const isOver = this.state === "closed";
    this.#journey.end();
    if (!isOver) this.#finish(leftEvent);
    await connection.leave();
  }

  #listen(connection: ClusterConnection): void {
    const isCurrent = (): boolean => this.#journey.hears(connection);
    connection.start({
      onMessage: ({ command, payload }) => {
        if (isCurrent()) this.#held.push({ command, payload });
      },
      onState: ({ command, payload }) => {
        if (isCurrent()) this.#heldStates.push({ command, payload });
      },
      onPosition: (position) => {
        if (isCurrent()) this.#takeOver(position);
      },
      onWorld: (message) => {
        if (isCurrent()) this.#world.receive(message);
      },
      onRedirect: (redirect) => this.#journey.redirected(connection, redirect),
      onAhead: (ahead) => this.#journey.announced(connection, ahead),
      onStay: (id) => this.#journey.stays(connection, id),
      onLatency: () => {
        const { rttMs } = connection;
        if (!isCurrent() || rttMs === undefined) return;
        this.#emitter.emit("latency", { rttMs, serverTimeMs: connection.serverTimeMs() });
      },
      onClose: (event) => this.#journey.closed(connection, event),
    });
  }

  #beginWorld(session: "new" | "resumed" | "moved"): void {
    const { timeMs, tick, tickHz } = this.welcome;
    const { connection } = this.#journey;
    const now = (): number => tick + ((connection.serverTimeMs() - timeMs) * tickHz) / 1_000;
    this.#world.begin({ tick: now, tickHz }, session);
  }

  /** [MOVE-2] */
  #takeOver(position: Position): void {
    this.#placement = placementOf(position);
    this.#cancelRestating();
    const answersLast = position.sequence === ((this.#sequence - 1) & 0xffff);
    if (this.#asked !== undefined && !answersLast && !isSame(this.#asked, this.#placement)) this.#restateSoon();
    this.#emitter.emit("position", { sequence: position.sequence, ...this.#placement });
  }

  /** What the cluster has to say of later MOVEs is on its way: after that, silence means that it has let them pass. [MOVE-5] */
  #restateSoon(): void {
    const roundTripMs = this.rttMs ?? unknownRoundTripMs;
    this.#cancelRestating = this.#clock.after(roundTripMs + roundTripSpareMs, () => this.#stand());
  }

  #goOn({ connection, memory, welcome }: Joined, step: JourneyStep): void {
    this.#cancelRestating();
    memory.handler = this.#handler;
    if (step.type === "rejoined") {
      this.#placement = placementOf(welcome);
      this.#asked = undefined;
    }
    this.#beginWorld(viewAfter(step, welcome));
    // The game may have left as its view began anew.
    if (this.state === "closed") return;
    switch (step.type) {
      case "resumed":
        this.#stand();
        this.#emitter.emit("resumed", { welcome });
        break;
      case "moved": {
        const { gapMs, redirect } = step;
        const { id, name } = redirect.cluster;
        this.#stand();
        this.#emitter.emit("moved", { cluster: { id, name }, welcome, gapMs });
        break;
      }
      case "rejoined": {
        const { fresh, earlier } = step;
        this.#emitter.emit("rejoined", { welcome, fresh, lost: fresh ? earlier.unacknowledged : [] });
        break;
      }
    }
    this.#listen(connection);
  }

  /** Asks for the place that it has taken: a MOVE that was on its way, or came while the player stood still, may not have counted. */
  #stand(): void {
    if (this.#asked !== undefined) this.move(this.#placement);
  }

  #finish(event: CloseEvent): void {
    this.#cancelRestating();
    this.#world.end();
    this.#emitter.emit("close", event);
    this.#closed.resolve(event);
  }
}

function viewAfter({ type }: JourneyStep, welcome: Welcome): "new" | "resumed" | "moved" {
  if (type === "resumed") return "resumed";
  return type === "moved" && (welcome.features & features.world) !== 0 ? "moved" : "new";
}

function isSame(one: Placement, other: Placement): boolean {
  return one.x === other.x && one.y === other.y && one.z === other.z && one.heading === other.heading;
}

function placementOf({ x, y, z, heading }: Placement): Placement {
  return { x, y, z, heading };
}

/** The library gets the session back by itself: a game that allocated, as such an error says elsewhere, would end it by a second one. */
function askAgain(error: SustenetError): SustenetError {
  const { code, advice, origin, detail, cause } = error;
  return advice === "allocate" ? new SustenetError(code, { advice: "retry", origin, detail, cause }) : error;
}

/** Only the compiler keeps other things out, and a game in JavaScript has none: a text would go out as zeros. */
function assertBytes(payload: unknown): void {
  if (!(payload instanceof Uint8Array)) throw localError("INVALID_ARGUMENT", "A payload is a Uint8Array.");
}

/** What the wire cannot carry is the caller's mistake. */
function encode(run: () => Uint8Array): Uint8Array {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof ProtocolError) throw localError("INVALID_ARGUMENT", cause.message, { cause });
    throw cause;
  }
}
