import { afterEach, describe, expect, it, vi } from "vitest";
import {
  closeCodes,
  encodeAck,
  encodeClose,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodeResume,
  encodeWelcome,
  features,
} from "../../protocol/index.ts";
import type { ClusterLimits } from "../limits.ts";
import type { Player } from "../plugin/player.ts";
import { hello, type TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
let hooks: string[];
let heard: number[];
const players: Player[] = [];
afterEach(() => cluster.stop());

const empty = new Uint8Array(0);
const message = (command: number, payload: Uint8Array = empty): Uint8Array => encodeMessage({ command, payload });
const capable = (offered: number = features.resume | features.state): Uint8Array =>
  encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "test" });

async function start(options: TestClusterOptions = {}): Promise<void> {
  hooks = [];
  heard = [];
  players.length = 0;
  cluster = await startTestCluster({
    ...options,
    plugin: {
      onJoin: (player) => {
        players.push(player);
        hooks.push("join");
      },
      onDrop: (player) => void hooks.push(`drop ${player.dropped}`),
      onResume: () => void hooks.push("resume"),
      onLeave: (_player, reason) => void hooks.push(reason),
      onMessage: (_player, command) => void heard.push(command),
    },
  });
}

/** A client that has joined and can resume, with its token. */
async function join(claims: object = {}): Promise<{ client: TestClient; token: Uint8Array }> {
  const client = await cluster.connected();
  client.send(capable(), encodeJoin({ ticket: await cluster.master.ticket(claims) }));
  await client.next("welcome");
  const { token } = await client.next("resumeToken");
  return { client, token };
}

async function resume(token: Uint8Array, received = 0): Promise<TestClient> {
  const client = await cluster.connected();
  client.send(capable(), encodeResume({ received, token }));
  return client;
}

/** Cuts the connection, and waits until the cluster has noticed. */
async function drop(client: TestClient, drops = 1): Promise<void> {
  client.close();
  await until("the drop", () => hooks.filter((hook) => hook.startsWith("drop")).length === drops);
}

const unknown = closeCodes.RESUME_UNKNOWN.number;

