import { sessionOf } from "../../../protocol/handover/generation.ts";

export interface Stay {
  readonly holder: string;
  readonly generation: number;
  readonly fromMs: number;
  toMs: number | undefined;
  /** Its process was killed: when it stopped to play is known by when its end was noticed. */
  killed: boolean;
}

interface Moment {
  readonly playerId: string;
  readonly generation: number;
  readonly atMs: number;
}

/** Who played whom, from when to when, as each cluster says itself. All processes have one clock. */
export class AuthorityBook {
  readonly #stays = new Map<string, Stay[]>();

  plays(holder: string, { playerId, generation, atMs }: Moment): void {
    const stays = this.#stays.get(playerId) ?? [];
    stays.push({ holder, generation, fromMs: atMs, toMs: undefined, killed: false });
    this.#stays.set(playerId, stays);
  }

  rests(holder: string, { playerId, atMs }: Moment): void {
    const stay = this.#stays.get(playerId)?.findLast((one) => one.holder === holder && one.toMs === undefined);
    if (stay !== undefined) stay.toMs = atMs;
  }

  /** A process has ended. */
  end(holder: string, atMs: number): void {
    for (const stay of [...this.#stays.values()].flat()) {
      if (stay.holder !== holder || stay.toMs !== undefined) continue;
      stay.toMs = atMs;
      stay.killed = true;
    }
  }

  /** All that is known of a player, the first that was heard of first. */
  staysOf(playerId: string): readonly Readonly<Stay>[] {
    return this.#stays.get(playerId) ?? [];
  }

  /** Where a player plays now: as a rule one place. */
  holdersOf(playerId: string): readonly string[] {
    return (this.#stays.get(playerId) ?? []).filter(({ toMs }) => toMs === undefined).map(({ holder }) => holder);
  }

  /** How often a player came to another place than it was before. */
  get moves(): number {
    let moves = 0;
    for (const stays of this.#stays.values()) {
      const places = stays.toSorted((a, b) => a.fromMs - b.fromMs).map(({ holder }) => holder);
      moves += places.filter((place, index) => index > 0 && place !== places[index - 1]).length;
    }
    return moves;
  }

  /**
   * Times at which two had the same player within one session. (A newer session leaves the older one behind, which goes on, powerless, until it
   * hears of it; or comes late from a handover, and hears of it then.) What a killed process did to its end is given the time that it takes to notice. [HAND-1]
   */
  overlaps(noticeMs = 500): readonly string[] {
    const faults: string[] = [];
    for (const [playerId, stays] of this.#stays) {
      const sorted = stays.toSorted((a, b) => a.fromMs - b.fromMs);
      for (const [index, next] of sorted.entries()) {
        const before = sorted[index - 1];
        if (before === undefined || sessionOf(next.generation) !== sessionOf(before.generation)) continue;
        const endMs = (before.toMs ?? Infinity) - (before.killed ? noticeMs : 0);
        if (endMs <= next.fromMs) continue;
        faults.push(
          `${playerId}: ${before.holder} (${before.generation}) to ${endMs}, ${next.holder} (${next.generation}) from ${next.fromMs}`,
        );
      }
    }
    return faults;
  }
}
