import {
  encodeMessage,
  encodeMove,
  type Position,
  ProtocolError,
  type RequestHandler,
  type Welcome,
} from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { type CloseEvent, closeEventOfError, errorOfCloseEvent, leftEvent } from "./close-event.ts";
import type { ClusterConnection, Joined } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import type { RejoinAttempt } from "./entrance.ts";
import { localError, SustenetError } from "./error.ts";
import { HeldMessages } from "./held-messages.ts";
import { resumeSession, type Resumption } from "./resumption.ts";
import type { SessionMemory } from "./session-memory.ts";
import type { Placement, SessionEvents } from "./session-events.ts";
import { WorldView } from "./world-view.ts";

/** What a session needs from outside. */
export interface SessionContext {
  readonly clock: Clock;
  /** Gets back into the game; undefined when that is switched off. */
  readonly rejoin: Rejoin | undefined;
  /** Takes the session up again after its connection was lost; undefined when that is switched off. */
  readonly resumption?: Resumption | undefined;
  /** A connection that held this long was a good one: tries are counted anew after it. */
  readonly stableMs: number;
}

/** Tries to get back after `failure`, counting tries from `attempt`. */
export type Rejoin = (
  failure: SustenetError,
  attempt: number,
  signal: AbortSignal,
  onAttempt: (attempt: RejoinAttempt) => void,
) => Promise<Joined>;

const noPayload = new Uint8Array();
const defaultRequestTimeoutMs = 10_000;

/** A player in the game, across reconnections. */
export class GameSession {
  readonly #context: SessionContext;
  readonly #emitter = new Emitter<SessionEvents>();
  readonly #held: HeldMessages;
  readonly #heldStates: HeldMessages;
  readonly #abort = new AbortController();
  readonly #closed = Promise.withResolvers<CloseEvent>();
  readonly #world = new WorldView();
  #state: "joined" | "resuming" | "rejoining" | "closed" = "joined";
  #connection: ClusterConnection;
  #memory: SessionMemory;
  #handler: RequestHandler | undefined;
  #welcome: Welcome;
  #placement: Placement;
  #sequence = 0;
  #joinedAtMs: number;
  #attempts = 0;

  constructor(joined: Joined, context: SessionContext) {
    this.#context = context;
    this.#held = new HeldMessages((message) => this.#emitter.emit("message", message));
    this.#heldStates = new HeldMessages((state) => this.#emitter.emit("state", state));
    this.#connection = joined.connection;
    this.#memory = joined.memory;
    this.#welcome = joined.welcome;
    this.#placement = placementOf(joined.welcome);
    this.#joinedAtMs = context.clock.nowMs();
    this.#beginWorld("new");
    this.#listen();
  }

  /** What the cluster said at the latest join: player number, tick rate, cluster name and more. */
  get welcome(): Welcome {
    return this.#welcome;
  }

