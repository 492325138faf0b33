/** Handovers over real TLS connections, between clusters that say what a test has them say. */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import {
  allFeatures,
  type Allocation,
  encodeAhead,
  encodeMessage,
  encodeRedirect,
  encodeReject,
  encodeResumeToken,
  encodeStay,
  encodeStreams,
  encodeWelcome,
} from "../../protocol/index.ts";
import { systemClock } from "./clock.ts";
import type { ConnectionContext } from "./connection.ts";
import { ConnectionAhead } from "./connection-ahead.ts";
import { GameSession } from "./game-session.ts";
import { nodeTlsTransport } from "./node-tls.ts";
import { arriveConnection, openConnection, resumeConnection } from "./opening.ts";
import { type Peer, sampleWelcome, type ScriptedCluster, startScriptedCluster } from "./testing/scripted-cluster.ts";

const id = "01".repeat(16);
const key = randomBytes(16).toString("hex");
const token = "h.t.s";
const empty = new Uint8Array(0);
const tenure = 1_048_576;

const clusters: ScriptedCluster[] = [];
const sessions: GameSession[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.leave();
  for (const cluster of clusters.splice(0)) await cluster.close();
});

const message = (command: number): Uint8Array => encodeMessage({ command, payload: empty });
const tokenFrame = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(1) });

async function startCluster(script: (peer: Peer, index: number) => Promise<void> | void): Promise<ScriptedCluster> {
  const cluster = await startScriptedCluster(script);
  clusters.push(cluster);
  return cluster;
}

function welcome(peer: Peer, received: number | "fresh", cluster = "there"): void {
  const streams =
    received === "fresh" ? { tenure, received: 0, fresh: true } : { tenure: tenure + 1, received, fresh: false };
  peer.send(encodeWelcome({ ...sampleWelcome, features: allFeatures, cluster }), encodeStreams(streams), tokenFrame);
}

function redirect(cluster: Allocation["cluster"], change: Partial<Allocation["cluster"]["tls"]> = {}): Uint8Array {
  const address = { ...cluster, id: "there", tls: { ...cluster.tls, ...change } };
  return encodeRedirect({ id, key, boot: 3, cluster: address, token });
}

interface Journey {
  readonly session: GameSession;
  readonly home: Peer;
  readonly events: string[];
  /** Ids of the clusters to which it has opened connections. */
  readonly tries: string[];
}

/**
 * A session on a cluster of its own, that allocates nothing: it ends instead.
 *
 * @param arriveMs how long it waits for the answer to ARRIVE
 */
async function join(arriveMs = 5_000): Promise<Journey> {
  const homes: Peer[] = [];
  const tries: string[] = [];
  const here = await startCluster(async (peer) => {
    homes.push(peer);
    await peer.next("join");
    welcome(peer, "fresh", "here");
  });
  const context: ConnectionContext = {
    transport: {
      connect: (cluster, handlers, signal) => {
        tries.push(cluster.id);
        return nodeTlsTransport.connect(cluster, handlers, signal);
      },
    },
    clock: systemClock,
    clientName: "test/1",
    connectTimeoutMs: 5_000,
    joinTimeoutMs: 5_000,
    leaveTimeoutMs: 500,
    maxQueuedBytes: 65_536,
  };
  const joined = await openConnection({ cluster: here.address, ticket: "t" }, context);
  const session = new GameSession(joined, {
    clock: systemClock,
    rejoin: undefined,
    stableMs: 0,
    resumption: {
      open: (memory, signal) => resumeConnection(memory, context, signal),
      clock: systemClock,
      random: () => 0,
    },
    arrive: (memory, to, signal, ahead) =>
      arriveConnection(memory, to, { ...context, joinTimeoutMs: arriveMs }, signal, ahead),
    openAhead: (cluster) => new ConnectionAhead(cluster, context),
  });
  sessions.push(session);
  const events: string[] = [];
  session.on("message", ({ command }) => events.push(`message ${command}`));
  session.on("moving", () => events.push("moving"));
  session.on("moved", ({ welcome: { cluster } }) => events.push(`moved ${cluster}`));
  session.on("close", ({ code }) => events.push(`close ${code}`));
  const [home] = homes;
  if (home === undefined) throw new Error("nobody has come");
  return { session, home, events, tries };
}

