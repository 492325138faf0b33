import { sessionOf } from "../../../protocol/handover/generation.ts";
import type { AuthorityBook, Stay } from "./authority-book.ts";

/** A session that has ended while another device of its player tried to get in. */
interface Replacement {
  readonly playerId: string;
  readonly before: Readonly<Stay>;
  /** How many stays of the player were known before that. */
  readonly known: number;
}

/**
 * Sessions that ended while another device of their player tried to get in, each of which came back. One that ended where nothing else could have
 * ended it shows the device in the game between the two. [HAND-23]
 */
export class Replacements {
  readonly #authority: AuthorityBook;
  #open: Replacement[] = [];
  readonly #faults: string[] = [];

  constructor(authority: AuthorityBook) {
    this.#authority = authority;
  }

  /** A device tries to get in from now on. What is returned is called when the session before has ended, and the player has come back. */
  begin(playerId: string): () => void {
    const stays = this.#authority.staysOf(playerId);
    const before = stays.at(-1);
    // On its way between two clusters just then: which of them ends it, and for whom, no book tells.
    if (before === undefined || before.toMs !== undefined) return () => undefined;
    const replacement = { playerId, before, known: stays.length };
    return () => void this.#open.push(replacement);
  }

  /** All who came back have been heard of by now. */
  conclude(): void {
    for (const { playerId, before, known } of this.#open) {
      const since = this.#authority.staysOf(playerId).slice(known);
      // A session on another cluster is closed also for a join that came to nothing, and a killed one for nothing at all.
      if (before.killed || since.some(({ holder }) => holder !== before.holder)) continue;
      const sessions = new Set(since.map(({ generation }) => sessionOf(generation)));
      if (sessions.size < 2)
        this.#faults.push(
          `${playerId} (${before.generation}) was ended at ${before.holder} for a device that never got in`,
        );
    }
    this.#open = [];
  }

  get faults(): readonly string[] {
    return this.#faults;
  }
}
