import { afterEach, describe, expect, it, vi } from "vitest";
import { closeCodes, type FenceReason, linkCloseCodes } from "../../protocol/index.ts";
import { systemClock } from "../clock.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import { loadClusterKey } from "../keys/cluster-key.ts";
import { FakeMaster } from "../testing/fake-master.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { MasterClient } from "./master-client.ts";
import { type LinkPace, MasterLink } from "./master-link.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const events = (): unknown[] => cluster.log.lines.map(({ fields }) => fields["event"]);
const lineOf = (event: string): string =>
  cluster.log.lines.find(({ fields }) => fields["event"] === event)?.message ?? "";

describe("registration", () => {
  it("says who and where it is, signed, and is ready", async () => {
    cluster = await startTestCluster({
      settings: {
        serverName: "Test",
        maxConnections: 5,
        tags: ["a"],
        labels: ["mode=ctf"],
        gameBuild: "1.4.2",
        advertisedHost: "play.example.com",
        advertisedPort: 443,
      },
    });
    expect(cluster.master.registrations).toEqual([
      {
        instance: "main",
        name: "Test",
        region: "default",
        host: "play.example.com",
        port: 443,
        tls: {
          serverName: expect.stringMatching(/\.cluster\.sustenet\.invalid$/),
          caPem: expect.stringContaining("BEGIN CERTIFICATE"),
          sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
        capacity: 5,
        protocol: { min: 1, max: 1 },
        tags: ["a"],
        labels: { mode: "ctf" },
        counters: {},
        gameBuild: "1.4.2",
        software: expect.stringContaining("sustenet"),
      },
    ]);
    const ready = cluster.log.lines.filter(({ fields }) => fields["event"] === "ready");
    expect(ready.map(({ fields }) => fields)).toEqual([
      {
        event: "ready",
        clusterId: cluster.master.clusterId,
        boot: cluster.master.boot,
        host: "play.example.com",
        port: 443,
      },
    ]);
  });

  it("is tried again while the master is away, and each line says when", async () => {
    const master = await new FakeMaster().start();
    await master.stop();
    const starting = startTestCluster({ master });
    await until("a while", () => true);
    setTimeout(() => void master.listen(), 200);
    cluster = await starting;
    expect(lineOf("register-failed")).toMatch(
      /^master unreachable at http:\/\/127\.0\.0\.1:\d+: nothing listens there; next try in \d\.\d s$/,
    );
    expect(events().filter((event) => event === "register-failed").length).toBeGreaterThan(1);
  });

  it("is tried again until its key is enrolled, and says what to do", async () => {
    const master = await new FakeMaster().start();
    master.refuse = { status: 403, code: "CLUSTER_KEY_UNKNOWN" };
    const starting = startTestCluster({ master });
    await until("two attempts", () => master.calls.length >= 2);
    master.refuse = undefined;
    cluster = await starting;
    expect(lineOf("register-failed")).toContain("npx sustenet enrol");
  });

  it("survives a master that answers nonsense", async () => {
    const master = await new FakeMaster().start();
    master.leaseMs = -1;
    const starting = startTestCluster({ master });
    await until("two attempts", () => master.calls.length >= 2);
    master.leaseMs = 3_000;
    cluster = await starting;
    expect(lineOf("register-failed")).toContain("leaseMs");
  });
});

describe("the link", () => {
  it("renews the lease with pings", async () => {
    cluster = await startTestCluster();
    await until("pings", () => cluster.master.pings >= 3);
    expect(cluster.master.links.size).toBe(1);
  });

  it("reports in full first, then what changes, soon, and at the interval", async () => {
    cluster = await startTestCluster();
    const { master } = cluster;
    await until("the first report", () => master.reports.length > 0);
    expect(master.reports[0]).toEqual({
      type: "report",
      sequence: 1,
      full: true,
      players: 0,
      joined: [],
      left: [],
      tickMs: expect.any(Number),
      counters: {},
    });
    master.reportIntervalMs = 30_000;
    const sent = master.reports.length;
    await until("the report that brings the new interval", () => master.reports.length > sent);
    const startedAt = performance.now();
    const client = await cluster.joined({ sub: "hero", gen: 3, rsv: "seat" });
    const seat = { reservationId: "seat", playerId: "hero", generation: 3 };
    const join = await until("the join", () => master.reports.find((report) => report.joined.length > 0));
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    expect(join).toMatchObject({ full: false, players: 1, joined: [seat], left: [] });
    client.close();
    const leave = await until("the departure", () => master.reports.find((report) => report.left.length > 0));
    expect(leave).toMatchObject({ players: 0, joined: [], left: [seat] });
    expect(master.reports.map(({ sequence }) => sequence)).toEqual(master.reports.map((_, index) => index + 1));
  });

  it("comes back when it is lost, keeps its boot, and reports in full what the master has not acknowledged", async () => {
    cluster = await startTestCluster();
    const { master } = cluster;
    const stays = await cluster.joined({ rsv: "stays" });
    master.acknowledge = false;
    const goes = await cluster.joined({ rsv: "goes" });
    goes.close();
    await until("its departure", () => cluster.server.metrics.departures["DROPPED"] === 1);
    const before = master.reports.length;
    master.acknowledge = true;
    for (const link of master.links) link.terminate();
    const full = await until("a full report", () => master.reports.slice(before).find((report) => report.full));
    expect(full.joined.map(({ reservationId }) => reservationId)).toEqual(["stays"]);
    expect(full.left.map(({ reservationId }) => reservationId)).toEqual(["goes"]);
    expect(master.registrations).toHaveLength(1);
    expect(stays.closed).toBe(false);
  });

  it("is given up when pings are not answered", async () => {
    cluster = await startTestCluster();
    const { master } = cluster;
    const [first] = master.links;
    master.answerPings = false;
    await until("the first link to go", () => first !== undefined && !master.links.has(first));
    master.answerPings = true;
    await master.linked();
    expect(events()).toContain("link-lost");
  });

  it("is given up when reports are not acknowledged, which are sent one at a time", async () => {
    cluster = await startTestCluster({ pace: { ackTimeoutMs: 300 } });
    const { master } = cluster;
    const [first] = master.links;
    master.acknowledge = false;
    await until("the first link to go", () => first !== undefined && !master.links.has(first));
    const sent = master.reports.length;
    master.acknowledge = true;
    await until("reports again", () => master.reports.length > sent + 2);
    expect(master.registrations).toHaveLength(1);
  });

  it("gives way to heartbeats where no WebSocket can be had, with the same reports", async () => {
    const master = await new FakeMaster().start();
    const starting = startTestCluster({ master });
    cluster = await starting;
    master.refuseLinks = { status: 426, code: "UPGRADE_REQUIRED" };
    for (const link of master.links) link.terminate();
    await cluster.joined({ rsv: "seat" });
    const beat = await until("a heartbeat", () => master.heartbeats.find((report) => report.joined.length > 0));
    expect(beat).toMatchObject({ full: true, players: 1, joined: [{ reservationId: "seat" }] });
    master.refuseLinks = undefined;
    await master.linked();
    expect(master.registrations).toHaveLength(1);
  });

  it("[TICKET-13] promises that a ticket whose seat was given back joins no more, unless somebody has joined with it", async () => {
    cluster = await startTestCluster();
    const { master } = cluster;
    await cluster.joined({ rsv: "used", sub: "player", gen: 1 });
    const [link] = master.links;
    const expiresAt = Math.ceil(Date.now() / 1_000) + 60;
    for (const reservationId of ["used", "unused"]) {
      link?.send(JSON.stringify({ type: "cancel", reservationId, playerId: "p", generation: 2, expiresAt }));
    }
    const promises = await until("the promise", () => master.reports.find(({ cancelled }) => cancelled !== undefined));
    expect(promises.cancelled).toEqual([{ reservationId: "unused", playerId: "p", generation: 2 }]);
    const client = await cluster.connected();
    client.join(await master.ticket({ rsv: "unused" }));
    expect((await client.next("reject")).code).toBe(closeCodes.EXPIRED.number);
    await cluster.joined({ rsv: "another" });
  });

  it("passes over commands that it does not know", async () => {
    cluster = await startTestCluster();
    const [link] = cluster.master.links;
    for (const text of ["{}", "[", '{"type":"dance"}', '{"type":"fence"}', "null", "pong"]) link?.send(text);
    link?.send(Buffer.from([1, 2, 3]));
    await until("more pings", () => cluster.master.pings > 5);
    expect(cluster.master.links.size).toBe(1);
  });
});

describe("a session that has ended", () => {
  it.each<[string, (master: FakeMaster) => void]>([
    ["by the link's close code", (master) => master.endLinks(linkCloseCodes.REGISTER_AGAIN)],
    [
      "by a refused upgrade",
      (master) => {
        master.boot += 10;
        for (const link of master.links) link.terminate();
      },
    ],
  ])("is followed by another registration: %s", async (_how, end) => {
    cluster = await startTestCluster();
    const { master } = cluster;
    const playing = await cluster.joined({ rsv: "stays" });
    const oldBoot = master.boot;
    const early = await master.ticket({ boot: oldBoot });
    const stale = await master.ticket({ boot: oldBoot - 1 });
    end(master);
    await until("another registration", () => master.registrations.length === 2);
    await master.linked();
    const told = await until("a full report", () =>
      master.reports.findLast((report) => report.full && report.players === 1),
    );
    expect(told.joined.map(({ reservationId }) => reservationId)).toEqual(["stays"]);
    expect(playing.closed).toBe(false);
    // A ticket of the epoch before is still one for this very process; once.
    const client = await cluster.connected();
    client.join(early);
    await client.next("welcome");
    await cluster.joined();
    for (const [ticket, code] of [
      [early, closeCodes.REPLAYED],
      [stale, closeCodes.STALE_BOOT],
    ] as const) {
      const refused = await cluster.connected();
      refused.join(ticket);
      expect((await refused.next("reject")).code).toBe(code.number);
    }
    expect(events().filter((event) => event === "ready")).toHaveLength(1);
  });
});

describe("another layout of the world", () => {
  const meadow = { name: "meadow", min: [0, 0], max: [100, 100] };
  const layoutWith = (settings: object) => assertLayout({ fragment: [{ ...meadow, ...settings }] });

  async function startWithWorld(pace: Partial<LinkPace> = {}): Promise<FakeMaster> {
    cluster = await startTestCluster({ settings: { world: layoutWith({}) }, pace });
    return cluster.master;
  }

  /** What the master has been told of tickets to the meadow. */
  const lifetimeTold = () => cluster.master.registrations.at(-1)?.world?.fragments[0]?.ticketLifetimeSeconds;

  it("is no other registration where the master would be told the same, and players go on coming", async () => {
    const master = await startWithWorld();
    const links = [...master.links];
    cluster.server.changeLayout(layoutWith({ speed_limit: 5, capacity: 3, view_range: 20 }));
    await cluster.joined({ rsv: "after" });
    await until("the seat to be reported", () =>
      master.reports.some(({ joined }) => joined.some(({ reservationId }) => reservationId === "after")),
    );
    expect(master.registrations).toHaveLength(1);
    expect([...master.links]).toEqual(links);
  });

  it("is another registration where it is not the same, and its link ends in order: nobody is suspect", async () => {
    const master = await startWithWorld();
    const codes: number[] = [];
    for (const link of master.links) link.on("close", (code) => codes.push(code));
    cluster.server.changeLayout(layoutWith({ ticket_lifetime_seconds: 90 }));
    await until("another registration", () => master.registrations.length === 2);
    expect(master.registrations[1]?.world?.fragments).toMatchObject([{ name: "meadow", ticketLifetimeSeconds: 90 }]);
    expect(codes).toEqual([1000]);
    await master.linked();
    expect(events()).not.toContain("link-lost");
    expect(events()).not.toContain("session-ended");
  });

  it("ends in order also a link that the master has taken and the cluster is not told of yet", async () => {
    const master = await startWithWorld();
    const codes: number[] = [];
    const { links } = master;
    const add = links.add.bind(links);
    vi.spyOn(links, "add").mockImplementationOnce((link) => {
      link.on("close", (code) => codes.push(code));
      cluster.server.changeLayout(layoutWith({ ticket_lifetime_seconds: 90 }));
      return add(link);
    });
    master.endLinks(linkCloseCodes.REGISTER_AGAIN);
    await until("another registration", () => master.registrations.length === 3);
    expect(codes).toEqual([1000]);
  });

  it("is told also to a master that does not take the end of the link", async () => {
    const master = await startWithWorld({ connectTimeoutMs: 200 });
    for (const link of master.links) link.pause();
    cluster.server.changeLayout(layoutWith({ ticket_lifetime_seconds: 90 }));
    await until("another registration", () => master.registrations.length === 2);
    expect(lifetimeTold()).toBe(90);
  });

  it("is told also where it came while the cluster was registering", async () => {
    const master = await startWithWorld();
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdRegister = promise;
    master.endLinks(linkCloseCodes.REGISTER_AGAIN);
    await until("a registration on its way", () => master.registrations.length === 2);
    cluster.server.changeLayout(layoutWith({ ticket_lifetime_seconds: 90 }));
    resolve();
    await until("one that says so", () => master.registrations.length === 3);
    expect(lifetimeTold()).toBe(90);
  });

  it("is told also where it came while the link was down", async () => {
    const master = await startWithWorld();
    master.refuseLinks = { status: 503, code: "INTERNAL" };
    for (const link of master.links) link.terminate();
    await until("a heartbeat in its place", () => master.heartbeats.length > 0);
    cluster.server.changeLayout(layoutWith({ ticket_lifetime_seconds: 90 }));
    master.refuseLinks = undefined;
    await until("another registration", () => master.registrations.length === 2);
    expect(lifetimeTold()).toBe(90);
  });
});

it("tells a master that has forgotten of everyone, however many they are", async () => {
  cluster = await startTestCluster();
  const { master } = cluster;
  const { keyId, privateKey } = await loadClusterKey(cluster.keysDir, "cluster_key");
  const [request] = master.registrations;
  if (request === undefined) throw new Error("no registration");
  // The cluster itself, as far as the master can tell; but with seats that nobody had to join for.
  await cluster.server.stop();
  const link = new MasterLink({
    client: new MasterClient(master.url),
    masterUrl: master.url,
    key: { keyId, privateKey },
    publicKeyFile: "",
    request: () => request,
    facts: () => ({}),
    desk: { cancel: () => true, learn: () => Promise.resolve(), changeKeys: () => Promise.resolve(true) },
    clock: systemClock,
    random: Math.random,
    log: cluster.log,
    pace: { retryMs: [20, 100], refusedRetryMs: [20, 100], connectTimeoutMs: 5_000, ackTimeoutMs: 5_000 },
    onRegistered: () => undefined,
    onFence: () => undefined,
    onOrders: () => undefined,
    onRevoke: () => undefined,
    onMail: () => undefined,
    onSession: () => undefined,
    onUp: () => undefined,
    onWorldVersion: () => undefined,
    onSuperseded: () => undefined,
  });
  for (let index = 0; index < 1_500; index += 1) {
    link.joined({ reservationId: `seat-${index}`, playerId: `player-${index}`, generation: 1 });
  }
  link.start();
  await told(1_500);
  master.endLinks(linkCloseCodes.REGISTER_AGAIN);
  await until("another registration", () => master.registrations.length === 3);
  await told(1_500);
  await link.stop(1_000);

  /** Waits until reports since the last call have named so many players. */
  async function told(count: number): Promise<void> {
    const seats = new Set<string>();
    await until("everyone to be told of", () => {
      for (const { full, joined, players } of master.reports.splice(0)) {
        if (players === 0) continue;
        expect(full).toBe(false);
        for (const { reservationId } of joined) seats.add(reservationId);
      }
      return seats.size === count;
    });
  }
});

describe("a newer process with the same key and instance, or the end of the key", () => {
  it.each<[string, FenceReason | undefined, (master: FakeMaster) => void]>([
    ["by the link's close code", undefined, (master) => master.endLinks(linkCloseCodes.FENCED, "FENCED")],
    ["by the link's close code", "key-ended", (master) => master.endLinks(linkCloseCodes.FENCED, "FENCED key-ended")],
    [
      "by a refused upgrade",
      "newer-process",
      (master) => {
        master.refuseLinks = { status: 409, code: "CLUSTER_FENCED", fencedBy: "newer-process" };
        for (const link of master.links) link.terminate();
      },
    ],
    [
      "by a refused heartbeat",
      "key-ended",
      (master) => {
        master.refuseLinks = { status: 503, code: "INTERNAL" };
        master.refuse = { status: 409, code: "CLUSTER_FENCED", fencedBy: "key-ended" };
        for (const link of master.links) link.terminate();
      },
    ],
  ])(
    "ends this one: it learns that %s, as far as the master says why (%s), and does not deregister",
    async (...given) => {
      const [, fencedBy, fence] = given;
      cluster = await startTestCluster();
      fence(cluster.master);
      expect(await cluster.server.superseded).toEqual({ fencedBy });
      await cluster.server.stop();
      expect(cluster.master.registrations).toHaveLength(1);
      expect(cluster.master.deregistered).toBe(0);
      expect(cluster.master.calls.some((call) => call.startsWith("DELETE"))).toBe(false);
    },
  );
});
