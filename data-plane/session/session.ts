import type { TLSSocket } from "node:tls";
import {
  type CloseCode,
  encodeClose,
  encodePing,
  encodeReject,
  FrameParser,
  type Hello,
  limits,
  ProtocolError,
} from "../../protocol/index.ts";
import type { ConnectionState } from "../metrics.ts";
import type { AdmissionPass } from "../net/admission.ts";
import { Outbox } from "../net/outbox.ts";
import type { HookLane } from "../plugin/hook-lane.ts";
import type { LeaveReason } from "../plugin/player.ts";
import { dispatch } from "./dispatch.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { SessionContext } from "./session-context.ts";

/** Spec: docs/PROTOCOL.md, section 7; `closing` is its "closed" while the last words are on their way. */
export type SessionState = Exclude<ConnectionState, "handshake">;

/** One connection, from the end of its TLS handshake to its last byte. */
export class Session {
  readonly context: SessionContext;
  readonly #socket: TLSSocket;
  readonly #pass: AdmissionPass;
  readonly #outbox: Outbox;
  readonly #parser = new FrameParser(limits.maxHelloBytes);
  readonly #address: string;
  readonly #ended = Promise.withResolvers<void>();
  #state: SessionState | undefined = "hello";
  #deadline: NodeJS.Timeout | undefined;
  #hello: Hello | undefined;
  #player: JoinedPlayer | undefined;
  /** By {@link Pulse}: when something last came, and when we last asked. */
  #heardAtMs: number;
  #pingedAtMs: number;

