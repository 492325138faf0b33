import type { Placement } from "../plugin/player.ts";

/** Clocks of client and cluster drift, and packets bunch up: so much more than the limit is let pass. */
const rateAllowance = 1.05;
/** A player who has stood still may catch up with so much movement at once. */
const burstMs = 500;

/**
 * How far a player may move: a budget in world units that fills at the speed limit and that each accepted move draws on.
 * It stops both running too fast and saving up for a leap. [MOVE-1]
 */
export class MoveBudget {
  #maxSpeed: number;
  #budget: number;
  #filledAtMs: number;

  /** @param maxSpeed world units a second; 0 means that every move is fine */
  constructor(maxSpeed: number, nowMs: number) {
    this.#maxSpeed = maxSpeed;
    this.#budget = (maxSpeed * burstMs) / 1_000;
    this.#filledAtMs = nowMs;
  }

  /** Another limit holds from now on; what was earned under the one before stays, within the burst of the new one. */
  set maxSpeed(maxSpeed: number) {
    if (maxSpeed === this.#maxSpeed) return;
    if (this.#maxSpeed === 0) this.#budget = (maxSpeed * burstMs) / 1_000;
    this.#maxSpeed = maxSpeed;
  }

  /** Whether the move is within the budget. */
  allows(from: Placement, to: Placement, nowMs: number): boolean {
    if (this.#maxSpeed === 0) return true;
    const earned = (this.#maxSpeed * rateAllowance * (nowMs - this.#filledAtMs)) / 1_000;
    const full = (this.#maxSpeed * burstMs) / 1_000;
    this.#budget = Math.min(full, this.#budget + earned);
    this.#filledAtMs = nowMs;
    return distanceOf(from, to) <= this.#budget;
  }

  /** The move has been made. */
  draw(from: Placement, to: Placement): void {
    if (this.#maxSpeed !== 0) this.#budget -= distanceOf(from, to);
  }
}

function distanceOf(from: Placement, to: Placement): number {
  return Math.hypot(to.x - from.x, to.y - from.y, to.z - from.z);
}
