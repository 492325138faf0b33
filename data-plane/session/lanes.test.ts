import { afterEach, describe, expect, it } from "vitest";
import {
  closeCodes,
  encodeCancel,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodePing,
  encodeRequest,
  encodeResponse,
  features,
  RequestError,
  responseStatuses,
} from "../../protocol/index.ts";
import type { Player } from "../plugin/player.ts";
import type { ServerPlugin } from "../plugin/server-plugin.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
let player: Player;
afterEach(() => cluster.stop());

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

async function start(plugin: ServerPlugin = {}, options: TestClusterOptions = {}): Promise<void> {
  cluster = await startTestCluster({
    ...options,
    plugin: {
      ...plugin,
      onJoin: (joined) => {
        player = joined;
      },
    },
  });
}

async function join(offered: number = features.state | features.requests): Promise<TestClient> {
  const client = await cluster.connected();
  client.send(
    encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "test" }),
    encodeJoin({ ticket: await cluster.master.ticket() }),
  );
  expect((await client.next("welcome")).features).toBe(offered);
  return client;
}

const codeOf = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => "answered",
    (error: unknown) => (error instanceof RequestError ? error.code : String(error)),
  );

describe("what is sent", () => {
  it("[LATEST-1] [LATEST-2] leaves by priority; of state only the latest, once a tick", async () => {
    let ticks = 0;
    await start({
      onMessage: () => {
        for (let value = 0; value < 5; value += 1) player.sendState("a", 30, bytes(value));
        player.sendState("b", 31, bytes(9));
      },
      onTick: () => {
        ticks += 1;
        if (ticks % 3 !== 0 || player === undefined) return;
        player.sendBulk(50);
        player.sendState("tick", 32, bytes(ticks));
        player.send(40);
      },
    });
    const client = await join();
    client.send(encodeMessage({ command: 1, payload: bytes() }));
    await until("state", () => client.types().filter((type) => type === "state").length >= 4);
    const states = client.received.filter((one) => one.type === "state");
    expect(states.filter(({ command }) => command === 30)).toEqual([{ type: "state", command: 30, payload: bytes(4) }]);
    expect(states.filter(({ command }) => command === 31)).toHaveLength(1);
    // What one tick said stands together, in the order of priority.
    const said = client.received.flatMap((one) => ("command" in one && one.command >= 32 ? [one.command] : []));
    expect(said.slice(0, 6)).toEqual([40, 32, 50, 40, 32, 50]);
  });

  it("[LATEST-4] goes as MESSAGE to a client that does not know STATE, and is coalesced there as well", async () => {
    await start({
      onMessage: () => {
        for (let value = 0; value < 5; value += 1) player.sendState("a", 30, bytes(value));
      },
    });
    const client = await join(0);
    client.send(encodeMessage({ command: 1, payload: bytes() }));
    expect(await client.next("message")).toEqual({ type: "message", command: 30, payload: bytes(4) });
    client.send(encodePing({ timeMs: 1 }));
    await client.next("pong");
    expect(client.received).toEqual([]);
  });

  it("[LATEST-3] of all that the loss of a connection costs, state is the only thing", async () => {
    await start();
    const client = await join(features.state | features.resume);
    const { token } = await client.next("resumeToken");
    expect(token).toHaveLength(20);
    client.close();
    await until("the drop", () => player.dropped);
    expect([player.sendState("a", 1), player.send(2), player.sendBulk(3)]).toEqual([true, true, true]);
  });

  it("refuses commands and payloads that do not fit", async () => {
    await start();
    await join();
    for (const send of ["send", "sendBulk"] as const) {
      expect(() => player[send](256)).toThrow(RangeError);
      expect(() => player[send](1, new Uint8Array(65_534))).toThrow(RangeError);
    }
    expect(() => player.sendState("a", -1)).toThrow(RangeError);
    expect(await codeOf(player.request(1, new Uint8Array(65_526)))).toContain("RangeError");
    expect(await codeOf(player.request(1, bytes(), { timeoutMs: 60_001 }))).toContain("RangeError");
  });
});

