/**
 * Real clients over TLS against one cluster: what each rebuilds is compared with the world at the same tick, after every frame,
 * while they cross borders, while one reads slowly, and across cuts in the middle of frames.
 */
import { afterEach, expect, it } from "vitest";
import { createRandom, type Random } from "../../protocol/testing/seeded-random.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import type { Entity } from "../plugin/entities.ts";
import type { Player } from "../plugin/player.ts";
import type { Cluster, ServerPlugin } from "../plugin/server-plugin.ts";
import { JoinedPlayer } from "../session/joined-player.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { ViewClient } from "./testing/view-client.ts";
import { everything, WorldTruth } from "./testing/world-truth.ts";

let cluster: TestCluster | undefined;
let clients: ViewClient[] = [];
afterEach(async () => {
  for (const client of clients) client.leave();
  clients = [];
  await cluster?.stop();
});

const hysteresis = 0.1;
const coarsest = 0.25;
const side = 30;
const quarter = (name: string, x: number, z: number, more: object): object => ({
  name,
  min: [x, z],
  max: [x + side, z + side],
  view_range: 20,
  max_visible: 200,
  byte_budget: 1_000_000,
  ...more,
});

/** Four fragments around the origin, with settings of their own. */
const layout = assertLayout({
  world: { view_hysteresis: hysteresis, swap_margin: 0.5, swap_dwell_ticks: 2, starve_ticks: 20 },
  fragment: [
    quarter("north-west", -side, -side, { update_hz: 30, precision: 0.05 }),
    quarter("north-east", 0, -side, { update_hz: 15, precision: coarsest }),
    quarter("south-west", -side, 0, { update_hz: 10, view_range: 25 }),
    quarter("south-east", 0, 0, { threshold: [{ players: 3, update_hz: 7, view_range: 15 }] }),
  ],
});

/** Stones that roll about and count, and the truth of every tick. */
class Stones implements ServerPlugin {
  readonly entities = { player: { score: "u16" }, stone: { count: "u32", tag: { bytes: 4 } } } as const;
  readonly truth = new WorldTruth({ player: ["number", "heading", "score"], stone: ["count", "tag"] });
  readonly visits = new Map<Player, string[]>();
  readonly levels: string[] = [];
  bulkTo: Player | undefined;
  readonly #random: Random;
  readonly #stones: Entity[] = [];
  #cluster: Cluster | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  onStart(started: Cluster): void {
    this.#cluster = started;
  }

  onEnterFragment(player: Player, fragment: string): void {
    this.#visited(player, `+${fragment}`);
  }

  onLeaveFragment(player: Player, fragment: string): void {
    this.#visited(player, `-${fragment}`);
  }

  onTick(tick: number): void {
    const started = this.#cluster;
    if (started === undefined) return;
    const random = this.#random;
    const near = (): number => (random() * 2 - 1) * side;
    if (this.#stones.length < 40) {
      const stone = started.spawn("stone", { x: near(), y: 0, z: near() }, { count: tick });
      if (stone !== undefined) this.#stones.push(stone);
    }
    for (const [index, stone] of this.#stones.entries()) {
      const { x, y, z } = stone.position;
      if (random() < 0.5)
        stone.moveTo({ x: x + random() - 0.5, y: y + (random() < 0.1 ? 0.3 : 0), z: z + random() - 0.5 });
      if (random() < 0.1) stone.set({ count: tick, tag: Uint8Array.of(tick & 0xff) });
      if (random() < 0.005) {
        stone.despawn();
        this.#stones.splice(index, 1);
      }
    }
    for (const { entity } of started.players) if (random() < 0.05) entity?.set({ score: tick & 0xffff });
    // Again and again: what lies between may take more as it goes on.
    if (this.bulkTo instanceof JoinedPlayer && !this.bulkTo.viewWaits) this.bulkTo.sendBulk(1, new Uint8Array(60_000));
    this.truth.note(tick, everything(started, this.#stones));
  }

  #visited(player: Player, what: string): void {
    const visits = this.visits.get(player) ?? [];
    visits.push(what);
    this.visits.set(player, visits);
  }
}