  /** `joined`, `resuming` while it takes up a lost connection, `rejoining` while the library tries to get back, or `closed` for good. */
  get state(): "joined" | "resuming" | "rejoining" | "closed" {
    return this.#state;
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
    return this.#connection.rttMs;
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  /** Resolves when the session is over, however it ends. */
  get closed(): Promise<CloseEvent> {
    return this.#closed.promise;
  }

  /** The cluster's clock now, in milliseconds: monotonic on one cluster, with an origin of its own. */
  serverTimeMs(): number {
    return this.#connection.serverTimeMs();
  }

  /**
   * Queues a message; what is sent in one turn leaves in one write, and while the session is `resuming` it waits for that. False,
   * and nothing is queued, while it is `rejoining`, or when more waits than `maxQueuedBytes` allows.
   *
   * @throws SustenetError `INVALID_ARGUMENT` for a command that is no u8, `MESSAGE_TOO_LARGE`.
   */
  send(command: number, payload: Uint8Array = noPayload): boolean {
    const { maxFrameBytes } = this.#welcome;
    // Type and command count too.
    if (payload.length + 2 > maxFrameBytes) {
      throw localError("MESSAGE_TOO_LARGE", `A payload may have ${Math.max(0, maxFrameBytes - 2)} bytes here.`);
    }
    return this.#memory.send(encode(() => encodeMessage({ command, payload })));
  }

  /**
   * Asks the cluster's game, and resolves with its answer. A request survives a resume, and not a rejoin.
   *
   * @param options `timeoutMs`: 1 to 60,000, by default 10,000. `signal`: calls it off, then it rejects with `CLOSED`.
   * @throws SustenetError `TIMEOUT`, `REQUEST_FAILED`, `REQUEST_UNHANDLED`, `REQUEST_BUSY`, `TOO_MANY_REQUESTS`,
   *   `UNSUPPORTED`, `CONNECTION_LOST`, `QUEUE_FULL`, `INVALID_ARGUMENT`, `MESSAGE_TOO_LARGE`
   */
  async request(
    command: number,
    payload: Uint8Array = noPayload,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array> {
    const { maxFrameBytes } = this.#welcome;
    if (payload.length + 10 > maxFrameBytes) {
      throw localError("MESSAGE_TOO_LARGE", `A payload may have ${Math.max(0, maxFrameBytes - 10)} bytes here.`);
    }
    const { timeoutMs = defaultRequestTimeoutMs, signal } = options;
    try {
      return await this.#memory.request(command, payload, timeoutMs, signal);
    } catch (cause) {
      if (!(cause instanceof ProtocolError || cause instanceof RangeError)) throw cause;
      throw localError("INVALID_ARGUMENT", cause.message, { cause });
    }
  }

  /**
   * Says who answers the cluster's requests: with the payload of the answer, or `undefined` for a request that is none of its. A
   * later handler takes the place of an earlier; the returned function takes it away.
   */
  onRequest(handler: RequestHandler): () => void {
    this.#handler = handler;
    this.#memory.handler = handler;
    return () => {
      if (this.#handler !== handler) return;
      this.#handler = undefined;
      this.#memory.handler = undefined;
    };
  }

  /**
   * Asks to stand there. Silence means yes; a `position` event means no. False, and nothing is queued, as with {@link send}.
   *
   * @throws SustenetError `INVALID_ARGUMENT` for a number that is not finite, or a heading that is no u16.
   */
  move(placement: Placement): boolean {
    const { x, y, z, heading } = placement;
    const sequence = this.#sequence;
    if (!this.#connection.send(encode(() => encodeMove({ sequence, x, y, z, heading })))) return false;
    this.#sequence = (sequence + 1) & 0xffff;
    this.#placement = { x: Math.fround(x), y: Math.fround(y), z: Math.fround(z), heading };
    return true;
  }

  /**
   * Adds a handler; the returned function takes it away. Messages that came before the first `message` handler wait for it.
   * Other events do not wait; that the session has ended, {@link closed} tells at any time.
   */
  on<Name extends keyof SessionEvents>(name: Name, handler: (event: SessionEvents[Name]) => void): () => void {
    const off = this.#emitter.on(name, handler);
    if (name === "message") this.#held.release();
    if (name === "state") this.#heldStates.release();
    return off;
  }

  /** Leaves the game; resolves when the connection has ended, or its deadline has passed. [CLOSE-2] */
  async leave(): Promise<void> {
    const connection = this.#connection;
    this.#finish(leftEvent);
    await connection.leave();
  }

  #listen(): void {
    const connection = this.#connection;
    const isCurrent = (): boolean => this.#connection === connection && this.#state === "joined";
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
      onLatency: () => {
        const { rttMs } = connection;
        if (!isCurrent() || rttMs === undefined) return;
        this.#emitter.emit("latency", { rttMs, serverTimeMs: connection.serverTimeMs() });
      },
      onClose: (event) => {
        if (isCurrent()) this.#lost(event);
      },
    });
  }

  #beginWorld(session: "new" | "resumed"): void {
    const { timeMs, tick, tickHz } = this.#welcome;
    const connection = this.#connection;
    const now = (): number => tick + ((connection.serverTimeMs() - timeMs) * tickHz) / 1_000;
    this.#world.begin({ tick: now, tickHz }, session);
  }