describe("requests of a player", () => {
  const request = (id: number, command: number, payload = bytes(7), deadlineMs = 5_000): Uint8Array =>
    encodeRequest({ id, deadlineMs, command, payload });

  it("[REQUEST-4] are answered by the plugin, at once or later, and hold up nothing", async () => {
    const order: string[] = [];
    const open = Promise.withResolvers<Uint8Array>();
    await start({
      onMessage: (_player, command) => void order.push(`message ${command}`),
      onRequest: (_player, command, reader) => {
        order.push(`request ${command}`);
        return command === 1 ? open.promise : reader.rest();
      },
    });
    const client = await join();
    const message = encodeMessage({ command: 9, payload: bytes() });
    client.send(request(5, 1), message, request(6, 2));
    expect(await client.next("response")).toEqual({ type: "response", id: 6, status: 0, payload: bytes(7) });
    open.resolve(bytes(1, 2));
    expect(await client.next("response")).toEqual({ type: "response", id: 5, status: 0, payload: bytes(1, 2) });
    expect(order).toEqual(["request 1", "message 9", "request 2"]);
  });

  it("[REQUEST-4] fail where the plugin does, or has no such hook; the player stays", async () => {
    await start({
      onRequest: (_player, command) => {
        if (command === 1) throw new Error("secret");
        return command === 2 ? Promise.reject(new Error("secret")) : undefined;
      },
    });
    const client = await join();
    client.send(request(1, 1), request(2, 2), request(3, 3));
    await until("three answers", () => client.received.length === 3);
    const statuses = client.received.flatMap((one) => (one.type === "response" ? [[one.id, one.status]] : []));
    expect(statuses.toSorted(([a = 0], [b = 0]) => a - b)).toEqual([
      [1, responseStatuses.FAILED],
      [2, responseStatuses.FAILED],
      [3, responseStatuses.UNHANDLED],
    ]);
    expect(JSON.stringify(client.received)).not.toContain("secret");
    expect(cluster.server.metrics.pluginErrors).toEqual({ onRequest: 2 });
  });

  it("[REQUEST-3] [REQUEST-4] [REQUEST-5] are held to their deadline, called off, and bounded", async () => {
    const signals: AbortSignal[] = [];
    await start({
      onRequest: (_player, _command, _reader, signal) => {
        signals.push(signal);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
      },
    });
    const client = await join();
    client.send(request(1, 1, bytes(), 30), request(2, 1), encodeCancel({ id: 2 }), encodeCancel({ id: 99 }));
    expect(await client.next("response")).toMatchObject({ id: 1, status: responseStatuses.DEADLINE });
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
    client.send(...Array.from({ length: 65 }, (_, index) => request(100 + index, 1)));
    expect(await client.next("response")).toMatchObject({ id: 164, status: responseStatuses.BUSY });
    expect(client.received).toEqual([]);
  });

  it("[REQUEST-1] [REQUEST-2] are malformed with an id that is open, or without time", async () => {
    await start({ onRequest: () => new Promise(() => undefined) });
    const client = await join();
    client.send(request(1, 1), request(1, 1));
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
    const other = await join();
    const timeless = Buffer.from(request(1, 1));
    timeless.writeUInt32LE(0, 7);
    other.send(timeless);
    expect((await other.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
  });

  it("[HELLO-6] are malformed where they are not in force", async () => {
    await start({ onRequest: () => bytes() });
    for (const frame of [
      request(1, 1),
      encodeCancel({ id: 1 }),
      encodeResponse({ id: 1, status: 0, payload: bytes() }),
    ]) {
      const client = await join(features.state);
      client.send(frame);
      expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
    }
    expect(await codeOf(player.request(1))).toBe("ENDED");
  });

  it("that the plugin cannot read end the session, as messages do", async () => {
    await start({
      onRequest: (_player, _command, reader) => {
        reader.u32();
        return bytes();
      },
    });
    const client = await join();
    client.send(request(1, 1));
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
  });
});

describe("requests to a player", () => {
  it("[REQUEST-4] resolve with its answer", async () => {
    await start();
    const client = await join();
    const outcome = player.request(8, bytes(1, 2), { timeoutMs: 5_000 });
    const { id, deadlineMs, command, payload } = await client.next("request");
    expect([deadlineMs, command, payload]).toEqual([5_000, 8, bytes(1, 2)]);
    client.send(encodeResponse({ id, status: responseStatuses.OK, payload: bytes(3) }));
    expect(await outcome).toEqual(bytes(3));
  });

  it("[REQUEST-3] [REQUEST-4] reject with what happened", async () => {
    await start();
    const client = await join();
    expect(await codeOf(player.request(1, bytes(), { timeoutMs: 20 }))).toBe("TIMEOUT");
    await client.next("request");
    await client.next("cancel");
    const refused = codeOf(player.request(1));
    const { id } = await client.next("request");
    client.send(encodeResponse({ id, status: responseStatuses.UNHANDLED, payload: bytes() }));
    expect(await refused).toBe("UNHANDLED");
    const open = codeOf(player.request(1));
    await client.next("request");
    client.close();
    expect(await open).toBe("ENDED");
    expect(await codeOf(player.request(1))).toBe("ENDED");
  });

  it("[REQUEST-4] are called off by the game, and the client is told", async () => {
    await start();
    const client = await join();
    const controller = new AbortController();
    const outcome = codeOf(player.request(1, bytes(), { signal: controller.signal }));
    const { id } = await client.next("request");
    controller.abort();
    expect(await outcome).toBe("CANCELLED");
    expect(await client.next("cancel")).toMatchObject({ id });
  });

  it("[HELLO-6] reject where the client does not know requests", async () => {
    await start();
    const client = await join(features.state);
    expect(await codeOf(player.request(1))).toBe("UNSUPPORTED");
    expect(client.received).toEqual([]);
  });
});

describe("the budget", () => {
  const message = encodeMessage({ command: 1, payload: new Uint8Array(96) });
  const many = (count: number): Uint8Array[] => Array.from({ length: count }, () => message);

  it("[BUDGET-1] warns who overdraws it, and closes who overdraws it by much", async () => {
    let heard = 0;
    await start({ onMessage: () => void (heard += 1) }, { settings: { maxMessagesPerSecond: 10_000 } });
    const client = await join();
    client.send(...many(20_000));
    await until("two seconds' worth", () => heard === 20_000);
    expect(cluster.server.metrics.budgetWarnings).toBe(0);
    client.send(...many(45_000));
    const { code, retryAfterMs } = await client.next("close");
    expect([code, retryAfterMs]).toEqual([closeCodes.RATE_LIMITED.number, 5_000]);
    expect(cluster.server.metrics).toMatchObject({ budgetWarnings: 1, departures: { RATE_LIMITED: 1 } });
    expect(cluster.log.lines.filter(({ fields }) => fields["event"] === "over-budget")).toHaveLength(1);
  });

  it("[BUDGET-1] counts bytes as well", async () => {
    await start({}, { settings: { maxBytesPerSecond: 100_000 } });
    const client = await join();
    client.send(...many(1_900));
    client.send(encodePing({ timeMs: 1 }));
    await client.next("pong");
    client.send(...many(4_000));
    expect((await client.next("close")).code).toBe(closeCodes.RATE_LIMITED.number);
  });
});
