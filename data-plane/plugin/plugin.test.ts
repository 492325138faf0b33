import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type CloseCode, closeCodes, encodeClose, encodeMessage, encodePing } from "../../protocol/index.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import type { Player } from "./player.ts";
import type { Cluster, LogEntry, ServerPlugin } from "./server-plugin.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const say = (client: TestClient, command: number, ...payload: number[]): void =>
  client.send(encodeMessage({ command, payload: Uint8Array.from(payload) }));

const ignore = (): void => undefined;

describe("a plugin", () => {
  it("can be the original's: receives a command, replies 20, reads a length-prefixed passphrase", async () => {
    const passphrases: string[] = [];
    cluster = await startTestCluster({
      plugin: {
        onMessage: (player, _command, reader) => {
          player.send(20);
          const length = reader.u8();
          passphrases.push(Buffer.from(reader.bytes(length)).toString());
        },
      },
    });
    const client = await cluster.joined();
    say(client, 1, 4, ...Buffer.from("open"));
    expect(await client.next("message")).toMatchObject({ command: 20, payload: new Uint8Array() });
    expect(passphrases).toEqual(["open"]);
  });

  it("[WELCOME-1] hears of joins and departures, and what it sends on joining comes after WELCOME", async () => {
    const heard: string[] = [];
    cluster = await startTestCluster({
      plugin: {
        onJoin: (player) => {
          heard.push(`join ${player.id} ${player.name}`);
          player.send(9, Uint8Array.of(1));
        },
        onLeave: (player, reason) => void heard.push(`leave ${player.id} ${reason} ${player.send(1)}`),
      },
    });
    const client = await cluster.connected();
    client.join(await cluster.master.ticket({ sub: "hero", name: "Héro" }));
    await until("two messages", () => client.received.length === 2);
    expect(client.types()).toEqual(["welcome", "message"]);
    client.send(encodeClose("NORMAL"));
    await until("the departure", () => heard.length === 2);
    expect(heard).toEqual(["join hero Héro", "leave hero NORMAL false"]);
  });

  it("[WELCOME-1] may close a player on joining: the client hears WELCOME first", async () => {
    cluster = await startTestCluster({ plugin: { onJoin: (player) => player.close("NORMAL") } });
    const client = await cluster.connected();
    client.join(await cluster.master.ticket());
    await client.gone();
    expect(client.types()).toEqual(["welcome", "close"]);
  });

  it("knows everyone, and can speak to all or to all but one", async () => {
    const { promise, resolve } = Promise.withResolvers<Cluster>();
    cluster = await startTestCluster({ plugin: { onStart: resolve } });
    const view = await promise;
    const clients = [await cluster.joined(), await cluster.joined(), await cluster.joined()];
    expect(view.playerCount).toBe(3);
    const [first] = view.players;
    expect(view.player(first?.number ?? 0)).toBe(first);
    view.broadcast(1);
    view.broadcast(2, Uint8Array.of(7), first);
    view.broadcast(3);
    for (const client of clients)
      await until("the last", () => client.received.at(-1)?.type === "message" && client.received.length >= 2);
    await until("all", () => clients.every((client) => client.received.length >= (client === clients[0] ? 2 : 3)));
    const commands = clients.map((client) =>
      client.received.map((message) => (message.type === "message" ? message.command : -1)),
    );
    expect(commands).toEqual([
      [1, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it("is told what it may not send", async () => {
    const players: Player[] = [];
    cluster = await startTestCluster({ plugin: { onJoin: (player) => void players.push(player) } });
    const client = await cluster.joined();
    const [player] = players;
    for (const command of [-1, 256, 1.5, Number.NaN]) expect(() => player?.send(command)).toThrow(RangeError);
    expect(() => player?.send(1, new Uint8Array(65_534))).toThrow(RangeError);
    expect(player?.send(1, new Uint8Array(65_533))).toBe(true);
    expect((await client.next("message")).payload.length).toBe(65_533);
  });

  it("in JavaScript is told what is no payload, before anything of it is sent", async () => {
    let here: Cluster | undefined;
    cluster = await startTestCluster({ plugin: { onStart: (started) => void (here = started) } });
    const client = await cluster.joined();
    const player = here?.player(1);
    for (const wrong of ["text", [1, 2], new ArrayBuffer(3), new Float32Array(2)]) {
      // What no compiler has looked at.
      const payload: Uint8Array = JSON.parse("null") ?? wrong;
      expect(() => player?.send(1, payload)).toThrow(RangeError);
      expect(() => player?.sendBulk(1, payload)).toThrow(RangeError);
      expect(() => player?.sendState("key", 1, payload)).toThrow(RangeError);
      expect(() => here?.broadcast(1, payload)).toThrow(RangeError);
      expect(() => here?.broadcastState("key", 1, payload)).toThrow(RangeError);
      expect(() => here?.tell("ann", 1, payload)).toThrow(RangeError);
      await expect(player?.request(1, payload)).rejects.toThrow(RangeError);
    }
    const text: Uint8Array = JSON.parse('"text"');
    expect(() => player?.save(text)).toThrow("a player's save is a Uint8Array of at most 49152 bytes");
    expect(() => here?.storage.set("key", text)).toThrow("a value is a Uint8Array of at most 65536 bytes");
    const code: CloseCode = JSON.parse('"NOPE"');
    expect(() => player?.close(code)).toThrow(new RangeError("there is no code NOPE"));
    player?.send(2, Buffer.from("fine"));
    expect(await client.next("message")).toMatchObject({ command: 2, payload: new Uint8Array(Buffer.from("fine")) });
  });

  it("ticks at the rate that is set", async () => {
    const ticks: [number, number][] = [];
    cluster = await startTestCluster({
      settings: { tickHz: 100 },
      plugin: { onTick: (tick, dtSeconds) => void ticks.push([tick, dtSeconds]) },
    });
    await until("ten ticks", () => ticks.length >= 10);
    expect(ticks.slice(0, 3)).toEqual([
      [1, 0.01],
      [2, 0.01],
      [3, 0.01],
    ]);
  });

  it("whose start does not end is named in the log: nobody can join before", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const said: LogEntry[] = [];
    const onLog = (entry: LogEntry): void => {
      if (entry.fields["event"] === "plugin-starting") said.push(entry);
    };
    const starting = startTestCluster({
      plugin: [
        { name: "quick", onStart: ignore, onLog },
        { name: "map", onStart: () => promise },
      ],
      limits: { hookTimeoutMs: 20 },
    });
    await until("it to be said, again and again", () => said.length > 1);
    resolve();
    cluster = await starting;
    expect(said[0]).toMatchObject({
      level: "warn",
      fields: { plugin: "map" },
      message: "onStart of plugin map is not done yet: nobody can join before it is",
    });
  });

  it("keeps the cluster from starting when its start fails", async () => {
    const plugin: ServerPlugin = { onStart: () => Promise.reject(new Error("no world")) };
    await expect(startTestCluster({ plugin })).rejects.toThrow("no world");
    cluster = await startTestCluster();
  });
});

describe("a plugin that fails", () => {
  it("[PLUGIN-1] is contained, hook by hook: logged and counted, and nobody else notices", async () => {
    const fail = (): never => {
      throw new Error("thrown");
    };
    const reject = (): Promise<never> => Promise.reject(new Error("rejected"));
    let fails = false;
    cluster = await startTestCluster({
      settings: { tickHz: 100 },
      plugin: {
        name: "clumsy",
        onJoin: () => (fails ? fail() : undefined),
        onLeave: reject,
        onTick: () => (fails ? reject() : undefined),
        onMessage: (player, command) => {
          if (command === 1) fail();
          if (command === 2) return reject();
          player.send(command);
          return undefined;
        },
        onStop: fail,
      },
    });
    const bystander = await cluster.joined();
    fails = true;
    const client = await cluster.joined();
    say(client, 1);
    say(client, 2);
    say(client, 3);
    expect((await client.next("message")).command).toBe(3);
    client.close();
    say(bystander, 4);
    expect((await bystander.next("message")).command).toBe(4);
    const { server, log } = cluster;
    await until("every failure", () => {
      const { onJoin, onLeave, onMessage, onTick = 0 } = server.metrics.pluginErrors;
      return onJoin === 1 && onLeave === 1 && onMessage === 2 && onTick > 1;
    });
    await server.stop();
    expect(server.metrics.pluginErrors).toMatchObject({ onStop: 1 });
    const line = log.lines.find(({ fields }) => fields["hook"] === "onMessage");
    expect(line).toMatchObject({ level: "error", fields: { plugin: "clumsy", err: expect.any(Error) } });
  });

  it("is not to blame for a message that ends too soon: the player is closed with PROTOCOL_ERROR", async () => {
    cluster = await startTestCluster({
      plugin: { onMessage: (_player, _command, reader) => void reader.bytes(reader.u8()) },
    });
    const client = await cluster.joined();
    say(client, 1, 200, 1, 2);
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
    expect(cluster.server.metrics.pluginErrors).toEqual({});
    expect(cluster.log.lines.map(({ fields }) => fields["reason"])).toContain("MESSAGE_TRUNCATED");
  });
});

describe("a plugin that takes its time", () => {
  it("[MESSAGE-1] hears a player's messages in order, one after the other, while others are served", async () => {
    const heard: string[] = [];
    const gates = new Map<number, () => void>();
    cluster = await startTestCluster({
      plugin: {
        onMessage: async (player, command, reader) => {
          if (command === 0) {
            player.send(0);
            return;
          }
          heard.push(`${command} begins`);
          await new Promise<void>((resolve) => gates.set(command, resolve));
          // What the reader shows stays as it is, however late.
          heard.push(`${command} ends ${reader.u8()}`);
        },
      },
    });
    const client = await cluster.joined();
    say(client, 1, 11);
    say(client, 2, 22);
    await until("the first", () => heard.length === 1);
    const other = await cluster.joined();
    say(other, 0);
    await other.next("message");
    client.send(encodePing({ timeMs: 1 }));
    await client.next("pong");
    gates.get(1)?.();
    await until("the second", () => heard.length === 3);
    gates.get(2)?.();
    await until("its end", () => heard.length === 4);
    expect(heard).toEqual(["1 begins", "1 ends 11", "2 begins", "2 ends 22"]);
  });

  it("is not drowned: nothing more is read from the player until it has caught up", async () => {
    let open: () => void = ignore;
    const gate = new Promise<void>((resolve) => (open = resolve));
    let heard = 0;
    cluster = await startTestCluster({
      settings: { pingIntervalMs: 100, idleTimeoutMs: 300 },
      plugin: {
        onMessage: async () => {
          heard += 1;
          await gate;
        },
      },
    });
    const client = await cluster.joined();
    const total = 20_000;
    const bytes = encodeMessage({ command: 1, payload: new Uint8Array(200) });
    client.send(...Array.from({ length: total }, () => bytes));
    const startedAt = performance.now();
    await until("longer than the idle timeout", () => performance.now() - startedAt > 600);
    expect(cluster.server.metrics.framesIn).toBeLessThan(total / 2);
    expect(client.closed).toBe(false);
    open();
    await until("all", () => heard === total);
  });

  it("[CLOSE-1] can close a player who is held back, in order", async () => {
    const players: Player[] = [];
    let open: () => void = ignore;
    const gate = new Promise<void>((resolve) => (open = resolve));
    cluster = await startTestCluster({
      limits: { lingerMs: 60_000 },
      plugin: { onJoin: (player) => void players.push(player), onMessage: () => gate },
    });
    const client = await cluster.joined();
    client.send(...Array.from({ length: 5_000 }, () => encodeMessage({ command: 1, payload: new Uint8Array(200) })));
    await until("messages to wait", () => cluster.server.metrics.framesIn > 70);
    players[0]?.close("INTERNAL");
    expect((await client.next("close")).code).toBe(closeCodes.INTERNAL.number);
    await client.gone();
    expect(client.ended).toBe(true);
    await until("the connection to go", () => cluster.server.metrics.connections.closing === 0);
    open();
  });

  it("is done with one session of a player before it hears of the next", async () => {
    const heard: string[] = [];
    let saved: () => void = ignore;
    cluster = await startTestCluster({
      plugin: {
        onJoin: (player) => void heard.push(`join ${player.number}`),
        onLeave: async (player) => {
          await new Promise<void>((resolve) => (saved = resolve));
          heard.push(`saved ${player.number}`);
        },
      },
    });
    const first = await cluster.joined({ sub: "hero", gen: 1 });
    first.close();
    await until("the departure", () => cluster.server.metrics.departures["DROPPED"] === 1);
    await cluster.joined({ sub: "hero", gen: 2 });
    await nextTurn();
    expect(heard).toEqual(["join 1"]);
    saved();
    await until("the join", () => heard.length === 3);
    expect(heard).toEqual(["join 1", "saved 1", "join 2"]);
    cluster.server.stop().catch(ignore);
    await until("the second save to begin", () => cluster.server.metrics.departures["SHUTTING_DOWN"] === 1);
    saved();
  });
});
