/**
 * Measures interest and encoding alone: `node data-plane/fragments/interest.bench.ts [SECONDS]`, where SECONDS is the time for
 * each row. Everybody walks, at 20 ticks a second, and sees the 50 nearest of about 100 in range. Means are of the
 * thread's CPU time, which others on the machine do not lengthen; the p99 is of the clock, which they do.
 */
import { KindTable } from "../../protocol/entities/kind-table.ts";
import { parseLayout } from "./layout-parser.ts";
import { createRandom, randomBelow } from "../../protocol/testing/seeded-random.ts";
import { FrameTarget } from "./view-writer.ts";
import { World } from "./world.ts";

const tickHz = 20;
const viewRange = 50;
const inRange = 100;
const warmUpTicks = 60;
const seconds = Number(process.argv[2] ?? 2);
const kinds = new KindTable([{ id: 0, name: "player", fields: [{ name: "heading", type: "angle" }] }]);
const fullRate = [{ within: 1, every: 1 }];
const tiered = [
  { within: 0.35, every: 1 },
  { within: 0.7, every: 2 },
  { within: 1, every: 4 },
];

process.stdout.write("                                       µs a player and tick   tick p99    a player and tick:\n");
process.stdout.write(
  "players  spread    tiers               interest+encode  step  ms          visible  updates  bytes  looked at\n",
);
for (const gathered of [false, true]) {
  for (const tiers of [fullRate, tiered]) {
    for (const players of [250, 500, 1_000]) measure(players, gathered, tiers);
  }
}

function measure(players: number, gathered: boolean, tier: readonly object[]): void {
  const side = gathered ? viewRange / 2 : Math.sqrt((players * Math.PI * viewRange ** 2) / inRange);
  const world = createWorld(players, side, tier);
  const walk = createWalk(world, players, side);
  const target = new FrameTarget(new Uint8Array(players * 4_096));
  const spent: number[] = [];
  let stepping = 0;
  let writing = 0;
  let visible = 0;
  let before = { ...world.work };
  const until = performance.now() + seconds * 1_000;
  for (let tick = 0; tick < warmUpTicks || performance.now() < until; tick++) {
    walk();
    const start = cpuUs();
    world.step();
    const stepped = cpuUs();
    const clock = performance.now();
    let end = 0;
    for (let player = 0; player < players; player++) end = world.writeFrame(player, target, end);
    const ms = performance.now() - clock;
    const done = cpuUs();
    if (tick < warmUpTicks) {
      before = { ...world.work };
      continue;
    }
    spent.push(ms);
    writing += done - stepped;
    stepping += stepped - start;
    visible += world.visibleTo(tick % players).length;
  }
  const each = spent.length * players;
  const p99 = spent.toSorted((a, b) => a - b)[Math.floor(spent.length * 0.99)] ?? 0;
  const { work } = world;
  const cells = [
    String(players).padEnd(8),
    (gathered ? "gathered" : "even").padEnd(9),
    (tier === fullRate ? "all at full rate" : "1, 1/2, 1/4").padEnd(19),
    (writing / each).toFixed(2).padEnd(16),
    (stepping / each).toFixed(2).padEnd(5),
    p99.toFixed(2).padEnd(11),
    (visible / spent.length).toFixed(1).padEnd(8),
    ((work.updates - before.updates) / each).toFixed(1).padEnd(8),
    ((work.bytes - before.bytes) / each).toFixed(0).padEnd(6),
    ((work.examined - before.examined) / each).toFixed(0),
  ];
  process.stdout.write(`${cells.join(" ")}\n`);
}

function cpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

function createWorld(players: number, side: number, tier: readonly object[]): World {
  const quarter = [side / 2, side / 2];
  const { layout, problems } = parseLayout({
    world: {
      tier,
      grid: {
        name: "part",
        origin: [0, 0],
        size: quarter,
        columns: 2,
        rows: 2,
        update_hz: tickHz,
        view_range: viewRange,
      },
    },
  });
  if (layout === undefined) throw new Error(JSON.stringify(problems));
  return new World({ layout, kinds, tickHz, maxPlayers: players, maxEntities: players });
}

/** Everybody goes 5 units a second in a direction that wanders. */
function createWalk(world: World, players: number, side: number): () => void {
  const random = createRandom(1);
  const { entities } = world;
  const angles = new Float64Array(players);
  for (let player = 0; player < players; player++) {
    angles[player] = randomBelow(random, 2 * Math.PI);
    world.addPlayer(0, randomBelow(random, side), 0, randomBelow(random, side));
  }
  return () => {
    for (let player = 0; player < players; player++) {
      const slot = world.bodyOf(player);
      let angle = (angles[player] ?? 0) + random() * 0.3 - 0.15;
      const x = (entities.x[slot] ?? 0) + Math.cos(angle) * 0.25;
      const z = (entities.z[slot] ?? 0) + Math.sin(angle) * 0.25;
      if (x < 0 || z < 0 || x > side || z > side) angle += Math.PI;
      else entities.move(slot, x, 0, z);
      angles[player] = angle;
      entities.set(slot, 0, Math.round((angle / (2 * Math.PI)) * 65_536) & 0xffff);
    }
  };
}
