/** How the game is joined and played, against a master and a cluster that speak real HTTP and TLS, and do what each test says. */
import { describe, expect, it } from "vitest";
import {
  allFeatures,
  encodeMessage,
  encodePosition,
  encodeRedirect,
  encodeReject,
  encodeResumeToken,
  encodeStreams,
  encodeWelcome,
} from "../../protocol/index.ts";
import { createTestCertificate } from "./testing/certificate.ts";
import { sampleWelcome, serverName } from "./testing/scripted-cluster.ts";
import { nextEvent, useScriptedGame } from "./testing/scripted-game.ts";
import { sampleAllocation } from "./testing/scripted-master.ts";

const { startCluster, setUp, setUpGame } = useScriptedGame();

const emptied: object = { attempts: undefined };

describe("the game", () => {
  it("is joined, played and left", async () => {
    const { client, cluster, master } = await setUpGame(
      async (peer) => {
        expect(await peer.welcome()).toBe("ticket-0");
        const { command, payload } = await peer.next("message");
        peer.send(encodeMessage({ command: command + 1, payload }));
        const { sequence } = await peer.next("move");
        peer.send(encodePosition({ sequence, x: 9, y: 8, z: 7, heading: 6 }));
        const { code } = await peer.next("close");
        expect(code).toBe(0);
        peer.socket.end();
      },
      { clientName: "reia/1.0" },
    );
    const session = await client.join();
    expect(session.welcome).toMatchObject({ playerNumber: 7, cluster: "Test 1", fragment: "meadow" });
    expect(session.position).toEqual({ x: 1, y: 2, z: 3, heading: 4 });

    const message = nextEvent<{ command: number; payload: Uint8Array }>((handler) => session.on("message", handler));
    expect(session.send(20, Uint8Array.of(1, 2, 3))).toBe(true);
    expect(await message).toEqual({ command: 21, payload: Uint8Array.of(1, 2, 3) });

    const position = nextEvent<{ x: number }>((handler) => session.on("position", handler));
    expect(session.move({ x: 100, y: 0, z: 0, heading: 0 })).toBe(true);
    expect(await position).toEqual({ sequence: 1, x: 9, y: 8, z: 7, heading: 6 });
    expect(session.position.x).toBe(9);

    await session.leave();
    await expect(session.closed).resolves.toMatchObject({ code: "NORMAL", advice: "stop" });
    expect(cluster.faults).toEqual([]);
    expect(cluster.peers[0]?.received[0]).toMatchObject({ type: "hello", client: "reia/1.0" });
    expect(cluster.peers).toHaveLength(1);
    expect(master.of("POST /v1/allocate")).toHaveLength(1);
  });

  it("sends what one turn brought in one piece, and nothing behind CLOSE", async () => {
    const { client, cluster } = await setUpGame(async (peer) => {
      await peer.welcome();
      await peer.next("close");
      peer.socket.end();
    });
    const session = await client.join();
    for (let command = 0; command < 100; command++) session.send(command, new Uint8Array(100));
    await session.leave();
    const [peer] = cluster.peers;
    const types = peer?.received.map((message) => message.type);
    expect(types?.filter((type) => type === "message")).toHaveLength(100);
    expect(types?.at(-1)).toBe("close");
    expect(peer?.reads).toBeLessThan(10);
    expect(cluster.faults).toEqual([]);
  });

  it("can be joined with a ticket that was fetched before, or kept as JSON", async () => {
    const { client, cluster, master } = await setUpGame(async (peer) => void (await peer.welcome()));
    const allocation = await client.allocate({ region: "eu" });
    const copy: typeof allocation = JSON.parse(JSON.stringify(allocation));
    const session = await client.join(copy);
    expect(cluster.peers[0]?.received[1]).toEqual({ type: "join", ticket: "ticket-0" });
    expect(master.of("POST /v1/allocate")).toHaveLength(1);
    await session.leave();
    await expect(client.join({ ...allocation, ticket: "" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("[REJECT-1] [TICKET-6] is joined with a new ticket after STALE_BOOT", async () => {
    const { client, cluster, master } = await setUpGame(async (peer, index) => {
      if (index > 0) return void (await peer.welcome());
      await peer.next("join");
      peer.socket.end(encodeReject("STALE_BOOT"));
    });
    const session = await client.join();
    const tickets = cluster.peers.flatMap((peer) => peer.received.filter(({ type }) => type === "join"));
    expect(tickets).toEqual([
      { type: "join", ticket: "ticket-0" },
      { type: "join", ticket: "ticket-1" },
    ]);
    const keys = master.of("POST /v1/allocate").map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(2);
    await session.leave();
  });

  it("[TLS-3] is not joined where another certificate answers: the ticket stays here", async () => {
    const impostor = await createTestCertificate(serverName);
    const cluster = await startCluster(() => undefined);
    const address = { ...cluster.address, tls: { ...cluster.address.tls, caPem: impostor.certPem } };
    const { client } = await setUp(() => ({ status: 200, body: sampleAllocation(address) }));
    await expect(client.join()).rejects.toMatchObject({ code: "CERTIFICATE_MISMATCH", advice: "stop" });
    await Promise.all(cluster.peers.map((peer) => peer.closed));
    expect(cluster.peers.flatMap((peer) => peer.received)).toEqual([]);
    // Once more, as the master may know of another by now; and then it is over.
    expect(cluster.peers.length).toBeLessThanOrEqual(2);
  });

  it("[TLS-3] [ALLOC-12] is joined elsewhere where another has taken the cluster's port", async () => {
    const gone = await createTestCertificate(serverName);
    const port = await startCluster(() => undefined);
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const stale = { ...port.address, id: "stale", tls: { ...port.address.tls, caPem: gone.certPem } };
    const { client, master } = await setUp(({ body }) => {
      const isTold = JSON.stringify(body).includes("avoid");
      return { status: 200, body: sampleAllocation(isTold ? { ...next.address, id: "cluster-2" } : stale) };
    });
    const session = await client.join();
    expect(session.welcome.cluster).toBe("Test 2");
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([{}, { avoid: ["stale"] }]);
    expect(port.peers.flatMap((peer) => peer.received)).toEqual([]);
    await session.leave();
  });

  it("[TLS-3] is joined anywhere where another has taken the port of the cluster that was chosen", async () => {
    const gone = await createTestCertificate(serverName);
    const port = await startCluster(() => undefined);
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const stale = { ...port.address, id: "stale", tls: { ...port.address.tls, caPem: gone.certPem } };
    const { client, master } = await setUp(({ body }) => {
      const isChosen = JSON.stringify(body).includes("clusterId");
      return { status: 200, body: sampleAllocation(isChosen ? stale : { ...next.address, id: "cluster-2" }) };
    });
    const session = await client.join(await client.allocate({ clusterId: "stale" }));
    expect(session.welcome.cluster).toBe("Test 2");
    const chosen = { clusterId: "stale" };
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([chosen, chosen, { avoid: ["stale"] }]);
    expect(port.peers.flatMap((peer) => peer.received)).toEqual([]);
    await session.leave();
  });

  it("[ALLOC-12] is joined again without a word against the cluster that a lying one has sent it to in vain", async () => {
    const dead = await startCluster(() => undefined);
    await dead.close();
    const { client, cluster, master } = await setUpGame(async (peer, index) => {
      await peer.next("join");
      const welcome = encodeWelcome({ ...sampleWelcome, features: allFeatures });
      const tokenFrame = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(1) });
      peer.send(welcome, encodeStreams({ tenure: 2 ** 20 + index, received: 0, fresh: true }), tokenFrame);
      if (index > 0) return;
      const id = "01".repeat(16);
      const innocent = { ...dead.address, id: "innocent" };
      peer.send(encodeRedirect({ id, key: id, boot: 1, cluster: innocent, token: "h.t.s" }));
    });
    const session = await client.join();
    await nextEvent((handler) => session.on("rejoined", handler));
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([{}, {}]);
    expect(cluster.faults).toEqual([]);
    await session.leave();
  });

  it("ends with CONNECTION_LOST where the cluster closes without a word each time", async () => {
    const { client, cluster } = await setUpGame(
      async (peer) => {
        await peer.next("join");
        peer.socket.destroy();
      },
      { rejoin: { attempts: 2, maxDelayMs: 10 } },
    );
    await expect(client.join()).rejects.toMatchObject({ code: "CONNECTION_LOST", advice: "allocate" });
    expect(cluster.peers).toHaveLength(3);
  });

  it("takes an option that is undefined for one that is not there", async () => {
    // As a game without exactOptionalPropertyTypes may write it.
    const unset: object = { httpMs: undefined, allocateMs: undefined, connectMs: undefined, joinMs: undefined };
    const { client } = await setUpGame(
      async (peer) => {
        await peer.next("join");
        peer.socket.destroy();
      },
      { deadlines: unset, rejoin: { ...emptied, maxDelayMs: 10 } },
    );
    await expect(client.join()).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  });

  it("ends with TIMEOUT where the cluster never answers JOIN", async () => {
    const { client, cluster } = await setUpGame(() => undefined, { rejoin: false, deadlines: { joinMs: 100 } });
    await expect(client.join()).rejects.toMatchObject({ code: "TIMEOUT", advice: "retry" });
    await Promise.all(cluster.peers.map((peer) => peer.closed));
    expect(cluster.peers).toHaveLength(1);
  });

  it("[FRAME-5] [FRAME-7] ends with BAD_FRAME where the cluster sends nonsense", async () => {
    const { client, cluster } = await setUpGame(async (peer) => {
      await peer.welcome();
      await peer.next("ping");
      peer.send(Uint8Array.of(1, 0, 0x3f));
    });
    const session = await client.join();
    await expect(session.closed).resolves.toMatchObject({ code: "BAD_FRAME", advice: "stop" });
    await cluster.peers[0]?.closed;
    expect(cluster.peers[0]?.received.at(-1)).toMatchObject({ type: "close", code: 2 });
  });

  it("[ALLOC-12] is joined elsewhere where the cluster cannot be reached: the master is told", async () => {
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const gone = await startCluster(() => undefined);
    await gone.close();
    const { client, master } = await setUp(({ body }) => {
      const isTold = JSON.stringify(body).includes(gone.address.id);
      return { status: 200, body: sampleAllocation(isTold ? { ...next.address, id: "cluster-2" } : gone.address) };
    });
    const session = await client.join();
    expect(session.welcome.cluster).toBe("Test 2");
    const bodies = master.of("POST /v1/allocate").map(({ body }) => body);
    expect(bodies).toEqual([{}, { avoid: [gone.address.id] }]);
    expect((await client.allocate({ region: "eu" })).request).toEqual({ region: "eu" });
    expect(master.of("POST /v1/allocate").at(-1)?.body).toEqual({ region: "eu", avoid: [gone.address.id] });
    await session.leave();
  });

  it("[ALLOC-12] is joined anywhere where the cluster that was chosen stays unreachable", async () => {
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const gone = await startCluster(() => undefined);
    await gone.close();
    const { client, master } = await setUp(({ body }) => {
      const isChosen = JSON.stringify(body).includes("clusterId");
      return { status: 200, body: sampleAllocation(isChosen ? gone.address : { ...next.address, id: "cluster-2" }) };
    });
    const { id } = gone.address;
    const session = await client.join(await client.allocate({ clusterId: id, policy: "load" }));
    expect(session.welcome.cluster).toBe("Test 2");
    const bodies = master.of("POST /v1/allocate").map(({ body }) => body);
    const chosen = { clusterId: id, policy: "load" };
    expect(bodies).toEqual([chosen, chosen, { policy: "load", avoid: [id] }]);
    await session.leave();
  });

  it("measures the round trip", async () => {
    const { client } = await setUpGame(async (peer) => {
      await peer.welcome();
      const { timeMs } = await peer.next("ping");
      const bytes = new DataView(new ArrayBuffer(19));
      bytes.setUint16(0, 17, true);
      bytes.setUint8(2, 7);
      bytes.setFloat64(3, timeMs, true);
      bytes.setFloat64(11, 5_000, true);
      peer.send(new Uint8Array(bytes.buffer));
    });
    const session = await client.join();
    const { rttMs, serverTimeMs } = await nextEvent<{ rttMs: number; serverTimeMs: number }>((handler) =>
      session.on("latency", handler),
    );
    expect(rttMs).toBeGreaterThan(0);
    expect(session.rttMs).toBe(rttMs);
    expect(serverTimeMs).toBeGreaterThanOrEqual(5_000);
    expect(serverTimeMs).toBeLessThan(10_000);
    await session.leave();
  });

  it("can be called off while it is joined", async () => {
    const abort = new AbortController();
    const { client, cluster } = await setUpGame(async (peer) => {
      await peer.next("join");
      abort.abort();
    });
    await expect(client.join(undefined, { signal: abort.signal })).rejects.toMatchObject({ code: "CLOSED" });
    await cluster.peers[0]?.closed;
    expect(cluster.peers).toHaveLength(1);
  });
});
