/**
 * Visits every world that can come about, breadth first, so that the first fault found has one of the shortest traces. Each world is
 * held against the laws; and from each, left alone (deliveries, then repairs, then patience), the world must come to rest with
 * everyone somewhere and nothing missing.
 */
import { sweepDeadLetters } from "./dead-letters.ts";
import { digestWorld } from "./digest.ts";
import { brokenLaws, unsettled } from "./laws.ts";
import { isUnforced, type Scope } from "./move.ts";
import { movesOf } from "./moves.ts";
import type { Parts } from "./parts.ts";
import { openShell } from "./shell.ts";
import { copyWorld, type World } from "./world.ts";
import { WorldIndex } from "./world-index.ts";

export interface Exploration {
  /** Different worlds that were visited. */
  readonly worlds: number;
  /** Moves that were made. */
  readonly moves: number;
  /** Worlds in which nothing more happens by itself. */
  readonly settled: number;
  /** Whether `maxWorlds` ended it. */
  readonly complete: boolean;
  readonly counterexample: Counterexample | undefined;
}

export interface Counterexample {
  readonly faults: readonly string[];
  /** The moves that lead there. */
  readonly trace: readonly string[];
}

export interface ExploreOptions {
  readonly scope: Scope;
  readonly parts: Parts;
  readonly maxWorlds: number;
}

interface Entry {
  readonly world: World;
  readonly index: number;
}

export function explore(first: World, options: ExploreOptions): Exploration {
  const { scope, parts, maxWorlds } = options;
  const visited = new WorldIndex();
  visited.add(digestWorld(first));
  /** By world: where it was come from, by which of the moves there. */
  const parents: number[] = [-1];
  const ordinals: number[] = [-1];
  /** By world: what it becomes when it is left alone; itself when it has settled. */
  const left: number[] = [0];
  let layer: Entry[] = [{ world: first, index: 0 }];
  let moves = 0;
  let settled = 0;

  const traceTo = (index: number): string[] => {
    const path: number[] = [];
    for (let at = index; at > 0; at = parents[at] ?? 0) path.unshift(ordinals[at] ?? 0);
    return replay(first, path, scope, parts);
  };
  const report = (
    index: number,
    faults: readonly string[],
    more: readonly string[],
    complete = false,
  ): Exploration => ({
    worlds: parents.length,
    moves,
    settled,
    complete,
    counterexample: { faults, trace: [...traceTo(index), ...more] },
  });

  while (layer.length > 0) {
    const next: Entry[] = [];
    for (const { world, index } of layer) {
      const possible = movesOf(world, scope);
      const alone = possible.findIndex(isUnforced);
      if (alone < 0) {
        settled += 1;
        const faults = unsettled(world);
        if (faults.length > 0) return report(index, faults, []);
        left[index] = index;
      }
      for (const [ordinal, move] of possible.entries()) {
        moves += 1;
        const after = copyWorld(world);
        const shell = openShell(after, parts);
        const { faults } = shell;
        move.run(shell);
        sweepDeadLetters(after);
        faults.push(...brokenLaws(after));
        if (faults.length > 0) return report(index, faults, [move.name]);
        const key = digestWorld(after);
        let target = visited.find(key);
        if (target === undefined) {
          if (visited.count >= maxWorlds) {
            return { worlds: visited.count, moves, settled, complete: false, counterexample: undefined };
          }
          target = visited.add(key);
          parents.push(index);
          ordinals.push(ordinal);
          left.push(-1);
          next.push({ world: after, index: target });
        }
        if (ordinal === alone) left[index] = target;
      }
    }
    layer = next;
  }
  const restless = findCycle(left);
  if (restless !== undefined)
    return report(restless, ["[HAND-13] left alone, the world goes round and round"], [], true);
  return { worlds: parents.length, moves, settled, complete: true, counterexample: undefined };
}

/** A world from which, following `left`, none is reached that stays as it is. */
function findCycle(left: readonly number[]): number | undefined {
  const fine = new Uint8Array(left.length);
  for (let start = 0; start < left.length; start += 1) {
    const path: number[] = [];
    const seen = new Set<number>();
    let at = start;
    while (fine[at] !== 1 && left[at] !== at) {
      if (seen.has(at)) return at;
      seen.add(at);
      path.push(at);
      at = left[at] ?? at;
    }
    for (const one of path) fine[one] = 1;
    fine[at] = 1;
  }
  return undefined;
}

function replay(first: World, path: readonly number[], scope: Scope, parts: Parts): string[] {
  let world = first;
  return path.map((ordinal) => {
    const move = movesOf(world, scope)[ordinal];
    world = copyWorld(world);
    move?.run(openShell(world, parts));
    sweepDeadLetters(world);
    return move?.name ?? "?";
  });
}
