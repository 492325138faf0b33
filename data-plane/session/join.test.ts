import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ClusterMessage, closeCodes, encodeClose, encodeHello, encodeJoin } from "../../protocol/index.ts";
import { hello, TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

type Claims = Parameters<TestCluster["joined"]>[0];

/** Joins with a ticket and expects to be turned away by name, in order. */
async function rejected(ticket: string): Promise<keyof typeof closeCodes | undefined> {
  const client = await cluster.connected();
  client.join(ticket);
  const reject = await client.next("reject");
  await client.gone();
  expect(client.ended).toBe(true);
  expect(client.received).toEqual([]);
  for (const [name, row] of Object.entries(closeCodes)) {
    if (row.number === reject.code && isCode(name)) return name;
  }
  return undefined;
}

function isCode(name: string): name is keyof typeof closeCodes {
  return Object.hasOwn(closeCodes, name);
}

/** Joins with a ticket that is not genuine: why it was cut off without a word; or what was said. */
async function cutOff(ticket: string): Promise<string> {
  const client = await cluster.connected();
  client.join(ticket);
  await client.gone();
  const { lines } = cluster.log;
  const logged = lines.filter(({ fields }) => fields["event"] === "refused").map(({ fields }) => fields["reason"]);
  // Nothing that a stranger said gets into the log.
  const leaked = cluster.log.text().includes(ticket.slice(-20)) ? ["and the log has it"] : [];
  return [...client.types(), ...logged, ...leaked].join();
}

describe("a cluster", () => {
  beforeEach(async () => {
    cluster = await startTestCluster({ settings: { serverName: "Größe", spawn: { x: 1, y: 2, z: -3 } } });
  });

  const now = (): number => Math.floor(Date.now() / 1_000);

  it("logs that a player left, and why", async () => {
    const client = await cluster.connected();
    client.join(await cluster.master.ticket());
    await client.next("welcome");
    client.send(encodeClose("NORMAL"));
    const leaving = () => cluster.log.lines.find(({ fields }) => fields["event"] === "left");
    await until("the line of who left", () => leaving() !== undefined);
    expect(leaving()?.fields).toMatchObject({ player: 1, reason: "NORMAL" });
  });

  it("[TICKET-12] logs which reservation and request a player came by", async () => {
    const client = await cluster.connected();
    const ticket = await cluster.master.ticket({ rsv: "reservation-9", req: "of-the-client.1" });
    client.join(ticket);
    await client.next("welcome");
    const joined = cluster.log.lines.find(({ fields }) => fields["event"] === "joined");
    expect(joined?.fields).toMatchObject({ reservation: "reservation-9", request: "of-the-client.1" });
    expect(cluster.log.text()).not.toContain(ticket);
  });

  it("[JOIN-1] [WELCOME-1] [HELLO-4] welcomes a player with a good ticket, before anything else", async () => {
    const client = await cluster.connected();
    client.send(
      encodeHello({ minVersion: 1, maxVersion: 9, features: 0xffff_ffff, client: "test" }),
      encodeJoin({ ticket: await cluster.master.ticket({ frag: "meadow" }) }),
    );
    expect(await client.next("welcome")).toMatchObject({
      version: 1,
      features: 7,
      tickHz: 30,
      pingIntervalMs: 5_000,
      idleTimeoutMs: 15_000,
      maxFrameBytes: 16_384,
      x: 1,
      y: 2,
      z: -3,
      heading: 0,
      fragment: "meadow",
      cluster: "Größe",
    });
    expect(cluster.server.metrics).toMatchObject({
      joins: 1,
      connections: { joined: 1, hello: 0, join: 0, verifying: 0 },
    });
  });

  it("[WELCOME-1] numbers players apart", async () => {
    const numbers: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      const client = await cluster.connected();
      client.join(await cluster.master.ticket());
      numbers.push((await client.next("welcome")).playerNumber);
    }
    expect(new Set(numbers).size).toBe(3);
  });

  it("[HELLO-3] [TICKET-5] says that no version is common only once the ticket is known to be genuine", async () => {
    const client = await cluster.connected();
    const newer = encodeHello({ minVersion: 2, maxVersion: 3, features: 0, client: "test" });
    client.send(newer, encodeJoin({ ticket: await cluster.master.ticket() }));
    expect((await client.next("reject")).code).toBe(closeCodes.VERSION_UNSUPPORTED.number);

    const stranger = await cluster.connected();
    const forged = await cluster.master.ticket({}, await cluster.master.addKey("key-1", false));
    stranger.send(newer, encodeJoin({ ticket: forged }));
    await stranger.gone();
    expect(stranger.received).toEqual([]);
  });

  it.each<[string, keyof typeof closeCodes, (master: TestCluster["master"]) => Claims]>([
    ["[TICKET-4] for another cluster", "WRONG_TICKET", () => ({ aud: "default.another" })],
    ["[TICKET-4] of another master", "WRONG_TICKET", () => ({ iss: "https://master.example.com" })],
    ["[TICKET-4] for another game", "WRONG_TICKET", () => ({ game: "another" })],
    ["[TICKET-5] for other versions", "VERSION_UNSUPPORTED", () => ({ proto: { min: 2, max: 3 } })],
    ["[TICKET-6] of another boot", "STALE_BOOT", (master) => ({ boot: master.boot - 1 })],
    ["[TICKET-6] of a boot to come", "STALE_BOOT", (master) => ({ boot: master.boot + 1 })],
    ["[TICKET-7] that has expired", "EXPIRED", () => ({ iat: now() - 66, nbf: now() - 66, exp: now() - 6 })],
    ["[TICKET-7] from the future", "NOT_YET_VALID", () => ({ nbf: now() + 8, exp: now() + 60 })],
    ["[TICKET-7] that lives too long", "WRONG_TICKET", () => ({ iat: now(), exp: now() + 301 })],
  ])("[JOIN-4] [REJECT-1] rejects a ticket %s: %s", async (_what, code, claims) => {
    expect(await rejected(await cluster.master.ticket(claims(cluster.master)))).toBe(code);
    expect(cluster.server.metrics.refusals).toEqual({ [code]: 1 });
  });

  it("[TICKET-7] takes a ticket at the edge of its life, skew included", async () => {
    await cluster.joined({ iat: now() - 62, nbf: now() - 62, exp: now() - 2 });
    await cluster.joined({ iat: now() + 3, nbf: now() + 3, exp: now() + 303 });
    expect(cluster.server.metrics.joins).toBe(2);
  });

  it("[TICKET-3] [JOIN-4] cuts off a ticket that another key has signed", async () => {
    expect(await cutOff(await cluster.master.ticket({}, await cluster.master.addKey("key-1", false)))).toBe(
      "TICKET_BAD_SIGNATURE",
    );
  });

  it("[TICKET-3] [JOIN-4] cuts off a ticket of an unknown key", async () => {
    expect(await cutOff(await cluster.master.ticket({}, await cluster.master.addKey("stranger", false)))).toBe(
      "TICKET_UNKNOWN_KEY",
    );
  });

  it("[TICKET-1] [JOIN-4] cuts off what is no ticket", async () => {
    expect(await cutOff("this is not a ticket, however long it may be")).toBe("TICKET_MALFORMED");
  });

  it("[TICKET-3] fetches a key that it does not know, once for all who wait", async () => {
    const key = await cluster.master.addKey("key-2");
    const clients = await Promise.all([cluster.connected(), cluster.connected(), cluster.connected()]);
    for (const client of clients) client.join(await cluster.master.ticket({}, key));
    for (const client of clients) await client.next("welcome");
    expect(cluster.master.keySetFetches).toBe(1);
  });

  it("[TICKET-8] joins once with a ticket, one after the other", async () => {
    const ticket = await cluster.master.ticket();
    const first = await cluster.connected();
    first.join(ticket);
    await first.next("welcome");
    expect(await rejected(ticket)).toBe("REPLAYED");
    first.close();
    await until("the player to leave", () => cluster.server.metrics.departures["DROPPED"] === 1);
    expect(await rejected(ticket)).toBe("REPLAYED");
  });

  it("[TICKET-8] joins once with a ticket, at the same time", async () => {
    const ticket = await cluster.master.ticket();
    const clients = await Promise.all(Array.from({ length: 8 }, () => cluster.connected()));
    for (const client of clients) client.join(ticket);
    const answers: string[] = [];
    for (const client of clients)
      answers.push((await until("an answer", (): ClusterMessage | undefined => client.received[0])).type);
    expect(answers.filter((type) => type === "welcome")).toHaveLength(1);
    expect(cluster.server.metrics.refusals).toEqual({ REPLAYED: 7 });
  });

  it("[TICKET-9] [WELCOME-2] lets the newer session win, and tells the older one", async () => {
    const old = await cluster.joined({ sub: "hero", gen: 4 });
    const fresh = await cluster.joined({ sub: "hero", gen: 5 });
    expect((await old.next("close")).code).toBe(closeCodes.REPLACED.number);
    await old.gone();
    expect(fresh.closed).toBe(false);
    expect(cluster.server.metrics).toMatchObject({ connections: { joined: 1 }, departures: { REPLACED: 1 } });
  });

  it("[TICKET-9] refuses a session that is older, or no newer, than the live one", async () => {
    const live = await cluster.joined({ sub: "hero", gen: 5 });
    expect(await rejected(await cluster.master.ticket({ sub: "hero", gen: 4 }))).toBe("STALE_GENERATION");
    expect(await rejected(await cluster.master.ticket({ sub: "hero", gen: 5 }))).toBe("STALE_GENERATION");
    expect(live.closed).toBe(false);
  });

  it("[TICKET-9] refuses an older session also after the newer one has left", async () => {
    const live = await cluster.joined({ sub: "hero", gen: 5 });
    live.close();
    await until("the player to leave", () => cluster.server.metrics.departures["DROPPED"] === 1);
    expect(await rejected(await cluster.master.ticket({ sub: "hero", gen: 4 }))).toBe("STALE_GENERATION");
  });

  it("ends the session that the master fences, and keeps its tickets out", async () => {
    const old = await cluster.joined({ sub: "hero", gen: 4 });
    const other = await cluster.joined({ sub: "other", gen: 4 });
    cluster.master.command({ type: "fence", playerId: "hero", generation: 6 });
    expect((await old.next("close")).code).toBe(closeCodes.REPLACED.number);
    expect(await rejected(await cluster.master.ticket({ sub: "hero", gen: 5 }))).toBe("STALE_GENERATION");
    await cluster.joined({ sub: "hero", gen: 6 });
    expect(other.closed).toBe(false);
  });

  it("lets tickets that are out join, and players play, while the master is away", async () => {
    const playing = await cluster.joined();
    const ticket = await cluster.master.ticket();
    await cluster.master.stop();
    const client = await cluster.connected();
    client.join(ticket);
    await client.next("welcome");
    expect(playing.closed).toBe(false);
    await cluster.master.listen();
    await cluster.master.linked();
    expect(cluster.master.registrations).toHaveLength(1);
  });
});

