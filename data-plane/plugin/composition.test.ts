import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { ByteReader, type CloseCode, closeCodes, encodeMessage, encodeMove } from "../../protocol/index.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { Memory } from "./memory.ts";
import type { Player } from "./player.ts";
import type { Cluster, LogEntry, Newcomer, ServerPlugin } from "./server-plugin.ts";
import { defineMessage, MessageTable } from "./typed-message.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const say = (client: TestClient, command: number, ...payload: number[]): void =>
  client.send(encodeMessage({ command, payload: Uint8Array.from(payload) }));

const ignore = (): void => undefined;

it("a plugin with what looks like a hook and is none is told of at the start, once", async () => {
  class Base {
    onMesage(): void {}
    get onLeft(): () => void {
      throw new Error("nobody is to look");
    }
  }
  class Game extends Base {
    readonly name = "game";
    readonly onSale = true;
    readonly once = ignore;
    onJoin(): void {}
    override onMesage(): void {}
    onBeforeFirstRoundOfTheDay(): void {}
  }
  const game: ServerPlugin = new Game();
  const misspelt: object = { onenterfragment: ignore, onEnterFragmnet: ignore, timer: ignore };
  cluster = await startTestCluster({ plugin: [game, misspelt] });
  const lines = cluster.log.lines.filter(({ fields }) => fields["event"] === "plugin-unknown-hook");
  expect(lines).toEqual([
    {
      level: "warn",
      fields: { event: "plugin-unknown-hook", plugin: "game", hook: "onMesage" },
      message: "plugin game has onMesage, which is no hook: the cluster never calls it; did you mean onMessage?",
    },
    {
      level: "warn",
      fields: { event: "plugin-unknown-hook", plugin: "game", hook: "onBeforeFirstRoundOfTheDay" },
      message: "plugin game has onBeforeFirstRoundOfTheDay, which is no hook: the cluster never calls it",
    },
    {
      level: "warn",
      fields: { event: "plugin-unknown-hook", plugin: "plugin-2", hook: "onEnterFragmnet" },
      message:
        "plugin plugin-2 has onEnterFragmnet, which is no hook: the cluster never calls it; did you mean onEnterFragment?",
    },
  ]);
});

describe("several plugins", () => {
  it("are asked in their order, each after the one before is done; onStop in the opposite order", async () => {
    const heard: string[] = [];
    const create = (name: string, wait: boolean): ServerPlugin => ({
      name,
      onStart: () => void heard.push(`${name} start`),
      onJoin: async () => {
        if (wait) await new Promise((resolve) => setTimeout(resolve, 20));
        heard.push(`${name} join`);
      },
      onMessage: (_player, command, reader) => void heard.push(`${name} ${command} ${reader.u8()}`),
      onStop: () => void heard.push(`${name} stop`),
    });
    cluster = await startTestCluster({ plugin: [create("a", true), create("b", false)] });
    const client = await cluster.joined();
    say(client, 1, 7);
    await until("both", () => heard.length === 6);
    await cluster.server.stop();
    expect(heard).toEqual(["a start", "b start", "a join", "b join", "a 1 7", "b 1 7", "b stop", "a stop"]);
  });

  it("do not see a message that one before them has dealt with", async () => {
    const heard: string[] = [];
    cluster = await startTestCluster({
      plugin: [
        { onMessage: (_player, command) => command === 1 },
        { onMessage: async (_player, command) => Promise.resolve(command === 2) },
        { onMessage: (_player, command) => void heard.push(`third ${command}`) },
      ],
    });
    const client = await cluster.joined();
    for (const command of [1, 2, 3]) say(client, command);
    await until("the last", () => heard.length > 0);
    expect(heard).toEqual(["third 3"]);
  });

  it("all have to agree to a move", async () => {
    cluster = await startTestCluster({
      plugin: [{ onMove: (_player, _from, to) => to.x < 10 }, { onMove: (_player, _from, to) => to.z < 10 }],
    });
    const client = await cluster.joined();
    const [one, two, three] = [
      { x: 1, z: 1 },
      { x: 20, z: 1 },
      { x: 1, z: 20 },
    ].map((to, index) => encodeMove({ sequence: index + 1, y: 0, heading: 0, ...to }));
    for (const move of [one, two, three]) if (move !== undefined) client.send(move);
    expect([(await client.next("position")).sequence, (await client.next("position")).sequence]).toEqual([2, 3]);
    expect(cluster.server.metrics.movesRefused).toBe(2);
  });

  it("go on when one of them fails: the others still hear", async () => {
    const heard: number[] = [];
    const reject = (): Promise<never> => Promise.reject(new Error("rejected"));
    cluster = await startTestCluster({
      plugin: [{ onJoin: reject, onMessage: reject }, { onMessage: (_player, command) => void heard.push(command) }],
    });
    const client = await cluster.joined();
    say(client, 5);
    await until("it", () => heard.length === 1);
    expect(cluster.server.metrics.pluginErrors).toEqual({ onJoin: 1, onMessage: 1 });
  });
});

