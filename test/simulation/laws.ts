/** What must be true of every world, and of one that has settled. Each law is a requirement of docs/HANDOVER.md. */
import { generationAfterCommit, sessionOf } from "../../protocol/handover/generation.ts";
import { isRising, readHistory } from "./history.ts";
import { readToken } from "./session-shell.ts";
import { connectionName, type Player, type World } from "./world.ts";

/** The laws that hold at any time. */
export function brokenLaws(world: World): string[] {
  const faults: string[] = [];
  for (const [playerId, player] of Object.entries(world.players)) {
    const { session } = player;
    const playing = new Map<number, string>();
    for (const { name, copies } of Object.values(world.clusters)) {
      const copy = copies[playerId];
      if (copy === undefined) continue;
      if (copy.generation > authorityOf(world, player)) {
        faults.push(`[HAND-1] ${playerId}: ${name} plays under ${copy.generation}, which PlayerSession never gave`);
      }
      const other = playing.get(sessionOf(copy.generation));
      if (!copy.frozen && other !== undefined) {
        faults.push(`[HAND-1] ${playerId}: plays on ${other} and ${name} in one session`);
      }
      if (!copy.frozen) playing.set(sessionOf(copy.generation), name);
      if (copy.generation === session.generation && name === session.holder) {
        const saved = session.save?.state ?? "";
        if (!copy.history.startsWith(saved)) {
          faults.push(
            `[HAND-8] ${playerId}: ${name} has authority with "${copy.history}", which is not from the save "${saved}"`,
          );
        }
      }
      checkOrder(faults, playerId, player, `${name} has`, copy.history);
    }
    checkOrder(faults, playerId, player, "the save is", session.save?.state ?? "");
    if (!isOrdered(player.delivered)) {
      faults.push(`[HAND-9] ${playerId}: the client was given "${player.delivered}"`);
    }
  }
  return faults;
}

/** A member's session may not have heard yet what the first one's has decided. */
function authorityOf(world: World, player: Player): number {
  const { playerId, generation, enlistment } = player.session;
  const leader = enlistment === undefined ? undefined : world.players[enlistment.leader.playerId];
  const group = leader?.session.groups.find((one) => one.from === enlistment?.leader.generation);
  const decided = group?.members.some((member) => member.playerId === playerId && member.generation === generation);
  return decided === true ? generationAfterCommit(generation) : generation;
}

function checkOrder(faults: string[], playerId: string, player: Player, whose: string, history: string): void {
  const { inputs } = readHistory(history);
  if (!isRising(inputs, player.mayLose) || !isOrdered(history))
    faults.push(`[HAND-9] ${playerId}: ${whose} "${history}"`);
}

function isOrdered(history: string): boolean {
  return Object.values(readHistory(history).outputs).every((numbers) => isRising(numbers, true));
}

/** What must be true besides when nothing more happens by itself: everyone has got somewhere, and nothing is missing. */
export function unsettled(world: World): string[] {
  const faults: string[] = [];
  for (const { name, sources, destinations, entering } of Object.values(world.clusters)) {
    if (Object.keys(sources).length > 0) faults.push(`[HAND-13] ${name} is still handing over`);
    if (Object.keys(destinations).length > 0) faults.push(`[HAND-13] ${name} is still taking over`);
    if (Object.keys(entering).length > 0) faults.push(`[HAND-13] ${name} is still letting players in`);
  }
  for (const [playerId, player] of Object.entries(world.players)) {
    const { session, client } = player;
    const here = Object.values(world.clusters).filter((cluster) => cluster.copies[playerId] !== undefined);
    if (session.groups.length > 0) faults.push(`[HAND-13] ${playerId}: a member still waits for its decision`);
    if (session.enlistment !== undefined) faults.push(`[HAND-13] ${playerId}: still bound to a group`);
    faults.push(...splitGroups(world, playerId));
    const [cluster] = here;
    const copy = cluster?.copies[playerId];
    if (here.length !== 1 || cluster === undefined || copy === undefined) {
      faults.push(`[HAND-13] ${playerId}: in the game on ${here.map((one) => one.name).join(" and ") || "no cluster"}`);
      continue;
    }
    if (copy.frozen || copy.generation !== session.generation || cluster.name !== session.holder) {
      faults.push(`[HAND-1] ${playerId}: on ${cluster.name} without authority`);
    }
    if (player.gone) continue;
    const attached = world.connections[connectionName(playerId, cluster.name)]?.attached === true;
    if (client.phase !== "playing" || client.at?.cluster.clusterId !== cluster.name || !attached) {
      faults.push(`[HAND-13] ${playerId}: on ${cluster.name}, but its client is ${client.phase}`);
    }
    const { inputs, outputCount, sinceFresh } = readHistory(copy.history);
    if (client.streams.unacknowledged.length > 0) faults.push(`[HAND-9] ${playerId}: inputs are not acknowledged`);
    if (player.delivered !== sinceFresh) {
      faults.push(`[HAND-9] ${playerId}: was given "${player.delivered}" of "${copy.history}"`);
    }
    if (!player.mayLose && (inputs.length < player.inputs || outputCount < player.outputs)) {
      faults.push(
        `[HAND-9] ${playerId}: of ${player.inputs} inputs and ${player.outputs} outputs, this is left: "${copy.history}"`,
      );
    }
  }
  return faults;
}

/** A group is moved as a whole or not at all: what its sessions remember of the last handover has to agree. */
function splitGroups(world: World, playerId: string): string[] {
  const { last } = world.players[playerId]?.session ?? {};
  if (last?.token === undefined) return [];
  const torn = readToken(last.token).members.filter((member) => {
    const other = world.players[member.playerId]?.session.last;
    if (other === undefined || other.from < member.generation) return true;
    return other.from === member.generation && other.outcome === "aborted";
  });
  return torn.map((member) => `[HAND-11] ${member.playerId}: was not moved with ${playerId}`);
}
