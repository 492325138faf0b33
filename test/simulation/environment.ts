/** What the world does to the parties: operators begin handovers, games save, processes die. */
import { openClient } from "./model-client.ts";
import { canStep } from "../../protocol/handover/generation.ts";
import { beginHandover } from "../../protocol/handover/source.ts";
import { governsCopy, newestHandover } from "../../protocol/handover/source-state.ts";
import { maxPastTenures } from "../../protocol/handover/streams.ts";
import { stepClientOf } from "./client-shell.ts";
import { runSource, toSession } from "./cluster-shell.ts";
import { hasHeld, issueTicket, readTicket } from "./session-shell.ts";
import { clusterOf, playerOf, type Shell } from "./shell.ts";
import { breakConnection, breakPeer, connectionOf, endFromClient, forgetIfDone } from "./wires.ts";
import { connectionName, type History, put, type World } from "./world.ts";

/** Whether a player is in the game there, and in no handover that is not decided. */
export function mayBeHandedOver(world: World, from: string, playerId: string): boolean {
  const cluster = world.clusters[from];
  const copy = cluster?.copies[playerId];
  // A client that is left behind too far has to start afresh, which the laws would take for a fault.
  if (copy?.streams.past.length === maxPastTenures) return false;
  if (cluster === undefined || copy === undefined || copy.frozen || !canStep(copy.generation)) return false;
  return newestHandover(Object.values(cluster.sources), playerId, copy.generation) === undefined;
}

export function startHandover(shell: Shell, playerIds: readonly string[], from: string, to: string): void {
  const { copies } = clusterOf(shell, from);
  shell.world.budget.handovers -= 1;
  shell.world.handovers += 1;
  const id = `h${shell.world.handovers}`;
  const candidates = playerIds.map((playerId) => ({
    playerId,
    generation: copies[playerId]?.generation ?? 0,
    key: `${id}.${playerId}`,
    clientHere: connectionOf(shell.world, playerId, from)?.attached === true,
  }));
  const destination = { clusterId: to, boot: clusterOf(shell, to).boot };
  runSource(shell, from, beginHandover<History>(id, destination, candidates));
}

export function takeSave(shell: Shell, cluster: string, playerId: string): void {
  const { copies, sources } = clusterOf(shell, cluster);
  const copy = copies[playerId];
  if (copy === undefined || Object.values(sources).some((source) => governsCopy(source, playerId))) return;
  shell.world.budget.saves -= 1;
  const version = copy.saves + 1;
  put(copies, playerId, { ...copy, saves: version });
  const { generation, history } = copy;
  toSession(shell, cluster, playerId, { type: "save", generation, version, state: history });
}

/** Kills a process: its memory is gone. What it has sent may arrive, or not. */
export function crash(shell: Shell, name: string, arrives: boolean): void {
  const { world } = shell;
  const cluster = clusterOf(shell, name);
  for (const playerId of Object.keys(world.players)) noteKilled(shell, name, playerId);
  cluster.alive = false;
  cluster.boot += 1;
  cluster.copies = {};
  cluster.sources = {};
  cluster.destinations = {};
  cluster.entering = {};
  cluster.keys = {};
  for (const other of Object.keys(world.clusters)) if (other !== name) breakPeer(world, name, other, arrives);
  for (const link of Object.values(world.peers)) {
    // A link that was down already may still hold what nobody will read.
    for (const direction of Object.keys(link.queues)) if (direction.endsWith(`>${name}`)) link.queues[direction] = [];
  }
  for (const playerId of Object.keys(world.players)) {
    breakConnection(world, playerId, name, arrives);
    const connection = world.connections[connectionName(playerId, name)];
    if (connection !== undefined) connection.toCluster = [];
    forgetIfDone(world, playerId, name);
  }
}

/**
 * A player in the game on a cluster that is killed falls back to the last save: what was not saved may be missing from then on. Nothing
 * may be, when that cluster had changed nothing since the snapshot that `PlayerSession` has, and its client had not come yet. What
 * others hold for a player whom that cluster had taken over was made for a history that ends here.
 */
function noteKilled(shell: Shell, name: string, playerId: string): void {
  const { world } = shell;
  const player = playerOf(shell, playerId);
  const { save } = player.session;
  const { copies, sources, destinations } = clusterOf(shell, name);
  const copy = copies[playerId];
  if (copy !== undefined) {
    const saved = save?.streams !== undefined && save.state === copy.history && copy.saves === 0;
    const seen = !copy.frozen && connectionOf(world, playerId, name)?.attached === true;
    if (!saved || seen) player.mayLose = true;
  }
  const concerned = [
    ...Object.values(sources),
    ...Object.values(destinations).filter((one) => one.phase === "active"),
  ].some((one) => one.members.some((member) => member.playerId === playerId));
  if (concerned && Object.keys(world.clusters).some((one) => hasHeld(shell, one, playerId))) player.mayLose = true;
}

/** The master gives a player a ticket for a cluster. */
export function allocate(shell: Shell, playerId: string, cluster: string): void {
  playerOf(shell, playerId).allocating = false;
  const ticket = issueTicket(shell, playerId, cluster);
  const { boot } = clusterOf(shell, cluster);
  stepClientOf(shell, playerId, { type: "allocated", cluster: { clusterId: cluster, boot }, ticket });
}

/** A player comes back with a ticket, but nobody watches what it sees there. */
export function bringWithoutClient(shell: Shell, playerId: string, cluster: string): void {
  const { generation } = readTicket(issueTicket(shell, playerId, cluster));
  put(clusterOf(shell, cluster).entering, playerId, { generation, next: undefined });
  toSession(shell, cluster, playerId, { type: "enter", generation });
}

/** A client ends, and nobody comes back in its place. */
export function loseClient(shell: Shell, playerId: string): void {
  Object.assign(playerOf(shell, playerId), { gone: true, allocating: false, mayLose: true });
  for (const cluster of Object.keys(shell.world.clusters)) endFromClient(shell.world, playerId, cluster);
}

/** The player starts the game on another machine, and is sent to a cluster that need not be the one it is on. */
export function changeDevice(shell: Shell, playerId: string, cluster: string): void {
  const player = playerOf(shell, playerId);
  player.client = openClient<History>(player.client.maxFailures).state;
  player.delivered = "";
  player.mayLose = true;
  allocate(shell, playerId, cluster);
}
