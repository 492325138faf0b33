import {
  type CloseCode,
  encodeClose,
  encodeMessage,
  encodeResumeToken,
  features,
  isCloseCode,
  messageTypes,
  type Move,
  NumberedStreams,
  RequestError,
  type RequestHandler,
  type SeatRef,
} from "../../protocol/index.ts";
import type { TenureEnd } from "../../protocol/handover/streams.ts";
import type { SaveOutcome } from "../authority/save-line.ts";
import type { Outbox } from "../net/outbox.ts";
import type { StateKey } from "../net/state-pile.ts";
import type { Entity, FieldValues } from "../plugin/entities.ts";
import type { HookLane, LaneOwner } from "../plugin/hook-lane.ts";
import type { LeaveReason, Placement, Player, RequestOptions, TeleportOutcome } from "../plugin/player.ts";
import { Budget } from "./budget.ts";
import type { CarriedSession } from "./carried-session.ts";
import { ClientPresence } from "./client-presence.ts";
import { assertGameMessage, encodeGameMessage, maxPayloadBytes, type StateFrames } from "./game-message.ts";
import { MoveBudget } from "./movement.ts";
import { ResumeTokens } from "./resume-token.ts";
import { assertFinite, assertHeading } from "../world/entity-handle.ts";
import { PlaceTelling } from "./place-telling.ts";
import type { PlayerHolder } from "./player-holder.ts";
import type { PlayerLine } from "./player-line.ts";
import { PlayerRequests, type RequestParty } from "./player-requests.ts";
import type { SessionContext } from "./session-context.ts";

export interface JoinedPlayerOptions {
  readonly context: SessionContext;
  readonly seat: SeatRef;
  readonly name: string;
  readonly position: Placement;
  /** The fragment that its ticket names; may be empty. */
  readonly ticketFragment: string;
  /** Protocol version and features in force. */
  readonly version: number;
  readonly features: number;
  readonly line: PlayerLine;
  /** What goes on here of a session that another cluster began. */
  readonly carried?: CarriedSession;
}

const noPayload = new Uint8Array(0);
const defaultRequestTimeoutMs = 10_000;

// One for all: what a player has of its own stays for as long as it plays.
const noPast: readonly TenureEnd[] = [];
const noValues: FieldValues = {};

/** A player in the game, for as long as it stays: connections may come and go meanwhile. */
export class JoinedPlayer implements Player, LaneOwner, RequestParty {
  // What each message to it touches stands first, so that it lies together: with a thousand players it has left the cache since the last one.
  connected = true;
  /** Takes what comes for the player, while a handover has it. */
  #holder: PlayerHolder | undefined;
  #outbox: Outbox;
  readonly #presence: ClientPresence;
  readonly name: string;
  readonly number: number;
  readonly moveBudget: MoveBudget;
  readonly budget: Budget;
  readonly lane: HookLane;
  /** Protocol version in force. */
  readonly version: number;
  /** What is numbered, kept and acknowledged; `undefined` for a client that cannot resume. */
  readonly streams: NumberedStreams | undefined;
  /** Generation under which this cluster has the streams, and where earlier tenures of them ended. [HAND-10] */
  readonly tenure: number;
  readonly past: readonly TenureEnd[];
  position: Placement;
  /** Moves that were not let pass. */
  refusedMoves = 0;
  readonly place: PlaceTelling;
  readonly ticketFragment: string;
  #features: number;
  readonly #context: SessionContext;
  readonly #tokens: ResumeTokens;
  #seat: SeatRef;
  #line: PlayerLine;
  #requests: PlayerRequests | undefined;
  /** Where the ids of requests to the client go on. */
  readonly #lastRequest: number;
  /** Nothing is read from it: too much waits for its hooks, or a handover wants it to come to rest. */
  #heldByHooks = false;
  #heldByHandover = false;
  #goodbye: LeaveReason | undefined;
  /** Its client has come back for it where it had gone on from, with so many frames received: nothing has been answered on this connection. */
  #awaitsFrom: number | undefined;
  /** What the game had saved of it, as it departed. */
  #saved: Uint8Array | undefined;
  /** State of its entity, as it departed. */
  #values = noValues;

  constructor(options: JoinedPlayerOptions) {
    const { context, carried } = options;
    const { settings, clock, replayBounds } = context;
    this.#context = context;
    this.#seat = options.seat;
    this.name = options.name;
    this.number = context.players.takeNumber();
    this.position = options.position;
    this.ticketFragment = options.ticketFragment;
    this.version = options.version;
    this.#features = options.features;
    this.#line = options.line;
    this.#outbox = options.line.outbox;
    this.#presence = new ClientPresence(this, context);
    this.#tokens = new ResumeTokens(this.number);
    this.moveBudget = new MoveBudget(settings.maxSpeed, clock.monotonicMs());
    this.budget = new Budget(
      { bytesPerSecond: settings.maxBytesPerSecond, messagesPerSecond: settings.maxMessagesPerSecond },
      clock.monotonicMs(),
    );
    this.streams = this.has(features.resume) ? new NumberedStreams(replayBounds, carried?.streams) : undefined;
    this.tenure = carried?.tenure ?? options.seat.generation;
    this.past = carried?.past ?? noPast;
    this.place = new PlaceTelling(carried?.moveSequence ?? 0);
    this.#lastRequest = carried?.lastRequest ?? 0;
    this.lane = context.host.createLane(this);
  }

