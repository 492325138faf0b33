import {
  type CloseCode,
  revocationCloseCodes,
  type RevocationReason,
  type RevokedPlayer,
} from "../../protocol/index.ts";

interface Floor {
  readonly generation: number;
  readonly reason: RevocationReason;
  /** Until when a ticket below may be shown; monotonic milliseconds. */
  readonly untilMs: number;
}

/** A session that has to end, and how. */
export interface RevokedSession<P> {
  readonly player: P;
  readonly code: CloseCode;
}

/**
 * What the master has revoked, for as long as a ticket of before could be shown. Only the master adds to it, and no entry goes
 * before its time: players who come and go push none out. [TICKET-20]
 */
export class Revocations<P extends { readonly seat: { readonly generation: number } }> {
  readonly #floors = new Map<string, Floor>();
  readonly #lifetimeMs: number;
  readonly #nowMs: () => number;

  /** @param lifetimeMs how long a ticket may be usable */
  constructor(lifetimeMs: number, nowMs: () => number) {
    this.#lifetimeMs = lifetimeMs;
    this.#nowMs = nowMs;
  }

  /** Whether a ticket of this generation was revoked. */
  covers(playerId: string, generation: number): boolean {
    const floor = this.#floors.get(playerId);
    return floor !== undefined && floor.untilMs >= this.#nowMs() && generation < floor.generation;
  }

  /** How a session of this generation has to end that comes into the game now, as it is brought here; `undefined` where it was not revoked. */
  codeFor(playerId: string, generation: number): CloseCode | undefined {
    const floor = this.#floors.get(playerId);
    return floor !== undefined && this.covers(playerId, generation) ? revocationCloseCodes[floor.reason] : undefined;
  }

  /** Takes over what the master says. @returns the sessions that have to end for it */
  apply(revoked: readonly RevokedPlayer[], find: (playerId: string) => P | undefined): RevokedSession<P>[] {
    const nowMs = this.#nowMs();
    const ending: RevokedSession<P>[] = [];
    for (const { playerId, minGeneration, reason } of revoked) {
      const known = this.#floors.get(playerId);
      // Set anew, so that the map stays in the order of age.
      this.#floors.delete(playerId);
      const floor =
        known !== undefined && known.generation > minGeneration ? known : { generation: minGeneration, reason };
      this.#floors.set(playerId, { ...floor, untilMs: nowMs + this.#lifetimeMs });
      const player = find(playerId);
      if (player !== undefined && player.seat.generation < minGeneration) {
        ending.push({ player, code: revocationCloseCodes[reason] });
      }
    }
    for (const [oldest, { untilMs }] of this.#floors) {
      if (untilMs >= nowMs) break;
      this.#floors.delete(oldest);
    }
    return ending;
  }
}
