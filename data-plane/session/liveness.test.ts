import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  closeCodes,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodeMove,
  encodePong,
  features,
} from "../../protocol/index.ts";
import type { Player } from "../plugin/player.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const somewhere = { sequence: 1, x: 0, y: 0, z: 0, heading: 0 };

describe("silence", () => {
  it("[PING-2] [PING-3] is asked about, and then ended with IDLE", async () => {
    cluster = await startTestCluster({ settings: { pingIntervalMs: 100, idleTimeoutMs: 400 } });
    // Before the join: a busy machine may hear of that late, and then the first silence seems short.
    const startedAt = performance.now();
    const client = await cluster.joined();
    await client.next("ping");
    expect(performance.now() - startedAt).toBeGreaterThan(80);
    await until("CLOSE", () => client.types().includes("close"));
    expect(performance.now() - startedAt).toBeGreaterThan(350);
    expect((await client.next("close")).code).toBe(closeCodes.IDLE.number);
    await client.gone();
    expect(cluster.server.metrics.departures).toEqual({ IDLE: 1 });
  });

  it("[PING-2] [PING-3] is none as long as PING is answered", async () => {
    cluster = await startTestCluster({ settings: { pingIntervalMs: 100, idleTimeoutMs: 1_000 } });
    const client = await cluster.joined();
    for (let count = 0; count < 15; count += 1) {
      const { timeMs } = await client.next("ping");
      client.send(encodePong({ echoMs: timeMs, timeMs: 0 }));
    }
    expect(client.closed).toBe(false);
  });

  it("[PING-2] is none while anything comes: nobody is asked then", async () => {
    cluster = await startTestCluster({ settings: { pingIntervalMs: 1_000, idleTimeoutMs: 2_000 } });
    const client = await cluster.joined();
    const chatter = setInterval(() => client.send(encodeMove(somewhere)), 20);
    const startedAt = performance.now();
    await until("a while", () => performance.now() - startedAt > 2_400);
    clearInterval(chatter);
    expect(client.types()).toEqual([]);
  });
});

describe("to the beat of the pulse", () => {
  // Silence is measured by an interval and a clock, and both are ours from the start.
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("[PING-3] 15 s of silence are not too long, and one beat more is", async () => {
    cluster = await startTestCluster();
    const [friend, silent] = [await cluster.joined(), await cluster.joined()];
    vi.advanceTimersByTime(15_000);
    expect(cluster.server.metrics).toMatchObject({ departures: {}, connections: { joined: 2 } });
    const before = cluster.server.metrics.framesIn;
    friend.send(encodePong({ echoMs: 0, timeMs: 0 }));
    await until("its word", () => cluster.server.metrics.framesIn > before);
    vi.advanceTimersByTime(250);
    expect(cluster.server.metrics).toMatchObject({ departures: { IDLE: 1 }, connections: { joined: 1 } });
    expect((await silent.next("close")).code).toBe(closeCodes.IDLE.number);
    expect(friend.closed).toBe(false);
  });

  it("[ACK-2] what was received is acknowledged within a second, also where nothing else is said", async () => {
    cluster = await startTestCluster();
    const client = await cluster.connected();
    client.send(
      encodeHello({ minVersion: 1, maxVersion: 1, features: features.resume | features.state, client: "test" }),
      encodeJoin({ ticket: await cluster.master.ticket() }),
    );
    await client.next("resumeToken");
    const before = cluster.server.metrics.framesIn;
    client.send(encodeMessage({ command: 1, payload: new Uint8Array(0) }));
    await until("its arrival", () => cluster.server.metrics.framesIn > before);
    vi.advanceTimersByTime(1_000);
    expect((await client.next("ack")).received).toBe(1);
  });

  it("[SLOW-1] a write may make no headway for 5 s, and not for one beat more", async () => {
    const players: Player[] = [];
    cluster = await startTestCluster({
      limits: { maxQueuedBytes: 100_000_000 },
      plugin: { onJoin: (player) => void players.push(player) },
    });
    const [friend, stuck] = [await cluster.joined(), await cluster.joined()];
    stuck.socket.pause();
    // More than the buffers of both kernels hold: some write is always under way.
    for (let count = 0; count < 2_000; count += 1) players[1]?.send(1, new Uint8Array(10_000));
    players[0]?.send(2);
    await friend.next("message");
    vi.advanceTimersByTime(5_000);
    expect(cluster.server.metrics).toMatchObject({ departures: {}, connections: { joined: 2 } });
    vi.advanceTimersByTime(250);
    expect(cluster.server.metrics).toMatchObject({ departures: { SLOW_CONSUMER: 1 }, connections: { joined: 1 } });
    expect(friend.closed).toBe(false);
  });
});