describe("onAuth", () => {
  async function attempt(claims: Parameters<TestCluster["master"]["ticket"]>[0] = {}): Promise<TestClient> {
    const client = await cluster.connected();
    client.join(await cluster.master.ticket(claims));
    return client;
  }

  it("[TICKET-11] refuses before the player is in, with the code that the plugin gives", async () => {
    const joined: string[] = [];
    const newcomers: Newcomer[] = [];
    cluster = await startTestCluster({
      plugin: [
        { onAuth: (newcomer) => void newcomers.push(newcomer) },
        { onAuth: ({ id }) => (id === "villain" ? "NOT_ALLOWED" : undefined) },
        { onJoin: ({ id }) => void joined.push(id) },
      ],
    });
    const refused = await attempt({ sub: "villain", name: "V", gen: 3, frag: "west" });
    expect((await refused.next("reject")).code).toBe(closeCodes.NOT_ALLOWED.number);
    await cluster.joined({ sub: "hero" });
    expect(joined).toEqual(["hero"]);
    expect(newcomers[0]).toEqual({ id: "villain", name: "V", generation: 3, fragment: "west" });
    expect(cluster.server.metrics.refusals["NOT_ALLOWED"]).toBe(1);
  });

  it("[TICKET-11] may take its time; a newer ticket that joins meanwhile is not thrown out by the older one", async () => {
    const gates: (() => void)[] = [];
    cluster = await startTestCluster({
      plugin: { onAuth: ({ generation }) => (generation === 1 ? new Promise((open) => gates.push(open)) : undefined) },
    });
    const older = await attempt({ sub: "hero", gen: 1 });
    await until("the question", () => gates.length === 1);
    const newer = await attempt({ sub: "hero", gen: 2 });
    await newer.next("welcome");
    gates[0]?.();
    expect((await older.next("reject")).code).toBe(closeCodes.STALE_GENERATION.number);
    expect(newer.closed).toBe(false);
  });

  it("[JOIN-2] does not extend the time for joining", async () => {
    cluster = await startTestCluster({
      limits: { joinTimeoutMs: 300 },
      plugin: { onAuth: () => new Promise(ignore) },
    });
    const client = await attempt();
    await client.gone();
    expect(cluster.server.metrics.refusals).toEqual({ JOIN_TIMEOUT: 1 });
  });

  it("may answer by any thenable, as some databases do", async () => {
    const query = (code: CloseCode | undefined): Promise<CloseCode | undefined> => {
      const answer = Promise.resolve(code);
      // oxlint-disable-next-line unicorn/no-thenable -- it is what this is about
      return Object.assign(Object.create(null), { then: answer.then.bind(answer) });
    };
    cluster = await startTestCluster({
      plugin: { onAuth: ({ id }) => query(id === "villain" ? "NOT_ALLOWED" : undefined) },
    });
    await (await attempt({ sub: "hero" })).next("welcome");
    const refused = await attempt({ sub: "villain" });
    expect((await refused.next("reject")).code).toBe(closeCodes.NOT_ALLOWED.number);
  });

  it("lets nobody in before a thenable has answered whose then returns nothing", async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- it is what this is about
    const bare = { then: (resolve: (code: CloseCode) => void) => setImmediate(resolve, "NOT_ALLOWED") };
    const plugin: ServerPlugin = {};
    Object.assign(plugin, { onAuth: () => bare });
    cluster = await startTestCluster({ plugin });
    const client = await attempt();
    expect((await client.next("reject")).code).toBe(closeCodes.NOT_ALLOWED.number);
  });

  it("[NET-4] that takes too long is not charged to the address of those who wait", async () => {
    cluster = await startTestCluster({
      limits: { joinTimeoutMs: 300 },
      settings: { maxUnauthenticatedPerIp: 3 },
      plugin: { onAuth: () => new Promise(ignore) },
    });
    const waiting = await Promise.all([attempt({ sub: "a" }), attempt({ sub: "b" }), attempt({ sub: "c" })]);
    for (const client of waiting) await client.gone();
    await Promise.all([cluster.connected(), cluster.connected(), cluster.connected()]);
    expect(cluster.server.metrics.refusals).toEqual({ JOIN_TIMEOUT: 3 });
  });

  it("[TICKET-11] [PLUGIN-3] refuses when it fails, whichever way", async () => {
    let way: "throw" | "reject" = "throw";
    cluster = await startTestCluster({
      plugin: {
        onAuth: () => {
          if (way === "reject") return Promise.reject(new Error("rejected"));
          throw new Error("thrown");
        },
      },
    });
    expect((await (await attempt()).next("reject")).code).toBe(closeCodes.INTERNAL.number);
    way = "reject";
    expect((await (await attempt()).next("reject")).code).toBe(closeCodes.INTERNAL.number);
  });
});

