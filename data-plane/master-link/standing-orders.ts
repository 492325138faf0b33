import type { LinkOrders } from "../../protocol/index.ts";

/** As much of the players as a drain needs. */
interface Players<P> extends Iterable<P> {
  readonly size: number;
}

export interface StandingOrdersOptions<P> {
  readonly players: Players<P>;
  readonly nowMs: () => number;
  /** How often {@link StandingOrders.beat} is called. */
  readonly beatMs: number;
  /** How long stopping takes: a drain ends that much before its deadline. */
  readonly leadMs: number;
  /** How long others have to take over what this cluster carries, before players are told. 0 where nobody does. */
  readonly settleMs?: () => number;
  /** Tells a player to allocate again, unless it goes on by itself. */
  readonly moveOn: (player: P) => void;
  /** Whether something has to be brought to its end though nobody is here. */
  readonly isBusy?: () => boolean;
  /** The drain is over: the process has to stop. Called once. */
  readonly onDrained: () => void;
}

interface Drain {
  readonly endsAtMs: number;
  readonly movePlayers: boolean;
  /** From when on, and until when, the players are told, a few at a time: the master gets them all back. */
  readonly movesFromMs: number;
  readonly movedByMs: number;
  /** When last somebody was here. */
  busyAtMs: number;
}

/** How long nobody must have been here before a drain is over: somebody may be on the way with a ticket. */
const quietMs = 1_000;
const longestMoveMs = 10_000;

/** What operators have ordered of this cluster, and how a drain is carried out. */
export class StandingOrders<P> {
  readonly #options: StandingOrdersOptions<P>;
  #orders: LinkOrders | undefined;
  #drain: Drain | undefined;
  #drained = false;

  constructor(options: StandingOrdersOptions<P>) {
    this.#options = options;
  }

  /** Most players at a time; `undefined` when that is for the cluster's own settings to say. */
  get capacity(): number | undefined {
    return this.#orders?.settings.capacity;
  }

  get draining(): boolean {
    return this.#drain !== undefined;
  }

  /** Whether players are sent elsewhere, those who are about to join included. */
  get moving(): boolean {
    return this.#drain?.movePlayers === true;
  }

  /**
   * Takes orders, unless newer ones have come.
   *
   * @returns whether they change anything
   */
  take(orders: LinkOrders): boolean {
    if (this.#orders !== undefined && orders.version <= this.#orders.version) return false;
    this.#orders = orders;
    const { nowMs, leadMs, settleMs } = this.#options;
    if (orders.drain === null) {
      this.#drain = undefined;
      return true;
    }
    const { deadlineMs, movePlayers } = orders.drain;
    const now = nowMs();
    const leftMs = Math.max(0, deadlineMs - leadMs);
    const movesFromMs = this.#drain?.movesFromMs ?? now + Math.min(settleMs?.() ?? 0, leftMs / 4);
    this.#drain = {
      endsAtMs: now + leftMs,
      movePlayers,
      movesFromMs,
      movedByMs: Math.max(now, movesFromMs) + Math.min(longestMoveMs, leftMs / 2),
      busyAtMs: this.#drain?.busyAtMs ?? now,
    };
    return true;
  }

  /** To be called regularly. */
  beat(): void {
    const drain = this.#drain;
    if (drain === undefined || this.#drained) return;
    const { players, nowMs, beatMs, moveOn, isBusy, onDrained } = this.#options;
    const now = nowMs();
    if (players.size > 0 || isBusy?.() === true) drain.busyAtMs = now;
    if (now >= drain.endsAtMs || now - drain.busyAtMs >= quietMs) {
      this.#drained = true;
      onDrained();
      return;
    }
    if (!drain.movePlayers || now < drain.movesFromMs) return;
    const beatsLeft = Math.max(1, Math.ceil((drain.movedByMs - now) / beatMs));
    const leaving = [...players].slice(0, Math.ceil(players.size / beatsLeft));
    for (const player of leaving) moveOn(player);
  }
}
