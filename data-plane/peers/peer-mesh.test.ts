import { mkdtemp, rm } from "node:fs/promises";
import { connect, type TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CryptoKey, generateKeyPair } from "jose";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { signPeerTicket, verifyPeerTicket } from "../../auth/peer-ticket.ts";
import type { WorldCluster, WorldMapView } from "../../protocol/index.ts";
import { type Certificate, ensureCertificate } from "../keys/certificate.ts";
import { createLogger } from "../log.ts";
import { until } from "../testing/until.ts";
import type { PeerConnectionLimits } from "./peer-connection.ts";
import { encodePeerFrameHead, peerFrameKinds } from "./peer-frame.ts";
import { PeerMesh } from "./peer-mesh.ts";

const issuer = "https://master.test";
const seconds = () => Date.now() / 1_000;

let pair: { privateKey: CryptoKey; publicKey: CryptoKey };
const stops: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  pair = await generateKeyPair("ES256");
});

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

/** A cluster as far as its peers see it. */
interface TestPeer {
  readonly mesh: PeerMesh;
  readonly entry: WorldCluster;
  readonly events: string[];
  /** Frames that came, as `from kind body`. */
  readonly heard: string[];
  tickets: number;
  /** What a ticket waits for. */
  holdTickets: Promise<void> | undefined;
  /** It ends each link as soon as that stands. */
  hangsUp: boolean;
  /** It is another process from now on, at the same address. */
  becomes(boot: number): void;
}

const hasty: Partial<PeerConnectionLimits> = { pingMs: 50, silenceMs: 1_000, maxQueuedBytes: 1_000_000 };

async function startPeer(clusterId: string, boot = 1, limits = hasty): Promise<TestPeer> {
  const folder = await mkdtemp(join(tmpdir(), "sustenet-peer-"));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  const certificate: Certificate = await ensureCertificate(folder, "peer", clusterId, new Date());
  const events: string[] = [];
  const heard: string[] = [];
  let self = { clusterId, boot };
  const peer: TestPeer = {
    events,
    heard,
    tickets: 0,
    holdTickets: undefined,
    hangsUp: false,
    becomes: (next) => {
      self = { clusterId, boot: next };
      boots.set(clusterId, next);
    },
    mesh: new PeerMesh({
      lingerMs: 20,
      host: "127.0.0.1",
      port: 0,
      credentials: certificate,
      log: createLogger("silent"),
      random: Math.random,
      nowMs: () => performance.now(),
      self: () => self,
      ticketFor: async (destination) => {
        peer.tickets += 1;
        await peer.holdTickets;
        return ticketOf(self, { clusterId: destination, boot: bootOf(destination) });
      },
      verify: async (shown) => {
        const expected = { issuer, ...self, world: "main", now: seconds() };
        const verdict = await verifyPeerTicket(shown, () => Promise.resolve(pair.publicKey), expected);
        return verdict.ok ? verdict.ticket : undefined;
      },
      listener: {
        onUp: (other, otherBoot) => {
          events.push(`up ${other} ${otherBoot}`);
          if (peer.hangsUp) peer.mesh.end(other, "a test");
        },
        onDown: (other) => events.push(`down ${other}`),
        onFrame: (other, { kind, body }) => heard.push(`${other} ${kind} ${Buffer.from(body).toString()}`),
      },
      limits,
    }),
    get entry() {
      return entry;
    },
  };
  stops.push(() => peer.mesh.stop());
  const listening = await peer.mesh.listen();
  const { serverName, certificatePem: caPem, sha256 } = certificate;
  const entry: WorldCluster = {
    clusterId,
    boot,
    peer: { host: "127.0.0.1", port: listening, tls: { serverName, caPem, sha256 } },
  };
  boots.set(clusterId, boot);
  return peer;
}

const boots = new Map<string, number>();
const bootOf = (clusterId: string): number => boots.get(clusterId) ?? 0;

async function ticketOf(
  source: { readonly clusterId: string; readonly boot: number },
  destination: { readonly clusterId: string; readonly boot: number },
  world = "main",
): Promise<string> {
  const issued = { issuer, now: Math.floor(seconds()) };
  return signPeerTicket({ world, source, destination }, issued, { kid: "k", key: pair.privateKey });
}

function worldOf(...peers: readonly TestPeer[]): WorldMapView {
  return { world: "main", version: 1, fragments: [], clusters: peers.map(({ entry }) => entry) };
}