it("plugins of one name are refused: what is kept, and goes along to another cluster, goes by it", async () => {
  const game = { name: "game" };
  cluster = await startTestCluster({ plugin: [game, { name: "other" }, {}] });
  await expect(startTestCluster({ plugin: [game, { name: "other" }, { name: "game" }] })).rejects.toThrow(
    'two plugins are called "game": give each a name of its own',
  );
});

it("[PLUGIN-3] an onAuth that answers with what is no code, as JavaScript may, has failed, and the log says so", async () => {
  const answers: unknown[] = [true, false, "NOPE", Promise.resolve("NOPE"), "constructor"];
  const attempt = async (): Promise<number> => {
    const client = await cluster.connected();
    client.join(await cluster.master.ticket());
    return (await client.next("reject")).code;
  };
  const game: ServerPlugin = { name: "gate" };
  // What no compiler has looked at.
  Object.assign(game, { onAuth: () => answers.shift() });
  cluster = await startTestCluster({ plugin: game });
  while (answers.length > 0) expect(await attempt()).toBe(closeCodes.INTERNAL.number);
  const line = cluster.log.lines.find(({ fields }) => fields["event"] === "plugin-error");
  expect(line?.fields).toMatchObject({ plugin: "gate", hook: "onAuth" });
  expect(String(line?.fields["err"])).toBe(
    'TypeError: onAuth must return a code, as "NOT_ALLOWED", or nothing, not true',
  );
  expect(cluster.server.metrics.pluginErrors).toEqual({ onAuth: 5 });
  // A promise, and no instance of this realm's `Promise`.
  answers.push(runInNewContext('Promise.resolve("NOT_ALLOWED")'));
  expect(await attempt()).toBe(closeCodes.NOT_ALLOWED.number);
});

it("a message's handler may return anything, as JavaScript may: it has dealt with the message", async () => {
  const hello = defineMessage(1, {});
  const messages = new MessageTable();
  const loose: { on(message: object, handle: (player: Player) => unknown): void } = messages;
  loose.on(hello, (player) => player.send(2));
  const heard: number[] = [];
  cluster = await startTestCluster({
    plugin: [
      { onMessage: (player, command, reader) => messages.handle(player, command, reader) },
      { onMessage: (_player, command) => void heard.push(command) },
    ],
  });
  const client = await cluster.joined();
  say(client, 1);
  say(client, 3);
  await until("the other message", () => heard.includes(3));
  expect(heard).toEqual([3]);
  expect((await client.next("message")).command).toBe(2);
  expect(cluster.server.metrics.pluginErrors).toEqual({});
});

it("a message of fields that there are not is refused where it is defined", () => {
  const fields = { amount: "u8" } as const;
  Object.assign(fields, { gold: "u64" });
  expect(() => defineMessage(1, fields)).toThrow("gold: there is no kind of field u64");
});

