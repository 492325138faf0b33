import type { AuthorityBook } from "./authority-book.ts";

/** A player's sessions that were ended, as the master has acknowledged. */
export interface Ending {
  readonly playerId: string;
  /** The order, for who reads of a fault. */
  readonly what: string;
  /** When it was acknowledged, in ms since 1970. */
  readonly atMs: number;
  /** Sessions below it are over. */
  readonly floor: number;
}

/** Whom a handover brings that was decided before, a cluster closes as soon as it is there. */
const showingOutMs = 1_000;

/** What has been ended, and is never to be played again by anybody. */
export class Endings {
  readonly #authority: AuthorityBook;
  readonly #endings: Ending[] = [];
  /** From when on nobody has played it, as milliseconds since 1970. */
  readonly #overSinceMs = new Map<Ending, number>();

  constructor(authority: AuthorityBook) {
    this.#authority = authority;
  }

  add(ending: Ending): void {
    this.#endings.push(ending);
  }

  /** For how long something was played on after the order was acknowledged, at most, in ms: also where clusters could not hear of it. */
  get longestMs(): number {
    const longest = this.#endings.map((ending) => {
      return Math.max(...this.#staysOf(ending).map(({ toMs }) => (toMs ?? Date.now()) - ending.atMs));
    });
    return Math.round(Math.max(0, ...longest));
  }

  /** Whether somebody still plays what was ended of this player. */
  isOpen(playerId: string): boolean {
    const endings = this.#endings.filter((ending) => ending.playerId === playerId);
    return endings.some((ending) => this.#staysOf(ending).some(({ toMs }) => toMs === undefined));
  }

  /** Those of which somebody still plays a session. */
  get open(): readonly string[] {
    return this.#endings.flatMap((ending) => {
      const played = this.#staysOf(ending).filter(({ toMs }) => toMs === undefined);
      return played.map(({ holder, generation }) => `${described(ending)} is played on at ${holder} (${generation})`);
    });
  }

  /** Nobody plays any of them, and everybody could have heard of them. */
  conclude(): void {
    for (const ending of this.#endings) {
      if (!this.#overSinceMs.has(ending)) this.#overSinceMs.set(ending, Date.now());
    }
  }

  /** Older copies that came back after it was over, and stayed. */
  get faults(): readonly string[] {
    return this.#endings.flatMap((ending) => {
      const overSinceMs = this.#overSinceMs.get(ending) ?? Infinity;
      const again = this.#staysOf(ending).filter(
        ({ fromMs, toMs }) => fromMs > overSinceMs && (toMs ?? Date.now()) - fromMs > showingOutMs,
      );
      return again.map(({ holder, generation }) => `${described(ending)} came back at ${holder} (${generation})`);
    });
  }

  #staysOf({ playerId, floor }: Ending) {
    return this.#authority.staysOf(playerId).filter(({ generation }) => generation < floor);
  }
}

function described({ playerId, what, floor }: Ending): string {
  return `${playerId}, after a ${what} of all below ${floor},`;
}
