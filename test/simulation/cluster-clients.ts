/** How a cluster serves its clients: those who play, come back, arrive from another cluster, or join with a ticket. */
import type { FromSession } from "../../protocol/handover/messages.ts";
import { handoverHolding, newestHandover } from "../../protocol/handover/source-state.ts";
import { openStreams, type StreamPosition } from "../../protocol/handover/streams.ts";
import { applyItem, fenceHandovers, giveItem, stepDestinationOf, stepSourceOf, toSession } from "./cluster-shell.ts";
import { freshMark, readHistory } from "./history.ts";
import { readTicket, readToken } from "./session-shell.ts";
import { clusterOf, playerOf, type Shell } from "./shell.ts";
import { connectionOf, forgetIfDone, sendToClient } from "./wires.ts";
import { type FromClient, type History, put } from "./world.ts";

/** The cluster reads the next message of a client's connection. */
export function readAtCluster(shell: Shell, playerId: string, cluster: string): void {
  const connection = connectionOf(shell.world, playerId, cluster);
  const [message, ...rest] = connection?.toCluster ?? [];
  if (connection === undefined || message === undefined) return;
  connection.toCluster = rest;
  switch (message.type) {
    case "end":
      connection.attached = false;
      forgetIfDone(shell.world, playerId, cluster);
      return tellHandover(shell, cluster, playerId, "clientGone");
    case "input":
      if (!connection.attached) return;
      return giveItem(shell, cluster, playerId, { kind: "input", sequence: message.sequence, body: message.body });
    case "return":
      return comeBack(shell, cluster, playerId, message.position);
    case "arrive":
      return arrive(shell, cluster, playerId, message);
    case "join":
      return join(shell, cluster, playerId, message);
  }
}

function tellHandover(shell: Shell, cluster: string, playerId: string, type: "clientGone" | "clientBack"): void {
  const { copies, sources } = clusterOf(shell, cluster);
  const handover = newestHandover(Object.values(sources), playerId, copies[playerId]?.generation);
  if (handover !== undefined) stepSourceOf(shell, cluster, handover.id, { type, playerId });
}

/** A client whose connection broke. Its player is in the game here, or frozen, or has been sent on. */
function comeBack(shell: Shell, cluster: string, playerId: string, position: StreamPosition): void {
  const connection = connectionOf(shell.world, playerId, cluster);
  const { copies, sources } = clusterOf(shell, cluster);
  const holding = handoverHolding(Object.values(sources), playerId, copies[playerId]?.generation);
  if (connection !== undefined && copies[playerId] === undefined && holding?.phase === "released") {
    connection.attached = true;
    return tellHandover(shell, cluster, playerId, "clientBack");
  }
  if (!attach(shell, cluster, playerId, position, false))
    return sendToClient(shell.world, playerId, cluster, { type: "refused" });
  tellHandover(shell, cluster, playerId, "clientBack");
}

function arrive(
  shell: Shell,
  cluster: string,
  playerId: string,
  message: Extract<FromClient, { type: "arrive" }>,
): void {
  const { id, key, token, position } = message;
  stepDestinationOf(shell, cluster, id, { type: "commit", claims: readToken(token), from: "client" });
  if (clusterOf(shell, cluster).keys[playerId] === key) return comeBack(shell, cluster, playerId, position);
  sendToClient(shell.world, playerId, cluster, { type: "refused" });
}