describe("over TLS", () => {
  it("[REDIRECT-3] [ARRIVE-7] a player goes on at a cluster with a certificate of its own, and nothing is lost or doubled", async () => {
    const { session, home, events } = await join();
    const there = await startCluster(async (peer) => {
      const { position, key: shown } = await peer.next("arrive");
      expect([position, shown]).toEqual([{ tenure, received: 1, acknowledged: 0 }, key]);
      welcome(peer, 1);
      peer.send(message(12));
      expect((await peer.next("message")).command).toBe(2);
      expect((await peer.next("message")).command).toBe(3);
      peer.send(message(13));
    });
    session.send(1);
    session.send(2);
    home.send(message(11), redirect(there.address));
    session.send(3);
    await expect.poll(() => events).toContain("message 13");
    expect(events).toEqual(["message 11", "moving", "moved there", "message 12", "message 13"]);
    await home.closed;
    expect(home.received.map(({ type }) => type)).not.toContain("close");
    expect(there.faults).toEqual([]);
  });

  it("[FRAME-1] whatever pieces the answer comes in", async () => {
    const { session, home, events } = await join();
    const there = await startCluster(async (peer) => {
      await peer.next("arrive");
      const frames = [
        encodeWelcome({ ...sampleWelcome, features: allFeatures, cluster: "there" }),
        encodeStreams({ tenure: tenure + 1, received: 0, fresh: false }),
        tokenFrame,
        message(9),
      ];
      peer.socket.setNoDelay(true);
      for (const byte of Buffer.concat(frames)) peer.socket.write(Uint8Array.of(byte));
    });
    home.send(redirect(there.address));
    await expect.poll(() => events).toContain("message 9");
    expect(session.welcome.cluster).toBe("there");
  });

  it("[REDIRECT-3] shows nothing to a cluster that is not the one of the redirect", async () => {
    const { session, home, events } = await join();
    const there = await startCluster(() => undefined);
    const other = await startCluster(() => undefined);
    home.send(redirect(there.address, { caPem: other.address.tls.caPem, sha256: other.address.tls.sha256 }));
    home.socket.end();
    expect((await session.closed).code).toBe("CONNECTION_LOST");
    expect(events).toEqual(["moving", "close CONNECTION_LOST"]);
    expect(there.peers.flatMap(({ received }) => received)).toEqual([]);
  });

  it("[AHEAD-2] [AHEAD-3] a player arrives over the connection that was opened ahead, and ends the one that was not needed", async () => {
    const { session, home, events } = await join();
    const there = await startCluster(async (peer) => {
      await peer.next("arrive");
      welcome(peer, 0);
    });
    const cluster = { ...there.address, id: "there" };
    home.send(encodeAhead({ id: "02".repeat(16), cluster }));
    await expect.poll(() => there.peers.length).toBe(1);
    home.send(encodeStay({ id: "02".repeat(16) }), encodeAhead({ id, cluster }));
    await expect.poll(() => there.peers.length).toBe(2);
    await there.peers[0]?.closed;
    home.send(redirect(there.address));
    await expect.poll(() => events).toEqual(["moving", "moved there"]);
    expect(session.state).toBe("joined");
    expect(there.peers.map(({ received }) => received.slice(0, 2).map(({ type }) => type))).toEqual([
      [],
      ["hello", "arrive"],
    ]);
  });

  it("[REDIRECT-6] a destination that never answers is given up", async () => {
    const { session, home, tries } = await join(50);
    const there = await startCluster(() => undefined);
    home.send(redirect(there.address));
    expect((await session.closed).code).toBe("CONNECTION_LOST");
    expect(tries.filter((id) => id === "there")).toHaveLength(4);
    await home.closed;
  });

  it("[ARRIVE-4] a destination that knows no such key, while the old side is gone, is the end of it", async () => {
    const { session, home } = await join();
    const there = await startCluster(async (peer) => {
      await peer.next("arrive");
      home.socket.end();
      await home.closed;
      peer.socket.end(encodeReject("ARRIVAL_UNKNOWN"));
    });
    home.send(redirect(there.address));
    expect((await session.closed).code).toBe("CONNECTION_LOST");
    expect(there.peers).toHaveLength(1);
  });

  it.each([
    ["a token that is too long", 0xff, 0xff],
    ["no token", 0, 0],
  ])("[REDIRECT-1] %s ends the session", async (_what, low, high) => {
    const { session, home } = await join();
    const there = await startCluster(() => undefined);
    const frame = Buffer.from(redirect(there.address));
    frame.set([low, high], frame.length - token.length - 2);
    home.send(frame);
    expect((await session.closed).code).toBe("BAD_FRAME");
    expect(there.peers).toEqual([]);
  });
});
