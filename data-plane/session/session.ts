import {
  type CloseCode,
  encodeAck,
  encodePing,
  encodeReject,
  encodeStreams,
  features,
  type Hello,
  isNumbered,
  limits,
  ProtocolError,
} from "../../protocol/index.ts";
import { judgeInput } from "../../protocol/handover/streams.ts";
import type { ConnectionState } from "../metrics.ts";
import type { AdmissionPass } from "../net/admission.ts";
import { Outbox, type OutboxOwner } from "../net/outbox.ts";
import type { PlayerSocket, SocketListener } from "../net/player-socket.ts";
import type { SendLane } from "../net/send-queue.ts";
import type { LeaveReason } from "../plugin/player.ts";
import { applyItem } from "./held-frame.ts";
import { dispatch } from "./dispatch.ts";
import type { BudgetVerdict } from "./budget.ts";
import type { PlayerRecord } from "../authority/player-record.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { PlayerLine } from "./player-line.ts";
import type { SessionReturn } from "./session-return.ts";
import type { SessionContext } from "./session-context.ts";

/** Spec: docs/PROTOCOL.md, section 7; `closing` is its "closed" while the last words are on their way. */
export type SessionState = Exclude<ConnectionState, "handshake">;

/** Beats of the pulse after which ACK goes along with the next write, and after which it goes by itself. [ACK-2] */
const beatsToAckAlong = 2;
const beatsToAck = 3;

/** How soon a player may come back that was closed for its budget. */
const rateLimitedRetryMs = 5_000;

/** One connection, from the end of its TLS handshake to its last byte. */
export class Session implements SocketListener, PlayerLine, OutboxOwner {
  readonly context: SessionContext;
  readonly #socket: PlayerSocket;
  /** Its place among the unauthenticated, until it has joined. */
  #pass: AdmissionPass | undefined;
  readonly #outbox: Outbox;
  /** Made for who asks. */
  #ended: PromiseWithResolvers<void> | undefined;
  #state: SessionState | undefined = "hello";
  #deadline: NodeJS.Timeout | undefined;
  #hello: Hello | undefined;
  #player: JoinedPlayer | undefined;
  /** By {@link Pulse}: when something last came, and when we last asked. */
  #heardAtMs: number;
  #pingedAtMs: number;
  /** The newest resume token has been shown to have arrived. */
  #tokenConfirmed = true;
  #warned = false;
  /** Beats of the pulse since something came that has not been acknowledged. */
  #unreportedBeats = 0;
  /** Number of the last numbered frame that came over this connection. */
  #lastInput = 0;

  constructor(context: SessionContext, socket: PlayerSocket, pass: AdmissionPass) {
    this.context = context;
    this.#socket = socket;
    this.#pass = pass;
    socket.maxFrameBytes = limits.maxHelloBytes;
    this.#heardAtMs = context.pulse.elapsedMs;
    this.#pingedAtMs = context.pulse.elapsedMs;
    context.metrics.moveConnection(undefined, "hello");
    this.#outbox = new Outbox(socket, this, context);
    // Absolute: nothing that arrives puts it off. [JOIN-2]
    this.#deadline = setTimeout(() => {
      // Once JOIN has come, it is the game or the master that takes so long.
      this.refuse("JOIN_TIMEOUT", this.#state !== "verifying");
    }, context.limits.joinTimeoutMs);
    socket.listen(this);
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

