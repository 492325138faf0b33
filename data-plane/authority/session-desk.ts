import type { FromSession, ToSession } from "../../protocol/handover/messages.ts";
import type { Logger } from "../log.ts";
import { Backoff } from "../backoff.ts";
import { type SessionAnswer, SessionCallError, type SessionRequest } from "./session-call.ts";
import { type Saying, SessionQueue } from "./session-queue.ts";

export interface SessionDeskOptions {
  /** Asks players' sessions, as the cluster that this one is registered as; rejects with {@link SessionCallError}. Has a deadline of its own. */
  readonly call: (requests: readonly SessionRequest<Uint8Array>[]) => Promise<readonly SessionAnswer<Uint8Array>[]>;
  readonly nowMs: () => number;
  /** From 0 to 1; for jitter. */
  readonly random: () => number;
  readonly log: Logger;
  /** First and longest wait after a call that failed. */
  readonly retryMs?: readonly [number, number];
  /** Most that waits at a time. */
  readonly maxSayings?: number;
}

/** Hears what players' sessions say, as answers and on their own. It must not throw. */
export type SessionListener = (playerId: string, message: FromSession<Uint8Array>) => void;

/** Something that is asked until it is answered. */
export interface Question {
  /** The answer does not matter any more. */
  drop(): void;
}

/** How long a message is tried for that is not asked until it is answered. Who has sent it asks again by itself. */
export const tellMs = 2_000;
/** Tickets say their age in whole seconds. */
const signStepMs = 1_000;
/** At most this many calls are open at a time: a session that is slow to answer holds up those in its own call only. */
const maxOpenCalls = 4;

/**
 * A cluster's way to players' sessions, and theirs to it: docs/HANDOVER.md, section 5. What is said goes to the master in batches; what
 * sessions say, at once or later over the link, goes to all listeners. While the master is away what is asked waits; players never do.
 */
export class SessionDesk {
  readonly #options: SessionDeskOptions;
  readonly #queue: SessionQueue;
  readonly #backoff: Backoff;
  readonly #listeners: SessionListener[] = [];
  /** Calls have numbers, in the order in which they began. */
  readonly #openCalls = new Set<number>();
  #lastCall = 0;
  /** Up to this call, those that are not answered say nothing of how things are: a later one was, or there has been a sign since. */
  #lastOutdated = 0;
  /** No call before. */
  #restUntilMs = Number.NEGATIVE_INFINITY;
  /** When the last call began that was not answered at all; `undefined` when the master has answered since, be it with a refusal. */
  #triedAtMs: number | undefined;
  /** When the newest thing was made that the master has made, and the one for which the master was tried last. */
  #signAtMs = Number.NEGATIVE_INFINITY;
  #heededAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;
  #away = false;
  #stopped = false;

  constructor(options: SessionDeskOptions) {
    this.#options = options;
    this.#queue = new SessionQueue(options);
    const [leastMs, greatestMs] = options.retryMs ?? [500, 5_000];
    this.#backoff = new Backoff(leastMs, greatestMs, options.random);
  }

  listen(listener: SessionListener): void {
    this.#listeners.push(listener);
  }

  /** How much waits. */
  get size(): number {
    return this.#queue.size;
  }

  /**
   * Says something until the master has taken it, for `lastsMs` at most: for those who ask again by themselves.
   *
   * @returns false when too much waits: it is not said
   */
  tell(playerId: string, message: ToSession<Uint8Array>, lastsMs: number = tellMs): boolean {
    return this.#say(playerId, message, false, lastsMs) !== undefined;
  }

  /**
   * Asks until there is an answer that settles it; listeners hear it.
   *
   * @param onGivenUp told when there will be none: the master does not take the question
   * @returns `undefined` when too much waits: it is not asked
   */
  ask(playerId: string, message: ToSession<Uint8Array>, onGivenUp?: () => void): Question | undefined {
    const saying = this.#say(playerId, message, true, Number.POSITIVE_INFINITY, onGivenUp);
    return saying === undefined ? undefined : { drop: () => this.#queue.remove(saying) };
  }

  /** A player's session says something over the link. */
  hear(playerId: string, message: FromSession<Uint8Array>): void {
    this.#queue.hear(playerId, message);
    for (const listener of this.#listeners) listener(playerId, message);
  }

  /** The master is there, as far as can be told: what waits is said now, whatever becomes of a call that hangs. */
  hurry(): void {
    this.#lastOutdated = this.#lastCall;
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
    this.#queue.hurry();
    this.#schedule();
  }

  /**
   * There is something that the master has made so many milliseconds ago. If it could not be reached before, it can now: who comes with a ticket of now
   * need not wait for what was saved until the next try. Something older than the last try says nothing, and in a second one try is made for all.
   */
  noteSign(ageMs: number): void {
    this.#signAtMs = Math.max(this.#signAtMs, this.#options.nowMs() - ageMs);
    this.#heedSign();
  }

  #heedSign(): void {
    if (this.#triedAtMs === undefined || this.#openCalls.size > 0) return;
    const isNews = this.#signAtMs + signStepMs >= this.#triedAtMs && this.#signAtMs >= this.#heededAtMs + signStepMs;
    if (!isNews) return;
    this.#heededAtMs = this.#signAtMs;
    this.hurry();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #say(
    playerId: string,
    message: ToSession<Uint8Array>,
    untilAnswered: boolean,
    lastsMs: number,
    onGivenUp?: () => void,
  ): Saying | undefined {
    if (this.#stopped) return undefined;
    const saying = this.#queue.add({ playerId, message }, untilAnswered, lastsMs, onGivenUp);
    if (saying === undefined) {
      this.#options.log.error({ event: "session-queue-full" }, "too much waits to be said to players' sessions");
    }
    this.#schedule();
    return saying;
  }

  /** At the end of the turn, so that what comes together travels together. */
  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#work();
    });
  }

