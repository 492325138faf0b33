import { chooseStart, isOwnEntry } from "../../protocol/handover/entry.ts";
import type { FromSession } from "../../protocol/handover/messages.ts";
import type { SourceState } from "../../protocol/handover/source-state.ts";
import type { Logger } from "../log.ts";
import type { WorldSnapshot } from "../world/cluster-world.ts";
import { type LateLimits, LateSaves } from "./late-saves.ts";
import { EntryQueue } from "./entry-queue.ts";
import { type KeptPlayer, PlayerRecord, type RecordStart } from "./player-record.ts";
import { decodePlayerState, encodePlayerState, maxSavedBytes } from "./player-state.ts";
import { SaveLine, type SaveOutcome } from "./save-line.ts";
import type { SessionDesk } from "./session-desk.ts";

/** What the keeping of saves asks of handovers. */
export interface HandoverView {
  /** A handover decides about this player: nothing is saved meanwhile, and fences are for it to understand. */
  governs(playerId: string): boolean;
  /** The player is about to enter anew: a handover that can be called off is. */
  cancel(playerId: string): void;
  /** The newest handover away from here that has not ended. */
  newest(playerId: string): SourceState<Uint8Array> | undefined;
}

export interface SaveLimits extends LateLimits {
  /** Least time between two saves of a player. */
  readonly intervalMs: number;
}

export interface SavesOptions<P extends KeptPlayer> {
  readonly desk: Pick<SessionDesk, "ask" | "listen">;
  readonly nowMs: () => number;
  readonly log: Logger;
  readonly limits: SaveLimits;
  /** Whether every player is asked about as it joins; otherwise those that are saved. */
  readonly entersAll: () => boolean;
  /**
   * Puts `onLoad` in the player's line; `undefined` where no plugin has it. `read` is to be called when its turn comes, and `onFailed`
   * when the game could not take what it was given.
   */
  readonly load: ((player: P, read: () => Uint8Array | undefined, onFailed: () => void) => void) | undefined;
  /** Where a player is, and what of it others see. */
  readonly snapshot: (player: P) => WorldSnapshot;
  /** A newer session has authority: whoever is in the game with an older one has to go. */
  readonly fence: (playerId: string, generation: number) => void;
  readonly count: (outcome: SaveOutcome) => void;
  /** `undefined` where nobody is handed over. */
  readonly handovers: () => HandoverView | undefined;
}

/** How soon to look again whether a handover still decides. */
const governedRetryMs = 250;
const none = new Uint8Array(0);
const noParts: ReadonlyMap<string, Uint8Array> = new Map();

/**
 * A cluster's authority over its players, and what it saves of them: asks to enter for each ticket that is used, loads, saves, and
 * lets go of whom a newer session has. Spec: docs/HANDOVER.md, sections 3, 4 and 8. Nobody in the game ever waits for it.
 */
export class PlayerSaves<P extends KeptPlayer = KeptPlayer> {
  readonly #options: SavesOptions<P>;
  readonly #records = new Map<string, PlayerRecord<P>[]>();
  readonly #byPlayer = new Map<P, PlayerRecord<P>>();
  readonly #entries: EntryQueue<P>;
  readonly #late: LateSaves<PlayerRecord<P>>;

