/** Clusters of one world that find each other: real clusters over TLS, and a master that keeps their map. */
import { connect } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import { closeCodes, KindTable } from "../../protocol/index.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import type { Layout } from "../fragments/layout.ts";
import { FakeMaster } from "../testing/fake-master.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import type { PeerMessage } from "./handover-codec.ts";
import { maxBurstUnits, unitsOf, unitsPerSecond } from "./handover-toll.ts";
import { encodeGhostKinds, encodeGhostView } from "../world/ghost-frame.ts";
import { encodePeerFrameHead, peerFrameKinds } from "./peer-frame.ts";
import { maxGhostBytesInTurn } from "./world-peers.ts";

const fragment = [
  { name: "west", min: [-50, -50], max: [0, 50] },
  { name: "east", min: [0, -50], max: [50, 50] },
];
/** Without a name: all. */
const carrying = (...carries: readonly string[]): Layout =>
  assertLayout({ world: carries.length === 0 ? {} : { carries }, fragment });

/** A cluster, and what it heard from its peers. */
interface Member {
  readonly cluster: TestCluster;
  readonly events: string[];
  readonly messages: { readonly from: ClusterRef; readonly message: PeerMessage }[];
}

let master: FakeMaster;
let clusters: TestCluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.toReversed()) await cluster.stop();
  clusters = [];
});

async function startMaster(): Promise<void> {
  master = await new FakeMaster().start();
  master.manyClusters = true;
}

async function start(instance: string, world: Layout, options: TestClusterOptions = {}): Promise<Member> {
  const settings = { instance, world, worldName: "main", drainSeconds: 0, ...options.settings };
  const cluster = await startTestCluster({ ...options, master, settings });
  clusters.push(cluster);
  const events: string[] = [];
  const messages: Member["messages"] = [];
  cluster.server.peers?.listen({
    onUp: ({ clusterId, boot }) => events.push(`up ${clusterId} ${boot}`),
    onDown: ({ clusterId, boot }) => events.push(`down ${clusterId} ${boot}`),
    onMessage: (from, message) => messages.push({ from, message }),
  });
  return { cluster, events, messages };
}

const linked = ({ cluster }: Member): readonly ClusterRef[] => cluster.server.peers?.linked ?? [];
const id = "0123456789abcdef";

