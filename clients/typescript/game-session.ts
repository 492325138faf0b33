import { encodeMessage, encodeMove, type Position, ProtocolError, type Welcome } from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { type CloseEvent, closeEventOfError, errorOfCloseEvent, leftEvent } from "./close-event.ts";
import type { ClusterConnection, Joined } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import type { RejoinAttempt } from "./entrance.ts";
import { localError, SustenetError } from "./error.ts";
import { HeldMessages } from "./held-messages.ts";
import type { Placement, SessionEvents } from "./session-events.ts";

/** What a session needs from outside. */
export interface SessionContext {
  readonly clock: Clock;
  /** Gets back into the game; undefined when that is switched off. */
  readonly rejoin: Rejoin | undefined;
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

/** A player in the game, across reconnections. */
export class GameSession {
  readonly #context: SessionContext;
  readonly #emitter = new Emitter<SessionEvents>();
  readonly #held: HeldMessages;
  readonly #abort = new AbortController();
  readonly #closed = Promise.withResolvers<CloseEvent>();
  #state: "joined" | "rejoining" | "closed" = "joined";
  #connection: ClusterConnection;
  #welcome: Welcome;
  #placement: Placement;
  #sequence = 0;
  #joinedAtMs: number;
  #attempts = 0;

  constructor(joined: Joined, context: SessionContext) {
    this.#context = context;
    this.#held = new HeldMessages((message) => this.#emitter.emit("message", message));
    this.#connection = joined.connection;
    this.#welcome = joined.welcome;
    this.#placement = placementOf(joined.welcome);
    this.#joinedAtMs = context.clock.nowMs();
    this.#listen();
  }

  /** What the cluster said at the latest join: player number, tick rate, cluster name and more. */
  get welcome(): Welcome {
    return this.#welcome;
  }

  /** `joined`, `rejoining` while the library tries to get back, or `closed` for good. */
  get state(): "joined" | "rejoining" | "closed" {
    return this.#state;
  }

  /** Where the player stands, as far as is known here: its last move, or what the cluster corrected it to. */
  get position(): Placement {
    return this.#placement;
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
   * Queues a message; what is sent in one turn leaves in one write. False, and nothing is queued, while not joined or when more
   * waits than `maxQueuedBytes` allows.
   *
   * @throws SustenetError `INVALID_ARGUMENT` for a command that is no u8, `MESSAGE_TOO_LARGE`.
   */
  send(command: number, payload: Uint8Array = noPayload): boolean {
    const { maxFrameBytes } = this.#welcome;
    // Type and command count too.
    if (payload.length + 2 > maxFrameBytes) {
      throw localError("MESSAGE_TOO_LARGE", `A payload may have ${Math.max(0, maxFrameBytes - 2)} bytes here.`);
    }
    return this.#connection.send(encode(() => encodeMessage({ command, payload })));
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
      onPosition: (position) => {
        if (isCurrent()) this.#takeOver(position);
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

  /** [MOVE-2] */
  #takeOver(position: Position): void {
    this.#placement = placementOf(position);
    this.#emitter.emit("position", { sequence: position.sequence, ...this.#placement });
  }

  #lost(event: CloseEvent): void {
    const { rejoin, clock, stableMs } = this.#context;
    if (rejoin === undefined || event.advice !== "allocate") return this.#finish(event);
    this.#state = "rejoining";
    // One that ends again and again must not be joined for ever.
    if (clock.nowMs() - this.#joinedAtMs >= stableMs) this.#attempts = 0;
    void this.#comeBack(rejoin, event);
  }

  async #comeBack(rejoin: Rejoin, reason: CloseEvent): Promise<void> {
    const { signal } = this.#abort;
    try {
      const failure = errorOfCloseEvent(reason);
      const joined = await rejoin(failure, this.#attempts + 1, signal, (attempt) => {
        this.#attempts = attempt.attempt;
        this.#emitter.emit("rejoining", attempt);
      });
      this.#resume(joined);
    } catch (error) {
      if (error instanceof SustenetError) return this.#finish(closeEventOfError(error));
      this.#finish(closeEventOfError(localError("NETWORK", undefined, { cause: error })));
      throw error;
    }
  }

  #resume({ connection, welcome }: Joined): void {
    if (this.#state === "closed") return void connection.leave();
    this.#state = "joined";
    this.#connection = connection;
    this.#welcome = welcome;
    this.#placement = placementOf(welcome);
    this.#sequence = 0;
    this.#joinedAtMs = this.#context.clock.nowMs();
    this.#emitter.emit("rejoined", { welcome });
    this.#listen();
  }

  #finish(event: CloseEvent): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
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
