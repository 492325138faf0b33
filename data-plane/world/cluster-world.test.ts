/** Fragments and entities through the public surfaces: a plugin inside, clients over TLS outside. */
import { afterEach, describe, expect, it } from "vitest";
import { closeCodes, encodeMove, type EntityKind } from "../../protocol/index.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import type { Entity } from "../plugin/entities.ts";
import type { Player } from "../plugin/player.ts";
import type { Cluster, ServerPlugin } from "../plugin/server-plugin.ts";
import { startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { ViewClient } from "./testing/view-client.ts";

let cluster: TestCluster;
let world: Cluster;
let heard: string[] = [];
let clients: ViewClient[] = [];
afterEach(async () => {
  for (const client of clients) client.leave();
  clients = [];
  await cluster.stop();
});

const west = { name: "west", min: [-50, -50], max: [0, 50], view_range: 30, update_hz: 30 };
const east = { name: "east", min: [0, -50], max: [50, 50], view_range: 30, update_hz: 30, speed_limit: 5 };
const layoutOf = (fragment: object[], rules: object = {}) =>
  assertLayout({ world: { swap_dwell_ticks: 2, ...rules }, fragment });

const entities = { player: { health: "u8" }, tree: { height: "f32", name: { bytes: 8 } } } as const;

async function start(options: TestClusterOptions = {}, plugin: ServerPlugin = {}): Promise<void> {
  heard = [];
  const note = (what: string): void => void heard.push(what);
  cluster = await startTestCluster({
    ...options,
    settings: { tickHz: 60, world: layoutOf([west, east]), spawn: { x: -5, y: 0, z: 0 }, ...options.settings },
    plugin: [
      {
        entities,
        onStart: (started) => void (world = started),
        onJoin: ({ id, fragment }) => note(`${id} joins in ${fragment}`),
        onEnterFragment: ({ id }, fragment) => note(`${id} enters ${fragment}`),
        onLeaveFragment: ({ id }, fragment) => note(`${id} leaves ${fragment}`),
        onThreshold: ({ fragment, from, to, players }) => note(`${fragment} ${from} to ${to} with ${players}`),
        onCarry: ({ gained, lost }) => note(`gained ${gained.join("+")}, lost ${lost.join("+")}`),
        onLeave: ({ id }) => note(`${id} is gone`),
      },
      plugin,
    ],
  });
}

async function join(sub: string, claims: object = {}): Promise<ViewClient> {
  const client = new ViewClient(cluster.target, () => undefined);
  clients.push(client);
  client.join(await cluster.master.ticket({ sub, ...claims }));
  await until("a join", () => client.isReady || client.closed !== undefined);
  return client;
}

const playerOf = (client: ViewClient): Player | undefined => world.player(client.welcome?.playerNumber ?? 0);
const fullFragments = (): unknown[] =>
  cluster.log.lines.filter(({ fields }) => fields["reason"] === "FULL").map(({ fields }) => fields["fragment"]);
const settled = (what: string): Promise<true> => until(what, () => heard.includes(what));

describe("fragments", () => {
  it("tell plugins who comes and goes, in order, each once, between joining and leaving", async () => {
    await start();
    const client = await join("ann");
    await settled("ann enters west");
    client.move(-1, 0, 0);
    client.move(2, 0, 0);
    await settled("ann enters east");
    expect(client.welcome?.fragment).toBe("west");
    expect(playerOf(client)?.fragment).toBe("east");
    expect(world.playersIn("east").map(({ id }) => id)).toEqual(["ann"]);
    expect(world.fragments.map(({ name, players }) => `${name} ${players}`)).toEqual(["west 0", "east 1"]);
    playerOf(client)?.close();
    await settled("ann is gone");
    expect(heard).toEqual([
      "ann joins in west",
      "ann enters west",
      "ann leaves west",
      "ann enters east",
      "ann leaves east",
      "ann is gone",
    ]);
    await until("the client to know", () => client.fragments.map(({ name }) => name).join() === "west,east");
  });

  it("tell plugins which of them are carried here from now on, so that what stands there comes and goes with them", async () => {
    const planted = new Map<string, Entity>();
    const plant = (name: string): void => {
      const tree = world.spawn("tree", { x: name === "west" ? -7 : 7, y: 0, z: 0 });
      if (tree !== undefined) planted.set(name, tree);
    };
    await start(
      {},
      {
        onStart: ({ fragments }) => fragments.forEach(({ name }) => plant(name)),
        onCarry({ gained, lost }) {
          for (const name of lost) planted.get(name)?.despawn();
          for (const name of gained) plant(name);
        },
      },
    );
    const client = await join("ann");
    // All that she sees: herself is not in it.
    const trees = (): number | undefined => client.view?.size;
    await until("both trees", () => trees() === 2);
    cluster.server.changeLayout(layoutOf([west, east], { carries: ["west"] }));
    expect(world.fragments.map(({ name }) => name)).toEqual(["west"]);
    await until("one tree", () => trees() === 1);
    cluster.server.changeLayout(layoutOf([west, { ...east, view_range: 25 }], { carries: ["west"] }));
    cluster.server.changeLayout(layoutOf([west, east]));
    await until("both trees again", () => trees() === 2);
    cluster.server.changeLayout(layoutOf([west, east], { carries: ["east"] }));
    cluster.server.changeLayout(layoutOf([west, east], { carries: ["west"] }));
    expect(heard.filter((what) => what.startsWith("gained"))).toEqual([
      "gained , lost east",
      "gained east, lost ",
      "gained , lost west",
      "gained west, lost east",
    ]);
  });

  it("keep that order where a hook ends the session of another who is crossing as well", async () => {
    let victim: Player | undefined;
    await start(
      {},
      { onEnterFragment: (player, name) => void (player.id === "ann" && name === "east" && victim?.close()) },
    );
    const ann = await join("ann");
    const bob = await join("bob");
    await settled("bob enters west");
    victim = playerOf(bob);
    // In one tick: both stand across the border from the same moment on.
    void playerOf(ann)?.teleport({ x: 5, y: 0, z: 0, heading: 0 });
    void playerOf(bob)?.teleport({ x: 6, y: 0, z: 0, heading: 0 });
    await settled("bob is gone");
    expect(heard.filter((what) => what.startsWith("bob"))).toEqual([
      "bob joins in west",
      "bob enters west",
      "bob leaves west",
      "bob enters east",
      "bob leaves east",
      "bob is gone",
    ]);
  });

  it("[MOVE-1] [MOVE-2] have a speed limit of their own, which stops leaps too", async () => {
    await start();
    const client = await join("ann");
    client.move(-40, 0, 0);
    client.move(3, 0, 0);
    await settled("ann enters east");
    await until("the speed limit", () => client.fragments.at(-1)?.speedLimit === 5);
    expect(client.fragments[0]?.speedLimit).toBe(0);
    client.move(40, 0, 0);
    await until("the correction", () => client.corrections === 1);
    expect(client.position).toEqual({ x: 3, y: 0, z: 0 });
    expect(playerOf(client)?.refusedMoves).toBe(1);
    for (let count = 0; count < 60; count++) client.move(40, 0, 0);
    await until("it to be noted", () => cluster.log.text().includes("was put back 50 times"));
    expect(cluster.server.metrics).toMatchObject({ moveOffenders: 1 });
  });

  it("[TICKET-10] let no more in than their capacity, by joining or by walking", async () => {
    await start({ settings: { world: layoutOf([west, { ...east, speed_limit: 0, capacity: 1 }]) } });
    const ann = await join("ann", { frag: "east" });
    expect([ann.welcome?.fragment, ann.position.x]).toEqual(["east", 25]);
    const refused = await join("bob", { frag: "east" });
    expect(refused.closed).toBe(`reject ${closeCodes.FULL.number.toString(16)}`);
    expect(fullFragments()).toEqual(["east"]);
    const bob = await join("bob");
    bob.move(10, 0, 0);
    await until("bob to be put back", () => bob.corrections === 1);
    expect(bob.position.x).toBe(-5);
    bob.move(0.5, 0, 0);
    expect(await playerOf(bob)?.teleport({ x: 10, y: 0, z: 0, heading: 0 })).toBe("full");
    // Whoever comes back takes its own place.
    const again = await join("ann", { frag: "east", gen: 2 });
    expect(again.welcome?.fragment).toBe("east");
  });

  it("are closed where this cluster does not carry them", async () => {
    await start({ settings: { world: layoutOf([west, east], { carries: ["east"] }) } });
    const client = await join("ann", { frag: "west" });
    expect([client.welcome?.fragment, client.position.x]).toEqual(["east", 25]);
    expect(world.fragments.map(({ name }) => name)).toEqual(["east"]);
    expect(await playerOf(client)?.teleport({ x: 0.5, y: 0, z: 0, heading: 0 })).toBe("moved");
    expect(await playerOf(client)?.teleport({ x: -20, y: 0, z: 0, heading: 0 })).toBe("unreachable");
    client.move(-0.5, 0, 0);
    client.move(-2, 0, 0);
    await until("it to be put back", () => client.corrections === 2);
    expect(client.position.x).toBe(-0.5);
  });

  it("[FRAGMENT-1] change what they give by the number of players, with hysteresis, and tell clients and plugins", async () => {
    const crowded = { ...west, threshold: [{ players: 2, update_hz: 10, view_range: 12 }] };
    await start({ settings: { world: layoutOf([crowded, east]) } });
    const first = await join("p1");
    for (const name of ["p2", "p3"]) await join(name);
    await settled("west 0 to 1 with 3");
    await until("the client to know", () => first.fragments.at(-1)?.viewRange === 12);
    expect(first.fragments.at(-1)?.updateHz).toBe(10);
    const third = clients[2];
    if (third !== undefined) playerOf(third)?.close();
    await until("the third to be gone", () => world.fragments[0]?.players === 2);
    // Had it fallen back already, what comes next would say so: with 2, not with 1.
    expect(world.fragments[0]).toMatchObject({ players: 2, level: 1 });
    const second = clients[1];
    if (second !== undefined) playerOf(second)?.close();
    await settled("west 1 to 0 with 1");
    await until("the client to know", () => first.fragments.at(-1)?.viewRange === 30);
  });

  it("[FRAGMENT-1] tell plugins of a level that another layout does not have", async () => {
    const crowded = {
      ...west,
      threshold: [
        { players: 1, update_hz: 15 },
        { players: 2, update_hz: 10 },
      ],
    };
    await start({ settings: { world: layoutOf([crowded, east]) } });
    for (const name of ["p1", "p2", "p3"]) await join(name);
    await until("both thresholds", () => heard.some((what) => what.endsWith(" to 2 with 3")));
    const before = heard.length;
    cluster.server.changeLayout(layoutOf([{ ...west, threshold: crowded.threshold.slice(0, 1) }, east]));
    // Plugins are told at the end of the tick; what holds, holds at once.
    expect(world.fragments[0]).toMatchObject({ level: 1, updateHz: 15 });
    await settled("west 2 to 1 with 3");
    cluster.server.changeLayout(layoutOf([west, east]));
    expect(world.fragments[0]).toMatchObject({ level: 0, updateHz: 30 });
    await settled("west 1 to 0 with 3");
    expect(heard.slice(before)).toEqual(["west 2 to 1 with 3", "west 1 to 0 with 3"]);
  });

  it("[FRAGMENT-1] come no more often than the cluster ticks, whatever is asked for", async () => {
    await start({ settings: { tickHz: 10, world: layoutOf([{ ...west, update_hz: 60 }, east]) } });
    const client = await join("ann");
    await settled("ann enters west");
    await until("the client to know", () => client.fragments.at(-1)?.updateHz === 10);
    expect(world.fragments[0]).toMatchObject({ name: "west", updateHz: 10 });
  });

  it("are there for operators to look into: who is where", async () => {
    const layout = layoutOf([{ ...west, capacity: 40 }, east]);
    await start({ settings: { opsPort: 0, maxSpeed: 7, world: layout } });
    const client = await join("ann");
    await settled("ann enters west");
    const base = `http://127.0.0.1:${cluster.server.opsPort}`;
    const rules = { level: 0, updateHz: 30, viewRange: 30 };
    const inWest = { ...rules, min: [-50, -50], max: [0, 50], capacity: 40, speedLimit: 7 };
    const inEast = { ...rules, min: [0, -50], max: [50, 50], capacity: 0, speedLimit: 5 };
    expect(await (await fetch(`${base}/world`)).json()).toEqual({
      entities: 1,
      fragments: [
        { name: "west", ...inWest, players: [{ number: client.welcome?.playerNumber, id: "ann" }] },
        { name: "east", ...inEast, players: [] },
      ],
    });
    const mountain = { ...west, min: [-50, 0, -50], max: [0, 9, 50] };
    cluster.server.changeLayout(layoutOf([mountain]));
    expect(await (await fetch(`${base}/world`)).json()).toMatchObject({
      fragments: [{ name: "west", min: [-50, 0, -50], max: [0, 9, 50], capacity: 0, speedLimit: 7 }],
    });
    cluster.server.changeLayout(layout);
    const metrics = await (await fetch(`${base}/metrics`)).text();
    expect(metrics).toContain('sustenet_fragment_players{fragment="west"} 1');
    expect(metrics).toContain("sustenet_entities 1");
  });

  it("take another layout while players play: they are told where they are now", async () => {
    await start();
    const client = await join("ann");
    await settled("ann enters west");
    cluster.server.changeLayout(layoutOf([{ ...west, name: "land", max: [50, 50], precision: 0.5 }]));
    await settled("ann enters land");
    await until("the client to know", () => client.fragments.at(-1)?.name === "land");
    expect(client.fragments.at(-1)).toMatchObject({ precision: 0.5 });
    expect(heard.slice(1)).toEqual([
      "ann enters west",
      "gained land, lost west+east",
      "ann leaves west",
      "ann enters land",
    ]);
  });
});

describe("entities", () => {
  it("[KINDS-3] are told by kind: players first, with their number and heading, then what the game declares", async () => {
    await start();
    const client = await join("ann");
    await until("kinds", () => client.kinds !== undefined);
    const expected: EntityKind[] = [
      {
        id: 0,
        name: "player",
        fields: [
          { name: "number", type: "u32" },
          { name: "heading", type: "angle" },
          { name: "health", type: "u8" },
        ],
      },
      {
        id: 1,
        name: "tree",
        fields: [
          { name: "height", type: "f32" },
          { name: "name", type: "bytes", maxBytes: 8 },
        ],
      },
    ];
    expect(client.kinds?.kinds).toEqual(expected);
  });

  it("are seen as they are: other players and the plugin's own, from spawning to despawning", async () => {
    await start();
    const ann = await join("ann");
    const bob = await join("bob");
    playerOf(bob)?.entity?.set({ health: 77 });
    bob.move(-8, 3, 16_384);
    const tree = world.spawn("tree", { x: -10, y: 0, z: 0 }, { height: 2.5 });
    const seen = (of: { entity?: Entity | undefined } | Entity | undefined): unknown => {
      const entity = of !== undefined && "entity" in of ? of.entity : of;
      const found = entity !== undefined && "number" in entity ? ann.view?.find(entity.number) : undefined;
      return found && [Math.round(found.x), Math.round(found.z), ...found.values];
    };
    const number = bob.welcome?.playerNumber;
    await until("bob", () => JSON.stringify(seen(playerOf(bob))) === JSON.stringify([-8, 3, number, 16_384, 77]));
    await until("the tree", () => seen(tree) !== undefined);
    expect(seen(tree)).toEqual([-10, 0, 2.5, new Uint8Array(0)]);
    expect(ann.view?.size).toBe(2);
    tree?.set({ name: Uint8Array.of(1, 2) });
    tree?.moveTo({ x: -11, y: 0, z: 0 });
    await until("the change", () => JSON.stringify(seen(tree)) === JSON.stringify([-11, 0, 2.5, Uint8Array.of(1, 2)]));
    expect(tree?.get("height")).toBe(2.5);
    const treeNumber = tree?.number ?? 0;
    expect(world.entity(treeNumber)?.kind).toBe("tree");
    tree?.despawn();
    await until("it to go", () => ann.view?.find(treeNumber) === undefined);
    expect([tree?.alive, world.entity(treeNumber)]).toEqual([false, undefined]);
    expect(() => tree?.set({ height: 1 })).toThrow("is gone");
  });

  it("are refused where they make no sense", async () => {
    await start();
    const client = await join("ann");
    const at = { x: 0, y: 0, z: 0 };
    expect(() => world.spawn("rock", at)).toThrow("there is no kind of entity rock");
    expect(() => world.spawn("player", at)).toThrow("there is no kind of entity player");
    expect(() => world.spawn("tree", { ...at, x: Number.NaN })).toThrow("finite");
    // No f32 holds it, so no view could carry it.
    expect(() => world.spawn("tree", { ...at, z: 1e39 })).toThrow("finite");
    expect(() => world.spawn("tree", at, { width: 1 })).toThrow("have no field width");
    expect(() => world.spawn("tree", at, { name: new Uint8Array(9) })).toThrow("9 bytes, over 8");
    expect(() => playerOf(client)?.entity?.despawn()).toThrow("as long as its player");
    expect(() => playerOf(client)?.entity?.moveTo(at)).toThrow("use teleport");
    expect(cluster.server.worldCounts?.entities).toBe(1);
  });

  it("are as many as the world may have: then plugins get none, and players are refused", async () => {
    await start({ settings: { world: layoutOf([west, east], { max_entities: 2 }) } });
    expect(world.spawn("tree", { x: 0, y: 0, z: 0 })).toBeDefined();
    await join("ann");
    expect(world.spawn("tree", { x: 0, y: 0, z: 0 })).toBeUndefined();
    expect((await join("bob")).closed).toBe(`reject ${closeCodes.FULL.number.toString(16)}`);
    expect(fullFragments()).toEqual([undefined]);
  });

  it("[MOVE-3] follow a player whom the game puts elsewhere, and its client is told", async () => {
    await start();
    const client = await join("ann");
    const teleport = playerOf(client)?.teleport({ x: 20, y: 1, z: 2, heading: 9 });
    // At once, where nothing is in between.
    expect(playerOf(client)?.position.x).toBe(20);
    expect(await teleport).toBe("moved");
    await until("the client to know", () => client.corrections === 1);
    expect(client.position).toEqual({ x: 20, y: 1, z: 2 });
    expect(playerOf(client)?.entity?.position).toEqual({ x: 20, y: 1, z: 2 });
    await settled("ann enters east");
    for (const z of [Number.NaN, 1e39]) {
      expect(() => playerOf(client)?.teleport({ x: 0, y: 0, z, heading: 0 })).toThrow(RangeError);
    }
    expect(() => playerOf(client)?.teleport({ x: 1, y: 0, z: 0, heading: 65_536 })).toThrow("0 to 65,535");
    expect(playerOf(client)?.position.x).toBe(20);
    const player = playerOf(client);
    player?.close();
    expect(await player?.teleport({ x: 1, y: 0, z: 0, heading: 0 })).toBe("left");
  });
});

describe("without a world", () => {
  it("[HELLO-4] nothing is shown, and MOVE is as it was", async () => {
    cluster = await startTestCluster({ plugin: { onStart: (started) => void (world = started) } });
    const client = await cluster.joined({ frag: "meadow" });
    client.send(encodeMove({ sequence: 1, x: 9, y: 0, z: 0, heading: 0 }));
    const [player] = world.players;
    await until("the move", () => player?.position.x === 9);
    expect([player?.fragment, player?.entity, world.fragments, world.playersIn("meadow")]).toEqual([
      "meadow",
      undefined,
      [],
      [],
    ]);
    expect(() => world.spawn("tree", { x: 0, y: 0, z: 0 })).toThrow(RangeError);
    expect(cluster.server.worldCounts).toBeUndefined();
    expect(client.types()).toEqual([]);
  });

  it("there is one, of one fragment, as soon as a plugin has kinds", async () => {
    cluster = await startTestCluster({ plugin: { entities, onStart: (started) => void (world = started) } });
    const client = await join("ann");
    await until("the fragment", () => client.fragments.length > 0);
    expect([client.welcome?.fragment, client.fragments[0]?.name]).toEqual(["world", "world"]);
  });

  it("a plugin's kinds that the wire cannot carry keep the cluster from starting", async () => {
    await expect(startTestCluster({ plugin: { entities: { tree: { leaf: { bytes: 0 } } } } })).rejects.toThrow(
      RangeError,
    );
    cluster = await startTestCluster();
  });
});
