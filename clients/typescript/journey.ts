import {
  type ClientRoute,
  type ClientWelcome,
  openRoute,
  type RouteEffect,
  type RouteEvent,
  stepRoute,
} from "../../protocol/handover/client-route.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import { clientTimeout } from "../../protocol/handover/timing.ts";
import { type Ahead, Rate, type Redirect, revocationCloseCodes } from "../../protocol/index.ts";
import { backoffMs } from "./clock.ts";
import { type CloseEvent, closeEventOfError, errorOfCloseEvent, localCloseEvent } from "./close-event.ts";
import type { ClusterConnection } from "./connection.ts";
import type { ConnectionAhead } from "./connection-ahead.ts";
import type { RejoinAttempt } from "./entrance.ts";
import { localError, SustenetError } from "./error.ts";
import type { Joined, SentOn } from "./opening.ts";
import { resumeSession } from "./resumption.ts";
import type { JourneyStep, Rejoin, SessionContext, Traveller } from "./session-context.ts";
import type { SessionMemory } from "./session-memory.ts";

/** Tries to reach a handover's destination, each after a longer wait. Spec: docs/HANDOVER.md, section 10. */
const maxFailures = 4;
/** How often a cluster may send a player around: 30 times at once, and once a second on average. More is ignored. */
const redirects = { perSecond: 1, burst: 30 } as const;
/** By which a destination says that the master has ended the session: whoever else says something of it. [REDIRECT-6] */
const revoked: ReadonlySet<string> = new Set(Object.values(revocationCloseCodes));
/** What no other try would mend. */
const final: ReadonlySet<string> = new Set(["CERTIFICATE_MISMATCH", "BAD_FRAME"]);

/**
 * A session's way from connection to connection: it drives the client's half of the handover (protocol/handover/client-route.ts), and does
 * what that decides.
 */
export class Journey {
  readonly #context: SessionContext;
  readonly #traveller: Traveller;
  readonly #abort = new AbortController();
  readonly #redirectRate = new Rate(redirects.perSecond, redirects.burst);
  #route: ClientRoute;
  #connection: ClusterConnection;
  #played: ClusterConnection;
  #memory: SessionMemory;
  /** The connection is the one to `#route.at`; otherwise what it says counts no more. */
  #isListening = true;
  /** What is opened, or has just been opened, to go on with. */
  #candidate: Joined | undefined;
  /** The redirect that is being heard, and the one that is followed. */
  #told: Redirect | undefined;
  #followed: Redirect | undefined;
  #attempt: AbortController | undefined;
  /** Where the player may be sent in a moment, and by which handover. */
  #ahead: { readonly id: string; readonly connection: ConnectionAhead } | undefined;
  #cancelTimer: () => void = () => undefined;
  #timeouts = 0;
  /** When something of the game last came before the player was sent on. */
  #lastNewsMs = 0;
  /** Why the last connection ended. */
  #reason: CloseEvent = localCloseEvent("CONNECTION_LOST");
  #joinedAtMs: number;
  #rejoins = 0;
  /** When the session was last taken up, and how often in a row that did not hold. */
  #resumedAtMs = Number.NEGATIVE_INFINITY;
  #resumes = 0;
  #ended = false;

  constructor(joined: Joined, context: SessionContext, traveller: Traveller) {
    this.#context = context;
    this.#traveller = traveller;
    this.#connection = joined.connection;
    this.#played = joined.connection;
    this.#memory = joined.memory;
    this.#joinedAtMs = context.clock.nowMs();
    const cluster = joinedRef(joined);
    const joining = stepRoute(openRoute(maxFailures), { type: "allocated", cluster, ticket: "" });
    this.#route = stepRoute(joining.route, { type: "welcome", ...welcomeOf(joined, cluster) }).route;
  }

  get connection(): ClusterConnection {
    return this.#connection;
  }

  /** The one over which the game came last, also when it is lost: by its clock the cluster's is known. */
  get played(): ClusterConnection {
    return this.#played;
  }

  get memory(): SessionMemory {
    return this.#memory;
  }