/** Puts a client on its player's streams; `mayBeFresh`: on new ones, if it has seen what is not part of these. */
function attach(
  shell: Shell,
  cluster: string,
  playerId: string,
  position: StreamPosition,
  mayBeFresh: boolean,
): boolean {
  const { copies } = clusterOf(shell, cluster);
  const copy = copies[playerId];
  const connection = connectionOf(shell.world, playerId, cluster);
  if (copy === undefined || connection === undefined || connection.broken) return false;
  const back = shell.parts.resumeStreams(copy.streams, position);
  if (!back.continues && !mayBeFresh) return false;
  connection.attached = true;
  connection.waiting = undefined;
  if (!back.continues) {
    const streams = openStreams<History>(copy.generation);
    put(copies, playerId, { ...copy, history: copy.history + freshMark, streams });
    sendToClient(shell.world, playerId, cluster, {
      type: "welcome",
      tenure: streams.tenure,
      lastInput: 0,
      fresh: true,
    });
    return true;
  }
  const { streams, replay } = back;
  const { delivered } = playerOf(shell, playerId);
  if (!readHistory(copy.history).sinceFresh.startsWith(delivered)) {
    shell.faults.push(
      `[HAND-10] ${playerId}: continues at ${cluster} with "${copy.history}", but was given "${delivered}"`,
    );
  }
  put(copies, playerId, { ...copy, streams });
  const { tenure, lastInput } = streams;
  sendToClient(shell.world, playerId, cluster, { type: "welcome", tenure, lastInput, fresh: false });
  for (const { sequence, body } of replay)
    sendToClient(shell.world, playerId, cluster, { type: "output", sequence, body });
  return true;
}

function join(shell: Shell, cluster: string, playerId: string, message: Extract<FromClient, { type: "join" }>): void {
  const { boot, sources, copies, entering } = clusterOf(shell, cluster);
  const claims = readTicket(message.ticket);
  const { generation } = claims;
  const asked = entering[playerId];
  const newest = Math.max(copies[playerId]?.generation ?? 0, asked?.generation ?? 0, asked?.next ?? 0);
  if (claims.boot !== boot || generation <= newest) {
    return sendToClient(shell.world, playerId, cluster, { type: "refused" });
  }
  for (const source of Object.values(sources)) {
    // What is frozen here is the newest there is: play it, so that the player finds it.
    if (source.members.some((member) => member.playerId === playerId)) {
      stepSourceOf(shell, cluster, source.id, { type: "cancel" });
    }
  }
  const connection = connectionOf(shell.world, playerId, cluster);
  if (connection !== undefined) connection.waiting = message.position;
  if (asked === undefined) ask(shell, cluster, playerId, generation);
  else put(entering, playerId, { ...asked, next: generation });
}

function ask(shell: Shell, cluster: string, playerId: string, generation: number): void {
  put(clusterOf(shell, cluster).entering, playerId, { generation, next: undefined });
  toSession(shell, cluster, playerId, { type: "enter", generation });
}

/** `PlayerSession` has let a player in. */
export function enterPlayer(
  shell: Shell,
  cluster: string,
  entered: Extract<FromSession<History>, { readonly type: "entered" }>,
): void {
  const { playerId, generation } = entered;
  const { copies, sources, entering } = clusterOf(shell, cluster);
  const asked = entering[playerId];
  if (asked?.generation !== generation) return;
  delete entering[playerId];
  const copy = copies[playerId];
  const handover = newestHandover(Object.values(sources), playerId, copy?.generation);
  const start = shell.parts.chooseStart(entered, copy?.generation, handover);
  const common = { generation, frozen: false, saves: 0 };
  if (start.from === "copy" && copy !== undefined) {
    put(copies, playerId, { ...copy, ...common });
  } else if (start.from === "save") {
    const { state: history, streams } = start.snapshot;
    put(copies, playerId, { ...common, history, streams });
    for (const item of start.items) applyItem(shell, cluster, playerId, item);
  } else {
    put(copies, playerId, { ...common, history: "", streams: openStreams(generation) });
  }
  fenceHandovers(shell, cluster, playerId, generation);
  if (asked.next !== undefined) return ask(shell, cluster, playerId, asked.next);
  const connection = connectionOf(shell.world, playerId, cluster);
  if (connection?.waiting !== undefined) attach(shell, cluster, playerId, connection.waiting, true);
}

export function refuseEntry(shell: Shell, cluster: string, playerId: string): void {
  const { entering } = clusterOf(shell, cluster);
  const next = entering[playerId]?.next;
  delete entering[playerId];
  if (next !== undefined) return ask(shell, cluster, playerId, next);
  if (connectionOf(shell.world, playerId, cluster)?.waiting === undefined) return;
  sendToClient(shell.world, playerId, cluster, { type: "refused" });
}
