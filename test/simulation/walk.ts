/**
 * Long random lives of larger worlds: several clusters, players alone and in groups, many handovers, faults at any time and several
 * at once. Every world on the way is held against the laws; in the end the world is left alone and has to settle.
 */
import { brokenLaws, unsettled } from "./laws.ts";
import { isUnforced, type Move, type Scope } from "./move.ts";
import { movesOf } from "./moves.ts";
import type { Parts } from "./parts.ts";
import { createRandom, type Random } from "./random.ts";
import { openWorld } from "./scenes.ts";
import { openShell } from "./shell.ts";
import type { Budget, World } from "./world.ts";

export interface WalkResult {
  readonly faults: readonly string[];
  readonly trace: readonly string[];
  /** How many handovers began. */
  readonly handovers: number;
}

/** How likely a kind of move is, against the others that are possible. A world is given one of these tempers. */
const tempers: readonly Readonly<Record<Move["kind"], number>>[] = [
  { delivery: 100, repair: 20, patience: 1, game: 10, fault: 0.3 },
  { delivery: 100, repair: 5, patience: 5, game: 30, fault: 2 },
  { delivery: 20, repair: 2, patience: 10, game: 10, fault: 0.5 },
  { delivery: 100, repair: 50, patience: 0.1, game: 20, fault: 5 },
];

/** After so many moves without coming to rest, a world that is left alone never will. */
const maxRestMoves = 20_000;

export function walk(seed: number, parts: Parts): WalkResult {
  const random = createRandom(seed);
  const clusters = ["A", "B", "C", "D"].slice(0, random.between(2, 4));
  const players = ["p", "q", "r", "s", "t"].slice(0, random.between(1, 5));
  const { world, scope } = open(random, clusters, players);
  const temper = random.pick(tempers);
  const trace: string[] = [];
  const steps = random.between(200, 1_500);
  for (let step = 0; step < steps; step += 1) {
    const move = pickMove(random, movesOf(world, scope), temper);
    if (move === undefined) break;
    const faults = make(world, parts, move, trace);
    if (faults.length > 0) return finish(world, trace, faults);
  }
  for (let rest = 0; ; rest += 1) {
    const move = movesOf(world, scope).find(isUnforced);
    if (move === undefined) return finish(world, trace, unsettled(world));
    if (rest > maxRestMoves) return finish(world, trace, ["[HAND-13] left alone, the world does not come to rest"]);
    const faults = make(world, parts, move, trace);
    if (faults.length > 0) return finish(world, trace, faults);
  }
}

function open(random: Random, clusters: readonly string[], players: readonly string[]): { world: World; scope: Scope } {
  const budget: Partial<Budget> = {
    inputs: random.between(0, 20),
    outputs: random.between(0, 20),
    saves: random.between(0, 20),
    handovers: random.between(1, 20),
    fillings: random.between(0, 2),
    crashes: Math.max(0, random.between(-4, 4)),
    breaks: random.between(0, 8),
    lostMail: random.between(0, 6),
    doubledMail: random.between(0, 6),
    devices: Math.max(0, random.between(-4, 3)),
    tooLarge: Math.max(0, random.between(-3, 2)),
    goneClients: random.between(0, 8) === 0 ? 1 : 0,
  };
  const clients = random.between(0, 9) > 0;
  const world = openWorld({ clusters, players, clients, budget });
  const groups: (readonly string[])[] = players.map((player) => [player]);
  for (let count = random.between(0, 3); count > 0; count -= 1) {
    const group = players.filter(() => random.between(0, 1) === 0);
    if (group.length > 1) groups.push(random.between(0, 1) === 0 ? group : group.toReversed());
  }
  const handovers = groups.flatMap((playerIds) =>
    clusters.flatMap((from) => clusters.filter((to) => to !== from).map((to) => ({ playerIds, from, to }))),
  );
  return { world, scope: { handovers, mortals: clusters, promptLinks: false } };
}

function pickMove(
  random: Random,
  moves: readonly Move[],
  temper: Readonly<Record<Move["kind"], number>>,
): Move | undefined {
  const total = moves.reduce((sum, move) => sum + temper[move.kind], 0);
  let left = random.fraction() * total;
  return moves.find((move) => (left -= temper[move.kind]) < 0) ?? moves.at(-1);
}

function make(world: World, parts: Parts, move: Move, trace: string[]): readonly string[] {
  const shell = openShell(world, parts);
  trace.push(move.name);
  move.run(shell);
  return [...shell.faults, ...brokenLaws(world)];
}

function finish(world: World, trace: readonly string[], faults: readonly string[]): WalkResult {
  return { faults, trace, handovers: world.handovers };
}
