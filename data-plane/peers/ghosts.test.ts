/** What a player sees over the border between two real clusters. */
import { afterEach, expect, it } from "vitest";
import { stepsPerSession } from "../../protocol/handover/generation.ts";
import { allFeatures, encodeAck, encodeArrive, encodeHello, encodeJoin, encodeMove } from "../../protocol/index.ts";
import type { Cluster, ServerPlugin } from "../plugin/server-plugin.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import { FakeMaster } from "../testing/fake-master.ts";
import { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { ViewClient } from "../world/testing/view-client.ts";

const fragment = [
  { name: "west", min: [-50, -50], max: [0, 50], view_range: 20, update_hz: 30 },
  { name: "east", min: [0, -50], max: [50, 50], view_range: 20, update_hz: 30 },
];

interface Side {
  readonly cluster: TestCluster;
  readonly game: Cluster;
}

let sides: Side[] = [];
let clients: ViewClient[] = [];
let connections: TestClient[] = [];
const hello = encodeHello({ minVersion: 1, maxVersion: 1, features: allFeatures, client: "walker" });
afterEach(async () => {
  for (const client of clients) client.leave();
  for (const { cluster } of sides.toReversed()) await cluster.stop();
  for (const client of connections) client.close();
  [sides, clients, connections] = [[], [], []];
});

async function start(master: FakeMaster, instance: string, carries: string, x: number): Promise<Side> {
  let game: Cluster | undefined;
  const plugin: ServerPlugin = {
    entities: { tree: { height: "u8" } },
    onStart: (started) => void (game = started),
  };
  const world = assertLayout({
    world: { carries: [carries], swap_dwell_ticks: 2, tier: [{ within: 1, every: 1 }] },
    fragment,
  });
  const settings = { instance, world, worldName: "main", spawn: { x, y: 0, z: 0 }, drainSeconds: 0 };
  const cluster = await startTestCluster({ master, settings, plugin });
  if (game === undefined) throw new Error("the game has started");
  sides.push({ cluster, game });
  return { cluster, game };
}

async function join(
  { cluster }: Side,
  instance: string,
  sub: string,
  onFrame: (client: ViewClient) => void = () => undefined,
): Promise<ViewClient> {
  const client = new ViewClient(cluster.target, onFrame);
  clients.push(client);
  const { boot = 0 } = cluster.server.peers?.self ?? {};
  client.join(await cluster.master.ticket({ aud: `default.${instance}`, boot, sub }));
  await until("a join", () => client.isReady);
  return client;
}

it("has an entity of the other cluster come into range, move and leave; and a player; until the other is gone", async () => {
  const master = await new FakeMaster().start();
  master.manyClusters = true;
  const west = await start(master, "a", "west", -5);
  const east = await start(master, "b", "east", 5);
  await until("the link", () => west.cluster.server.peers?.linked.length === 1);
  expect([west.game.fragmentAt({ x: -1, y: 0, z: 0 }), west.game.fragmentAt({ x: 1, y: 0, z: 0 })]).toEqual([
    "west",
    undefined,
  ]);
  const ann = await join(west, "a", "ann");
  const seen = (kind: string) => [...(ann.view?.entities() ?? [])].filter((entity) => entity.kind.name === kind);
  const tree = east.game.spawn("tree", { x: 40, y: 0, z: 0 }, { height: 3 });
  const bob = await join(east, "b", "bob");
  await until("bob", () => seen("player").length === 1);
  // The player's own number there means nothing here.
  expect(seen("player")[0]?.values.slice(0, 1)).toEqual([0]);
  expect(seen("tree")).toEqual([]);
  tree?.moveTo({ x: 10, y: 0, z: 0 });
  await until("the tree", () => seen("tree").length === 1);
  const number = seen("tree")[0]?.number ?? 0;
  expect([Math.round(seen("tree")[0]?.x ?? 0), seen("tree")[0]?.values]).toEqual([10, [3]]);
  expect(west.game.entity(number)).toBeUndefined();
  tree?.moveTo({ x: 8, y: 0, z: 2 });
  tree?.set({ height: 4 });
  await until("its steps", () => Math.round(seen("tree")[0]?.x ?? 0) === 8 && seen("tree")[0]?.values[0] === 4);
  expect(seen("tree")[0]?.number).toBe(number);
  bob.move(6, 5, 77);
  await until("bob's step", () => Math.round(seen("player")[0]?.z ?? 0) === 5 && seen("player")[0]?.values[1] === 77);
  tree?.moveTo({ x: 40, y: 0, z: 0 });
  await until("the tree's leave", () => seen("tree").length === 0);
  expect(west.cluster.server.worldCounts).toMatchObject({ entities: 1, ghosts: 1 });
  await east.cluster.server.stop();
  await until("bob's leave", () => seen("player").length === 0);
  expect([ann.closed, west.cluster.server.metrics.ghostsRefused]).toEqual([undefined, 0]);
});

it("[GHOST-6] ends the link over what is no ghost, counts it, and plays on", async () => {
  const master = await new FakeMaster().start();
  master.manyClusters = true;
  const west = await start(master, "a", "west", -5);
  const east = await start(master, "b", "east", 5);
  await until("the link", () => west.cluster.server.peers?.linked.length === 1);
  const ann = await join(west, "a", "ann");
  const downs: string[] = [];
  const up = () => west.cluster.server.peers?.linked.length === 1;
  west.cluster.server.peers?.listen({ onUp: () => undefined, onDown: ({ clusterId }) => downs.push(clusterId) });
  await until("a link that stands at both", () => east.cluster.server.peers?.sendGhosts("default.a", Uint8Array.of(9)));
  await until("its end", () => downs.length === 1);
  await until("the next one", up);
  await join(east, "b", "bob");
  await until("bob", () => [...(ann.view?.entities() ?? [])].length === 1);
  expect([ann.closed, west.cluster.server.metrics.ghostsRefused]).toEqual([undefined, 1]);
});

it("[GHOST-8] has a player that is handed over stay in view on both sides, as the same entity, there and back", async () => {
  const master = await new FakeMaster().start();
  master.manyClusters = true;
  const west = await start(master, "a", "west", -5);
  const east = await start(master, "b", "east", 5);
  await until("the link", () => sides.every(({ cluster }) => cluster.server.peers?.linked.length === 1));
  /** Numbers of players in view, whenever they were others than before. */
  const histories: string[][] = [[], []];
  const watch =
    (history: string[] = []) =>
    ({ view }: ViewClient): void => {
      const players = [...(view?.entities() ?? [])].filter(({ kind }) => kind.name === "player");
      const now = players.map(({ number }) => number).join();
      if (history.at(-1) !== now) history.push(now);
    };
  await join(west, "a", "ann", watch(histories[0]));
  await join(east, "b", "bob", watch(histories[1]));
  const walker = await west.cluster.connected();
  const { boot = 0 } = west.cluster.server.peers?.self ?? {};
  const ticket = await master.ticket({ aud: "default.a", boot, sub: "pat", gen: stepsPerSession });
  walker.send(hello, encodeJoin({ ticket }));
  await walker.next("welcome");
  await until("all in view", () => histories.every((history) => history.at(-1)?.includes(",") === true));
  const before = histories.map((history) => history.length);
  let client = walker;
  let position = { tenure: stepsPerSession, received: 0, acknowledged: 0 };
  for (const [sequence, x] of [
    [1, 2],
    [2, -2],
  ] as const) {
    client.send(encodeMove({ sequence, x, y: 0, z: 0, heading: 0 }));
    const { cluster, id, key, token } = await client.next("redirect");
    const { port, tls } = cluster;
    client = await TestClient.open({ port, serverName: tls.serverName, caPem: tls.caPem });
    connections.push(client);
    client.send(hello, encodeArrive({ id, key, token, position }));
    const { tenure, received } = await client.next("streams");
    position = { tenure, received: 0, acknowledged: received };
    client.send(encodeAck({ received: 0 }));
    const [there, here] = x > 0 ? [east, west] : [west, east];
    await until("the player's arrival", () => there.game.playerCount === 2 && here.game.playerCount === 1);
    await until("its ghost", () => here.cluster.server.worldCounts?.ghosts === 2);
    const { entities, ghosts } = there.cluster.server.worldCounts ?? {};
    expect([entities, ghosts]).toEqual([2, 1]);
    // Longer than what nobody tells of is kept.
    const tick = there.cluster.server.metrics.ticks;
    await until("more than a second of ticks", () => there.cluster.server.metrics.ticks > tick + 40);
  }
  expect(histories.map((history) => history.length)).toEqual(before);
});