describe("resuming", () => {
  it("[RESUME-1] [RESUME-3] goes on where both sides were", async () => {
    await start();
    const { client, token } = await join();
    const [player] = players;
    client.send(message(1), message(2));
    await until("both", () => heard.length === 2);
    player?.send(11);
    player?.send(12);
    await client.next("message");
    await drop(client);
    expect([player?.connected, player?.dropped]).toEqual([true, true]);
    player?.send(13);
    const again = await resume(token, 1);
    expect(await again.next("resumed")).toMatchObject({ received: 2, tickHz: 30 });
    expect((await again.next("resumeToken")).graceMs).toBe(15_000);
    again.send(encodeAck({ received: 1 }), message(3));
    expect([(await again.next("message")).command, (await again.next("message")).command]).toEqual([12, 13]);
    await until("the third", () => heard.length === 3);
    expect(heard).toEqual([1, 2, 3]);
    expect(hooks).toEqual(["join", "drop true", "resume"]);
    expect(cluster.server.metrics).toMatchObject({ joins: 1, drops: 1, resumes: 1, departures: {} });
    expect([player?.connected, player?.dropped]).toEqual([true, false]);
  });

  it("[RESUME-3] goes on after a second drop, also with what was sent after the first", async () => {
    await start();
    const { client, token } = await join();
    const [player] = players;
    player?.send(1);
    await drop(client);
    const second = await resume(token);
    const next = await second.next("resumeToken");
    second.send(encodeAck({ received: 0 }));
    player?.send(2);
    await until("both", () => second.received.filter((one) => one.type === "message").length === 2);
    await drop(second, 2);
    player?.send(3);
    const third = await resume(Buffer.from(next.token), 1);
    await third.next("resumed");
    expect([(await third.next("message")).command, (await third.next("message")).command]).toEqual([2, 3]);
  });

  it("[RESUME-3] answers with nothing before RESUMED and RESUME_TOKEN, byte by byte or whole", async () => {
    await start();
    const { client, token } = await join();
    const [player] = players;
    for (let command = 0; command < 50; command += 1) player?.send(command);
    player?.sendBulk(60);
    player?.sendState("a", 61);
    await drop(client);
    const again = await cluster.connected();
    for (const byte of Buffer.concat([capable(), encodeResume({ received: 0, token })])) {
      await new Promise<void>((resolve) => again.socket.write(Uint8Array.of(byte), () => resolve()));
    }
    await until("everything", () => again.received.length >= 53);
    expect(again.types().slice(0, 2)).toEqual(["resumed", "resumeToken"]);
    const commands = again.received.flatMap((one) => (one.type === "message" ? [one.command] : []));
    expect(commands).toEqual([...Array.from({ length: 50 }, (_, index) => index), 60]);
  });

  it("[MOVE-3] is told where the game has put the player meanwhile", async () => {
    await start();
    const { client, token } = await join();
    client.close();
    await until("the drop", () => hooks.includes("drop true"));
    expect(await players[0]?.teleport({ x: 7, y: 0, z: -3, heading: 9 })).toBe("moved");
    const back = await resume(token);
    await back.next("resumeToken");
    expect(await back.next("position")).toMatchObject({ x: 7, z: -3 });
  });

  it("[RESUME-3] ends the older connection where that still lives, and nobody leaves", async () => {
    await start();
    const { client, token } = await join();
    const again = await resume(token);
    await again.next("resumed");
    await client.gone();
    expect(client.types()).not.toContain("close");
    again.send(message(5));
    await until("a message", () => heard.length === 1);
    expect(hooks).toEqual(["join", "drop false", "resume"]);
    expect(cluster.server.metrics.connections.joined).toBe(1);
  });

  it("[ACK-2] the cluster acknowledges by itself, and at once when it is much", async () => {
    await start();
    const { client } = await join();
    client.send(message(1));
    expect((await client.next("ack")).received).toBe(1);
    const acks = (): number[] => client.received.flatMap((one) => (one.type === "ack" ? [one.received] : []));
    client.send(...Array.from({ length: 600 }, () => message(2)));
    await until("all acknowledged", () => acks().includes(601));
    expect(acks()).toContain(513);
  });

  it("[RESUME-7] outlives silence: the connection ends without CLOSE", async () => {
    await start({ settings: { pingIntervalMs: 100, idleTimeoutMs: 250 } });
    const { client, token } = await join();
    await client.gone();
    expect(client.types()).not.toContain("close");
    await (await resume(token)).next("resumed");
    expect(hooks).toEqual(["join", "drop true", "resume"]);
  });
});

describe("a token", () => {
  it("[RESUME-4] serves once, from when the client shows that it has the next", async () => {
    await start();
    const { client, token } = await join();
    await drop(client);
    const second = await resume(token);
    const next = await second.next("resumeToken");
    expect(Buffer.from(next.token).equals(token)).toBe(false);
    second.send(encodeAck({ received: 0 }), message(1));
    await until("the message", () => heard.length === 1);
    const replayed = await resume(token);
    expect((await replayed.next("reject")).code).toBe(unknown);
    await replayed.gone();
    // The session that it was stolen from goes on.
    second.send(message(2));
    await until("another message", () => heard.length === 2);
    expect(cluster.server.metrics.refusals).toEqual({ RESUME_UNKNOWN: 1 });
  });

  it("[RESUME-4] stays good while the next one may have been lost", async () => {
    await start();
    const { client, token } = await join();
    await drop(client);
    const lost = await resume(token);
    await lost.next("resumed");
    await drop(lost, 2);
    const again = await resume(token);
    await again.next("resumed");
    expect(hooks.at(-1)).toBe("resume");
  });

  it("[RESUME-6] that is not good is answered alike, whatever is wrong with it", async () => {
    await start();
    const { client, token } = await join();
    await drop(client);
    const foreign = token.slice();
    foreign.set(
      [foreign[19] ?? 0].map((byte) => byte ^ 1),
      19,
    );
    const stranger = token.slice();
    stranger.set([0xff, 0xff, 0xff, 0x7f]);
    for (const bad of [foreign, stranger, token.subarray(0, 19), Uint8Array.of(1), new Uint8Array(64)]) {
      const intruder = await resume(bad);
      expect((await intruder.next("reject")).code).toBe(unknown);
      await intruder.gone();
    }
    await (await resume(token)).next("resumed");
    expect(cluster.log.text()).not.toContain(Buffer.from(token).toString("hex"));
  });

  it("[RESUME-2] that is empty or too long is malformed", async () => {
    await start();
    for (const body of ["070008000000000000", `480008000000004100${"00".repeat(65)}`]) {
      const client = await cluster.connected();
      client.send(capable(), Buffer.from(body, "hex"));
      await client.gone();
      expect(client.received).toEqual([]);
    }
    expect(cluster.server.metrics.refusals).toEqual({ BAD_VALUE: 2 });
  });

  it("[RESUME-7] is good for 15 s, to the millisecond", async () => {
    await start();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { client, token } = await join();
      await drop(client);
      vi.advanceTimersByTime(14_999);
      const again = await resume(token);
      const next = await again.next("resumeToken");
      await drop(again, 2);
      vi.advanceTimersByTime(15_000);
      expect(hooks).toEqual(["join", "drop true", "resume", "drop true", "DROPPED"]);
      expect((await (await resume(Buffer.from(next.token))).next("reject")).code).toBe(unknown);
    } finally {
      vi.useRealTimers();
    }
  });

  it("[RESUME-7] is worth nothing after the grace period, and the player has left", async () => {
    await start({ settings: { resumeGraceMs: 50 } });
    const { client, token } = await join();
    await drop(client);
    await until("the end", () => hooks.at(-1) === "DROPPED");
    expect((await (await resume(token)).next("reject")).code).toBe(unknown);
    expect(cluster.server.metrics.departures).toEqual({ DROPPED: 1 });
  });
});

