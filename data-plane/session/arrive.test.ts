import { afterEach, describe, expect, it } from "vitest";
import type { StreamPosition } from "../../protocol/handover/streams.ts";
import {
  closeCodes,
  encodeAck,
  encodeArrive,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodeRedirect,
  encodeResume,
  features,
} from "../../protocol/index.ts";
import type { Player } from "../plugin/player.ts";
import { rawFrame, type TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { WebSocketClient } from "../testing/websocket-client.ts";
import { type Arrival, type Arrivals, type Arrived, isSameKey } from "./arrivals.ts";
import { JoinedPlayer } from "./joined-player.ts";

const id = "0a".repeat(16);
const key = "0b".repeat(16);
const token = "a.b.c";
const all = features.resume | features.state | features.handover;
const unknown = closeCodes.ARRIVAL_UNKNOWN.number;

let cluster: TestCluster;
/** The players in the game, the oldest first. */
let players: JoinedPlayer[];
let heard: number[];
let arrivals: Arrival[];
/** Whom the cluster asks. */
let desk: Arrivals | undefined;
let answer: (arrival: Arrival) => Promise<Arrived | undefined>;
afterEach(() => cluster.stop());

/** A cluster that expects the first player under `key`. */
async function start(options: TestClusterOptions = {}): Promise<void> {
  players = [];
  heard = [];
  arrivals = [];
  desk = {
    arrive: (arrival) => {
      arrivals.push(arrival);
      return answer(arrival);
    },
  };
  answer = async (arrival) => {
    const [player] = players;
    return player !== undefined && isSameKey(arrival.key, key) ? { player } : undefined;
  };
  cluster = await startTestCluster({
    ...options,
    plugin: {
      onJoin: (player) => void players.push(asJoined(player)),
      onMessage: (_player, command) => void heard.push(command),
    },
    arrivals: () => desk,
  });
}

function asJoined(player: Player): JoinedPlayer {
  if (!(player instanceof JoinedPlayer)) throw new Error("not a player of this cluster");
  return player;
}

const hello = (offered: number = all): Uint8Array =>
  encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "test" });
const message = (command: number): Uint8Array => encodeMessage({ command, payload: new Uint8Array(0) });

async function join(offered: number = all): Promise<TestClient> {
  const client = await cluster.connected();
  client.send(hello(offered), encodeJoin({ ticket: await cluster.master.ticket() }));
  await until("the player", () => players.length === 1);
  return client;
}

async function arrive(position: Partial<StreamPosition> = {}, offered: number = all): Promise<TestClient> {
  const client = await cluster.connected();
  const tenure = players[0]?.tenure ?? 0;
  const at = { tenure, received: 0, acknowledged: 0, ...position };
  client.send(hello(offered), encodeArrive({ id, key, token, position: at }));
  return client;
}

async function refused(client: TestClient, code: number = unknown): Promise<void> {
  expect((await client.next("reject")).code).toBe(code);
  await client.gone();
  expect(client.types()).toEqual([]);
}

describe("STREAMS", () => {
  it("[STREAMS-2] follows WELCOME, with the ticket's generation, and RESUMED", async () => {
    await start();
    const client = await join();
    await client.next("resumeToken");
    const [player] = players;
    const tenure = player?.seat.generation;
    expect(client.types().slice(0, 2)).toEqual(["welcome", "streams"]);
    expect(await client.next("streams")).toMatchObject({ tenure, received: 0, fresh: true });
    client.send(message(1));
    await until("the message", () => heard.length === 1);
    const again = await cluster.connected();
    again.send(hello(), encodeResume({ received: 0, token: await tokenOf(client) }));
    expect(await again.next("resumeToken")).toBeDefined();
    expect(again.types().slice(0, 2)).toEqual(["resumed", "streams"]);
    expect(await again.next("streams")).toMatchObject({ tenure, received: 1, fresh: false });
  });

  it("[ARRIVE-2] is not in force without RESUME, nor where nobody hands players over", async () => {
    await start();
    const client = await join(features.state | features.handover);
    expect((await client.next("welcome")).features).toBe(features.state);
    client.close();
    desk = undefined;
    const other = await cluster.connected();
    other.send(hello(), encodeJoin({ ticket: await cluster.master.ticket() }));
    expect((await other.next("welcome")).features).toBe(features.state | features.resume);
    await other.next("resumeToken");
    expect(other.types()).not.toContain("streams");
  });

  it("[JOIN-5] begins anew for a position that is not of these streams", async () => {
    await start();
    const client = await cluster.connected();
    const position = { tenure: 7, received: 3, acknowledged: 2 };
    client.send(hello(), encodeJoin({ ticket: await cluster.master.ticket(), position }));
    expect(await client.next("streams")).toMatchObject({ received: 0, fresh: true });
  });
});