describe("a hook that keeps failing", () => {
  it("is switched off, tried again after a while, and the other hooks and plugins go on", async () => {
    let broken = true;
    let calls = 0;
    cluster = await startTestCluster({
      limits: {
        breaker: { failures: 5, share: 0.5, players: 3, windowMs: 10_000, openMs: 300, maxOpenMs: 300, trials: 2 },
      },
      plugin: [
        {
          name: "fragile",
          onMessage: () => {
            calls += 1;
            if (broken) throw new Error("broken");
          },
        },
        { onMessage: (player, command) => void player.send(command) },
      ],
    });
    const client = await cluster.joined();
    for (let command = 1; command <= 20; command += 1) say(client, command);
    for (let command = 1; command <= 20; command += 1) expect((await client.next("message")).command).toBe(command);
    expect(calls).toBe(5);
    const events = (): unknown[] => cluster.log.lines.map(({ fields }) => fields["event"]);
    expect(events()).toContain("plugin-switched-off");
    broken = false;
    await until("it to be tried again", () => {
      say(client, 30);
      return calls >= 10;
    });
    expect(cluster.server.metrics.pluginErrors).toEqual({ onMessage: 5 });
  });

  it("[PLUGIN-1] counts as failed when its promise stays open, and the next one goes ahead", async () => {
    const heard: number[] = [];
    cluster = await startTestCluster({
      limits: { hookTimeoutMs: 50 },
      plugin: [
        { onMessage: (_player, command) => (command === 1 ? new Promise(ignore) : undefined) },
        { onMessage: (_player, command) => void heard.push(command) },
      ],
    });
    const client = await cluster.joined();
    say(client, 1);
    say(client, 2);
    await until("both", () => heard.length === 2);
    expect(heard).toEqual([1, 2]);
    expect(cluster.server.metrics.pluginErrors).toEqual({ onMessage: 1 });
  });

  it("[PLUGIN-3] while it is off, lets nobody in, and has no say in moves", async () => {
    let broken = false;
    const fail = (): void => {
      if (broken) throw new Error("broken");
    };
    cluster = await startTestCluster({
      limits: {
        breaker: {
          failures: 2,
          share: 0.5,
          players: 3,
          windowMs: 10_000,
          openMs: 60_000,
          maxOpenMs: 60_000,
          trials: 1,
        },
      },
      plugin: { onAuth: fail, onMove: fail },
    });
    const client = await cluster.joined();
    broken = true;
    const move = (sequence: number): Uint8Array => encodeMove({ sequence, x: 1, y: 0, z: 0, heading: 0 });
    client.send(move(1), move(2), move(3));
    for (const sequence of [1, 2]) expect((await client.next("position")).sequence).toBe(sequence);
    const refuse = async (): Promise<number> => {
      const newcomer = await cluster.connected();
      newcomer.join(await cluster.master.ticket());
      return (await newcomer.next("reject")).code;
    };
    const codes = [await refuse(), await refuse()];
    broken = false;
    codes.push(await refuse());
    expect(codes).toEqual([1, 2, 3].map(() => closeCodes.INTERNAL.number));
    expect(cluster.server.metrics.movesRefused).toBe(2);
    expect(cluster.server.metrics.pluginErrors).toEqual({ onAuth: 2, onMove: 2 });
  });

  it("is reported when it holds up everybody, and counts as failed when it does so for long", async () => {
    cluster = await startTestCluster({
      limits: { hookBudgetMs: 5, hookStallMs: 60 },
      plugin: {
        name: "hog",
        onMessage: (player, command) => {
          const until = performance.now() + command;
          while (performance.now() < until);
          player.send(command);
        },
      },
    });
    const client = await cluster.joined();
    say(client, 20);
    await client.next("message");
    const slow = cluster.log.lines.find(({ fields }) => fields["event"] === "plugin-slow");
    expect(slow).toMatchObject({ level: "warn", fields: { plugin: "hog", hook: "onMessage" } });
    say(client, 100);
    await client.next("message");
    await until("the count", () => (cluster.server.metrics.pluginErrors["onMessage"] ?? 0) > 0);
  });
});

