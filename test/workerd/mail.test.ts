import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { floodedMails, playerMailBurst } from "../../control-plane/domain/clusters/mail-budget.ts";
import type { PlayerSession, RegistryShard } from "../../control-plane/worker.ts";
import {
  linkCloseCodes,
  type LinkMessage,
  type LinkTold,
  maxMailBurst,
  maxMailBytes,
  type PlayerSessionTokens,
} from "../../protocol/index.ts";
import { seatOf, startOn, type TestCluster, type TestLink } from "./support/clusters.ts";
import { allocate, logIn } from "./support/players.ts";
import { hasTables } from "./support/storage.ts";

interface Place {
  readonly cluster: TestCluster;
  readonly link: TestLink;
}

let lastId = 0;

/** A cluster that is linked, on this very shard. */
async function open(shard: Parameters<typeof startOn>[0]): Promise<Place> {
  const cluster = await startOn(shard);
  const link = await cluster.openLink();
  link.send(cluster.nextReport({ full: true }));
  expect(await next(link)).toMatchObject({ type: "ack" });
  return { cluster, link };
}

/** A new player, in the game there. */
async function join({ cluster, link }: Place, player?: PlayerSessionTokens) {
  const who = player ?? (await logIn());
  const { ticket } = await allocate(who, { clusterId: cluster.id });
  const seat = seatOf(who.player, ticket);
  link.send(cluster.nextReport({ players: 1, joined: [seat] }));
  expect(await next(link)).toMatchObject({ type: "ack" });
  const session = env.PLAYER_SESSION.getByName(who.player.id);
  await expect.poll(async () => (await session.inspect())?.playing?.generation).toBe(seat.generation);
  return { player: who, id: who.player.id, seat };
}

async function next(link: TestLink): Promise<LinkMessage> {
  const event = await link.next();
  if (!("text" in event)) throw new Error(`the link was closed with ${event.closed}`);
  const message: LinkMessage = JSON.parse(event.text);
  return message;
}

function say(link: TestLink, playerId: string, payload = "", command = 7): number {
  lastId += 1;
  link.send({ type: "tell", id: lastId, playerId, command, payload });
  return lastId;
}

async function outcomeOf(link: TestLink, playerId: string, payload?: string): Promise<LinkTold["outcome"]> {
  const id = say(link, playerId, payload);
  const told = await next(link);
  if (told.type !== "told") throw new Error(`a ${told.type} came`);
  expect(told.id).toBe(id);
  return told.outcome;
}

/** Everything that an object has stored, and when it wakes up. */
async function storedAt(shard: string) {
  return runInDurableObject(env.REGISTRY_SHARD.getByName(shard), async (_: RegistryShard, { storage }) => ({
    outbox: storage.sql.exec("SELECT * FROM outbox").toArray(),
    alarm: await storage.getAlarm(),
  }));
}