  get state(): "joined" | "resuming" | "moving" | "rejoining" | "closed" {
    if (this.#ended) return "closed";
    switch (this.#route.phase) {
      case "playing":
        return "joined";
      case "returning":
        return "resuming";
      case "moving":
        return "moving";
      case "allocating":
      case "joining":
      case "ended":
        return "rejoining";
    }
  }

  /** Whether what this connection says counts. */
  hears(connection: ClusterConnection): boolean {
    return this.#connection === connection && this.#isListening && !this.#ended;
  }

  /** The cluster may send the player on in a moment. [AHEAD-2] */
  announced(connection: ClusterConnection, { id, cluster }: Ahead): void {
    const { clock, openAhead } = this.#context;
    if (!this.hears(connection) || this.#route.phase !== "playing" || openAhead === undefined) return;
    if (this.#ahead?.id === id || !this.#redirectRate.take(clock.nowMs())) return;
    this.#dropAhead();
    this.#ahead = { id, connection: openAhead(cluster) };
  }

  /** The cluster sends the player on. [REDIRECT-3] */
  redirected(connection: ClusterConnection, redirect: Redirect): void {
    const { at } = this.#route;
    const { arrive, clock } = this.#context;
    if (!this.hears(connection) || at === undefined || arrive === undefined) return;
    const isMoving = this.#route.phase === "moving";
    // Counted already, as it was announced. [AHEAD-4]
    if (!this.#isAnnounced(redirect) && !this.#redirectRate.take(clock.nowMs())) {
      // The connection takes nothing of the game any more: who stayed would hear nothing for good.
      if (!isMoving) this.#leaveBehind(at.cluster);
      return;
    }
    if (!isMoving) this.#lastNewsMs = connection.lastNewsMs;
    this.#hearRedirect(at.cluster, redirect);
  }

  /** The cluster keeps the player. */
  stays(connection: ClusterConnection, id: string): void {
    const { at } = this.#route;
    if (!this.hears(connection) || at === undefined) return;
    if (this.#ahead?.id === id) this.#dropAhead();
    this.#reason = localCloseEvent("CONNECTION_LOST", "The cluster keeps the player after all.");
    this.#dispatch({ type: "told", from: at.cluster, message: { type: "stay", id } });
  }

  /** The connection has ended. */
  closed(connection: ClusterConnection, event: CloseEvent): void {
    const { at, phase } = this.#route;
    if (!this.hears(connection) || at === undefined) return;
    this.#isListening = false;
    this.#reason = event;
    if (phase === "playing") this.#lastNewsMs = connection.lastNewsMs;
    const isWord = event.origin === "cluster";
    // Its end is no news to who is on the way to another: but a cluster that says to stop means the session.
    if (phase === "moving" && !(isWord && event.advice !== "allocate")) {
      return this.#dispatch({ type: "linkDown", from: at.cluster });
    }
    if (event.advice !== "allocate") return this.#finish(event);
    // Only a connection that ended without a word can go on: after CLOSE the session is over. [RESUME-7]
    const canResume = this.#context.resumption !== undefined && this.#memory.token !== undefined;
    const goesOn = canResume && event.code === "CONNECTION_LOST";
    this.#dispatch({ type: goesOn ? "linkDown" : "refused", from: at.cluster });
  }

  /** The player leaves, or it is over. Nothing is told any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    this.#attempt?.abort();
    this.#dropAhead();
    this.#memory.end();
    this.#abort.abort();
  }

  #dispatch(event: RouteEvent): void {
    if (this.#ended) return;
    const before = this.#route;
    const { route, effects } = stepRoute(before, event);
    this.#route = route;
    const isNewTimer = route.phase !== before.phase || route.connecting !== before.connecting;
    if (route.phase !== before.phase || route.move !== before.move) this.#timeouts = 0;
    for (const effect of effects) {
      this.#perform(effect, before);
      // The game may leave in what it is told.
      if (this.#ended) return;
    }
    if (route.phase !== "playing") this.#dropAhead();
    if (isNewTimer && this.#route === route) this.#waitForNext();
  }

  #perform(effect: RouteEffect, before: ClientRoute): void {
    switch (effect.type) {
      case "allocate":
        return this.#rejoin(before);
      case "return":
        return void this.#resume(before.phase === "moving");
      case "arrive":
        return this.#follow(effect.move.id, before);
      case "close":
        return this.#close(effect.to, before);
      case "play":
        return this.#play(before);
      case "join":
        // Done by then: what allocates joins as well.
        return;
    }
  }

  /** Time to try again comes only while moving: resuming and rejoining count their own tries. */
  #waitForNext(): void {
    this.#cancelTimer();
    if (this.#route.phase !== "moving") return;
    const patience = clientTimeout(this.#route);
    if (patience === undefined) return;
    const { clock } = this.#context;
    this.#timeouts += 1;
    const { firstMs: baseMs, mostMs: maxMs } = patience;
    const delayMs = backoffMs(this.#timeouts, { baseMs, maxMs }, () => this.#random());
    this.#cancelTimer = clock.after(delayMs, () => this.#dispatch({ type: "timeout" }));
  }

  #random(): number {
    return this.#context.resumption?.random() ?? Math.random();
  }

  #hearRedirect(from: ClusterRef, redirect: Redirect): void {
    const { id, key, token, boot, cluster } = redirect;
    const destination = { clusterId: cluster.id, boot };
    this.#told = redirect;
    this.#dispatch({ type: "told", from, message: { type: "redirect", id, destination, key, token } });
    // Whatever the route did not take is forgotten: what is tried again is what was followed.
    this.#told = undefined;
  }

  /** The cluster sends the player around more often than is followed: another one has to be found. [REDIRECT-8] */
  #leaveBehind(from: ClusterRef): void {
    this.#reason = localCloseEvent("CONNECTION_LOST", "The cluster sent the player on too often.");
    this.#dispatch({ type: "refused", from });
  }

  #follow(id: string, before: ClientRoute): void {
    this.#followed = this.#told ?? this.#followed;
    const redirect = this.#followed;
    if (redirect === undefined) return;
    if (before.phase !== "moving" || before.move?.id !== id) this.#traveller.onMoving(redirect);
    if (!this.#ended) void this.#arrive(redirect);
  }

  async #arrive(redirect: Redirect): Promise<void> {
    const { arrive } = this.#context;
    this.#attempt?.abort();
    const attempt = new AbortController();
    this.#attempt = attempt;
    const from = { clusterId: redirect.cluster.id, boot: redirect.boot };
    const ahead = this.#takeAhead(redirect);
    let opened: Joined | SentOn | undefined;
    try {
      opened = await arrive?.(this.#memory, redirect, attempt.signal, ahead);
    } catch (error) {
      if (attempt.signal.aborted || this.#ended) return;
      if (!(error instanceof SustenetError)) return this.#fault(error);
      if (error.origin === "cluster" && revoked.has(error.code)) return this.#finish(closeEventOfError(error));
      const isFinal = error.origin === "cluster" || final.has(error.code);
      return this.#dispatch({ type: isFinal ? "refused" : "linkDown", from });
    }
    if (opened === undefined) return;
    if (attempt.signal.aborted || this.#ended) return opened.connection.abort();
    if ("redirect" in opened) {
      opened.connection.abort();
      if (this.#redirectRate.take(this.#context.clock.nowMs())) return this.#hearRedirect(from, opened.redirect);
      return this.#dispatch({ type: "refused", from });
    }
    this.#candidate = opened;
    this.#dispatch({ type: "welcome", ...welcomeOf(opened, from) });
    this.#dropCandidate();
  }

  /** What was opened ahead for this redirect; nothing else that was is of use any more. [AHEAD-3] */
  #takeAhead(redirect: Redirect): ConnectionAhead | undefined {
    const ahead = this.#ahead;
    if (ahead !== undefined && this.#isAnnounced(redirect)) {
      this.#ahead = undefined;
      return ahead.connection;
    }
    this.#dropAhead();
    return undefined;
  }

  #isAnnounced({ id, cluster }: Redirect): boolean {
    return this.#ahead?.id === id && this.#ahead.connection.leadsTo(cluster);
  }

  #dropAhead(): void {
    this.#ahead?.connection.drop();
    this.#ahead = undefined;
  }

  async #resume(soon: boolean): Promise<void> {
    const { resumption, clock, stableMs } = this.#context;
    const { signal } = this.#abort;
    const from = this.#route.at?.cluster;
    if (resumption === undefined || from === undefined) return;
    if (soon) this.#hangUp();
    // One that is lost again and again must not be taken up without a pause.
    if (clock.nowMs() - this.#resumedAtMs >= stableMs) this.#resumes = 0;
    let opened: Joined | SentOn | undefined;
    try {
      const onAttempt = (attempt: RejoinAttempt): void => this.#traveller.onResuming(attempt);
      const failure = errorOfCloseEvent(this.#reason);
      opened = await resumeSession(resumption, this.#memory, failure, signal, onAttempt, soon, this.#resumes);
    } catch (error) {
      if (this.#ended) return;
      if (error instanceof SustenetError) return this.#finish(closeEventOfError(error));
      return this.#fault(error);
    }
    if (this.#ended) return void opened?.connection.leave();
    if (opened === undefined) return this.#dispatch({ type: "refused", from });
    if (!soon) this.#resumes += 1;
    this.#resumedAtMs = clock.nowMs();
    if ("redirect" in opened) {
      if (!this.#redirectRate.take(clock.nowMs())) {
        opened.connection.abort();
        return this.#leaveBehind(from);
      }
      this.#connection = opened.connection;
      this.#isListening = true;
      // First where to: what came right behind it is about that. [REDIRECT-5]
      this.#hearRedirect(from, opened.redirect);
      return this.#traveller.onConnection(opened.connection);
    }
    this.#candidate = opened;
    this.#dispatch({ type: "welcome", ...welcomeOf(opened, from) });
    this.#dropCandidate();
  }

  #rejoin(before: ClientRoute): void {
    const { rejoin, clock, stableMs } = this.#context;
    // Whatever kept it from there: here it is no longer either.
    const isLost = before.phase === "moving";
    const reason = isLost
      ? localCloseEvent("CONNECTION_LOST", "The player could not go on where it was sent.")
      : this.#reason;
    if (!this.#memory.canMove) this.#memory.end();
    if (rejoin === undefined || reason.advice === "stop") return this.#finish(reason);
    // One that ends again and again must not be joined for ever.
    if (clock.nowMs() - this.#joinedAtMs >= stableMs) this.#rejoins = 0;
    void this.#comeBack(rejoin, reason);
  }

  async #comeBack(rejoin: Rejoin, reason: CloseEvent): Promise<void> {
    const { signal } = this.#abort;
    const onAttempt = (attempt: RejoinAttempt): void => {
      this.#rejoins = attempt.attempt;
      this.#traveller.onRejoining(attempt);
    };
    let joined: Joined;
    try {
      joined = await rejoin(errorOfCloseEvent(reason), this.#rejoins + 1, signal, onAttempt, this.#memory);
    } catch (error) {
      if (error instanceof SustenetError) return this.#finish(closeEventOfError(error));
      return this.#fault(error);
    }
    if (this.#ended) return void joined.connection.leave();
    const cluster = joinedRef(joined);
    this.#candidate = joined;
    this.#dispatch({ type: "allocated", cluster, ticket: "" });
    this.#dispatch({ type: "welcome", ...welcomeOf(joined, cluster) });
  }

  #play(before: ClientRoute): void {
    const joined = this.#candidate;
    if (joined === undefined) return;
    this.#candidate = undefined;
    const earlier = this.#memory;
    const { clock } = this.#context;
    this.#connection = joined.connection;
    this.#played = joined.connection;
    this.#memory = joined.memory;
    this.#isListening = true;
    let step: JourneyStep = { type: "resumed" };
    if (before.phase === "moving" && this.#followed !== undefined) {
      step = { type: "moved", redirect: this.#followed, gapMs: Math.max(0, clock.nowMs() - this.#lastNewsMs) };
    } else if (before.phase === "joining") {
      this.#joinedAtMs = clock.nowMs();
      step = { type: "rejoined", earlier, fresh: joined.fresh };
    }
    this.#traveller.onStep(joined, step);
    if (joined.fresh && earlier !== joined.memory) earlier.end();
  }

  /** Ends a connection without a farewell: the player is not leaving. */
  #close(to: ClusterRef, before: ClientRoute): void {
    const { at } = before;
    if (at !== undefined && at.cluster.clusterId === to.clusterId && at.cluster.boot === to.boot) {
      return this.#hangUp();
    }
    this.#attempt?.abort();
    this.#attempt = undefined;
  }

  #hangUp(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#connection.abort();
  }

  /** One that was opened for what is no longer so. */
  #dropCandidate(): void {
    this.#candidate?.connection.abort();
    this.#candidate = undefined;
  }

  #finish(event: CloseEvent): void {
    if (this.#ended) return;
    this.#hangUp();
    this.end();
    this.#traveller.onEnd(event);
  }

  /** A fault of ours, or of what was passed in: it surfaces, and the session is over. */
  #fault(error: unknown): never {
    this.#finish(closeEventOfError(localError("NETWORK", undefined, { cause: error })));
    throw error;
  }
}

/** One that was joined by a ticket: which process of it that was, only the ticket knows. */
function joinedRef({ memory }: Joined): ClusterRef {
  return { clusterId: memory.cluster.id, boot: 0 };
}

function welcomeOf({ memory, fresh }: Joined, from: ClusterRef): ClientWelcome {
  return { from, tenure: memory.tenure, lastInput: memory.streams?.lastAcknowledged ?? 0, fresh };
}