describe("timers", () => {
  it("call back once or again and again, until they are cancelled, and what they throw is contained", async () => {
    const heard: string[] = [];
    cluster = await startTestCluster({
      plugin: {
        onStart: (view) => {
          view.after(1, () => void heard.push("once"));
          view.after(1, () => {
            throw new Error("thrown");
          });
          view.after(1, () => void heard.push("never")).cancel();
          const every = view.every(1, () => {
            heard.push("again");
            if (heard.filter((word) => word === "again").length === 3) every.cancel();
          });
        },
      },
    });
    await until("all", () => heard.length === 4 && cluster.server.metrics.pluginErrors["timer"] === 1);
    expect(heard.toSorted()).toEqual(["again", "again", "again", "once"]);
  });

  it("end with the cluster, and refuse delays that are none", async () => {
    let calls = 0;
    let view: Cluster | undefined;
    cluster = await startTestCluster({
      plugin: {
        onStart: (given) => {
          view = given;
          given.every(1, () => (calls += 1));
        },
      },
    });
    await until("a call", () => calls > 0);
    for (const delay of [-1, Number.NaN, 2 ** 31]) expect(() => view?.after(delay, ignore)).toThrow(RangeError);
    expect(() => view?.every(0, ignore)).toThrow(RangeError);
    await cluster.server.stop();
    const before = calls;
    view?.after(0, () => (calls += 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(calls).toBe(before);
  });
});

describe("onLog", () => {
  it("takes every line at the level that is set, save what it causes itself", async () => {
    const entries: LogEntry[] = [];
    let view: Cluster | undefined;
    cluster = await startTestCluster({
      settings: { logLevel: "info" },
      plugin: [
        { name: "loud", onStart: (given) => void (view = given) },
        {
          name: "listener",
          onLog: (entry) => {
            entries.push(entry);
            view?.log.info({}, "echo");
            if (entry.message === "hello") throw new Error("thrown");
          },
        },
      ],
    });
    entries.splice(0);
    view?.log.debug({}, "quiet");
    view?.log.warn({ count: 2 }, "hello");
    await cluster.joined();
    expect(entries.filter(({ message }) => ["hello", "quiet", "echo"].includes(message))).toEqual([
      { level: "warn", timeMs: expect.any(Number), message: "hello", fields: { plugin: "loud", count: 2 } },
    ]);
    expect(cluster.server.metrics.pluginErrors).toEqual({ onLog: 1 });
    expect(cluster.log.text()).toContain("echo");
  });
});

describe("typed messages", () => {
  const shot = defineMessage(7, { target: "u32", x: "f32", aimed: "bool", name: "str8", data: "bytes" });

  it("reach their handler, and others the plugins after", async () => {
    const heard: unknown[] = [];
    const table = new MessageTable().on(shot, (player, { target, name, aimed, data }) => {
      shot.send(player, { target: target + 1, x: 0.5, aimed: !aimed, name: `${name}!`, data });
    });
    cluster = await startTestCluster({
      plugin: [
        { onMessage: (player, command, reader) => table.handle(player, command, reader) },
        { onMessage: (_player, command) => void heard.push(command) },
      ],
    });
    const client = await cluster.joined();
    const values = { target: 4, x: 1, aimed: false, name: "é", data: Uint8Array.of(1, 2) };
    client.send(encodeMessage({ command: 7, payload: shot.encode(values) }));
    say(client, 8);
    const answer = await client.next("message");
    expect(answer.command).toBe(7);
    expect(shot.decode(new ByteReader(answer.payload))).toEqual({
      target: 5,
      x: 0.5,
      aimed: true,
      name: "é!",
      data: Uint8Array.of(1, 2),
    });
    await until("the other", () => heard.length === 1);
    expect(heard).toEqual([8]);
  });

  it.each([
    ["too short", [1, 0, 0]],
    ["too long", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]],
    ["neither true nor false", [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]],
  ])("that are %s close their sender with PROTOCOL_ERROR, and no plugin is blamed", async (_how, bytes) => {
    const table = new MessageTable().on(shot, ignore);
    cluster = await startTestCluster({
      plugin: { onMessage: (player, command, reader) => table.handle(player, command, reader) },
    });
    const client = await cluster.joined();
    say(client, 7, ...bytes);
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
    expect(cluster.server.metrics.pluginErrors).toEqual({});
  });

  it("refuse what their fields cannot hold", async () => {
    const good = { target: 1, x: 1, aimed: true, name: "n", data: new Uint8Array() };
    for (const bad of [{ target: -1 }, { target: 2 ** 32 }, { x: Number.NaN }, { name: "é".repeat(128) }]) {
      expect(() => shot.encode({ ...good, ...bad })).toThrow(RangeError);
    }
    expect(() => shot.encode({ ...good, data: new Uint8Array(65_530) })).toThrow("a payload has at most 65533 bytes");
    expect(() => defineMessage(256, {})).toThrow(RangeError);
    expect(() => new MessageTable().on(shot, ignore).on(shot, ignore)).toThrow(RangeError);
    cluster = await startTestCluster();
  });
});

it("remembers for a plugin what belongs to each player, and to the cluster", async () => {
  const players: Player[] = [];
  const gold = new Memory(() => 10);
  let view: Cluster | undefined;
  cluster = await startTestCluster({
    plugin: { onStart: (given) => void (view = given), onJoin: (player) => void players.push(player) },
  });
  await cluster.joined();
  await cluster.joined();
  const [first = {}, second = {}] = players;
  gold.set(first, gold.get(first) + 5);
  gold.set(view ?? {}, 1_000);
  expect([gold.get(first), gold.get(second), gold.get(view ?? {})]).toEqual([15, 10, 1_000]);
  gold.delete(first);
  expect(gold.get(first)).toBe(10);
});