describe("clusters of one world", () => {
  it("find each other by the map, know who carries what, and pass messages on with the boot of their sender", async () => {
    await startMaster();
    const west = await start("a", carrying("west"));
    const east = await start("b", carrying("east"));
    await until("the link", () => linked(west).length === 1 && linked(east).length === 1);
    expect(linked(west)).toEqual([east.cluster.server.peers?.self]);
    expect(linked(east)).toEqual([west.cluster.server.peers?.self]);
    const carrier = { fragment: "east", ...east.cluster.server.peers?.self, linked: true };
    expect(west.cluster.server.peers?.carrierOf(10, 0, 0)).toEqual(carrier);
    expect(west.cluster.server.peers?.carrierOf(-10, 0, 0)).toBeUndefined();
    const state = Uint8Array.of(1, 2, 255);
    const streams = { tenure: 1, past: [], lastInput: 2, lastOutput: 3, unacknowledged: [Uint8Array.of(9)] };
    const members = [{ playerId: "ann", generation: 1, key: id, snapshot: { state, streams } }];
    expect(west.cluster.server.peers?.send("default.b", { type: "transfer", id, members })).toBe(true);
    await until("the message", () => east.messages.length === 1);
    expect(JSON.stringify(east.messages)).toBe(
      JSON.stringify([
        {
          from: west.cluster.server.peers?.self,
          message: {
            type: "transfer",
            id,
            members: [{ ...members[0], snapshot: { state: Buffer.from(state), streams: writtenStreams(streams) } }],
          },
        },
      ]),
    );
    expect(east.cluster.server.peers?.send("default.c", { type: "ready", id })).toBe(false);
  });

  it("link again when one of them has been started anew, and when its registration was repeated", async () => {
    await startMaster();
    const west = await start("a", carrying("west"));
    const east = await start("b", carrying("east"));
    await until("the link", () => linked(west).length === 1 && linked(east).length === 1);
    const first = linked(west)[0]?.boot ?? 0;
    await east.cluster.server.stop();
    await until("its end", () => west.events.at(-1) === `down default.b ${first}`);
    const again = await start("b", carrying("east"));
    await until("the next link", () => linked(west)[0]?.boot === first + 1 && linked(again).length === 1);
    expect(west.events).toEqual([`up default.b ${first}`, `down default.b ${first}`, `up default.b ${first + 1}`]);
    // The cluster that dials registers again, without having died: those that it links to are told of its new boot.
    const longer = fragment.map((one) => Object.assign({}, one, { ticket_lifetime_seconds: 90 }));
    west.cluster.server.changeLayout(assertLayout({ world: { carries: ["west"] }, fragment: longer }));
    await until("the link of the new boot", () => linked(again)[0]?.boot === first + 2);
    await until("the same at the other side", () => linked(west).length === 1);
  });

  it("[WORLD-1] carry what the map gives them: a standby takes over when the carrier is gone, and not before", async () => {
    await startMaster();
    const carrier = await start("a", carrying());
    const standby = await start("b", carrying());
    const world = () => standby.cluster.log.lines.findLast(({ fields }) => fields["event"] === "world-map")?.fields;
    await until("the map", () => world() !== undefined);
    expect(world()).toMatchObject({ world: "main", carried: [] });
    const refused = await standby.cluster.connected();
    refused.join(await master.ticket({ aud: "default.b" }));
    expect((await refused.next("reject")).code).toBe(closeCodes.FULL.number);
    await carrier.cluster.server.stop();
    await until(
      "the next map",
      () => world()?.["carried"] !== undefined && String(world()?.["carried"]) === "west,east",
    );
    await standby.cluster.joined({ aud: "default.b" });
  });

  it("carry on with what they announce while the master has no map for them", async () => {
    await startMaster();
    master.changeMap = () => {
      throw new Error("no map");
    };
    const west = await start("a", carrying("west"));
    await until("a failed fetch", () => west.cluster.log.text().includes("world-map-failed"));
    const client = await west.cluster.connected();
    client.join(await master.ticket({ aud: "default.a", frag: "west" }));
    expect((await client.next("welcome")).fragment).toBe("west");
    master.changeMap = (map) => map;
    await until("the map", () => west.cluster.log.text().includes('"carried":["west"]'));
  });
});