/** A link between a and b, who dials. */
async function linked(): Promise<{ a: TestPeer; b: TestPeer }> {
  const [a, b] = [await startPeer("eu.a"), await startPeer("eu.b")];
  const world = worldOf(a, b);
  b.mesh.update(world);
  a.mesh.update(world);
  await until("the link", () => a.events.length === 1 && b.events.length === 1);
  return { a, b };
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Somebody who connects to a peer's port and says what it likes. */
async function stranger({ entry }: TestPeer): Promise<TLSSocket & { gone: () => boolean }> {
  if (entry.peer === undefined) throw new Error("a peer listens");
  const { host, port, tls } = entry.peer;
  const socket = connect({ host, port, servername: tls.serverName, ca: tls.caPem });
  let gone = false;
  socket.on("error", () => undefined);
  socket.on("close", () => (gone = true));
  stops.push(() => void socket.destroy());
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  // A socket that is not read does not tell of its end.
  socket.resume();
  return Object.assign(socket, { gone: () => gone });
}

const frame = (kind: (typeof peerFrameKinds)[keyof typeof peerFrameKinds], body: Uint8Array): Buffer =>
  Buffer.concat([encodePeerFrameHead(kind, body.length), body]);

describe("a link between clusters", () => {
  it("[PEER-1] is one, made by the side whose id comes first, and carries frames in order both ways", async () => {
    const { a, b } = await linked();
    expect([a.events, b.events]).toEqual([["up eu.b 1"], ["up eu.a 1"]]);
    expect([a.tickets, b.tickets]).toEqual([1, 0]);
    const large = "x".repeat(300_000);
    for (const text of ["one", "two", large])
      expect(a.mesh.send("eu.b", peerFrameKinds.handover, bytes(text))).toBe(true);
    b.mesh.send("eu.a", peerFrameKinds.ghosts, bytes("back"));
    await until("all", () => b.heard.length === 3 && a.heard.length === 1);
    expect(b.heard).toEqual(["eu.a 16 one", "eu.a 16 two", `eu.a 16 ${large}`]);
    expect(a.heard).toEqual(["eu.b 17 back"]);
    expect(a.mesh.send("eu.c", peerFrameKinds.ghosts, bytes("nobody"))).toBe(false);
  });

  it("is made again when it has broken, and ends when the other leaves the world", async () => {
    const { a, b } = await linked();
    b.mesh.update(worldOf(b));
    await until("its end", () => a.events.includes("down eu.b"));
    b.mesh.update(worldOf(a, b));
    await until("another one", () => a.events.length === 3 && b.events.length === 3);
    expect(a.events).toEqual(["up eu.b 1", "down eu.b", "up eu.b 1"]);
    a.mesh.update(worldOf(a));
    await until("its end", () => b.events.length === 4 && a.events.length === 4);
    expect(a.mesh.bootOf("eu.b")).toBeUndefined();
  });

  it("[PEER-1] is not made again and again without a pause by who ends it each time", async () => {
    const [a, b] = [await startPeer("eu.a"), await startPeer("eu.b")];
    const world = worldOf(a, b);
    b.hangsUp = true;
    b.mesh.update(world);
    const sinceMs = performance.now();
    a.mesh.update(world);
    await until("four links", () => b.events.filter((event) => event.startsWith("up")).length === 4);
    // The least of the pauses between them: half of 250, 500 and 1,000 ms.
    expect(performance.now() - sinceMs).toBeGreaterThan(850);
    expect(a.tickets).toBe(4);
  });

  it("[PEER-4] leads to the newest process: an older one is left for it, and refused", async () => {
    const { a, b } = await linked();
    const newer = await startPeer("eu.a", 2);
    b.mesh.update(worldOf(newer, b));
    newer.mesh.update(worldOf(newer, b));
    await until("the newer one", () => b.mesh.bootOf("eu.a") === 2);
    await until("the end of the older one", () => a.events.includes("down eu.b"));
    const { clusterId, boot } = a.entry;
    const late = await stranger(b);
    late.write(frame(peerFrameKinds.hello, bytes(await ticketOf({ clusterId, boot }, b.entry))));
    await until("its end", late.gone);
    expect(b.mesh.bootOf("eu.a")).toBe(2);
  });

  it("[PEER-4] is to the process that it leads to, also when the map and the process change while it is made", async () => {
    const a = await startPeer("eu.a");
    const older = await startPeer("eu.b", 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    a.holdTickets = promise;
    a.mesh.update(worldOf(a, older));
    await until("the question for a ticket", () => a.tickets === 1);
    // The next process at this address, which has its certificate: the ticket is for that one.
    const newer = { ...older.entry, boot: 2 };
    older.becomes(2);
    a.mesh.update({ ...worldOf(a), version: 2, clusters: [a.entry, newer] });
    resolve();
    await until("the link", () => a.mesh.bootOf("eu.b") === 2);
    expect(a.events).toEqual(["up eu.b 2"]);
  });

  it("[PEER-4] is not made by a process that the map does not show any more", async () => {
    const b = await startPeer("eu.b");
    const newer = { clusterId: "eu.a", boot: 2 };
    b.mesh.update({ ...worldOf(b), clusters: [newer, b.entry] });
    const late = await stranger(b);
    late.write(frame(peerFrameKinds.hello, bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, b.entry))));
    await until("its end", late.gone);
    const next = await stranger(b);
    next.write(frame(peerFrameKinds.hello, bytes(await ticketOf(newer, b.entry))));
    await until("the link", () => b.events.length === 1);
    expect(b.events).toEqual(["up eu.a 2"]);
  });

  it("[PEER-5] is broken when the other side is silent", async () => {
    const [b] = [await startPeer("eu.b")];
    const mute = await stranger(b);
    mute.write(frame(peerFrameKinds.hello, bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, b.entry))));
    await until("the link", () => b.events.length === 1);
    await until("its end", () => b.events.length === 2);
    await until("the socket's end", mute.gone);
    expect(b.events).toEqual(["up eu.a 1", "down eu.a"]);
  });

  it("[PEER-6] is broken when too much waits for it", async () => {
    const [b] = [await startPeer("eu.b")];
    const stuck = await stranger(b);
    stuck.pause();
    stuck.write(frame(peerFrameKinds.hello, bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, b.entry))));
    await until("the link", () => b.events.length === 1);
    const chunk = new Uint8Array(600_000);
    let sent = 0;
    while (b.mesh.send("eu.a", peerFrameKinds.ghosts, chunk) && sent < 1_000) sent += 1;
    expect(sent).toBeLessThan(1_000);
    expect(b.events).toEqual(["up eu.a 1", "down eu.a"]);
  });
});

