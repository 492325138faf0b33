/**
 * Measures what ghosts cost a cluster: `npx node data-plane/peers/ghosts.bench.ts [SECONDS]`, where SECONDS is the time for each row. Two
 * clusters with so many players each, who walk at 20 ticks a second and see the 50 nearest; those near the border are told to
 * the other one. Means are of the thread's CPU time a tick and cluster, with and without a link.
 */
import { createRandom, randomBelow } from "../../protocol/testing/seeded-random.ts";
import { parseLayout } from "../fragments/layout-parser.ts";
import { enter, GhostNet, walk } from "./testing/ghost-net.ts";

const tickHz = 20;
const viewRange = 50;
const warmUpTicks = 40;
const seconds = Number(process.argv[2] ?? 3);

process.stdout.write("players  ghosts   ms a tick: alone   linked   more   bytes a tick\n");
for (const [players, near] of [
  [500, 100],
  [500, 250],
  [1_000, 100],
  [1_000, 500],
] as const) {
  const alone = measure(players, near, false);
  const linked = measure(players, near, true);
  const more = linked.ms - alone.ms;
  const cells = [
    String(players).padStart(7),
    linked.ghosts.toFixed(0).padStart(7),
    alone.ms.toFixed(2).padStart(18),
    linked.ms.toFixed(2).padStart(8),
    more.toFixed(2).padStart(6),
    linked.bytes.toFixed(0).padStart(14),
  ];
  process.stdout.write(`${cells.join(" ")}\n`);
}

/** @param near of the players, how many walk near the border */
function measure(players: number, near: number, isLinked: boolean): { ms: number; ghosts: number; bytes: number } {
  const random = createRandom(1);
  const side = Math.sqrt((players * Math.PI * viewRange ** 2) / 100);
  const fragment = ["a", "b"].map((name, at) => ({
    name,
    min: [at * 4 * side - 4 * side, 0],
    max: [at * 4 * side, side],
    view_range: viewRange,
    update_hz: tickHz,
  }));
  const net = new GhostNet((id) => {
    const { layout } = parseLayout({ world: { carries: [id], handover_overrun: 0 }, fragment });
    if (layout === undefined) throw new Error("the layout is right");
    return layout;
  }, tickHz);
  const clusters = [net.add("a"), net.add("b")];
  const walkers = clusters.flatMap((cluster, at) => {
    const sign = at === 0 ? -1 : 1;
    return Array.from({ length: players }, (_, index) => {
      // The others have the same density, out of sight of the border.
      const [least, most] = index < near ? [1, viewRange - 2] : [2 * viewRange, 2 * viewRange + side];
      const x = sign * (least + randomBelow(random, most - least));
      const player = enter(cluster, `${at}-${index}`, index + 1, x, randomBelow(random, side));
      return { cluster, player, sign, least, most };
    });
  });
  const [a, b] = clusters;
  if (isLinked && a !== undefined && b !== undefined) net.link(a, b);
  let bytes = 0;
  const tick = (): number => {
    for (const { cluster, player, sign, least, most } of walkers) {
      const x = Math.abs(player.position.x) + (randomBelow(random, 2) - 1) / 4;
      const z = player.position.z + (randomBelow(random, 2) - 1) / 4;
      walk(cluster, player, sign * Math.min(most, Math.max(least, x)), Math.min(side - 1, Math.max(0, z)));
    }
    // The clients' part of the work is not the cluster's.
    for (const { player } of walkers) player.sendView = () => undefined;
    const before = process.threadCpuUsage();
    net.step();
    const spent = process.threadCpuUsage(before);
    bytes += net.waitingBytes;
    return (spent.user + spent.system) / 1_000;
  };
  for (let count = 0; count < warmUpTicks; count++) tick();
  bytes = 0;
  const endMs = performance.now() + seconds * 1_000;
  let spentMs = 0;
  let ticks = 0;
  while (performance.now() < endMs) {
    spentMs += tick();
    ticks += 1;
  }
  return {
    ms: spentMs / ticks / clusters.length,
    ghosts: a?.world.counts.ghosts ?? 0,
    bytes: bytes / ticks / clusters.length,
  };
}