  /** [MOVE-2] */
  #takeOver(position: Position): void {
    this.#placement = placementOf(position);
    this.#emitter.emit("position", { sequence: position.sequence, ...this.#placement });
  }

  #lost(event: CloseEvent): void {
    const { resumption } = this.#context;
    // Only a connection that ended without a word can go on: after CLOSE the session is over. [RESUME-7]
    if (resumption !== undefined && this.#memory.token !== undefined && event.code === "CONNECTION_LOST") {
      this.#state = "resuming";
      void this.#resume(resumption, event);
    } else {
      this.#rejoin(event);
    }
  }

  #rejoin(event: CloseEvent): void {
    const { rejoin, clock, stableMs } = this.#context;
    this.#memory.end();
    if (rejoin === undefined || event.advice !== "allocate") return this.#finish(event);
    this.#state = "rejoining";
    // One that ends again and again must not be joined for ever.
    if (clock.nowMs() - this.#joinedAtMs >= stableMs) this.#attempts = 0;
    void this.#comeBack(rejoin, event);
  }

  async #resume(resumption: Resumption, event: CloseEvent): Promise<void> {
    const { signal } = this.#abort;
    let joined: Joined | undefined;
    try {
      const onAttempt = (attempt: RejoinAttempt): void => this.#emitter.emit("resuming", attempt);
      joined = await resumeSession(resumption, this.#memory, errorOfCloseEvent(event), signal, onAttempt);
    } catch (error) {
      if (this.#state === "closed") return;
      this.#memory.end();
      if (error instanceof SustenetError) return this.#finish(closeEventOfError(error));
      this.#finish(closeEventOfError(localError("NETWORK", undefined, { cause: error })));
      throw error;
    }
    if (this.#state === "closed") return void joined?.connection.leave();
    if (joined === undefined) return this.#rejoin(event);
    this.#state = "joined";
    this.#connection = joined.connection;
    this.#beginWorld("resumed");
    this.#emitter.emit("resumed", { welcome: this.#welcome });
    this.#listen();
  }

  async #comeBack(rejoin: Rejoin, reason: CloseEvent): Promise<void> {
    const { signal } = this.#abort;
    try {
      const failure = errorOfCloseEvent(reason);
      const joined = await rejoin(failure, this.#attempts + 1, signal, (attempt) => {
        this.#attempts = attempt.attempt;
        this.#emitter.emit("rejoining", attempt);
      });
      this.#startAfresh(joined);
    } catch (error) {
      if (error instanceof SustenetError) return this.#finish(closeEventOfError(error));
      this.#finish(closeEventOfError(localError("NETWORK", undefined, { cause: error })));
      throw error;
    }
  }

  #startAfresh({ connection, memory, welcome }: Joined): void {
    if (this.#state === "closed") return void connection.leave();
    this.#state = "joined";
    this.#connection = connection;
    this.#memory = memory;
    memory.handler = this.#handler;
    this.#welcome = welcome;
    this.#placement = placementOf(welcome);
    this.#sequence = 0;
    this.#joinedAtMs = this.#context.clock.nowMs();
    this.#beginWorld("new");
    this.#emitter.emit("rejoined", { welcome });
    this.#listen();
  }

  #finish(event: CloseEvent): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#memory.end();
    this.#abort.abort();
    this.#emitter.emit("close", event);
    this.#closed.resolve(event);
  }
}

function placementOf({ x, y, z, heading }: Placement): Placement {
  return { x, y, z, heading };
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