describe("room", () => {
  it("[TICKET-10] is refused to one too many, whose ticket stays good", async () => {
    cluster = await startTestCluster({ settings: { maxConnections: 2 } });
    const first = await cluster.joined();
    await cluster.joined();
    const ticket = await cluster.master.ticket();
    expect(await rejected(ticket)).toBe("FULL");
    first.close();
    await until("room", () => cluster.server.metrics.connections.joined === 1);
    const client = await cluster.connected();
    client.join(ticket);
    await client.next("welcome");
  });

  it("[TICKET-10] is not needed by whoever replaces a session of their own", async () => {
    cluster = await startTestCluster({ settings: { maxConnections: 1 } });
    await cluster.joined({ sub: "hero", gen: 1 });
    await cluster.joined({ sub: "hero", gen: 2 });
    expect(await rejected(await cluster.master.ticket())).toBe("FULL");
  });

  it("[TICKET-10] is no more when the cluster is shutting down, and the ticket stays good", async () => {
    cluster = await startTestCluster();
    const held = Promise.withResolvers<void>();
    cluster.master.holdDeregister = held.promise;
    const client = await cluster.connected();
    const stopped = cluster.server.stop();
    const ticket = await cluster.master.ticket();
    client.join(ticket);
    expect((await client.next("reject")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect(await rejected(ticket)).toBe("SHUTTING_DOWN");
    held.resolve();
    await stopped;
  });

  it("[TICKET-8] in the table of ticket ids runs out with BUSY", async () => {
    cluster = await startTestCluster({ limits: { maxReplayEntries: 1 } });
    await cluster.joined();
    const client = await cluster.connected();
    client.join(await cluster.master.ticket());
    expect(await client.next("reject")).toMatchObject({ code: closeCodes.BUSY.number, retryAfterMs: 1_000 });
  });
});

describe("the deadline", () => {
  const options: TestClusterOptions = { limits: { joinTimeoutMs: 300 } };

  it("[JOIN-2] cuts off whoever says nothing, and whoever drips", async () => {
    cluster = await startTestCluster(options);
    const silent = await cluster.connected();
    const afterHello = await cluster.connected();
    afterHello.send(hello());
    const dripping = await cluster.connected();
    const bytes = Buffer.concat([hello(), encodeJoin({ ticket: await cluster.master.ticket() })]);
    let sent = 0;
    const drip = setInterval(() => {
      if (sent < bytes.length) dripping.send(bytes.subarray(sent, ++sent));
    }, 5);
    const startedAt = performance.now();
    await Promise.all([silent.gone(), afterHello.gone(), dripping.gone()]);
    clearInterval(drip);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(sent).toBeGreaterThan(5);
    expect([...silent.types(), ...afterHello.types(), ...dripping.types()]).toEqual([]);
    expect(cluster.server.metrics.refusals).toEqual({ JOIN_TIMEOUT: 3 });
  });

  it("[JOIN-2] is 5 s, to the millisecond: who joins just before is in, who has not is cut off", async () => {
    cluster = await startTestCluster();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const [friend, late] = [await cluster.connected(), await cluster.connected()];
      await until("both sessions", () => cluster.server.metrics.connections.hello === 2);
      late.send(hello());
      await until("the HELLO", () => cluster.server.metrics.connections.join === 1);
      vi.advanceTimersByTime(4_999);
      friend.join(await cluster.master.ticket());
      await friend.next("welcome");
      expect(cluster.server.metrics).toMatchObject({ refusals: {}, connections: { join: 1 } });
      vi.advanceTimersByTime(1);
      await late.gone();
      expect(cluster.server.metrics).toMatchObject({ refusals: { JOIN_TIMEOUT: 1 }, connections: { joined: 1 } });
      expect(friend.closed).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  it("[JOIN-2] holds for the check of the ticket as well", async () => {
    cluster = await startTestCluster(options);
    const held = Promise.withResolvers<void>();
    cluster.master.holdKeySet = held.promise;
    const client = await cluster.connected();
    client.join(await cluster.master.ticket({}, await cluster.master.addKey("slow")));
    await client.gone();
    held.resolve();
    expect(cluster.server.metrics.refusals).toEqual({ JOIN_TIMEOUT: 1 });
  });

  it("[JOIN-2] does not end a session that has begun in time", async () => {
    cluster = await startTestCluster(options);
    const client = await cluster.joined();
    const late = await cluster.connected();
    await late.gone();
    expect(client.closed).toBe(false);
  });
});

describe("a cluster that is not registered", () => {
  it("[JOIN-4] cannot tell, and so lets nobody in", async () => {
    cluster = await startTestCluster({ enrolled: false });
    const client = TestClient.begin(cluster.target, { rejectUnauthorized: false });
    client.socket.on("secureConnect", () => client.join("a.b.c"));
    await client.gone();
    expect(client.received).toEqual([]);
    expect(cluster.server.metrics.refusals).toEqual({ NOT_REGISTERED: 1 });
  });
});