describe("a message to a player elsewhere", () => {
  it("[MAIL-4] reaches the cluster where it plays, across shards and regions, with the sender's id", async () => {
    const [a, b, c] = [await open("default.0"), await open("eu.0"), await open("eu.1")];
    const { id, seat, player } = await join(b);
    const payload = btoa("x".repeat(maxMailBytes));
    expect(await outcomeOf(a.link, id, payload)).toBe("sent");
    const mail = { type: "mail", playerId: id, generation: seat.generation, command: 7 };
    expect(await next(b.link)).toEqual({ ...mail, from: a.cluster.id, payload });
    expect(await outcomeOf(c.link, id)).toBe("sent");
    expect(await next(b.link)).toEqual({ ...mail, from: c.cluster.id, payload: "" });
    // It moves on: the newer session gets it, and the older one nothing.
    const moved = await join(c, player);
    expect(await next(b.link)).toMatchObject({ type: "fence", generation: moved.seat.generation });
    expect(await outcomeOf(a.link, id)).toBe("sent");
    expect(await next(c.link)).toMatchObject({ ...mail, generation: moved.seat.generation, from: a.cluster.id });
    // A cluster that has the player itself, or has just got it, is told like any other.
    say(c.link, id);
    expect([(await next(c.link)).type, (await next(c.link)).type].toSorted()).toEqual(["mail", "told"]);
  });

  it("[MAIL-1] is stored nowhere, and is for nobody who is not in the game", async () => {
    const [a, b] = [await open("default.0"), await open("eu.0")];
    const stranger = crypto.randomUUID();
    const before = await storedAt("default.0");
    expect(await outcomeOf(a.link, stranger)).toBe("unknown");
    expect(await storedAt("default.0")).toEqual(before);
    const isKnown = await runInDurableObject(
      env.PLAYER_SESSION.getByName(stranger),
      async (_: PlayerSession, { storage }) => hasTables(storage) || (await storage.list()).size > 0,
    );
    expect(isKnown).toBe(false);
    const { id, seat } = await join(b);
    b.link.send(b.cluster.nextReport({ left: [seat] }));
    expect(await next(b.link)).toMatchObject({ type: "ack" });
    const there = await storedAt("eu.0");
    expect(await outcomeOf(a.link, id)).toBe("unknown");
    expect(await storedAt("eu.0")).toEqual(there);
  });

  it("[MAIL-1] is refused when the player's cluster has no link, and does not wait for one", async () => {
    const [a, b] = [await open("default.0"), await open("eu.1")];
    const { id } = await join(b);
    b.link.close();
    expect(await b.link.next()).toEqual({ closed: 1000 });
    expect(await outcomeOf(a.link, id)).toBe("refused");
    const link = await b.cluster.openLink();
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
    expect(await outcomeOf(a.link, id)).toBe("sent");
  });

  it("wakes both shards from hibernation", async () => {
    const [a, b] = [await open("default.0"), await open("eu.0")];
    const { id } = await join(b);
    for (const shard of ["default.0", "eu.0"]) {
      await evictDurableObject(env.REGISTRY_SHARD.getByName(shard), { webSockets: "hibernate" });
    }
    expect(await outcomeOf(a.link, id)).toBe("sent");
    expect(await next(b.link)).toMatchObject({ type: "mail" });
  });

  it.each([
    ["a byte too many", { payload: btoa("x".repeat(maxMailBytes + 1)) }],
    ["a sender of its own choice", { from: "eu.somebody" }],
    ["no player", { playerId: "" }],
  ])("[MAIL-2] with %s ends the link of who sent it", async (_, changes) => {
    const { link } = await open("default.0");
    link.send({ type: "tell", id: 1, playerId: "p", command: 7, payload: "", ...changes });
    expect(await link.next()).toEqual({ closed: linkCloseCodes.BAD_MESSAGE });
  });

  it("[MAIL-3] is refused over its cluster's rate and the player's, and reports go on", async () => {
    const [a, b, c] = [await open("default.0"), await open("eu.0"), await open("eu.1")];
    const { id } = await join(b);
    for (let index = 0; index < 3 * maxMailBurst; index += 1) say(a.link, id);
    const outcomes = { sent: 0, refused: 0, unknown: 0, lost: 0 };
    for (let index = 0; index < 3 * maxMailBurst; index += 1) {
      const told = await next(a.link);
      if (told.type === "told") outcomes[told.outcome] += 1;
    }
    expect(outcomes).toMatchObject({ unknown: 0, lost: 0 });
    expect(outcomes.sent).toBeGreaterThanOrEqual(playerMailBurst);
    expect(outcomes.sent).toBeLessThan(maxMailBurst);
    for (let index = 0; index < outcomes.sent; index += 1) expect((await next(b.link)).type).toBe("mail");
    a.link.send(a.cluster.nextReport());
    expect(await next(a.link)).toMatchObject({ type: "ack" });
    // Another cluster pays for nothing of it.
    expect(await outcomeOf(c.link, crypto.randomUUID())).toBe("unknown");
  });

  it("[MAIL-3] ends the link of a cluster that floods", async () => {
    const { link } = await open("eu.1");
    // Twice as many, should a second begin in between.
    for (let index = 0; index < 2 * floodedMails + 2; index += 1) say(link, "p");
    let event = await link.next();
    while (!("closed" in event)) event = await link.next();
    expect(event).toEqual({ closed: linkCloseCodes.BAD_MESSAGE });
  });
});