describe("a link between clusters", () => {
  it("is not made where the certificate is not the one of the map", async () => {
    await startMaster();
    master.changeMap = (map) => ({
      ...map,
      clusters: map.clusters.map((cluster) => {
        const other = map.clusters.find(({ clusterId }) => clusterId !== cluster.clusterId)?.peer;
        return cluster.peer === undefined || other === undefined
          ? cluster
          : { ...cluster, peer: { ...cluster.peer, tls: { ...cluster.peer.tls, caPem: other.tls.caPem } } };
      }),
    });
    const west = await start("a", carrying("west"));
    const east = await start("b", carrying("east"));
    await until("a try", () => west.cluster.log.text().includes("peer-unreachable"));
    expect([linked(west), linked(east)]).toEqual([[], []]);
    expect(west.cluster.server.peers?.carrierOf(10, 0, 0)).toMatchObject({ clusterId: "default.b", linked: false });
    master.changeMap = (map) => map;
    master.worldChanged();
    await until("the link", () => linked(west).length === 1 && linked(east).length === 1);
  });

  it("ends over a message that is none, and is made again", async () => {
    await startMaster();
    const west = await start("a", carrying("west"));
    const east = await start("b", carrying("east"));
    await until("the link", () => linked(west).length === 1 && linked(east).length === 1);
    const broken = { type: "prepare", id, members: [], unheardOf: 1 } as const;
    west.cluster.server.peers?.send("default.b", broken);
    await until("its end", () => east.events.length === 3);
    expect(east.events.map((event) => event.split(" ")[0])).toEqual(["up", "down", "up"]);
    expect(east.messages).toEqual([]);
  });

  it("[PEER-3] is opened by nothing but the master's ticket for this process, in time", async () => {
    await startMaster();
    const east = await start("b", carrying("east"));
    const here = { clusterId: "default.b" };
    const now = Math.floor(Date.now() / 1_000);
    const stranger = await master.addKey("stranger", false);
    const from = { clusterId: "default.a", boot: 1 };
    const bad = [
      await master.peerTicket(from, here, { now: now - 120 }),
      await master.peerTicket(from, here, { now: now + 120 }),
      await master.peerTicket(from, here, { world: "other" }),
      await master.peerTicket(from, here, { issuer: "https://master.example.com" }),
      await master.peerTicket(from, { ...here, boot: 1 }),
      await master.peerTicket(from, { clusterId: "default.c" }, { world: "main" }),
      await master.peerTicket({ clusterId: "default.c", boot: 1 }, here),
      await master.peerTicket(from, here, {}, stranger),
      await master.ticket({ aud: "default.b" }),
    ];
    for (const ticket of bad) expect(await knock(ticket)).toBe("refused");
    expect(await knock(await master.peerTicket(from, here))).toBe("welcome");
    expect(east.events).toEqual([]);
  });

  it("[PEER-7] is up once the other has said where players reach it, and says so again when that changes", async () => {
    await startMaster();
    const west = await start("a", carrying("west"));
    const east = await start("b", carrying("east"));
    await until("the link", () => linked(west).length === 1 && linked(east).length === 1);
    const { host, port, name, tls } = master.registrations.at(-1) ?? {};
    expect(west.cluster.server.peers?.addressOf("default.b")).toEqual({ id: "default.b", host, port, name, tls });
    expect(west.cluster.server.peers?.addressOf("default.c")).toBeUndefined();
  });

  it("[PEER-8] takes a thousand players at once", async () => {
    await startMaster();
    const west = await start("a", carrying("west"));
    const east = await start("b", carrying("east"));
    await until("the link", () => linked(west).length === 1 && linked(east).length === 1);
    const streams = { tenure: 1, past: [], lastInput: 2, lastOutput: 3, unacknowledged: [] };
    const snapshot = { state: new Uint8Array(2_048), streams };
    const item = { kind: "input", sequence: 1, body: new Uint8Array(64) } as const;
    for (let player = 0; player < 1_000; player += 1) {
      const [handover, playerId] = [String(player).padStart(32, "0"), `player-${player}`];
      const said: PeerMessage[] = [
        { type: "prepare", id: handover, members: [{ playerId, generation: 1 }] },
        { type: "transfer", id: handover, members: [{ playerId, generation: 1, key: id, snapshot }] },
        { type: "commit", id: handover, token: "x".repeat(600) },
        ...Array.from({ length: 20 }, (_, at) => ({
          type: "forward" as const,
          id: handover,
          playerId,
          index: at + 1,
          item,
        })),
        { type: "finished", id: handover },
      ];
      for (const message of said) west.cluster.server.peers?.send("default.b", message);
    }
    const last = "999".padStart(32, "0");
    await until("all of it", () =>
      east.messages.some(({ message }) => message.type === "finished" && message.id === last),
    );
    expect(east.cluster.server.metrics.peerRests).toBe(0);
    expect([linked(west).length, linked(east).length]).toEqual([1, 1]);
  });

  it("[PEER-8] is read slowly where too much is said of handovers, and others' links as ever", async () => {
    await startMaster();
    const east = await start("b", carrying("east"));
    const other = await start("c", carrying("west"));
    await until("the link", () => linked(east).length === 1 && linked(other).length === 1);
    const { host, port, name, tls } = master.registrations.at(-1) ?? {};
    const address = Buffer.from(JSON.stringify({ id: "default.a", host, port, name, tls }));
    const bogus = Buffer.from(JSON.stringify({ type: "commit", id, token: "x" }));
    const frame = Buffer.concat([encodePeerFrameHead(peerFrameKinds.handover, bogus.length), bogus]);
    const flood = Array.from({ length: 20_000 }, () => frame);
    const sinceMs = performance.now();
    void knock(
      await master.peerTicket({ clusterId: "default.a", boot: 1 }, { clusterId: "default.b" }),
      Buffer.concat([encodePeerFrameHead(peerFrameKinds.address, address.length), address, ...flood]),
    );
    await until("a rest", () => east.cluster.server.metrics.peerRests > 0);
    other.cluster.server.peers?.send("default.b", { type: "ready", id });
    const heardOf = (clusterId: string) => east.messages.filter(({ from }) => from.clusterId === clusterId).length;
    await until("another's message", () => heardOf("default.c") === 1);
    const taken = heardOf("default.a") * unitsOf({ type: "commit" }, bogus.length);
    const most = maxBurstUnits + (unitsPerSecond * (performance.now() - sinceMs)) / 1_000;
    expect(taken).toBeLessThanOrEqual(most + unitsOf({ type: "commit" }, bogus.length));
    expect(east.events.filter((event) => event.startsWith("down"))).toEqual([]);
    expect(east.cluster.log.text().match(/"peer-resting"/g)).toHaveLength(1);
  });

  it("[GHOST-6] is read by the turn where it tells much of ghosts, with nothing lost", async () => {
    await startMaster();
    const east = await start("b", carrying("east"));
    const { host, port, name, tls } = master.registrations.at(-1) ?? {};
    const address = Buffer.from(JSON.stringify({ id: "default.a", host, port, name, tls }));
    // Of entities that enter, as many as may be, and of which nothing is told.
    const identities = Array.from({ length: 1_000 }, (_, at) => ({ number: at + 1, identity: "00000000000000aa" }));
    const body = encodeGhostView(identities, Uint8Array.from([1, 0, 0, 0, 0, 0]));
    const said = [encodeGhostKinds(new KindTable([])), ...Array.from({ length: 600 }, () => body)];
    let heard = 0;
    let inTurn = 0;
    let most = 0;
    east.cluster.server.peers?.listen({
      onUp: () => undefined,
      onDown: () => undefined,
      onGhosts: (_from, { length }) => {
        heard += 1;
        if (inTurn === 0) {
          setImmediate(() => {
            most = Math.max(most, inTurn);
            inTurn = 0;
          });
        }
        inTurn += length;
      },
    });
    void knock(
      await master.peerTicket({ clusterId: "default.a", boot: 1 }, { clusterId: "default.b" }),
      Buffer.concat([
        encodePeerFrameHead(peerFrameKinds.address, address.length),
        address,
        ...said.flatMap((one) => [encodePeerFrameHead(peerFrameKinds.ghosts, one.length), one]),
      ]),
    );
    await until("all of it", () => heard === said.length);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(maxGhostBytesInTurn + body.length);
    expect(east.events.filter((event) => event.startsWith("down"))).toEqual([]);
    expect(east.cluster.server.metrics.peerRests, "that is about handovers").toBe(0);
  });

  it("[PEER-8] pays on its next links what it owes, before anything is read of them", async () => {
    await startMaster();
    const east = await start("b", carrying("east"));
    const { host, port, name, tls } = master.registrations.at(-1) ?? {};
    const address = Buffer.from(JSON.stringify({ id: "default.a", host, port, name, tls }));
    const bogus = Buffer.from(JSON.stringify({ type: "commit", id, token: "x" }));
    const frame = Buffer.concat([encodePeerFrameHead(peerFrameKinds.handover, bogus.length), bogus]);
    const ticket = await master.peerTicket({ clusterId: "default.a", boot: 1 }, { clusterId: "default.b" });
    const flood = Buffer.concat([
      encodePeerFrameHead(peerFrameKinds.address, address.length),
      address,
      ...Array.from({ length: 20_000 }, () => frame),
    ]);
    const sinceMs = performance.now();
    for (let link = 0; link < 12; link += 1) {
      const before = east.cluster.server.metrics.peerRests;
      void knock(ticket, flood);
      await until("a rest", () => east.cluster.server.metrics.peerRests > before);
    }
    const taken = east.messages.length * unitsOf({ type: "commit" }, bogus.length);
    const most = maxBurstUnits + (unitsPerSecond * (performance.now() - sinceMs)) / 1_000;
    expect(taken).toBeLessThanOrEqual(most + unitsOf({ type: "commit" }, bogus.length));
  });

  it.each([
    ["says something else", peerFrameKinds.handover, { type: "ready", id }],
    ["says nothing of its address", peerFrameKinds.address, { id: "default.a" }],
    ["says another's address", peerFrameKinds.address, { id: "default.b", isWhole: true }],
    ["says what no client could be told", peerFrameKinds.address, { isWhole: true, host: "\u00e9".repeat(200) }],
    ["says an address at no port that there is", peerFrameKinds.address, { isWhole: true, port: 0 }],
  ])("[PEER-7] is lost by who first %s", async (_what, kind, { isWhole, ...said }: Record<string, unknown>) => {
    await startMaster();
    const east = await start("b", carrying("east"));
    const { host, port, name, tls } = master.registrations.at(-1) ?? {};
    const whole = isWhole === true ? { id: "default.a", host, port, name, tls } : {};
    const body = Buffer.from(JSON.stringify({ ...whole, ...said }));
    const from = { clusterId: "default.a", boot: 1 };
    const ticket = await master.peerTicket(from, { clusterId: "default.b" });
    expect(await knock(ticket, Buffer.concat([encodePeerFrameHead(kind, body.length), body]))).toBe("refused");
    expect(east.events).toEqual([]);
    // The same with an address of its own.
    const good = Buffer.from(JSON.stringify({ id: "default.a", host, port, name, tls }));
    void knock(ticket, Buffer.concat([encodePeerFrameHead(peerFrameKinds.address, good.length), good]));
    await until("the link", () => east.events.length === 1);
    expect(east.events).toEqual(["up default.a 1"]);
  });
});