describe("ARRIVE over WebSocket", () => {
  async function open(): Promise<WebSocketClient> {
    const client = new WebSocketClient(cluster.server.address?.webSocketPort ?? 0, cluster.target);
    return client.opened();
  }

  it("[ARRIVE-5] goes on where the player was, and closes the connection that it came from", async () => {
    await start({ settings: { wsPort: 0 } });
    const first = await open();
    first.send(hello(), encodeJoin({ ticket: await cluster.master.ticket() }));
    await first.next("resumeToken");
    const [player] = players;
    for (const command of [7, 8, 9]) player?.send(command);
    await until("the messages", () => first.received.filter(({ type }) => type === "message").length === 3);
    first.send(message(1));
    await until("the message", () => heard.length === 1);
    first.socket.terminate();
    const again = await open();
    const position = { tenure: player?.tenure ?? 0, received: 1, acknowledged: 0 };
    again.send(hello(), encodeArrive({ id, key, token, position }));
    await again.next("welcome");
    expect(await again.next("streams")).toMatchObject({ received: 1, fresh: false });
    await again.next("resumeToken");
    again.send(encodeAck({ received: 1 }), message(2));
    await until("the next message", () => heard.length === 2);
    expect(heard).toEqual([1, 2]);
    const missed = again.received.flatMap((one) => (one.type === "message" ? [one.command] : []));
    expect(missed).toEqual([8, 9]);
    expect(arrivals).toMatchObject([{ id, key, token }]);
    again.socket.terminate();
  });

  it("[ARRIVE-4] tells a stranger nothing", async () => {
    await start({ settings: { wsPort: 0 } });
    const client = await open();
    const position = { tenure: 1, received: 0, acknowledged: 0 };
    client.send(hello(), encodeArrive({ id, key: "0c".repeat(16), token, position }));
    expect((await client.next("reject")).code).toBe(unknown);
    await until("its end", () => client.closeCode !== undefined);
    expect(client.received).toEqual([]);
  });
});

/** The token that comes next, or has come. */
async function tokenOf(client: TestClient): Promise<Uint8Array> {
  players[0]?.sendControl(players[0].issueToken());
  return Buffer.from((await client.next("resumeToken")).token);
}

