import { setTimeout as pass } from "node:timers/promises";
import { Groups } from "./groups.ts";
import { banned, deleted, kicked, locked, onItsWay, signedOut } from "./orders.ts";
import type { Walker } from "./walker.ts";
import { type AuditWorld, type Side, sides } from "./world.ts";

const kinds = [
  "players",
  "peers",
  "teleports",
  "nothing",
  "pause",
  "kill",
  "master",
  "database",
  "kill and master",
  "restart",
  "leave",
  "second device",
  "groups",
  "kick",
  "ban",
  "sign-out",
  "deletion",
  "lock",
  "drain",
] as const;
/** Longest time for which a cluster does nothing, shorter than a client's grace, and for which the master is away. */
const longestPauseMs = 2_500;
const longestAbsenceMs = 5_000;
/** Longest wait for a ticket after a cluster was killed. */
const longestTicketMs = 5_000;

/** Longest time after which a player's second device is gone: it has got in by then, as a rule. */
const longestEntryMs = 600;

/** Longest ban, and longest lock. */
const longestOrderMs = 4_000;
/** What a handover takes here, or more. */
const longestWayMs = 800;

/** Breaks what can break, and orders what can be ordered, at moments that are drawn, round by round. */
export class Disturbances {
  readonly #world: AuditWorld;
  readonly #walkers: readonly Walker[];
  readonly #random: (below: number) => number;
  #underWay: Promise<void>[] = [];
  /** Clusters that were paused or killed in this round: one after the other, and each once. */
  readonly #disturbed = new Set<Side>();
  /** Who may have to go on from what was saved. */
  readonly #exposed = new Set<Walker>();
  /** Who left, was restarted, or was ordered about, in this round. */
  readonly #returning = new Set<Walker>();
  readonly #groups: Groups;
  #isBusy = false;
  #isLocked = false;
  #isMasterAway = false;
  #isDatabaseAway = false;

  constructor(world: AuditWorld, walkers: readonly Walker[], random: (below: number) => number) {
    this.#world = world;
    this.#walkers = walkers;
    this.#random = random;
    this.#groups = new Groups(world, walkers, random);
  }

  /** Some of them, one after the other, and waits until whatever was killed or stopped runs again. */
  async round(): Promise<{
    /** What was done. */
    readonly what: string;
    /** Who may have to go on from what was saved: who was at a cluster that was killed, or on the way, or whose session an order has ended. */
    readonly exposed: ReadonlySet<Walker>;
  }> {
    const done: string[] = [];
    this.#disturbed.clear();
    this.#exposed.clear();
    this.#returning.clear();
    this.#isMasterAway = false;
    this.#isDatabaseAway = false;
    if (this.#random(2) === 0) done.push(`groups ${this.#groups.draw()}`);
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
    for (const walker of this.#walkers) if (this.#world.dismissed.delete(walker.playerId)) this.#exposed.add(walker);
    return { what: done.join(", "), exposed: this.#exposed };
  }

  /** Nobody stays with anybody any more, and the game refuses nobody. */
  end(): void {
    this.#groups.end();
  }

  /** Draws the same, whether it can be done now or not: so a seed names what is done as far as moments allow. */
  #disturb(): string {
    const kind = kinds[this.#random(kinds.length)] ?? "nothing";
    const side = sides[this.#random(sides.length)] ?? "west";
    const pauseMs = this.#random(longestPauseMs);
    const awayMs = this.#random(longestAbsenceMs);
    const teleported = this.#walkers.filter(() => this.#random(3) === 0);
    const walker = this.#walkers[this.#random(this.#walkers.length)];
    const orderMs = 500 + this.#random(longestOrderMs);
    const way = this.#random(2) === 0 ? undefined : this.#random(longestWayMs);
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
    if ((kind === "kill" || kind === "kill and master") && isFree) {
      const isBoth = kind === "kill and master" && !this.#isMasterAway;
      this.#kill(side);
      if (isBoth) this.#killMaster(awayMs, this.#nextTicket());
      return isBoth ? `kill ${side}, and the master at the next ticket` : `kill ${side}`;
    }
    if (kind === "master" && !this.#isMasterAway) {
      this.#killMaster(awayMs);
      return "kill master";
    }
    if (kind === "database" && !this.#isDatabaseAway) {
      this.#isDatabaseAway = true;
      this.#begin(this.#world.killDatabase(awayMs));
      return "kill database";
    }
    if ((kind === "restart" || kind === "leave") && walker !== undefined && !this.#returning.has(walker)) {
      this.#returning.add(walker);
      this.#begin(walker.comeBack(kind === "leave"));
      return kind;
    }
    if (kind === "second device" && walker !== undefined && !this.#returning.has(walker)) {
      this.#returning.add(walker);
      this.#begin(this.#secondDevice(walker, awayMs % longestEntryMs));
      return `second device of ${walker.playerId}`;
    }
    if (kind === "groups") return `groups ${this.#groups.draw()}`;
    if (kind === "lock" && !this.#isLocked) {
      this.#isLocked = true;
      this.#begin(locked(this.#world, side, orderMs).finally(() => (this.#isLocked = false)));
      return `lock ${side}`;
    }
    if (kind === "drain" && !this.#isBusy && !this.#disturbed.has("east")) {
      this.#withCluster("east", this.#world.renewEast());
      return "drain east";
    }
    if (kind === "kick" || kind === "ban" || kind === "sign-out" || kind === "deletion") {
      return this.#order(kind, walker, { orderMs, way });
    }
    return "nothing";
  }

  /** @param way for how long somebody has been on its way from cluster to cluster then, in ms; `undefined`: wherever it is */
  #order(
    kind: "kick" | "ban" | "sign-out" | "deletion",
    walker: Walker | undefined,
    { orderMs, way }: { readonly orderMs: number; readonly way: number | undefined },
  ): string {
    if (walker === undefined || this.#returning.has(walker)) return "nothing";
    this.#returning.add(walker);
    this.#exposed.add(walker);
    const world = this.#world;
    const told = `${kind} of ${walker.playerId}${way === undefined ? "" : " on its way"}`;
    const moment = async (): Promise<void> => {
      if (way !== undefined) await onItsWay(world, walker, way);
    };
    const give = {
      kick: () => kicked(world, walker, moment),
      ban: () => banned(world, walker, moment, orderMs),
      "sign-out": () => signedOut(world, walker, moment),
      // Who takes its place is known by another id.
      deletion: () => deleted(world, walker, moment).then(() => this.#groups.tell()),
    }[kind];
    this.#begin(give());
    return told;
  }

  async #secondDevice(walker: Walker, afterMs: number): Promise<void> {
    const cameBack = this.#world.replacements.begin(walker.playerId);
    if (!(await walker.meetsAnother(afterMs))) return;
    cameBack();
    this.#exposed.add(walker);
  }

  #kill(side: Side): void {
    this.#expose(side);
    // What it had said before its end may have been heard late.
    const killed = this.#world.kill(side, () => this.#expose(side));
    this.#withCluster(side, killed);
  }

  #killMaster(awayMs: number, when?: Promise<void>): void {
    this.#isMasterAway = true;
    const kill = async (): Promise<void> => {
      await when;
      await this.#world.killMaster(awayMs);
    };
    this.#begin(kill());
  }

  /** Some player has been given a ticket, and has not used it yet; or that takes long. */
  async #nextTicket(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const walker of this.#walkers) walker.onTicket = resolve;
    await Promise.race([promise, pass(longestTicketMs)]);
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