  get isOpen(): boolean {
    return this.#state === "joined";
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  get outbox(): Outbox {
    return this.#outbox;
  }

  /** Resolves when the connection is gone. */
  get ended(): Promise<void> {
    this.#ended ??= Promise.withResolvers();
    return this.#ended.promise;
  }

  send(lane: SendLane, frame: Uint8Array): void {
    this.context.metrics.framesOut += 1;
    this.#outbox.send(lane, frame);
  }

  hold(held: boolean): void {
    if (this.#state !== "joined") return;
    if (held) this.#socket.pause();
    else this.#socket.resume();
  }

  /** HELLO has come: JOIN is next. */
  awaitJoin(hello: Hello): void {
    this.#hello = hello;
    this.#socket.maxFrameBytes = limits.maxJoinBytes;
    this.#enter("join");
  }

  /** JOIN has come: until the verdict the peer has nothing to say. */
  beginVerifying(): void {
    // No length is allowed, so that nothing is buffered for a frame that must not come. [JOIN-1]
    this.#socket.maxFrameBytes = 0;
    this.#enter("verifying");
  }

  /** The player has gone on to another cluster before its client came: that is told, and all. */
  sendOn(redirect: Uint8Array): void {
    if (this.#state === "verifying") this.#end(redirect);
  }

  /**
   * The player is in the game; `welcome` goes out ahead of whatever it has been sent already. [WELCOME-1]
   *
   * @param back of a session that goes on; without it, it begins [STREAMS-2]
   */
  welcome(
    player: JoinedPlayer,
    record: PlayerRecord<JoinedPlayer>,
    welcome: () => Uint8Array,
    back?: SessionReturn,
  ): void {
    this.#endAdmission();
    this.#player = player;
    this.#outbox.keeper = player.streams;
    this.#lastInput = player.streams?.lastInput ?? 0;
    for (const frame of back?.again ?? []) this.send("again", frame);
    this.#socket.maxFrameBytes = this.context.settings.maxFrameBytes;
    this.#heardAtMs = this.context.pulse.elapsedMs;
    this.#enter("joined");
    this.context.metrics.joins += 1;
    const { saves, host } = this.context;
    if (back === undefined) {
      saves.joined(record, player);
      host.joined(player.lane, player);
    } else {
      saves.continues(record, player);
      host.migrateIn(player.lane, player, back.parts);
      for (const item of back.items) applyItem(host, player, item);
      this.#lastInput = player.streams?.lastInput ?? 0;
    }
    this.context.metrics.framesOut += 1;
    if (player.has(features.resume)) this.#outbox.sendAhead(player.issueToken());
    if (player.has(features.handover)) {
      const received = back === undefined ? 0 : this.#lastInput;
      this.#outbox.sendAhead(encodeStreams({ tenure: player.tenure, received, fresh: back === undefined }));
    }
    this.#outbox.sendAhead(welcome());
    // Not at the end of the turn: the handshake's last words are still on their way out, and take it along in one packet.
    this.#outbox.flush();
  }

  /** The player goes on over this connection: the answer, then what it has missed, then what waits. [RESUME-3] */
  takeUp(player: JoinedPlayer, answer: readonly Uint8Array[], again: readonly Uint8Array[], arrives = false): void {
    this.#endAdmission();
    for (const frame of answer) this.send("control", frame);
    for (const frame of again) this.send("again", frame);
    this.#outbox.adopt(player.line.release());
    this.#player = player;
    this.#outbox.keeper = player.streams;
    this.#lastInput = player.streams?.lastInput ?? 0;
    this.#tokenConfirmed = false;
    this.#socket.maxFrameBytes = this.context.settings.maxFrameBytes;
    this.#heardAtMs = this.context.pulse.elapsedMs;
    this.#enter("joined");
    player.takeUp(this, arrives);
  }

  release(): Outbox {
    this.#player = undefined;
    this.#outbox.detach();
    if (this.#state === "joined") {
      this.#enter("closing");
      this.#socket.destroy();
    }
    return this.#outbox;
  }

  /**
   * Ends a connection that has not joined, without a word to the peer. [JOIN-4]
   *
   * @param isPeersFault whether its address is charged for it [NET-4]
   */
  refuse(reason: string, isPeersFault = true): void {
    if (this.#state === undefined || this.#state === "closing" || this.#state === "joined") return;
    this.context.refusals.note(reason, this.#socket.address);
    this.#pass?.release(isPeersFault);
    this.#enter("closing");
    this.#socket.destroy();
  }

  /** Ends a connection whose ticket is genuine but does not do. [REJECT-1] @param fragment where it is that which is full, for the log */
  reject(code: CloseCode, retryAfterMs = 0, fragment?: string): void {
    if (this.#state !== "verifying") return;
    this.context.refusals.note(code, this.#socket.address, fragment);
    this.#end(encodeReject(code, retryAfterMs));
  }

  /** The peer broke the protocol. [FRAME-6] */
  malformed(reason: string): void {
    if (this.#state !== "joined") {
      this.refuse(reason);
      return;
    }
    this.context.log.info({ event: "malformed", reason, address: this.#socket.address }, `closed a player: ${reason}`);
    this.close("PROTOCOL_ERROR");
  }

  /** Ends a player's session with CLOSE; of one that has gone on to another cluster, only this connection. [CLOSE-1] [REDIRECT-9] */
  close(code: CloseCode, retryAfterMs = 0): void {
    if (this.#state !== "joined") return;
    if (this.#player?.connected === true) this.#player.close(code, retryAfterMs);
    else this.#breakOff();
  }

  /** The cluster stops. Whoever waits for a verdict gets REJECT with it. */
  shutDown(): void {
    // Whoever has gone on has perhaps still to be sent where to.
    if (this.#state === "joined" && this.#player?.connected === false) this.#end(undefined);
    else if (this.#state === "joined") this.close("SHUTTING_DOWN");
    else if (this.#state !== "verifying") this.refuse("SHUTTING_DOWN", false);
  }

  /** The player leaves without a word from us. */
  leave(reason: LeaveReason): void {
    if (this.#state === "joined") this.#player?.end(reason);
  }

  finish(lastFrame?: Uint8Array): void {
    if (this.#state === undefined) this.#outbox.discard();
    else this.#end(lastFrame);
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
    else if (silentMs > settings.idleTimeoutMs) this.#endIdle();
    // Nothing stands before the answer to its RESUME. [RESUME-3]
    else if (this.#player?.awaitsFrom !== undefined) return;
    else if (silentMs >= settings.pingIntervalMs && now - this.#pingedAtMs >= settings.pingIntervalMs) {
      this.#pingedAtMs = now;
      this.send("control", encodePing({ timeMs: this.context.clock.monotonicMs() }));
    }
    this.#acknowledgeInTime();
  }

  /** Ends it at once, as when the process is about to go. */
  destroy(): void {
    this.#socket.destroy();
  }

  onBytes(count: number): boolean {
    this.context.metrics.bytesIn += count;
    if (this.#state === undefined || this.#state === "closing") return false;
    this.#heardAtMs = this.context.pulse.elapsedMs;
    if (this.#player !== undefined) {
      return this.#spend(this.#player.budget.drawBytes(count, this.context.clock.monotonicMs()));
    }
    if (this.#state !== "verifying") return true;
    this.malformed("EARLY_FRAME");
    return false;
  }

  onFrame(bytes: Uint8Array, start: number, end: number): boolean {
    this.context.metrics.framesIn += 1;
    const player = this.#player;
    if (player !== undefined && !this.#spend(player.budget.drawMessage())) return false;
    if (!this.#tokenConfirmed) {
      this.#tokenConfirmed = true;
      this.#player?.confirmToken();
    }
    const numbered = isNumbered(bytes[start] ?? 0);
    if (numbered && player?.streams !== undefined) {
      this.#lastInput += 1;
      if (player.holder !== undefined) player.holder.input(player, this.#lastInput, bytes.subarray(start, end));
      // One that was applied before it came here, brought by the cluster before this one. [HAND-9]
      if (player.holder !== undefined || judgeInput(player.streams, this.#lastInput) !== "next") return true;
    }
    dispatch(this, bytes, start, end);
    if (numbered && this.#player?.streams?.count(end - start) === true) this.#acknowledge();
    return this.#state !== "closing" && this.#state !== undefined;
  }

  onOwnWrite(): void {
    this.#outbox.noteOwnWrite();
  }

  onFault(error: unknown): void {
    if (error instanceof ProtocolError) this.malformed(this.state === "verifying" ? "EARLY_FRAME" : error.code);
    else this.#fail(error);
  }

  onClose(): void {
    this.#endAdmission();
    const joined = this.#state === "joined";
    this.#enter(undefined);
    this.#outbox.detach();
    if (joined) this.#player?.drop();
    // One that a handover has may yet be played here again: what it is told then gathers for its next connection. [HAND-9]
    if (this.#player?.dropped !== true && this.#player?.held !== true) this.#outbox.discard();
    this.#ended?.resolve();
    this.context.onSessionEnd(this);
  }

  /** Whether to go on reading. [BUDGET-1] */
  #spend(verdict: BudgetVerdict): boolean {
    if (verdict === "within") return true;
    const { log, metrics } = this.context;
    if (!this.#warned) {
      this.#warned = true;
      metrics.budgetWarnings += 1;
      log.warn({ event: "over-budget", player: this.#player?.number }, "a player sends more than its budget");
    }
    if (verdict === "warn") return true;
    this.close("RATE_LIMITED", rateLimitedRetryMs);
    return false;
  }

  /** Much has come. [ACK-2] */
  #acknowledge(): void {
    const streams = this.#player?.streams;
    if (streams !== undefined) this.send("control", encodeAck({ received: streams.report() }));
  }

  /** Called with every beat: ACK goes along with what is written after the second, or by itself after the third. [ACK-2] */
  #acknowledgeInTime(): void {
    const streams = this.#player?.streams;
    if (streams === undefined || !(streams.hasUnreported || this.#unreportedBeats > 0)) return;
    this.#unreportedBeats += 1;
    if (this.#unreportedBeats === beatsToAckAlong) {
      this.context.metrics.framesOut += 1;
      this.#outbox.sendAlong(encodeAck({ received: streams.report() }));
    } else if (this.#unreportedBeats >= beatsToAck) {
      this.#outbox.wake();
      // What came since the second has waited for a beat by now.
      this.#unreportedBeats = streams.hasUnreported ? 1 : 0;
    }
  }

  /** More waits than is allowed. For a player that is away there is then nothing to come back to. */
  onOverflow(): void {
    if (this.#state === "joined") this.close("SLOW_CONSUMER");
    else if (this.#player?.dropped === true) this.#player.end("DROPPED");
  }

  /** Nothing has come for too long: a player that can come back is dropped for it, another one is told to go. [PING-3] */
  #endIdle(): void {
    if (this.#player?.resumable === true) this.#socket.destroy();
    else this.close("IDLE");
  }

  /** A fault of ours while handling this connection: it ends, the others go on. */
  #fail(error: unknown): void {
    this.context.log.error({ event: "session-failed", err: error }, "a connection could not be handled");
    if (this.#state === "joined") this.close("INTERNAL", 1_000);
    else this.refuse("INTERNAL", false);
  }

  /** Ends it as if it had broken: whether the session ends is not ours to say, and should its player come back here, all that it is told is kept. */
  #breakOff(): void {
    this.#player?.drop();
    this.#enter("closing");
    this.#outbox.detach();
    this.#socket.destroy();
  }

  #end(lastFrame: Uint8Array | undefined): void {
    if (this.#state === "closing" || this.#state === undefined) return;
    this.#endAdmission();
    this.#enter("closing");
    if (lastFrame !== undefined) this.context.metrics.framesOut += 1;
    this.#outbox.finish(lastFrame);
    // Whatever still comes is read and dropped, so that the last words are not lost to a reset; but not for ever.
    this.#socket.resume();
    this.#deadline = setTimeout(() => this.#socket.destroy(), this.context.limits.lingerMs);
  }

  /** It has joined, or is over: nothing of what was for strangers is kept. */
  #endAdmission(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    this.#pass?.release(false);
    this.#pass = undefined;
  }

  #enter(state: SessionState | undefined): void {
    this.context.metrics.moveConnection(this.#state, state);
    this.#state = state;
  }
}
