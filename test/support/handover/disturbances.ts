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
  readonly #underWay = new Set<Promise<void>>();
  #done: string[] = [];
  #disturbed: Side | undefined;
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
    /** Whether a cluster was killed: then who was there may have to go on from what was saved. */
    readonly hasKilled: boolean;
  }> {
    this.#done = [];
    this.#hasKilled = false;
    this.#isMasterAway = false;
    for (let count = 1 + this.#random(6); count > 0; count -= 1) {
      // Nothing is waited for: the moment itself is what is drawn, whatever is under way then.
      await pause(this.#random(500));
      this.#done.push(this.#disturb(kinds[this.#random(kinds.length)] ?? "nothing"));
    }
    await Promise.all(this.#underWay);
    return { what: this.#done.join(", "), hasKilled: this.#hasKilled };
  }

  #disturb(kind: (typeof kinds)[number]): string {
    switch (kind) {
      case "players":
      case "peers":
        this.#world.cut(kind);
        return `cut ${kind}`;
      case "teleports":
        for (const walker of this.#walkers) if (this.#random(3) === 0) walker.teleport();
        return kind;
      case "nothing":
        return kind;
      case "pause":
        return this.#withCluster(kind, (side) => this.#world.pause(side, this.#random(longestPauseMs)));
      case "kill":
        // With the master away the game would begin with nothing, and go on from what was saved when that comes: right, but no game of the audit.
        if (this.#isMasterAway) return "nothing";
        return this.#withCluster(kind, (side) => {
          this.#hasKilled = true;
          return this.#world.kill(side);
        });
      case "master": {
        if (this.#isMasterAway || this.#hasKilled) return "nothing";
        this.#isMasterAway = true;
        this.#begin(this.#world.killMaster(this.#random(longestAbsenceMs)));
        return "kill master";
      }
    }
  }

  /** One cluster at a time: the other one is to be there. */
  #withCluster(what: string, disturb: (side: Side) => Promise<void>): string {
    const side = sides[this.#random(sides.length)];
    if (side === undefined || this.#disturbed !== undefined) return "nothing";
    this.#disturbed = side;
    this.#begin(disturb(side).finally(() => (this.#disturbed = undefined)));
    return `${what} ${side}`;
  }

  #begin(work: Promise<void>): void {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    // Whoever waits for the round hears of it.
    tracked.catch(() => undefined);
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
