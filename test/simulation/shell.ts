/** A simulation at work: a world that may be changed, the functions that decide, and what has been found wrong. */
import type { Parts } from "./parts.ts";
import { type Cluster, copyCluster, type Player, type World } from "./world.ts";

export interface Shell {
  readonly world: World;
  readonly parts: Parts;
  /** Laws that the step has broken. */
  readonly faults: string[];
  /** The clusters and players of `world` that belong to it alone, and may be changed. */
  readonly drafts: Set<object>;
}

export function openShell(world: World, parts: Parts): Shell {
  return { world, parts, faults: [], drafts: new Set() };
}

/** A cluster that may be changed. */
export function clusterOf(shell: Shell, name: string): Cluster {
  const cluster = shell.world.clusters[name];
  if (cluster === undefined) throw new Error(`no cluster ${name}`);
  if (shell.drafts.has(cluster)) return cluster;
  const draft = copyCluster(cluster);
  shell.drafts.add(draft);
  shell.world.clusters[name] = draft;
  return draft;
}

/** A player that may be changed. */
export function playerOf(shell: Shell, playerId: string): Player {
  const player = shell.world.players[playerId];
  if (player === undefined) throw new Error(`no player ${playerId}`);
  if (shell.drafts.has(player)) return player;
  const draft = { ...player };
  shell.drafts.add(draft);
  shell.world.players[playerId] = draft;
  return draft;
}