describe("what cannot go on", () => {
  it("[RESUME-5] is refused when the client counts what was not sent, and the player leaves", async () => {
    await start();
    const { client, token } = await join();
    await drop(client);
    expect((await (await resume(token, 1)).next("reject")).code).toBe(unknown);
    expect(hooks.at(-1)).toBe("DROPPED");
  });

  // Eleven frames of 4 bytes each are sent, and ten of them, 40 bytes, may be kept.
  const bounds = [
    ["frames", { maxUnacknowledgedFrames: 10 }],
    ["bytes", { maxUnacknowledgedBytes: 40 }],
    ["bytes, a whole frame at a time", { maxUnacknowledgedBytes: 43 }],
  ] as const;

  async function sayEleven(limits: Partial<ClusterLimits>): Promise<Uint8Array> {
    await start({ limits });
    const { client, token } = await join();
    for (let count = 0; count < 11; count += 1) players[0]?.send(count);
    await until("all", () => client.received.length >= 11);
    await drop(client);
    return token;
  }

  it.each(bounds)("[RESUME-5] [ACK-3] is refused when too much was not acknowledged: %s", async (_what, limits) => {
    const token = await sayEleven(limits);
    expect((await (await resume(token, 0)).next("reject")).code).toBe(unknown);
    expect(hooks).toEqual(["join", "drop true", "DROPPED"]);
  });

  it.each(bounds)("[ACK-3] goes on when just as much was not acknowledged as is kept: %s", async (_what, limits) => {
    const token = await sayEleven(limits);
    const again = await resume(token, 1);
    await again.next("resumed");
    const commands = (): number[] => again.received.flatMap((one) => (one.type === "message" ? [one.command] : []));
    await until("ten again", () => commands().length === 10);
    expect(commands()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(hooks).toEqual(["join", "drop true", "resume"]);
  });

  it("[SLOW-1] a dropped player for whom too much waits leaves at once", async () => {
    await start({ limits: { maxQueuedFrames: 10 } });
    const { client, token } = await join();
    await drop(client);
    for (let count = 0; count < 10; count += 1) expect(players[0]?.send(count)).toBe(true);
    expect(hooks.at(-1)).toBe("drop true");
    players[0]?.send(10);
    expect(hooks.at(-1)).toBe("DROPPED");
    expect(players[0]?.send(11)).toBe(false);
    expect((await (await resume(token)).next("reject")).code).toBe(unknown);
  });

  it("[RESUME-7] CLOSE from the client ends the session at once", async () => {
    await start();
    const { client, token } = await join();
    client.send(encodeClose("NORMAL"));
    await client.gone();
    expect((await (await resume(token)).next("reject")).code).toBe(unknown);
    expect(hooks).toEqual(["join", "NORMAL"]);
  });

  it("[RESUME-7] a newer ticket of the same player takes its place", async () => {
    await start();
    const { client, token } = await join({ sub: "ada", gen: 1 });
    await drop(client);
    const newer = await join({ sub: "ada", gen: 2 });
    expect(hooks).toEqual(["join", "drop true", "REPLACED", "join"]);
    expect((await (await resume(token)).next("reject")).code).toBe(unknown);
    newer.client.send(message(1));
    await until("the newer one", () => heard.length === 1);
  });

  it("[RESUME-7] a dropped player keeps its place", async () => {
    await start({ settings: { maxConnections: 1 } });
    const { client } = await join();
    await drop(client);
    const other = await cluster.connected();
    other.join(await cluster.master.ticket());
    expect((await other.next("reject")).code).toBe(closeCodes.FULL.number);
  });

  it("[RESUME-6] a cluster that shuts down says so, and ends those that are away", async () => {
    let release: () => void = () => undefined;
    await start();
    const { client, token } = await join();
    await drop(client);
    const waiting = await cluster.connected();
    cluster.master.holdDeregister = new Promise((resolve) => (release = () => resolve()));
    const stopped = cluster.server.stop();
    await until("deregistering", () => cluster.master.deregistered === 1);
    waiting.send(capable(), encodeResume({ received: 0, token }));
    expect((await waiting.next("reject")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    release();
    await stopped;
    expect(hooks.at(-1)).toBe("SHUTTING_DOWN");
  });
});

describe("order", () => {
  it("[STATE-1] [HELLO-6] RESUME without the feature is malformed", async () => {
    await start();
    const { client, token } = await join();
    await drop(client);
    const old = await cluster.connected();
    old.send(hello(), encodeResume({ received: 0, token }));
    await old.gone();
    expect(old.received).toEqual([]);
    expect(cluster.server.metrics.refusals).toEqual({ UNEXPECTED_TYPE: 1 });
  });

  it("[HELLO-6] ACK from a client that cannot resume is malformed", async () => {
    await start();
    const client = await cluster.joined();
    client.send(encodeAck({ received: 0 }));
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
  });

  it("[ACK-1] an ACK of what was not sent is malformed", async () => {
    await start();
    const { client } = await join();
    client.send(encodeAck({ received: 1 }));
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
    expect(hooks).toEqual(["join", "PROTOCOL_ERROR"]);
  });

  it("[HELLO-6] messages that only a cluster sends are malformed from a client", async () => {
    await start();
    const { client } = await join();
    const welcome = { version: 1, features: 0, playerNumber: 1, timeMs: 0, tick: 0, tickHz: 1, pingIntervalMs: 1 };
    const place = { idleTimeoutMs: 1, maxFrameBytes: 1, x: 0, y: 0, z: 0, heading: 0, fragment: "", cluster: "" };
    client.send(encodeWelcome({ ...welcome, ...place }));
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
  });

  it("[RESUME-1] is not in force without STATE, or where the cluster keeps nobody; such a client is as before", async () => {
    await start();
    const client = await cluster.connected();
    client.send(capable(features.resume), encodeJoin({ ticket: await cluster.master.ticket() }));
    expect((await client.next("welcome")).features).toBe(0);
    client.send(message(1));
    await until("the message", () => heard.length === 1);
    client.close();
    await until("the end", () => hooks.at(-1) === "DROPPED");
    expect(hooks).toEqual(["join", "DROPPED"]);
    expect(client.types()).toEqual([]);
    await cluster.stop();
    await start({ settings: { resumeGraceMs: 0 } });
    const other = await cluster.connected();
    other.send(capable(), encodeJoin({ ticket: await cluster.master.ticket() }));
    expect((await other.next("welcome")).features).toBe(features.state);
  });

  it("[RESUME-3] [JOIN-2] RESUME comes within the time for JOIN", async () => {
    await start({ limits: { joinTimeoutMs: 200 } });
    const { client, token } = await join();
    await drop(client);
    const late = await cluster.connected();
    late.send(capable());
    await late.gone();
    expect(cluster.server.metrics.refusals).toEqual({ JOIN_TIMEOUT: 1 });
    const again = await resume(token);
    await again.next("resumed");
  });
});