/** Walks about around the place where the four fragments meet. */
function walk(random: Random, client: ViewClient, state: { angle: number }): void {
  state.angle += random() - 0.5;
  const { x, z } = client.position;
  const to = { x: x + Math.cos(state.angle) * 0.4, z: z + Math.sin(state.angle) * 0.4 };
  if (Math.abs(to.x) > 12 || Math.abs(to.z) > 12) state.angle = Math.atan2(-z, -x);
  else client.move(to.x, to.z, Math.floor(random() * 65_536));
}

it(
  "[ENTITIES-6] [ENTITIES-9] [FRAGMENT-1] clients know what is around them, at borders, slowly and after cuts",
  { timeout: 60_000 },
  async () => {
    const random = createRandom(20);
    const plugin = new Stones(random);
    const { truth } = plugin;
    const settings = { tickHz: 30, world: layout, spawn: { x: 5, y: 0, z: 5 } };
    cluster = await startTestCluster({ plugin, settings });
    const { server, target, master } = cluster;
    const onFrame = (client: ViewClient, tick: number): void => truth.compare(client, tick, hysteresis, coarsest);
    clients = Array.from({ length: 8 }, () => new ViewClient(target, onFrame));
    for (const [index, client] of clients.entries()) client.join(await master.ticket({ sub: `player-${index}` }));
    await until("all to join", () => clients.every((client) => client.isReady));
    const walkers = clients.map(() => ({ angle: random() * 6 }));
    const framesOfAll = () => clients.reduce((sum, { frames }) => sum + frames, 0);
    const more = async (frames: number): Promise<void> => {
      const enough = framesOfAll() + frames;
      await until(`${frames} more frames`, () => framesOfAll() >= enough);
    };
    const walking = setInterval(() => {
      for (const [index, client] of clients.entries()) walk(random, client, walkers[index] ?? { angle: 0 });
    }, 33);
    try {
      await more(360);
      // One stops reading, and is sent so much that it backs up to the cluster.
      const [slow, ...others] = clients;
      const players = [...plugin.visits.keys()];
      const held = server.worldCounts?.held ?? 0;
      plugin.bulkTo = players.find(({ number }) => number === slow?.welcome?.playerNumber);
      slow?.hold(true);
      await until("frames to be held back", () => (server.worldCounts?.held ?? 0) > held + 5);
      plugin.bulkTo = undefined;
      const before = slow?.frames ?? 0;
      slow?.hold(false);
      await until("the slow one to go on", () => (slow?.frames ?? 0) > before + 20);
      for (let round = 0; round < 12; round++) {
        others[round % others.length]?.cut();
        await more(20);
      }
      await until("all to be back", () => clients.every((client) => client.isReady));
      await more(120);
    } finally {
      clearInterval(walking);
    }
    expect(truth.faults).toEqual([]);
    expect(clients.map(({ closed }) => closed)).toEqual(clients.map(() => undefined));
    expect(truth.compared).toBeGreaterThan(2_000);
    // The longest tier is 4 frames of 7 a second, 17 ticks; the slowest reader waits for as long as it does not read.
    expect(truth.longestWait).toBeGreaterThan(3);
    expect(clients.reduce((sum, { resumes }) => sum + resumes, 0)).toBe(12);
    expect(server.worldCounts?.crossings).toBeGreaterThan(10);
    for (const visits of plugin.visits.values()) {
      // In and out by turns, each out of what was last come into.
      for (const [index, visit] of visits.entries()) {
        const expected = index % 2 === 0 ? visit.replace(/^./, "+") : `-${(visits[index - 1] ?? "").slice(1)}`;
        expect(visit).toBe(expected);
      }
    }
    for (const client of clients) {
      const told = new Set(client.fragments.map(({ name }) => name));
      expect([...told].every((name) => layout.fragments.some((fragment) => fragment.name === name))).toBe(true);
      expect(client.fragments.length).toBeGreaterThan(1);
    }
  },
);