describe("ARRIVE", () => {
  it("[ARRIVE-5] is answered by WELCOME, STREAMS, RESUME_TOKEN and what was missed; then the player goes on", async () => {
    await start();
    const before = await join();
    const [player] = players;
    before.send(message(1), message(2));
    player?.send(11);
    player?.send(12);
    player?.send(13);
    await until("both", () => heard.length === 2);
    const client = await arrive({ received: 1, acknowledged: 1 });
    expect(await client.next("message")).toMatchObject({ command: 12 });
    expect(client.types().slice(0, 3)).toEqual(["welcome", "streams", "resumeToken"]);
    expect(await client.next("welcome")).toMatchObject({ playerNumber: player?.number, features: all, tickHz: 30 });
    expect(await client.next("streams")).toMatchObject({ tenure: player?.tenure, received: 2, fresh: false });
    expect(await client.next("message")).toMatchObject({ command: 13 });
    client.send(encodeAck({ received: 3 }), message(3));
    player?.send(14);
    expect(await client.next("message")).toMatchObject({ command: 14 });
    await until("the third", () => heard.length === 3);
    expect(heard).toEqual([1, 2, 3]);
    expect(arrivals).toMatchObject([{ id, key, token, hello: { client: "test" } }]);
    await before.gone();
  });

  it("[ARRIVE-3] [ARRIVE-4] of nobody's key is refused, and counted", async () => {
    await start();
    await join();
    const client = await cluster.connected();
    const position = { tenure: 1, received: 0, acknowledged: 0 };
    client.send(hello(), encodeArrive({ id, key: "0c".repeat(16), token, position }));
    await refused(client);
    expect(cluster.server.metrics.refusals).toEqual({ ARRIVAL_UNKNOWN: 1 });
    expect(cluster.log.text()).not.toContain("0c".repeat(16));
  });

  it.each<[string, Partial<StreamPosition>]>([
    ["a tenure that is not of these streams", { tenure: 3 }],
    ["more received than was sent", { received: 2 }],
    ["more acknowledged than was taken", { acknowledged: 1 }],
    ["less received than before", { received: 0 }],
    ["a count that is the same modulo 2^32", { received: 2 ** 32 + 1 }],
  ])("[ARRIVE-4] [HAND-10] with %s is refused: the streams cannot go on", async (_what, position) => {
    await start();
    const before = await join();
    players[0]?.send(1);
    await before.next("message");
    before.send(encodeAck({ received: 1 }));
    await until("the acknowledgement", () => players[0]?.streams?.keptFrames === 0);
    await refused(await arrive({ received: 1, ...position }));
    expect(players[0]?.connected).toBe(true);
  });

  it("[ARRIVE-4] of a client that no longer speaks what is in force is refused", async () => {
    await start();
    await join(all | features.requests);
    await refused(await arrive({}, all));
    expect(cluster.server.metrics.refusals).toEqual({ ARRIVAL_UNKNOWN: 1 });
  });

  it("[ARRIVE-4] says what refused it, where a player was found", async () => {
    await start();
    await join();
    answer = async () => ({ refused: "BUSY", retryAfterMs: 500 });
    const client = await arrive();
    expect(await client.next("reject")).toMatchObject({ code: closeCodes.BUSY.number, retryAfterMs: 500 });
  });

  it("[REDIRECT-2] is answered by REDIRECT where the player has been handed on, and that is all", async () => {
    await start();
    await join();
    const tls = { serverName: "s", caPem: "p", sha256: "ef".repeat(32) };
    const redirect = { id, key, boot: 2, token, cluster: { id: "c", name: "n", host: "h", port: 1, tls } };
    answer = async () => ({ redirect: encodeRedirect(redirect) });
    const client = await arrive();
    expect(await client.next("redirect")).toMatchObject(redirect);
    await client.gone();
    expect(client.types()).toEqual([]);
  });

  it("[ARRIVE-6] that nobody answers ends without a word when the time for JOIN is over", async () => {
    await start({ limits: { joinTimeoutMs: 300 } });
    await join();
    answer = () => new Promise(() => undefined);
    const client = await arrive();
    await client.gone();
    expect(client.types()).toEqual([]);
    expect(cluster.server.metrics.refusals).toEqual({ JOIN_TIMEOUT: 1 });
  });

  it("[ARRIVE-6] of who has gone by the time of the answer takes nothing over", async () => {
    await start();
    const before = await join();
    const { promise, resolve } = Promise.withResolvers<Arrived | undefined>();
    answer = () => promise;
    const client = await arrive();
    await until("the question", () => arrivals.length === 1);
    client.close();
    await until("its end", () => cluster.server.metrics.connections.verifying === 0);
    const [player] = players;
    resolve(player === undefined ? undefined : { player });
    await promise;
    before.send(message(1));
    await until("the message", () => heard.length === 1);
    expect(player?.hasClient).toBe(true);
  });

  it("[ARRIVE-6] leaves nothing to say until it is answered", async () => {
    await start();
    await join();
    answer = () => new Promise(() => undefined);
    const client = await arrive();
    await until("the question", () => arrivals.length === 1);
    client.send(message(1));
    await client.gone();
    expect(cluster.server.metrics.refusals).toEqual({ EARLY_FRAME: 1 });
  });

  it("[ARRIVE-6] over the limit of JOIN is cut off before it has come", async () => {
    await start();
    const client = await cluster.connected();
    client.send(hello(), rawFrame(0x0e, new Uint8Array(4_096)).subarray(0, 100));
    await client.gone();
    expect(cluster.server.metrics.refusals).toEqual({ FRAME_TOO_LARGE: 1 });
  });

  it("[HELLO-6] is malformed for who does not offer it, and where it is not in force", async () => {
    await start();
    await join();
    const plain = await arrive({}, features.resume | features.state);
    await plain.gone();
    desk = undefined;
    const other = await arrive();
    await other.gone();
    expect([...plain.types(), ...other.types()]).toEqual([]);
    expect(cluster.server.metrics.refusals).toEqual({ UNEXPECTED_TYPE: 2 });
    expect(arrivals).toEqual([]);
  });

  it("[ARRIVE-6] that fails ends its own connection alone", async () => {
    await start();
    const before = await join();
    answer = () => Promise.reject(new Error("broken"));
    const client = await arrive();
    await client.gone();
    expect(cluster.server.metrics.refusals).toEqual({ INTERNAL: 1 });
    before.send(message(1));
    await until("the message", () => heard.length === 1);
  });

  it("[HAND-9] drops what was applied before it came, brought by the cluster before", async () => {
    await start();
    const before = await join();
    before.send(message(1));
    await until("the message", () => heard.length === 1);
    const client = await arrive();
    await client.next("streams");
    // As a forwarded input: it comes between STREAMS and what the client sends again.
    players[0]?.streams?.count(3);
    client.send(encodeAck({ received: 0 }), message(2), message(3));
    await until("the other", () => heard.length === 2);
    expect(heard).toEqual([1, 3]);
  });
});

describe("a key", () => {
  it("[HAND-14] is the same or it is not, whatever its length", () => {
    expect(isSameKey(key, key)).toBe(true);
    expect(isSameKey(key, `${key.slice(0, -1)}c`)).toBe(false);
    expect(isSameKey("", key)).toBe(false);
  });
});