  constructor(options: SavesOptions<P>) {
    this.#options = options;
    this.#entries = new EntryQueue({
      desk: options.desk,
      recordsOf: (playerId) => this.#recordsOf(playerId),
      onAsk: (playerId) => options.handovers()?.cancel(playerId),
      onGivenUp: (record) => this.#unanswered(record),
    });
    this.#late = new LateSaves(options.limits, (record) => this.#giveUp(record));
    options.desk.listen((playerId, message) => this.#hear(playerId, message));
  }

  /** A ticket is used: asks to enter with it. [HAND-3] */
  begin(playerId: string, generation: number): PlayerRecord<P> {
    const record = new PlayerRecord<P>(playerId, generation, new SaveLine(this.#options.limits.intervalMs));
    const others = this.#recordsOf(playerId);
    record.before = others.findLast((one) => one.phase === "entered");
    this.#records.set(playerId, [...others, record]);
    // The same ticket again: the answer is this one's.
    for (const other of others) if (other.goOn !== undefined && other.generation === generation) this.#forget(other);
    if (this.#options.entersAll()) this.#entries.ask(record);
    return record;
  }

  /**
   * Resolves when the session has answered, or after `timeoutMs`; `undefined` where there is nothing to wait for.
   *
   * @param isNeeded whether somebody waits for it where no plugin loads
   */
  ready(record: PlayerRecord<P>, timeoutMs: number, isNeeded = false): Promise<void> | undefined {
    if (!(isNeeded || this.#options.load !== undefined) || !record.isOpen || timeoutMs === 0) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    return Promise.race([record.answered, promise]).finally(() => clearTimeout(timer));
  }

  /**
   * The join came to nothing. If it has moved the authority, the session before goes on by that, where it is here. [HAND-23]
   *
   * @param goOn is to give the player of that session this one's generation
   */
  abandon(record: PlayerRecord<P>, goOn: (player: P) => void): void {
    record.goOn = goOn;
    if (record.phase === "entered") return this.#leaveToOlder(record);
    const { before } = record;
    const isAwaited =
      record.phase === "entering" && before !== undefined && this.#recordsOf(record.playerId).includes(before);
    if (!isAwaited) this.#forget(record);
  }

  /** The player is in the game; before any of its hooks. */
  joined(record: PlayerRecord<P>, player: P): void {
    record.player = player;
    this.#byPlayer.set(player, record);
    if (record.phase === "entered") this.#load(record, player);
  }

  /** The player goes on in the game as the handover before had left it: what it brings along stands for what would be loaded. */
  continues(record: PlayerRecord<P>, player: P): void {
    record.player = player;
    this.#byPlayer.set(player, record);
    this.#read(record);
  }

  /** The player goes on in the game as it is, under the generation of a new ticket. [HAND-20] */
  succeeds(record: PlayerRecord<P>, player: P): void {
    const older = this.#byPlayer.get(player);
    record.player = player;
    this.#read(record);
    if (older !== undefined) this.#forget(older);
    this.#byPlayer.set(player, record);
  }

  /** Saves what the game gives, with where the player is. @throws RangeError when it is no bytes, or too many */
  save(player: P, data: Uint8Array): Promise<SaveOutcome> {
    if (!(data instanceof Uint8Array) || data.length > maxSavedBytes) {
      throw new RangeError(`a player's save is a Uint8Array of at most ${maxSavedBytes} bytes`);
    }
    const record = this.#byPlayer.get(player);
    const { promise, resolve } = Promise.withResolvers<SaveOutcome>();
    if (record === undefined || record.hasLeft || record.start?.from === "unreadable") resolve("unsaved");
    else if (record.phase === "superseded" || record.heir?.isRead === true) resolve("superseded");
    else {
      record.saved = new Uint8Array(data);
      record.line.put({ state: this.#stateOf(record, player), waiters: [resolve] });
      if (record.phase === "unasked") this.#entries.ask(record);
      this.#pump(record);
    }
    void promise.then(this.#options.count);
    return promise;
  }

  /** The player is about to leave the world: this is where it was. */
  leaving(player: P): void {
    const record = this.#byPlayer.get(player);
    if (record !== undefined) record.last = this.#options.snapshot(player);
  }

  /** It has left; what its last hooks save is still saved. */
  left(player: P): void {
    const record = this.#byPlayer.get(player);
    if (record !== undefined) void player.lane.idle().then(() => this.#finish(record, player));
  }

  /** Resolves when everything that those who left have saved is durable, or given up. */
  async settled(): Promise<void> {
    await this.#late.settled();
  }

  /** The game has not taken in what was handed to it: nothing that it saves of the player from now on counts. [HAND-16] */
  refuseSaves(player: P): void {
    const record = this.#byPlayer.get(player);
    if (record !== undefined) record.start = { from: "unreadable" };
  }

  /** The newest of what the game has saved of it, for a handover's snapshot: what it saves later does not go along. */
  pack(player: P): Uint8Array | undefined {
    const record = this.#byPlayer.get(player);
    record?.line.pack();
    return record?.saved;
  }

  /** A handover has brought the player here, with what the game had saved of it. */
  take(player: P, saved: Uint8Array | undefined): void {
    const { id, seat } = player;
    const record = new PlayerRecord<P>(id, seat.generation, new SaveLine(this.#options.limits.intervalMs));
    const others = this.#recordsOf(id);
    this.#records.set(id, [...others, record]);
    for (const other of others) if (other.generation < seat.generation) this.#supersede(other);
    this.#byPlayer.set(player, record);
    record.player = player;
    record.phase = "entered";
    record.isRead = true;
    record.saved = saved;
  }

  /**
   * A handover has taken the player elsewhere, with what was {@link pack}ed: the commit has saved that.
   *
   * @returns what the game had saved of it, for {@link take} if it comes back
   */
  moved(player: P): Uint8Array | undefined {
    const record = this.#byPlayer.get(player);
    if (record === undefined) return undefined;
    record.line.handOver();
    this.#forget(record);
    return record.saved;
  }

  /** A newer session has the player, of which nothing runs here: it does not leave as others do. */
  overtaken(player: P): void {
    const record = this.#byPlayer.get(player);
    if (record === undefined) return;
    this.#supersede(record);
    this.#forget(record);
  }

  /** Who has left with this generation, and is not saved yet. A handover that is taken back may step it. */
  goneWith(playerId: string, generation: number): P | undefined {
    return this.#recordsOf(playerId).find((record) => record.generation === generation)?.player;
  }

  /** Generation of the ticket with which a player waits to enter here. */
  enteringOf(playerId: string): number | undefined {
    return this.#recordsOf(playerId).find(({ phase }) => phase === "entering")?.generation;
  }

  /** Whether the player's session has said that this one has authority. */
  isEntered(player: P): boolean {
    return this.#byPlayer.get(player)?.phase === "entered";
  }

  /** The master does not take the question. */
  #unanswered(record: PlayerRecord<P>): void {
    if (record.goOn === undefined) this.#begins(record, { from: "unreadable" });
    else this.#forget(record);
  }

  /** A session that has authority, and nobody who plays under it. [HAND-23] */
  #leaveToOlder(record: PlayerRecord<P>): void {
    const { start, before, goOn } = record;
    this.#forget(record);
    for (const other of this.#recordsOf(record.playerId)) if (other.before === record) other.before = before;
    if (start?.from !== "copy") return;
    const older = start.record;
    older.heir = undefined;
    if (older.player === undefined) return;
    goOn?.(older.player);
    if (older.hasLeft) this.#finish(older, older.player);
    else this.#pump(older);
  }

  /** The rest of what sessions say is for handovers. */
  #hear(playerId: string, message: FromSession<Uint8Array>): void {
    const records = this.#recordsOf(playerId);
    if (message.type === "fence") {
      this.#fence(records, message);
    } else if (message.type === "saved") {
      const record = records.find(({ line }) => line.saved(message.generation, message.version));
      if (record === undefined) return;
      record.question = undefined;
      this.#pump(record);
      this.#settle(record);
    } else if (message.type === "entered" || message.type === "superseded") {
      const record = records.find((one) => one.phase === "entering" && one.generation === message.generation);
      if (record === undefined) return;
      if (message.type === "entered") return this.#begins(record, this.#startOf(record, message));
      this.#supersede(record);
      this.#options.fence(playerId, message.generation + 1);
    }
  }

  #fence(records: readonly PlayerRecord<P>[], message: Extract<FromSession<Uint8Array>, { type: "fence" }>): void {
    const { playerId, generation } = message;
    if (isOwnEntry(message, this.enteringOf(playerId))) return;
    if (this.#isGoverned(playerId)) {
      for (const record of records) this.#pump(record);
      return;
    }
    for (const record of records) {
      // What an older one has left unsaved its heir goes on from.
      if (record.heir !== undefined) continue;
      if (record.generation < generation) this.#supersede(record);
      else this.#pump(record);
    }
    this.#options.fence(playerId, generation);
  }

  #startOf(record: PlayerRecord<P>, entered: Extract<FromSession<Uint8Array>, { type: "entered" }>): RecordStart<P> {
    const { playerId, before } = record;
    // A copy that does not know what there was is nothing to go on from.
    const copy = before?.start?.from === "unreadable" ? undefined : before?.generation;
    const start = chooseStart(entered, copy, this.#options.handovers()?.newest(playerId));
    if (start.from === "copy") return before === undefined ? { from: "nothing" } : { from: "copy", record: before };
    if (start.from === "nothing") return start;
    try {
      const { state, streams } = start.snapshot;
      return { from: "save", state: decodePlayerState(state), streams, items: start.items };
    } catch (error) {
      const text = "what was saved of a player cannot be read: it plays without, and nothing is overwritten";
      this.#options.log.error({ event: "save-unreadable", err: error }, text);
      return { from: "unreadable" };
    }
  }

  /** The player's session has given this one authority. */
  #begins(record: PlayerRecord<P>, start: RecordStart<P>): void {
    record.question = undefined;
    record.phase = "entered";
    record.start = start;
    const { before, player } = record;
    if (start.from === "copy") start.record.heir = record;
    else if (before !== undefined) {
      this.#supersede(before);
      this.#options.fence(record.playerId, record.generation);
    }
    if (start.from === "unreadable") record.line.end("unsaved");
    record.noteAnswer();
    if (record.goOn !== undefined) this.#leaveToOlder(record);
    else if (player !== undefined && record.hasLeft) this.#finish(record, player);
    else if (player !== undefined) this.#load(record, player);
    this.#outdate(record);
    this.#entries.askNext(record.playerId);
  }

  /** Whoever has come, or is about to, by a ticket from before one that has been entered, and was not asked about for it, has no authority. */
  #outdate({ playerId, generation }: PlayerRecord<P>): void {
    for (const other of this.#recordsOf(playerId)) {
      const isOutdated = other.generation < generation && (other.phase === "unasked" || other.phase === "queued");
      if (!isOutdated) continue;
      this.#supersede(other);
      if (other.player !== undefined) this.#options.fence(playerId, generation);
    }
  }

  #load(record: PlayerRecord<P>, player: P): void {
    if (record.isRead || record.start?.from === "unreadable") return;
    const { load } = this.#options;
    if (load === undefined) this.#read(record);
    else
      load(
        player,
        () => this.#read(record),
        () => this.#lock(record),
      );
  }

  /** The game has not understood what there was: it must not overwrite it. [HAND-16] */
  #lock(record: PlayerRecord<P>): void {
    record.start = { from: "unreadable" };
    record.line.end("unsaved");
  }

  /** What was there before, which may be overwritten from now on. */
  #read(record: PlayerRecord<P>): Uint8Array | undefined {
    const { start } = record;
    if (record.isRead || start === undefined) return record.saved;
    record.isRead = true;
    const older = start.from === "copy" ? start.record.saved : start.from === "save" ? start.state.saved : undefined;
    if (older !== undefined && this.#options.load !== undefined) {
      // It was made without knowing of it. [HAND-16]
      record.line.end("unsaved");
      record.saved = older;
    }
    record.saved ??= older;
    if (start.from === "copy") this.#inherit(record, start.record);
    // What it started from is in its hands now.
    record.before = undefined;
    record.start = { from: "nothing" };
    this.#pump(record);
    return older;
  }

  #inherit(record: PlayerRecord<P>, older: PlayerRecord<P>): void {
    older.dropQuestion();
    const rest = older.line.give();
    const newer = record.line.give();
    if (rest !== undefined) record.line.put(rest);
    if (newer !== undefined) record.line.put(newer);
    this.#settle(older);
  }

  /** Sends the next save, if it may go. */
  #pump(record: PlayerRecord<P>): void {
    clearTimeout(record.timer);
    const { phase, isRead, heir, line, playerId, generation, hasLeft } = record;
    if (phase !== "entered" || !isRead || heir !== undefined) return;
    if (this.#isGoverned(playerId)) {
      record.timer = setTimeout(() => this.#pump(record), governedRetryMs);
      record.timer.unref();
      return;
    }
    const sentGeneration = line.sentGeneration ?? generation;
    if (sentGeneration < generation) {
      // A handover was taken back: nobody answers for the generation before.
      record.dropQuestion();
      line.takeBack();
    }
    const now = this.#options.nowMs();
    const waitMs = line.waitMs(now);
    if (waitMs === undefined) return;
    if (waitMs > 0 && !hasLeft) {
      record.timer = setTimeout(() => this.#pump(record), waitMs);
      record.timer.unref();
      return;
    }
    const sent = line.send(generation, now);
    if (sent === undefined) return;
    const { version, state } = sent;
    const giveUp = (): void => this.#giveUp(record);
    record.question = this.#options.desk.ask(playerId, { type: "save", generation, version, state }, giveUp);
    if (record.question === undefined) this.#giveUp(record);
  }

  #isGoverned(playerId: string): boolean {
    return this.#options.handovers()?.governs(playerId) === true;
  }

  /** Nothing more comes of what waits to be saved. */
  #giveUp(record: PlayerRecord<P>): void {
    record.dropQuestion();
    record.line.end("unsaved");
    if (this.#late.has(record)) this.#forget(record);
  }

  #supersede(record: PlayerRecord<P>): void {
    const { before } = record;
    record.phase = "superseded";
    record.dropQuestion();
    record.line.end("superseded");
    record.noteAnswer();
    record.before = undefined;
    if (before !== undefined && before.heir === record) this.#supersede(before);
    if (record.goOn === undefined) this.#settle(record);
    else this.#forget(record);
    this.#entries.askNext(record.playerId);
  }

  /** The player's last hooks are done: what they left unsaved goes out, and where it stood. */
  #finish(record: PlayerRecord<P>, player: P): void {
    record.hasLeft = true;
    const { start, heir } = record;
    if (record.phase === "entered" && start?.from !== "unreadable" && heir === undefined) {
      this.#read(record);
      const state = this.#stateOf(record, player);
      if (this.#options.load !== undefined && !isSame(state, record.line.newest)) {
        record.line.put({ state, waiters: [this.#options.count] });
      }
      this.#pump(record);
    }
    this.#late.add(record);
    this.#settle(record);
  }

  /** Lets go of a session that has left, once nothing of it waits. */
  #settle(record: PlayerRecord<P>): void {
    if (!this.#late.has(record)) return;
    if (record.phase === "superseded" || !record.canYetBeSaved) this.#forget(record);
  }

  #forget(record: PlayerRecord<P>): void {
    const { playerId, player } = record;
    record.dropQuestion();
    clearTimeout(record.timer);
    this.#late.remove(record);
    if (player !== undefined) this.#byPlayer.delete(player);
    const rest = this.#recordsOf(playerId).filter((one) => one !== record);
    if (rest.length === 0) this.#records.delete(playerId);
    else this.#records.set(playerId, rest);
    if (record.phase === "entering") this.#entries.askNext(playerId);
  }

  #recordsOf(playerId: string): readonly PlayerRecord<P>[] {
    return this.#records.get(playerId) ?? [];
  }

  #stateOf(record: PlayerRecord<P>, player: P): Uint8Array {
    const { placement, fragment, values } = record.last ?? this.#options.snapshot(player);
    return encodePlayerState({ placement, fragment, values, saved: record.saved, carried: none, parts: noParts });
  }
}

function isSame(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