/** Shows a ticket at the peers' port of a cluster, says `more` once it is welcome, and tells how that goes. */
async function knock(ticket: string, more?: Uint8Array): Promise<"refused" | "welcome"> {
  const { peer } = master.map("default.b").clusters[0] ?? {};
  if (peer === undefined) throw new Error("it takes peers");
  const { host, port, tls } = peer;
  const socket = connect({ host, port, servername: tls.serverName, ca: tls.caPem });
  const { promise, resolve } = Promise.withResolvers<"refused" | "welcome">();
  const heard: Buffer[] = [];
  let isWelcome = false;
  socket.on("error", () => undefined);
  socket.on("close", () => resolve("refused"));
  socket.on("data", (chunk: Buffer) => {
    heard.push(chunk);
    if (isWelcome || !Buffer.concat(heard).includes(Buffer.from([1, 0, 0, 0, peerFrameKinds.welcome]))) return;
    isWelcome = true;
    if (more === undefined) resolve("welcome");
    else socket.write(more);
  });
  socket.on("secureConnect", () => {
    socket.write(encodePeerFrameHead(peerFrameKinds.hello, ticket.length));
    socket.write(ticket);
  });
  const outcome = await promise;
  socket.destroy();
  return outcome;
}

function writtenStreams(streams: { readonly unacknowledged: readonly Uint8Array[] }): object {
  return { ...streams, unacknowledged: streams.unacknowledged.map((body) => Buffer.from(body)) };
}
