import type { FromSession, ToSession } from "../../protocol/handover/messages.ts";
import type { SessionRequest } from "./session-call.ts";

/** Something that is to be said to a player's session. */
export interface Saying extends SessionRequest<Uint8Array> {
  /** It is said again until it is answered; otherwise only until it has been taken. */
  readonly untilAnswered: boolean;
  /** When it is given up. */
  readonly untilMs: number;
  readonly length: number;
  /** Told when it is dropped without an answer: refused, or past its time. */
  readonly onGivenUp: (() => void) | undefined;
  /** Not before. */
  dueMs: number;
  /** How often it was said without an answer. */
  attempts: number;
  /** In a call right now. */
  busy: boolean;
  /** Nothing may travel with it: together with others it was refused. */
  alone: boolean;
}

export interface SessionQueueOptions {
  readonly nowMs: () => number;
  /** From 0 to 1; for jitter. */
  readonly random: () => number;
  readonly maxSayings?: number;
}

/** The most requests that the master takes at once. */
const maxBatchRequests = 32;
/** Longest call, in characters: half of what the master takes. One message may be longer by itself. */
const maxBatchLength = 4 * 1_024 * 1_024;
const repeatMs = { first: 1_000, most: 30_000 } as const;

/** What waits to be said to players' sessions, in the order in which it came. Bounded; pure but for the clock. */
export class SessionQueue {
  readonly #nowMs: () => number;
  readonly #random: () => number;
  readonly #maxSayings: number;
  readonly #sayings = new Set<Saying>();
  readonly #byPlayer = new Map<string, Set<Saying>>();

  constructor({ nowMs, random, maxSayings = 65_536 }: SessionQueueOptions) {
    this.#nowMs = nowMs;
    this.#random = random;
    this.#maxSayings = maxSayings;
  }

  get size(): number {
    return this.#sayings.size;
  }

  /** `undefined` when too much waits. */
  add(
    request: SessionRequest<Uint8Array>,
    untilAnswered: boolean,
    lastsMs: number,
    onGivenUp?: () => void,
  ): Saying | undefined {
    if (this.#sayings.size >= this.#maxSayings) return undefined;
    const now = this.#nowMs();
    const saying: Saying = {
      ...request,
      untilAnswered,
      untilMs: now + lastsMs,
      length: lengthOf(request.message),
      onGivenUp,
      dueMs: now,
      attempts: 0,
      busy: false,
      alone: false,
    };
    this.#sayings.add(saying);
    const ofPlayer = this.#byPlayer.get(request.playerId) ?? new Set();
    ofPlayer.add(saying);
    this.#byPlayer.set(request.playerId, ofPlayer);
    return saying;
  }

  remove(saying: Saying): void {
    this.#sayings.delete(saying);
    const ofPlayer = this.#byPlayer.get(saying.playerId);
    ofPlayer?.delete(saying);
    if (ofPlayer?.size === 0) this.#byPlayer.delete(saying.playerId);
  }

  /** What goes into the next call, as `busy` from now on; empty when nothing is due. What is past its time is given up. */
  take(): Saying[] {
    const now = this.#nowMs();
    const batch: Saying[] = [];
    let length = 0;
    for (const saying of this.#sayings) {
      if (saying.busy) continue;
      if (saying.untilMs <= now) {
        this.#giveUp(saying);
        continue;
      }
      if (saying.dueMs > now) continue;
      if (batch.length > 0 && (saying.alone || length + saying.length > maxBatchLength)) continue;
      saying.busy = true;
      batch.push(saying);
      length += saying.length;
      if (saying.alone || batch.length === maxBatchRequests) break;
    }
    return batch;
  }

  /** It has been said, and not been answered yet. */
  taken(saying: Saying): void {
    if (!saying.untilAnswered) return this.remove(saying);
    saying.busy = false;
    this.#putOff(saying);
  }

  /** The player's session could not be asked. */
  failed(saying: Saying): void {
    saying.busy = false;
    this.#putOff(saying);
  }

  /** It has not arrived, as far as anybody knows: it is due again as soon as the master is. */
  lost(saying: Saying): void {
    saying.busy = false;
  }

  /** The master takes none of them, for one of them is not right. Which, shows when each goes alone. @returns those that it is */
  refused(batch: readonly Saying[]): readonly Saying[] {
    if (batch.length === 1) {
      for (const saying of batch) this.#giveUp(saying);
      return batch;
    }
    for (const saying of batch) {
      saying.alone = true;
      saying.busy = false;
    }
    return [];
  }

  /** A player's session has spoken: what it has answered need not be said again. */
  hear(playerId: string, message: FromSession<unknown>): void {
    for (const saying of this.#byPlayer.get(playerId) ?? []) {
      if (saying.untilAnswered && isAnswer(saying.message, message)) this.remove(saying);
    }
  }

  /** The master is there (again): everything is due. */
  hurry(): void {
    const now = this.#nowMs();
    for (const saying of this.#sayings) saying.dueMs = Math.min(saying.dueMs, now);
  }

  /** How long until something is due; `undefined` when nothing waits. */
  waitMs(): number | undefined {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const saying of this.#sayings) if (!saying.busy) dueMs = Math.min(dueMs, saying.dueMs, saying.untilMs);
    return Number.isFinite(dueMs) ? Math.max(0, dueMs - this.#nowMs()) : undefined;
  }

  #giveUp(saying: Saying): void {
    this.remove(saying);
    saying.onGivenUp?.();
  }

  #putOff(saying: Saying): void {
    const ceiling = Math.min(repeatMs.most, repeatMs.first * 2 ** saying.attempts);
    saying.attempts += 1;
    saying.dueMs = this.#nowMs() + ceiling * (0.5 + this.#random() / 2);
  }
}

/** Whether a message of a player's session settles what it was asked. `saveLater` does not. */
export function isAnswer(asked: ToSession<unknown>, message: FromSession<unknown>): boolean {
  switch (asked.type) {
    case "enter":
      if (message.type === "fence") return message.generation > asked.generation;
      return (message.type === "entered" || message.type === "superseded") && message.generation === asked.generation;
    case "save":
      // One of the same generation answers an older session's question.
      if (message.type === "fence") return message.generation > asked.generation;
      return message.type === "saved" && message.generation === asked.generation && message.version >= asked.version;
    case "joined":
      if (message.type === "fence") return message.generation > asked.generation;
      return message.type === "settled" && message.generation === asked.generation;
    case "abort":
      return (message.type === "aborted" || message.type === "superseded") && message.generation === asked.generation;
    case "enlist":
      return (message.type === "enlisted" || message.type === "enlistRefused") && message.id === asked.id;
    case "commit":
      return (message.type === "committed" || message.type === "commitRefused") && message.id === asked.id;
  }
}

/** About how many characters a message has on the wire. */
function lengthOf(message: ToSession<Uint8Array>): number {
  if (message.type === "save") return 256 + base64Length(message.state);
  if (message.type !== "commit") return 256;
  return message.members.reduce(
    (sum, { snapshot: { state, streams } }) =>
      sum + 512 + base64Length(state) + streams.unacknowledged.reduce((all, one) => all + base64Length(one) + 3, 0),
    512,
  );
}

function base64Length({ length }: Uint8Array): number {
  return 4 * Math.ceil(length / 3);
}