  get id(): string {
    return this.#seat.playerId;
  }

  /** The use of the ticket by which it joined, with the generation that it has now. */
  get seat(): SeatRef {
    return this.#seat;
  }

  get dropped(): boolean {
    return this.#presence.dropped;
  }

  /** Features in force. */
  get features(): number {
    return this.#features;
  }

  /** Whether this feature is in force. */
  has(feature: number): boolean {
    return (this.#features & feature) !== 0;
  }

  /** Its client has come after it, and offers this: of it, only AHEAD is for each cluster to say. [AHEAD-1] */
  hearOffer(offered: number): void {
    const ahead = this.has(features.handover) ? offered & features.ahead : 0;
    this.#features = (this.#features & ~features.ahead) | ahead;
  }

  send(command: number, payload: Uint8Array = noPayload): boolean {
    assertGameMessage(command, payload);
    if (this.#holder !== undefined) return this.sendFrame(encodeMessage({ command, payload }));
    if (this.connected) this.#outbox.sendMessage(command, payload);
    return this.connected;
  }

  sendBulk(command: number, payload: Uint8Array = noPayload): boolean {
    const frame = encodeGameMessage(command, payload);
    if (this.#holder !== undefined) return this.sendFrame(frame);
    if (this.connected) this.#line.send("bulk", frame);
    return this.connected;
  }

  sendState(key: StateKey, command: number, payload: Uint8Array = noPayload): boolean {
    assertGameMessage(command, payload);
    if (!this.connected) return false;
    // [LATEST-4]
    const type = this.has(features.state) ? messageTypes.state : messageTypes.message;
    this.#outbox.setStateMessage(key, type, command, payload);
    return true;
  }

  async request(command: number, payload?: Uint8Array, options: RequestOptions = {}): Promise<Uint8Array> {
    assertGameMessage(command, payload ?? noPayload, maxPayloadBytes - 8);
    if (!this.connected) throw new RequestError("ENDED");
    if (!this.has(features.requests)) throw new RequestError("UNSUPPORTED");
    const { timeoutMs = defaultRequestTimeoutMs, signal } = options;
    return this.requests.request(command, payload ?? noPayload, timeoutMs, signal);
  }

  /** Its requests in both directions. */
  get requests(): PlayerRequests {
    this.#requests ??= new PlayerRequests(this, this.#lastRequest);
    return this.#requests;
  }

  /** Id of the last request to the client. */
  get lastRequest(): number {
    return this.#requests?.lastId ?? this.#lastRequest;
  }

  /** Requests of the client that wait for an answer are told that it came to nothing. */
  giveUpRequests(): void {
    this.#requests?.giveUp();
  }

  requestHandler(): RequestHandler | undefined {
    return this.#context.host.requestHandler(this.lane, this);
  }

  /** Sends a reliable frame that is encoded already; it may be shared with others. */
  sendFrame(frame: Uint8Array): boolean {
    if (this.connected && this.#holder !== undefined) this.#holder.output(this, frame);
    else if (this.connected) this.#line.send("reliable", frame);
    return this.connected;
  }

  /** Sets state that may be shared with others. */
  sendStateFrame(key: StateKey, frames: StateFrames): boolean {
    if (this.connected) this.#outbox.setState(key, this.has(features.state) ? frames.state : frames.message);
    return this.connected;
  }

  get fragment(): string {
    return this.#context.world?.fragmentOf(this) ?? this.ticketFragment;
  }

  get entity(): Entity | undefined {
    return this.#context.world?.entityOf(this);
  }

  teleport({ x, y, z, heading }: Placement): Promise<TeleportOutcome> {
    assertFinite(x, y, z);
    assertHeading(heading);
    return Promise.resolve(this.#teleport({ x, y, z, heading }));
  }

  #teleport(to: Placement): TeleportOutcome | Promise<TeleportOutcome> {
    const { world, teleports } = this.#context;
    const elsewhere = teleports();
    if (!this.connected) return this.held ? "busy" : "left";
    if (this.held || elsewhere?.has(this) === true) return "busy";
    if (world?.carries(to) === false) return elsewhere?.ask(this, to) ?? "unreachable";
    if (world?.teleport(this, to) === false) return "full";
    this.position = to;
    this.tellPlace();
    return "moved";
  }

  /** Tells its client where it stands, or as it comes back: what is about a connection does not outlive that. [MOVE-3] [MOVE-4] */
  tellPlace(): void {
    if (this.dropped) this.place.markUntold();
    else this.sendControl(this.place.positionFrame(this.position));
  }

  /** Sends a word about the connection or the world, before everything else. */
  sendControl(frame: Uint8Array): void {
    if (this.connected) this.#line.send("control", frame);
  }

  get viewWaits(): boolean {
    return this.#outbox.viewWaits;
  }

  sendView(frame: Uint8Array): void {
    if (!this.connected) return;
    this.#context.metrics.framesOut += 1;
    this.#outbox.sendView(frame);
  }

  save(data: Uint8Array): Promise<SaveOutcome> {
    return this.#context.saves.save(this, data);
  }

  close(code: CloseCode = "NORMAL", retryAfterMs = 0): void {
    if (!isCloseCode(code)) throw new RangeError(`there is no code ${String(code)}`);
    if (this.connected) this.end(code, encodeClose(code, retryAfterMs));
  }

  /** The game has failed to take it in: it leaves, and nothing of it as it is here is saved over what it was. [HAND-16] */
  endUnread(): void {
    this.#context.saves.refuseSaves(this);
    this.close("INTERNAL");
  }

  /** It leaves for good, with a last frame to its client or without. */
  end(reason: LeaveReason, lastFrame?: Uint8Array): void {
    if (this.#holder !== undefined) {
      // Whoever plays it next does that; its client need not wait for it.
      this.#goodbye ??= reason;
      this.#holder.leave(this);
      this.#line.finish(lastFrame);
      return;
    }
    if (!this.connected) return;
    this.connected = false;
    this.#presence.stopWaiting();
    this.#requests?.end();
    this.#line.finish(lastFrame);
    const { players, seats, metrics, host, world, saves, log } = this.#context;
    log.info({ event: "left", player: this.number, reason }, `player ${this.number} left: ${reason}`);
    saves.leaving(this);
    world?.leave(this);
    players.remove(this);
    seats.left(this.seat);
    metrics.countDeparture(reason);
    host.left(this.lane, this, reason);
    saves.left(this);
  }

  /** Why it is to leave, said while a handover had it. */
  get goodbye(): LeaveReason | undefined {
    return this.#goodbye;
  }

  /** Whether it may come back when its connection goes. */
  get resumable(): boolean {
    return this.streams !== undefined && !this.#context.stopping();
  }

  /** A RESUME_TOKEN frame with a new token. [RESUME-4] */
  issueToken(): Uint8Array {
    return encodeResumeToken({ graceMs: this.#context.settings.resumeGraceMs, token: this.#tokens.issue() });
  }

  /** Whether the token is this player's. */
  useToken(token: Uint8Array): boolean {
    return this.#tokens.use(token);
  }

  /** Something came over the connection on which the newest token went out: the client has it. [RESUME-4] */
  confirmToken(): void {
    this.#tokens.confirm();
    this.#context.clientArrived(this);
  }

  /** Its connection has gone without a word. */
  drop(): void {
    this.#holder?.clientGone(this);
    if (!this.connected || this.dropped) return;
    if (!this.resumable) return this.end("DROPPED");
    this.#presence.noteDrop();
    if (!this.held) this.#presence.tell();
  }

  /**
   * Goes on over another connection; the one before, if it is still open, has been let go.
   *
   * @param arrives whether its client has come by ARRIVE: then it has been told nothing of the world here, also where it came so
   * before and the answer was lost
   */
  takeUp(line: PlayerLine, arrives: boolean): void {
    this.#presence.stopWaiting();
    this.#line = line;
    this.#outbox = line.outbox;
    if (this.connected) this.#awaitsFrom = undefined;
    line.hold(this.#isPaused);
    this.budget.returned(this.#context.clock.monotonicMs());
    const { world } = this.#context;
    if (arrives) world?.arrived(this);
    else world?.returned(this);
    if (this.place.isUntold) this.tellPlace();
    if (!this.#presence.noteReturn()) return;
    if (this.#holder === undefined) this.#presence.tell();
    else this.#holder.clientBack(this);
  }

  /** Whether a handover has it: it is frozen, or gone on to another cluster. */
  get held(): boolean {
    return this.#holder !== undefined;
  }

  get holder(): PlayerHolder | undefined {
    return this.#holder;
  }

  /** Whether its client is there. */
  get hasClient(): boolean {
    return !this.dropped && this.#line.isOpen;
  }

  /** Its client asks to go on, with so many frames received, and will be told where: REDIRECT is the answer to its RESUME. [REDIRECT-2] */
  awaitWay(received: number): void {
    this.#awaitsFrom = received;
  }

  /** How many frames its client has received that waits to hear where it has to go, and for nothing else. */
  get awaitsFrom(): number | undefined {
    return this.#awaitsFrom;
  }

  /** Its client has been told where to go. */
  toldWay(): void {
    this.#awaitsFrom = undefined;
  }

  /** Its client, which has waited to hear where to go, need not go: it is played here again. [RESUME-3] */
  answerLate(answer: readonly Uint8Array[], again: readonly Uint8Array[]): void {
    this.#awaitsFrom = undefined;
    for (const frame of answer) this.#line.send("control", frame);
    for (const frame of again) this.#line.send("again", frame);
    if (this.place.isUntold) this.tellPlace();
  }

  /** Whether it came from another cluster and its client has not come yet. */
  get arriving(): boolean {
    return this.#presence.arriving;
  }

  /** It goes on in the game, as it is, by another ticket. */
  change(seat: SeatRef): void {
    const { seats } = this.#context;
    seats.left(this.#seat);
    this.#seat = seat;
    seats.joined(seat);
  }

  /** Its authority is of this generation from now on. */
  adopt(generation: number): void {
    this.#seat = { ...this.#seat, generation };
  }

  /**
   * What has been said to it so far has its number, and has been sent or is kept. Returns false where there is not room to keep it
   * all: then this is not the moment.
   */
  settleStreams(): boolean {
    const { streams } = this;
    return streams !== undefined && this.#outbox.settle(streams);
  }

  /** From now on nothing of it runs here: what comes for it goes to `holder`. [HAND-6] */
  freeze(holder: PlayerHolder): void {
    this.#holder = holder;
  }

  /** Its client asks for a place while it stands still. */
  holdMove(move: Move): void {
    // Whoever has been sent on says it anew, there or where it comes back. [ARRIVE-7]
    if (this.connected) this.place.holdMove(move);
  }

  /** It is played again, here. */
  unfreeze(): void {
    this.#holder = undefined;
  }

  /** Tells plugins what they have still to be told of its client's going and coming. */
  tellPresence(): void {
    this.#presence.tell();
  }

  /** It has gone on to another cluster. Its connection stays until its client has gone there too. */
  depart(): void {
    if (!this.connected) return;
    const { world, saves } = this.#context;
    this.#saved = saves.moved(this);
    this.#values = world?.snapshot(this)?.values ?? {};
    this.#goOut();
  }

  #goOut(): void {
    this.connected = false;
    this.#presence.stopWaiting();
    this.#requests?.end("MOVED");
    this.place.takeHeldMove();
    const { players, seats, world } = this.#context;
    world?.depart(this);
    players.depart(this);
    seats.left(this.#seat);
  }

  /** It has come back from a cluster that will never play it. @returns whether the world here takes it in again */
  revive(): boolean {
    if (this.connected) return true;
    this.connected = true;
    this.#requests?.begin();
    const { players, seats, world, saves } = this.#context;
    players.add(this);
    saves.take(this, this.#saved);
    seats.joined(this.#seat);
    const isIn = world?.enter(this, this.#values, true) !== false;
    if (!this.hasClient) this.#presence.noteDrop();
    return isIn;
  }

  /** It has gone for good, and nothing of it is needed here any more. */
  retire(): void {
    this.#holder = undefined;
    this.#context.players.forget(this);
    this.#line.finish();
  }

  /** A newer session has it, while it stands still: plugins have given it up already. */
  vanish(): void {
    this.#context.saves.overtaken(this);
    this.#goOut();
    this.#holder = undefined;
    this.#context.players.forget(this);
    this.#line.finish(encodeClose("REPLACED"));
    this.#context.metrics.countDeparture("REPLACED");
  }

  /** Says something about the connection, also to the client of a player that has gone on. */
  tellClient(frame: Uint8Array): void {
    this.#line.send("control", frame);
  }

  /** It came from another cluster: its client is to come after it. */
  awaitArrival(): void {
    this.#presence.awaitArrival();
  }

  get line(): PlayerLine {
    return this.#line;
  }

  hold(held: boolean): void {
    this.#heldByHooks = held;
    this.#line.hold(this.#isPaused);
  }

  /** Nothing more is read from it, so that what is under way can come to its end. */
  rest(resting: boolean): void {
    this.#heldByHandover = resting;
    this.#line.hold(this.#isPaused);
  }

  /** Whether nothing of it is under way: no hook, and no request of its client. */
  get isAtRest(): boolean {
    return !this.lane.busy && (this.#requests?.open ?? 0) === 0;
  }

  get #isPaused(): boolean {
    return this.#heldByHooks || this.#heldByHandover;
  }

  malformed(reason: string): void {
    if (this.dropped) this.end("PROTOCOL_ERROR");
    else this.#line.malformed(reason);
  }
}
