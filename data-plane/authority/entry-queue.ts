import type { KeptPlayer, PlayerRecord } from "./player-record.ts";
import type { SessionDesk } from "./session-desk.ts";

export interface EntryQueueOptions<P extends KeptPlayer> {
  readonly desk: Pick<SessionDesk, "ask">;
  /** All that is known here of a player's sessions, the oldest first. */
  readonly recordsOf: (playerId: string) => readonly PlayerRecord<P>[];
  /** The player is about to enter anew. */
  readonly onAsk: (playerId: string) => void;
  /** The master does not take the question. */
  readonly onGivenUp: (record: PlayerRecord<P>) => void;
}

/**
 * Asks players' sessions to enter: one entry of a player at a time, as only who knows what became of the one before can tell from the
 * next answer who had authority last; and behind it the newest only. [HAND-10]
 */
export class EntryQueue<P extends KeptPlayer> {
  readonly #options: EntryQueueOptions<P>;

  constructor(options: EntryQueueOptions<P>) {
    this.#options = options;
  }

  /** Asks with this ticket, or will when what is asked has been answered; not for one that is older than those that wait. */
  ask(record: PlayerRecord<P>): void {
    const { desk, recordsOf, onAsk, onGivenUp } = this.#options;
    const { playerId, generation } = record;
    const others = recordsOf(playerId);
    const isOld = others.some((one) => one.isOpen && one.generation > generation);
    if (isOld) return;
    onAsk(playerId);
    for (const other of others) if (other.phase === "queued") other.phase = "unasked";
    if (others.some(({ phase }) => phase === "entering")) {
      record.phase = "queued";
      return;
    }
    record.before = others.findLast((one) => one.phase === "entered") ?? record.before;
    record.phase = "entering";
    record.question = desk.ask(playerId, { type: "enter", generation }, () => onGivenUp(record));
    if (record.question === undefined) record.phase = "unasked";
  }

  /** An entry has been answered, or is not waited for any more. */
  askNext(playerId: string): void {
    const records = this.#options.recordsOf(playerId);
    if (records.some(({ phase }) => phase === "entering")) return;
    const next = records.find(({ phase }) => phase === "queued");
    if (next !== undefined) this.ask(next);
  }
}
