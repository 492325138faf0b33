/** What an operator, or a player, orders of a player or a cluster, and what everybody does about it. */
import { setTimeout as pass } from "node:timers/promises";
import { SustenetError } from "../../../clients/typescript/index.ts";
import { until } from "../../../data-plane/testing/until.ts";
import { nextSessionGeneration } from "../../../protocol/handover/generation.ts";
import type { Walker } from "./walker.ts";
import type { AuditWorld, Side } from "./world.ts";

/** A master that was killed is back by then, and whoever has to hear of the order has. */
const patienceMs = 60_000;
const pauseMs = 500;
const isBanned: ReadonlySet<string> = new Set(["BANNED"]);
/** A login that has ended, or whose account has gone. */
const isLoggedOut: ReadonlySet<string> = new Set(["UNAUTHENTICATED", "REFRESH_TOKEN_INVALID", "NOT_LOGGED_IN"]);

/** When an order is given; resolves then. */
type Moment = () => Promise<void>;

/** Longest wait for a player who is to be on its way from cluster to cluster: it may stay where it is. */
const longestWayMs = 3_000;

/** So long after a player has come to rest at a cluster, to go on from another: the order meets a handover that is under way. */
export async function onItsWay(world: AuditWorld, walker: Walker, afterMs: number): Promise<void> {
  const rests = (): boolean => world.authority.holdersOf(walker.playerId).length === 0;
  await until("somebody on the way", rests, longestWayMs).catch(() => undefined);
  await pass(afterMs);
}

/** A kick: the player may come back at once. */
export async function kicked(world: AuditWorld, walker: Walker, moment: Moment): Promise<void> {
  await ended(world, walker, moment, "kick", () => world.operator.kick(walker.playerId));
  // Also where an older copy has not heard of it yet.
  if (walker.isOut) await walker.enter();
  walker.isEnding = false;
}

/** A ban: the player tries again and again, and is let in when it is over, not before. */
export async function banned(world: AuditWorld, walker: Walker, moment: Moment, forMs: number): Promise<void> {
  let untilMs = 0;
  await ended(world, walker, moment, "ban", async () => {
    untilMs = await world.operator.ban(walker.playerId, forMs);
  });
  await over(world, walker.playerId);
  await insist(() => enters(walker, isBanned));
  if (Date.now() < untilMs) walker.faults.push(`${walker.playerId} was let in though it was banned until ${untilMs}`);
  walker.isEnding = false;
}

/** A sign-out everywhere: what the player had to log in with is worth nothing, its password is. */
export async function signedOut(world: AuditWorld, walker: Walker, moment: Moment): Promise<void> {
  await ended(world, walker, moment, "sign-out", () => world.operator.signOut(walker.playerId));
  await over(world, walker.playerId);
  if (await enters(walker, isLoggedOut)) walker.faults.push(`${walker.playerId} came back without a login`);
  // A login of the very second of the sign-out is over, too.
  await insist(async () => (await isLet(() => walker.logIn(), isLoggedOut)) && (await enters(walker, isLoggedOut)));
  walker.isEnding = false;
}

/** A deletion of the account: nothing of it is left, and somebody else comes in its place. */
export async function deleted(world: AuditWorld, walker: Walker, moment: Moment): Promise<void> {
  const { playerId } = walker;
  await ended(world, walker, moment, "deletion", () => walker.deleteAccount());
  await over(world, playerId);
  world.erased.add(playerId);
  if (await enters(walker, isLoggedOut)) walker.faults.push(`${playerId} came back though it was deleted`);
  await insist(async () => {
    await walker.beginAnew();
    return true;
  });
  walker.isEnding = false;
}

/** A lock for a time: the cluster is offered to nobody, and who walks over its border comes in. */
export async function locked(world: AuditWorld, side: Side, forMs: number): Promise<void> {
  const { clusterId } = world.cluster(side);
  await world.operator.lock(clusterId);
  await pass(forMs);
  await world.operator.unlock(clusterId);
}

/**
 * Gives the order, and waits until the player's session is over; or until it plays a newer one: a client that is on its way back when the
 * order comes gets another ticket by itself.
 */
async function ended(
  world: AuditWorld,
  walker: Walker,
  moment: Moment,
  what: string,
  order: () => Promise<void>,
): Promise<void> {
  const { playerId } = walker;
  await moment();
  const floor = nextSessionGeneration(await world.operator.generationOf(playerId));
  walker.isEnding = true;
  await order();
  world.endings.add({ playerId, what, atMs: Date.now(), floor });
  const playsNew = (): boolean =>
    world.authority.staysOf(playerId).some(({ generation, toMs }) => generation >= floor && toMs === undefined);
  await world.until(`the end of ${playerId} by a ${what}`, () => walker.isOut || playsNew(), patienceMs);
  if (walker.isOut) walker.rest();
}

/** Nobody plays any more what was ended of a player, though no newer session takes its place: the order alone has to do it. */
async function over(world: AuditWorld, playerId: string): Promise<void> {
  await world.until(`the end of what was ended of ${playerId}`, () => !world.endings.isOpen(playerId), patienceMs);
}

async function enters(walker: Walker, refusals: ReadonlySet<string>): Promise<boolean> {
  return walker.isOut ? isLet(() => walker.enter(), refusals) : true;
}

/** Whether it comes to something, or to one of these refusals. @throws what else it comes to */
async function isLet(attempt: () => Promise<void>, refusals: ReadonlySet<string>): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch (error) {
    if (error instanceof SustenetError && refusals.has(error.code)) return false;
    throw error;
  }
}

/** Tries until it is let, also while the master is away. @throws Error where it is not within a minute */
async function insist(attempt: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await attempt().catch(isNotYet))) {
    if (performance.now() > deadline) throw new Error("a player is kept out for good");
    await pass(pauseMs);
  }
}

/** @throws what no other try will change */
function isNotYet(error: unknown): false {
  if (error instanceof SustenetError && error.advice === "retry") return false;
  throw error;
}
