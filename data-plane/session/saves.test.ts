import { afterEach, describe, expect, it } from "vitest";
import { closeCodes, encodeJoin } from "../../protocol/index.ts";
import { decodePlayerState } from "../authority/player-state.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import type { SaveOutcome } from "../authority/save-line.ts";
import type { Placement, Player } from "../plugin/player.ts";
import type { ServerPlugin } from "../plugin/server-plugin.ts";
import { hello, type TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
let players: Player[];
let told: string[];
afterEach(() => cluster.stop());

async function start(options: TestClusterOptions = {}, plugin: ServerPlugin = {}): Promise<void> {
  players = [];
  told = [];
  cluster = await startTestCluster({
    plugin: {
      onLoad: (_player, data) => void told.push(`load ${textOf(data)}`),
      onJoin: (player) => {
        players.push(player);
        told.push("join");
      },
      ...plugin,
    },
    ...options,
  });
}

const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString();

/** What the master has of the hero. */
function kept(): { text: string | undefined; placement: Placement } | undefined {
  const save = cluster.master.sessions.get("hero")?.save;
  if (save === undefined) return undefined;
  const { saved, placement } = decodePlayerState(Buffer.from(save.state, "base64"));
  return { text: textOf(saved), placement };
}

const save = async (player: Player | undefined, text: string): Promise<SaveOutcome | undefined> =>
  player?.save(Buffer.from(text));

describe("a player that is saved", () => {
  it("[HAND-8] has it when it joins again, before it is in the game, and starts where it stood", async () => {
    await start();
    const first = await cluster.joined({ sub: "hero", gen: 1 });
    expect(await save(players[0], "gold")).toBe("saved");
    expect(kept()?.text).toBe("gold");
    void players[0]?.teleport({ x: 7, y: 0, z: -3, heading: 9 });
    first.close();
    await until("what it left", () => kept()?.placement.x === 7);
    const again = await cluster.connected();
    again.join(await cluster.master.ticket({ sub: "hero", gen: 2 }));
    expect(await again.next("welcome")).toMatchObject({ x: 7, z: -3, heading: 9 });
    expect(told).toEqual(["load undefined", "join", "load gold", "join"]);
    await until("the outcomes", () => cluster.server.metrics.saves["saved"] === 2);
  });

  it("[HAND-8] starts in the part of a world where it stood, as long as that is carried here", async () => {
    const fragment = [
      { name: "west", min: [-50, -50], max: [0, 50] },
      { name: "east", min: [0, -50], max: [50, 50] },
    ];
    await start({ settings: { world: assertLayout({ fragment }), spawn: { x: -5, y: 0, z: 0 } } });
    const first = await cluster.joined({ sub: "hero", gen: 1 });
    await players[0]?.teleport({ x: 20, y: 0, z: 3, heading: 9 });
    first.close();
    await until("what it left", () => kept()?.placement.x === 20);
    const startOf = async (gen: number) => {
      const client = await cluster.connected();
      client.join(await cluster.master.ticket({ sub: "hero", gen }));
      const { fragment: name, x, z, heading } = await client.next("welcome");
      client.close();
      return { name, x, z, heading };
    };
    expect(await startOf(2)).toEqual({ name: "east", x: 20, z: 3, heading: 9 });
    cluster.server.changeLayout(assertLayout({ fragment, world: { carries: ["west"] } }));
    expect(await startOf(3)).toEqual({ name: "west", x: -5, z: 0, heading: 0 });
  });

  it("[JOIN-5] starts in the fragment that its ticket names, and where it stood there if it comes back by itself", async () => {
    const fragment = [
      { name: "west", min: [-50, -50], max: [0, 50] },
      { name: "east", min: [0, -50], max: [50, 50] },
    ];
    await start({ settings: { world: assertLayout({ fragment }), spawn: { x: -5, y: 0, z: 0 } } });
    const first = await cluster.joined({ sub: "hero", gen: 1 });
    await players[0]?.teleport({ x: 20, y: 0, z: 3, heading: 9 });
    first.close();
    await until("what it left", () => kept()?.placement.x === 20);
    const position = { tenure: 1, received: 0, acknowledged: 0 };
    let generation = 1;
    const startOf = async (frag: string, at?: typeof position) => {
      const client = await cluster.connected();
      const ticket = await cluster.master.ticket({ sub: "hero", gen: (generation += 1), frag });
      client.send(hello(), encodeJoin({ ticket, position: at }));
      const { x } = await client.next("welcome");
      await players.at(-1)?.teleport({ x: 20, y: 0, z: 3, heading: 9 });
      client.close();
      await until("its end", () => cluster.server.metrics.departures["DROPPED"] === generation);
      return x;
    };
    expect(await startOf("east", position)).toBe(20);
    expect(await startOf("west", position)).toBe(-5);
    expect(await startOf("east")).toBe(25);
  });

  it("[HAND-16] keeps what it had when the game fails to load it, at once or later, and plays on", async () => {
    let fails: "never" | "at once" | "later" = "never";
    const onLoad = (_player: Player, data: Uint8Array | undefined): void | Promise<void> => {
      told.push(`load ${textOf(data)}`);
      if (fails === "at once") throw new Error("of an earlier version");
      return fails === "later" ? Promise.reject(new Error("of an earlier version")) : undefined;
    };
    await start({}, { onLoad });
    await cluster.joined({ sub: "hero", gen: 1 });
    expect(await save(players[0], "gold")).toBe("saved");
    fails = "at once";
    await cluster.joined({ sub: "hero", gen: 2 });
    expect(await save(players[1], "nothing")).toBe("unsaved");
    fails = "later";
    const last = await cluster.joined({ sub: "hero", gen: 3 });
    await until("the hook after it", () => players.length === 3);
    expect(await save(players[2], "nothing")).toBe("unsaved");
    last.close();
    await until("its end", () => cluster.server.metrics.departures["DROPPED"] === 1);
    expect(told.filter((line) => line !== "join")).toEqual(["load undefined", "load gold", "load gold"]);
    expect(kept()?.text).toBe("gold");
  });

  it("is saved by its last hook, also as the cluster stops", async () => {
    const outcomes: SaveOutcome[] = [];
    const onLeave = async (player: Player): Promise<void> => {
      await Promise.resolve();
      void player.save(Buffer.from("last")).then((outcome) => outcomes.push(outcome));
    };
    await start({}, { onLeave });
    await cluster.joined({ sub: "hero", gen: 1 });
    await cluster.server.stop();
    expect([outcomes, kept()?.text]).toEqual([["saved"], "last"]);
  });

  it("takes along what its session before has left, on the same cluster", async () => {
    await start({}, { onLeave: (player) => void player.save(Buffer.from("last")) });
    const older = await cluster.joined({ sub: "hero", gen: 1 });
    await cluster.joined({ sub: "hero", gen: 2 });
    expect((await older.next("close")).code).toBe(closeCodes.REPLACED.number);
    expect(told).toEqual(["load undefined", "join", "load last", "join"]);
    await until("the save under the new generation", () => cluster.master.sessions.get("hero")?.save?.generation === 2);
    expect(kept()?.text).toBe("last");
  });
});

describe("while the master is away", () => {
  it("[HAND-10] a player joins all the same; what was saved comes later, and what it saves then", async () => {
    await start({ settings: { loadTimeoutMs: 50 } });
    const { master } = cluster;
    const first = await cluster.joined({ sub: "hero", gen: 1 });
    expect(await save(players[0], "old")).toBe("saved");
    first.close();
    await until("the hero to be away", () => players[0]?.connected === false || players[0]?.dropped === true);
    const ticket = await master.ticket({ sub: "hero", gen: 2 });
    await master.stop();
    const client = await cluster.connected();
    client.join(ticket);
    await client.next("welcome");
    expect(told).toEqual(["load undefined", "join", "join"]);
    const early = save(players[1], "early");
    await master.listen();
    expect(await early).toBe("unsaved");
    await until("what was saved", () => told.length === 4);
    expect(told[3]).toBe("load old");
    expect(await save(players[1], "merged")).toBe("saved");
    expect([kept()?.text, cluster.server.metrics.lateLoads]).toEqual(["merged", 1]);
  });

  it("a client that goes while its join waits leaves nothing behind", async () => {
    await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.master.holdSessions = promise;
    const client = await cluster.connected();
    client.join(await cluster.master.ticket({ sub: "hero", gen: 1 }));
    await until("the question", () => cluster.master.consultations.length === 1);
    client.close();
    await until("its end", () => cluster.server.metrics.connections.verifying === 0);
    resolve();
    await cluster.joined({ sub: "hero", gen: 2 });
    expect(told).toEqual(["load undefined", "join"]);
  });
});

it.each<[string, (second: TestClient) => Promise<unknown>, (second: TestClient) => Promise<unknown>]>([
  [
    "its connection breaks",
    async (second) => {
      second.close();
      await until("its end", () => cluster.server.metrics.connections.verifying === 0);
    },
    () => Promise.resolve(),
  ],
  [
    "its fragment is full",
    async () => players[1]?.teleport({ x: 20, y: 0, z: 3, heading: 0 }),
    (second) => second.next("reject"),
  ],
])(
  "[HAND-23] a second device that comes to nothing, as %s, costs the first one nothing",
  async (_why, whileItWaits, afterwards) => {
    const fragment = [
      { name: "home", min: [-50, -50], max: [0, 50] },
      { name: "away", min: [0, -50], max: [50, 50], capacity: 1 },
    ];
    await start({ settings: { world: assertLayout({ fragment }), spawn: { x: -5, y: 0, z: 0 } } });
    const { master } = cluster;
    const first = await cluster.joined({ sub: "hero", gen: 1 });
    await cluster.joined({ sub: "other", gen: 1 });
    const { promise, resolve } = Promise.withResolvers<void>();
    master.holdSessions = promise;
    const early = save(players[0], "gold");
    const ticket = await master.ticket({ sub: "hero", gen: 2, frag: "away" });
    const second = await cluster.connected();
    second.join(ticket);
    await until("the entry", () =>
      master.consultations.flat().some(({ message }) => message.type === "enter" && message.generation === 2),
    );
    await whileItWaits(second);
    resolve();
    await afterwards(second);
    expect(await early).toBe("saved");
    expect([players[0]?.connected, await save(players[0], "more"), kept()?.text]).toEqual([true, "saved", "more"]);
    expect(master.sessions.get("hero")?.save?.generation).toBe(2);
    const again = await cluster.connected();
    again.join(ticket);
    expect((await again.next("reject")).code).toBe(closeCodes.STALE_GENERATION.number);
    const third = await cluster.connected();
    third.join(await master.ticket({ sub: "hero", gen: 3 }));
    await third.next("welcome");
    expect((await first.next("close")).code).toBe(closeCodes.REPLACED.number);
    expect(told.at(-2)).toBe("load more");
  },
);

it("[ALLOC-16] starts where it was saved though the fragment where all start is full, and is refused where neither has room", async () => {
  const fragment = [
    { name: "home", min: [-50, -50], max: [0, 50], capacity: 1 },
    { name: "away", min: [0, -50], max: [50, 50], capacity: 1 },
  ];
  await start({ settings: { world: assertLayout({ fragment }), spawn: { x: -5, y: 0, z: 0 } } });
  const first = await cluster.joined({ sub: "hero", gen: 1 });
  await players[0]?.teleport({ x: 20, y: 0, z: 3, heading: 9 });
  first.close();
  await until("what it left", () => kept()?.placement.x === 20);
  await cluster.joined({ sub: "other", gen: 1 });
  const back = await cluster.connected();
  back.join(await cluster.master.ticket({ sub: "hero", gen: 2 }));
  expect(await back.next("welcome")).toMatchObject({ fragment: "away", x: 20 });
  const third = await cluster.connected();
  third.join(await cluster.master.ticket({ sub: "third", gen: 1 }));
  expect((await third.next("reject")).code).toBe(closeCodes.FULL.number);
  // One who takes the place of an older session of its own has it.
  const again = await cluster.connected();
  again.join(await cluster.master.ticket({ sub: "hero", gen: 3 }));
  expect(await again.next("welcome")).toMatchObject({ fragment: "away", x: 20 });
});

describe("[HAND-3] a session that a newer one has left behind", () => {
  it("saves nothing and is closed, whether the master says so or a save finds it out", async () => {
    await start();
    const client = await cluster.joined({ sub: "hero", gen: 1 });
    const state = cluster.master.sessions.get("hero");
    if (state === undefined) throw new Error("nobody has entered");
    cluster.master.sessions.set("hero", { ...state, generation: 2, holder: "elsewhere" });
    expect(await save(players[0], "late")).toBe("superseded");
    expect((await client.next("close")).code).toBe(closeCodes.REPLACED.number);
    const other = await cluster.joined({ sub: "other", gen: 1 });
    await cluster.master.linked();
    cluster.master.command({ type: "fence", playerId: "other", generation: 2 });
    expect((await other.next("close")).code).toBe(closeCodes.REPLACED.number);
    expect([kept(), cluster.server.metrics.overlaps]).toEqual([undefined, 2]);
  });

  it("does not join any more, if that is found out in time", async () => {
    await start();
    await cluster.joined({ sub: "hero", gen: 1 });
    const state = cluster.master.sessions.get("hero");
    if (state === undefined) throw new Error("nobody has entered");
    cluster.master.sessions.set("hero", { ...state, generation: 9, holder: "elsewhere" });
    const client = await cluster.connected();
    client.join(await cluster.master.ticket({ sub: "hero", gen: 5 }));
    expect((await client.next("reject")).code).toBe(closeCodes.STALE_GENERATION.number);
  });
});

it("asks nothing where no plugin loads, until one saves", async () => {
  players = [];
  cluster = await startTestCluster({ plugin: { onJoin: (player) => void players.push(player) } });
  await cluster.joined({ sub: "hero", gen: 1 });
  expect(cluster.master.consultations).toEqual([]);
  expect(await save(players[0], "gold")).toBe("saved");
  expect(kept()?.text).toBe("gold");
});
