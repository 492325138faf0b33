import { setTimeout as pass } from "node:timers/promises";
import type { Walker } from "./walker.ts";
import { type AuditWorld, type Side, sides } from "./world.ts";

const kinds = ["players", "peers", "teleports", "nothing", "pause", "master", "kill"] as const;
/** Longest time for which a cluster does nothing, shorter than a client's grace, and for which the master is away. */
const longestPauseMs = 2_500;
const longestAbsenceMs = 5_000;

/** Breaks what can break, at moments that are drawn, round by round. */
export class Disturbances {
  readonly #world: AuditWorld;
  readonly #walkers: readonly Walker[];
  readonly #random: (below: number) => number;
  #underWay: Promise<void>[] = [];
  /** Clusters that were paused or killed in this round: one after the other, and each once. */
  readonly #disturbed = new Set<Side>();
  /** Who may have to go on from what was saved. */
  readonly #exposed = new Set<Walker>();
  #isBusy = false;
  #hasKilled = false;
  #isMasterAway = false;

  constructor(world: AuditWorld, walkers: readonly Walker[], random: (below: number) => number) {
    this.#world = world;
    this.#walkers = walkers;
    this.#random = random;
  }

  /** Some of them, one after the other, and waits until whatever was killed or stopped runs again. */
  async round(): Promise<{
    /** What was done. */
    readonly what: string;
    /** Who was at a cluster that was killed, or on the way, and may have to go on from what was saved. */
    readonly exposed: ReadonlySet<Walker>;
  }> {
    const done: string[] = [];
    this.#disturbed.clear();
    this.#exposed.clear();
    this.#hasKilled = false;
    this.#isMasterAway = false;
    for (let count = 1 + this.#random(6); count > 0; count -= 1) {
      // Nothing is waited for: the moment itself is what is drawn, whatever is under way then.
      await pass(this.#random(500));
      done.push(this.#disturb());
    }
    // Also of what has failed all the rest runs again, before the test hears of it.
    const underWay = this.#underWay;
    this.#underWay = [];
    await Promise.allSettled(underWay);
    await Promise.all(underWay);
    return { what: done.join(", "), exposed: this.#exposed };
  }

  /** Draws the same, whether it can be done now or not: so a seed names what is done as far as moments allow. */
  #disturb(): string {
    const kind = kinds[this.#random(kinds.length)] ?? "nothing";
    const side = sides[this.#random(sides.length)] ?? "west";
    const pauseMs = this.#random(longestPauseMs);
    const awayMs = this.#random(longestAbsenceMs);
    const teleported = this.#walkers.filter(() => this.#random(3) === 0);
    const isFree = !this.#isBusy && !this.#disturbed.has(side);
    if (kind === "players" || kind === "peers") {
      this.#world.cut(kind);
      return `cut ${kind}`;
    }
    if (kind === "teleports") {
      for (const walker of teleported) walker.teleport();
      return kind;
    }
    if (kind === "pause" && isFree) {
      this.#withCluster(side, this.#world.pause(side, pauseMs));
      return `pause ${side}`;
    }
    // With the master away the game would begin with nothing, and go on from what was saved when that comes: right, but no game of the audit.
    if (kind === "kill" && isFree && !this.#isMasterAway) {
      this.#hasKilled = true;
      this.#expose(side);
      // What it had said before its end may have been heard late.
      this.#withCluster(
        side,
        this.#world.kill(side, () => this.#expose(side)),
      );
      return `kill ${side}`;
    }
    if (kind === "master" && !this.#isMasterAway && !this.#hasKilled) {
      this.#isMasterAway = true;
      this.#begin(this.#world.killMaster(awayMs));
      return "kill master";
    }
    return "nothing";
  }

  #expose(side: Side): void {
    for (const walker of this.#walkers) {
      const holders = this.#world.authority.holdersOf(walker.playerId);
      const isElsewhere = holders.length > 0 && !holders.some((holder) => holder.startsWith(`${side} `));
      if (!isElsewhere) this.#exposed.add(walker);
    }
  }

  /** One cluster at a time: the other one is to be there. */
  #withCluster(side: Side, work: Promise<void>): void {
    this.#disturbed.add(side);
    this.#isBusy = true;
    this.#begin(work.finally(() => (this.#isBusy = false)));
  }

  #begin(work: Promise<void>): void {
    this.#underWay.push(work);
    // The round waits for it at its end.
    work.catch(() => undefined);
  }
}