describe("a slow consumer", () => {
  const payload = new Uint8Array(10_000);

  it("[SLOW-1] is closed with SLOW_CONSUMER when too much waits, and has lost nothing in between", async () => {
    let flood = (): void => undefined;
    cluster = await startTestCluster({
      limits: { maxQueuedBytes: 200_000, lingerMs: 5_000 },
      plugin: {
        onJoin: (player) => {
          let sent = 0;
          flood = () => {
            while (player.connected) player.send(sent++ % 256, payload);
          };
        },
      },
    });
    const bystander = await cluster.joined();
    const client = await cluster.joined();
    client.socket.pause();
    flood();
    expect(cluster.server.metrics.departures).toEqual({ SLOW_CONSUMER: 1 });
    client.socket.resume();
    await until("CLOSE", () => client.types().includes("close"));
    const close = client.received.pop();
    expect(close).toMatchObject({ type: "close", code: closeCodes.SLOW_CONSUMER.number });
    const commands = client.received.map((message) => (message.type === "message" ? message.command : -1));
    expect(commands.length).toBeGreaterThan(19);
    expect(commands).toEqual(commands.map((_, index) => index % 256));
    expect(bystander.closed).toBe(false);
  });

  it("is closed when it does not read at all, though little waits", async () => {
    let say = (): boolean => false;
    cluster = await startTestCluster({
      settings: { pingIntervalMs: 100, idleTimeoutMs: 60_000 },
      limits: { stallTimeoutMs: 300, maxQueuedBytes: 100_000_000, maxQueuedFrames: 1_000_000, lingerMs: 50 },
      plugin: { onJoin: (player) => void (say = () => player.send(1, payload)) },
    });
    const client = await cluster.joined();
    client.socket.pause();
    // More than the buffers of both kernels hold.
    for (let count = 0; count < 2_000; count += 1) say();
    await until("its end", () => cluster.server.metrics.departures["SLOW_CONSUMER"] === 1);
    await until("the connection to go", () => cluster.server.metrics.connections.closing === 0);
    expect(cluster.server.metrics.connections.joined).toBe(0);
  });

  it("[WELCOME-2] does not hold up a newer session of the same player: what waits for the old one is not waited for", async () => {
    const players: Player[] = [];
    cluster = await startTestCluster({
      limits: { maxQueuedBytes: 100_000_000 },
      plugin: { onJoin: (player) => void players.push(player) },
    });
    const old = await cluster.joined({ sub: "hero", gen: 4 });
    old.socket.pause();
    // More than the buffers of both kernels hold.
    for (let count = 0; count < 2_000; count += 1) players[0]?.send(1, payload);
    const fresh = await cluster.joined({ sub: "hero", gen: 5 });
    expect(cluster.server.metrics).toMatchObject({ connections: { joined: 1 }, departures: { REPLACED: 1 } });
    await until("the old connection to go", () => cluster.server.metrics.connections.closing === 0);
    expect([old.types(), fresh.closed]).toEqual([[], false]);
  });

  it("does not hold up anybody else", async () => {
    cluster = await startTestCluster({
      plugin: { onMessage: (player, command) => void player.send(command, payload) },
    });
    const slow = await cluster.joined();
    slow.socket.pause();
    const quick = await cluster.joined();
    const ask = Buffer.from("02004007", "hex");
    for (let count = 0; count < 300; count += 1) slow.send(ask);
    for (let count = 0; count < 50; count += 1) {
      quick.send(ask);
      await quick.next("message");
    }
    await until("the slow one's end", () => cluster.server.metrics.departures["SLOW_CONSUMER"] === 1);
    expect(quick.closed).toBe(false);
  });
});