  #work(): void {
    clearTimeout(this.#timer);
    const restMs = this.#restUntilMs - this.#options.nowMs();
    if (restMs <= 0) {
      while (this.#mayCall()) {
        const batch = this.#queue.take();
        if (batch.length === 0) break;
        void this.#call(batch);
      }
    }
    const waitMs = this.#queue.waitMs();
    if (this.#stopped || waitMs === undefined) return;
    // A call that ends looks anew.
    if (this.#openCalls.size > 0 && waitMs === 0 && restMs <= 0) return;
    this.#timer = setTimeout(() => this.#work(), Math.max(1, waitMs, restMs));
    this.#timer.unref();
  }

  /** While the master is away one call finds out for all; one of before the last sign that it is back does not count. */
  #mayCall(): boolean {
    if (this.#openCalls.size >= maxOpenCalls) return false;
    return !this.#away || [...this.#openCalls].every((call) => call <= this.#lastOutdated);
  }

  async #call(batch: readonly Saying[]): Promise<void> {
    this.#lastCall += 1;
    const call = this.#lastCall;
    this.#openCalls.add(call);
    const beganAtMs = this.#options.nowMs();
    try {
      const answers = await this.#options.call(batch.map(({ playerId, message }) => ({ playerId, message })));
      this.#lastOutdated = Math.max(this.#lastOutdated, call);
      this.#noteAway(false);
      for (const [index, saying] of batch.entries()) {
        const answer = answers[index];
        if (answer === undefined || answer.failed === true) this.#queue.failed(saying);
        else this.#answered(saying, answer);
      }
    } catch (error) {
      this.#failed(batch, error, call, beganAtMs);
    } finally {
      this.#openCalls.delete(call);
      this.#heedSign();
      this.#schedule();
    }
  }

  #answered(saying: Saying, { playerId, messages }: SessionAnswer<Uint8Array>): void {
    for (const message of messages) this.hear(playerId, message);
    this.#queue.taken(saying);
  }

  #failed(batch: readonly Saying[], error: unknown, call: number, beganAtMs: number): void {
    const { nowMs, log } = this.#options;
    const reason = error instanceof Error ? error.message : "it failed";
    const { fault, code } = error instanceof SessionCallError ? error : { fault: "away", code: undefined };
    if (fault === "away" && call <= this.#lastOutdated) {
      for (const saying of batch) this.#queue.failed(saying);
      return;
    }
    // One that refuses, or has too much to do, is there: to ask it at once would not help.
    this.#triedAtMs = fault === "away" ? beganAtMs : undefined;
    if (fault === "refused") {
      for (const { message } of this.#queue.refused(batch)) {
        const text = `the master does not take what was to be said to a player's session: ${reason}`;
        log.error({ event: "session-refused", type: message.type, code }, text);
      }
      return;
    }
    for (const saying of batch) this.#queue.lost(saying);
    const restMs = this.#backoff.next();
    this.#restUntilMs = nowMs() + restMs;
    this.#noteAway(true, reason);
  }

  #noteAway(away: boolean, reason = ""): void {
    const { log } = this.#options;
    if (!away) {
      this.#triedAtMs = undefined;
      this.#backoff.reset();
      this.#restUntilMs = Number.NEGATIVE_INFINITY;
    }
    if (away === this.#away) return;
    this.#away = away;
    if (away) {
      const text = `players' sessions cannot be asked: ${reason}; saves wait, players play on`;
      log.warn({ event: "sessions-away" }, text);
    } else {
      log.info({ event: "sessions-back" }, "players' sessions can be asked again");
    }
  }
}