describe("a stranger at the peers' port", () => {
  it.each([
    ["who shows no ticket", async () => frame(peerFrameKinds.hello, bytes("ticket"))],
    ["who says something else first", async () => frame(peerFrameKinds.handover, bytes("{}"))],
    ["who announces too much", async () => encodePeerFrameHead(peerFrameKinds.hello, 4_096)],
    ["who sends a kind that there is not", async () => Buffer.from([1, 0, 0, 0, 99])],
    ["who sends an empty frame", async () => Buffer.from([0, 0, 0, 0, 0])],
    [
      "with a ticket for another process",
      async () =>
        frame(
          peerFrameKinds.hello,
          bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, { clusterId: "eu.b", boot: 2 })),
        ),
    ],
    [
      "with a ticket of another world",
      async () =>
        frame(
          peerFrameKinds.hello,
          bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, { clusterId: "eu.b", boot: 1 }, "other")),
        ),
    ],
    [
      "whose side does not dial",
      async () =>
        frame(
          peerFrameKinds.hello,
          bytes(await ticketOf({ clusterId: "eu.c", boot: 1 }, { clusterId: "eu.b", boot: 1 })),
        ),
    ],
  ])("[PEER-2] [PEER-3] %s is shown out without a word", async (_, words) => {
    const b = await startPeer("eu.b");
    const socket = await stranger(b);
    const answers: Buffer[] = [];
    // Pings are no answer.
    socket.on("data", (chunk: Buffer) => answers.push(chunk));
    socket.write(await words());
    await until("its end", socket.gone);
    expect(Buffer.concat(answers).includes(frame(peerFrameKinds.welcome, new Uint8Array(0)))).toBe(false);
    expect(b.events).toEqual([]);
  });

  it("[PEER-3] is shown out after 5 s of silence, to the millisecond; who shows its ticket just before is a peer", async () => {
    const b = await startPeer("eu.b", 1, {});
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const [friend, silent] = [await stranger(b), await stranger(b)];
      // Each has two: for the ticket, and for any silence.
      await until("their deadlines", () => vi.getTimerCount() === 4);
      vi.advanceTimersByTime(4_999);
      friend.write(frame(peerFrameKinds.hello, bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, b.entry))));
      await until("the link", () => b.events.length === 1);
      expect(silent.gone()).toBe(false);
      vi.advanceTimersByTime(1);
      await until("the end of the silent one", silent.gone);
      expect([b.events, friend.gone()]).toEqual([["up eu.a 1"], false]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("[PEER-2] who is a peer may not greet again, nor announce too much", async () => {
    for (const words of [
      frame(peerFrameKinds.welcome, new Uint8Array(0)),
      encodePeerFrameHead(peerFrameKinds.ghosts, 4_194_304),
    ]) {
      const b = await startPeer("eu.b");
      const socket = await stranger(b);
      socket.write(frame(peerFrameKinds.hello, bytes(await ticketOf({ clusterId: "eu.a", boot: 1 }, b.entry))));
      await until("the link", () => b.events.length === 1);
      socket.write(words);
      await until("its end", socket.gone);
      expect(b.events).toEqual(["up eu.a 1", "down eu.a"]);
    }
  });
});