  constructor(context: SessionContext, socket: TLSSocket, pass: AdmissionPass) {
    this.context = context;
    this.#socket = socket;
    this.#pass = pass;
    this.#address = socket.remoteAddress ?? "unknown";
    this.#heardAtMs = context.pulse.elapsedMs;
    this.#pingedAtMs = context.pulse.elapsedMs;
    const { metrics } = context;
    metrics.moveConnection(undefined, "hello");
    this.#outbox = new Outbox({
      sink: socket,
      turnEnd: context.turnEnd,
      maxQueuedBytes: context.limits.maxQueuedBytes,
      maxQueuedFrames: context.limits.maxQueuedFrames,
      nowMs: () => context.pulse.elapsedMs,
      onOverflow: () => this.close("SLOW_CONSUMER"),
      onWrite: (bytes) => {
        metrics.writes += 1;
        metrics.bytesOut += bytes;
      },
    });
    // Absolute: nothing that arrives puts it off. [JOIN-2]
    this.#deadline = setTimeout(() => this.refuse("JOIN_TIMEOUT"), context.limits.joinTimeoutMs);
    socket.on("data", (piece: Buffer) => this.#receive(piece));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#gone());
  }

  get state(): SessionState | undefined {
    return this.#state;
  }

  /** The HELLO, once it has come. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** The player, once it has joined. */
  get player(): JoinedPlayer | undefined {
    return this.#player;
  }

  /** Resolves when the connection is gone. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  send(frame: Uint8Array): void {
    this.context.metrics.framesOut += 1;
    this.#outbox.send(frame);
  }

  /** HELLO has come: JOIN is next. */
  awaitJoin(hello: Hello): void {
    this.#hello = hello;
    this.#parser.maxFrameBytes = limits.maxJoinBytes;
    this.#enter("join");
  }

  /** JOIN has come: until the verdict the peer has nothing to say. */
  beginVerifying(): void {
    // No length is allowed, so that nothing is buffered for a frame that must not come. [JOIN-1]
    this.#parser.maxFrameBytes = 0;
    this.#enter("verifying");
  }

  /** The player is in the game; `welcome` goes out ahead of whatever it has been sent already. [WELCOME-1] */
  welcome(player: JoinedPlayer, welcome: () => Uint8Array): void {
    clearTimeout(this.#deadline);
    this.#pass.release(false);
    this.#player = player;
    this.#parser.maxFrameBytes = this.context.settings.maxFrameBytes;
    this.#heardAtMs = this.context.pulse.elapsedMs;
    this.#enter("joined");
    this.context.metrics.joins += 1;
    this.context.host.joined(player.lane, player);
    this.context.metrics.framesOut += 1;
    this.#outbox.sendAhead(welcome());
  }

  /** The line for the hooks of a player that is about to join here. */
  createLane(playerId: string): HookLane {
    return this.context.host.createLane(playerId, {
      hold: (held) => {
        if (held) this.#socket.pause();
        else this.#socket.resume();
      },
      malformed: (reason) => this.malformed(reason),
    });
  }

  /** Ends a connection that has not joined, without a word to the peer. [JOIN-4] */
  refuse(reason: string): void {
    if (this.#state === undefined || this.#state === "closing" || this.#state === "joined") return;
    this.context.refusals.note(reason, this.#address);
    this.#pass.release(true);
    this.#enter("closing");
    this.#socket.destroy();
  }

  /** Ends a connection whose ticket is genuine but does not do. [REJECT-1] */
  reject(code: CloseCode, retryAfterMs = 0): void {
    if (this.#state !== "verifying") return;
    this.context.refusals.note(code, this.#address);
    this.#end(encodeReject(code, retryAfterMs));
  }

  /** The peer broke the protocol. [FRAME-6] */
  malformed(reason: string): void {
    if (this.#state !== "joined") {
      this.refuse(reason);
      return;
    }
    this.context.log.info({ event: "malformed", reason, address: this.#address }, `closed a player: ${reason}`);
    this.close("PROTOCOL_ERROR");
  }

  /** Ends a player's session with CLOSE. [CLOSE-1] */
  close(code: CloseCode, retryAfterMs = 0): void {
    this.leave(code, encodeClose(code, retryAfterMs));
  }

  /** The cluster stops. Whoever waits for a verdict gets REJECT with it. */
  shutDown(): void {
    if (this.#state === "joined") this.close("SHUTTING_DOWN");
    else if (this.#state !== "verifying") this.refuse("SHUTTING_DOWN");
  }

  /** The player leaves, with a last frame or without. */
  leave(reason: LeaveReason, lastFrame?: Uint8Array): void {
    const player = this.#player;
    if (this.#state !== "joined" || player === undefined) return;
    player.connected = false;
    this.#end(lastFrame);
    const { context } = this;
    context.players.remove(player);
    context.seats.left(player.seat);
    context.metrics.countDeparture(reason);
    context.host.left(player.lane, player, reason);
  }

  /** Called with every beat of the pulse: asks the silent, and ends the dead and the stuck. */
  check(): void {
    if (this.#state !== "joined") return;
    const { pulse, settings, limits: bounds } = this.context;
    const now = pulse.elapsedMs;
    // What a held-back player says is waiting in the socket.
    if (this.#socket.isPaused()) this.#heardAtMs = now;
    const silentMs = now - this.#heardAtMs;
    if (this.#outbox.stalledMs > bounds.stallTimeoutMs) this.close("SLOW_CONSUMER");
    else if (silentMs > settings.idleTimeoutMs) this.close("IDLE");
    else if (silentMs >= settings.pingIntervalMs && now - this.#pingedAtMs >= settings.pingIntervalMs) {
      this.#pingedAtMs = now;
      this.send(encodePing({ timeMs: this.context.clock.monotonicMs() }));
    }
  }

  /** Ends it at once, as when the process is about to go. */
  destroy(): void {
    this.#socket.destroy();
  }

  #receive(piece: Buffer): void {
    this.context.metrics.bytesIn += piece.length;
    if (this.#state === undefined || this.#state === "closing") return;
    this.#heardAtMs = this.context.pulse.elapsedMs;
    if (this.#state === "verifying") {
      this.malformed("EARLY_FRAME");
      return;
    }
    try {
      this.#parser.push(piece, (frame) => this.#take(frame));
    } catch (error) {
      if (error instanceof ProtocolError) this.malformed(this.state === "verifying" ? "EARLY_FRAME" : error.code);
      else this.#fail(error);
    }
  }

  /** Whether to go on with the rest of the piece. */
  #take(frame: Uint8Array): boolean {
    this.context.metrics.framesIn += 1;
    dispatch(this, frame);
    return this.#state !== "closing" && this.#state !== undefined;
  }

  /** A fault of ours while handling this connection: it ends, the others go on. */
  #fail(error: unknown): void {
    this.context.log.error({ event: "session-failed", err: error }, "a connection could not be handled");
    if (this.#state === "joined") this.close("INTERNAL", 1_000);
    else this.refuse("INTERNAL");
  }

  #end(lastFrame: Uint8Array | undefined): void {
    clearTimeout(this.#deadline);
    this.#pass.release(false);
    this.#enter("closing");
    if (lastFrame !== undefined) this.context.metrics.framesOut += 1;
    this.#outbox.finish(lastFrame);
    // Whatever still comes is read and dropped, so that the last words are not lost to a reset; but not for ever.
    this.#socket.resume();
    this.#deadline = setTimeout(() => this.#socket.destroy(), this.context.limits.lingerMs);
  }

  #gone(): void {
    this.leave("DROPPED");
    clearTimeout(this.#deadline);
    this.#pass.release(false);
    this.#outbox.discard();
    this.#enter(undefined);
    this.#ended.resolve();
  }

  #enter(state: SessionState | undefined): void {
    this.context.metrics.moveConnection(this.#state, state);
    this.#state = state;
  }
}
