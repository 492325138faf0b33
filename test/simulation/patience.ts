/** Somebody has waited long enough. Nothing here knows how long that is: it may always be now. */
import { governsCopy } from "../../protocol/handover/source-state.ts";
import { clientTimeout, destinationTimeout, sourceTimeout } from "../../protocol/handover/timing.ts";
import { stepClientOf } from "./client-shell.ts";
import { stepDestinationOf, stepSourceOf, toSession } from "./cluster-shell.ts";
import { allocate, bringWithoutClient } from "./environment.ts";
import type { Note } from "./move.ts";
import { stepSessionOf } from "./session-shell.ts";
import type { Cluster, World } from "./world.ts";

export function notePatience(world: World, note: Note): void {
  for (const [playerId, { session }] of Object.entries(world.players)) {
    if (session.groups.length === 0) continue;
    note(`session ${playerId} tells again`, (shell) => stepSessionOf(shell, playerId, { type: "timeout" }));
  }
  for (const cluster of Object.values(world.clusters)) {
    notePlayers(world, cluster, note);
    noteHandovers(world, cluster, note);
  }
  for (const playerId of Object.keys(world.players)) noteClient(world, playerId, note);
}

function noteHandovers(world: World, cluster: Cluster, note: Note): void {
  const { name, sources, destinations } = cluster;
  for (const [id, source] of Object.entries(sources)) {
    const patience = sourceTimeout(source, Object.values(destinations));
    if (patience === undefined || patience.heldBack === true) continue;
    note(`${name} waits no longer (${source.phase})`, (shell) => stepSourceOf(shell, name, id, { type: "timeout" }));
  }
  for (const [id, destination] of Object.entries(destinations)) {
    const { phase } = destination;
    if (destinationTimeout(destination) !== undefined) {
      note(`${name} waits no longer (${phase})`, (shell) => stepDestinationOf(shell, name, id, { type: "timeout" }));
    } else if (phase === "active" && world.clusters[destination.source]?.sources[id] === undefined) {
      // Long after its source has forgotten it.
      note(`${name} forgets ${id}`, (shell) => stepDestinationOf(shell, name, id, { type: "abandon" }));
    }
  }
}

function notePlayers(world: World, cluster: Cluster, note: Note): void {
  const { name, copies, sources, entering } = cluster;
  for (const [playerId, { generation }] of Object.entries(entering)) {
    note(`${name} asks again for ${playerId}`, (shell) =>
      toSession(shell, name, playerId, { type: "enter", generation }),
    );
  }
  for (const [playerId, { generation }] of Object.entries(copies)) {
    const newest = world.players[playerId]?.session.generation ?? 0;
    if (generation >= newest || Object.values(sources).some((source) => governsCopy(source, playerId))) continue;
    note(`${name} reports ${playerId}`, (shell) => toSession(shell, name, playerId, { type: "joined", generation }));
  }
}

function noteClient(world: World, playerId: string, note: Note): void {
  const player = world.players[playerId];
  if (player === undefined) return;
  if (player.gone) {
    const [cluster] = choices(world, playerId);
    if (cluster !== undefined && isNowhere(world, playerId)) {
      note(`${playerId} comes to ${cluster}`, (shell) => bringWithoutClient(shell, playerId, cluster));
    }
  } else if (player.allocating) {
    for (const cluster of choices(world, playerId)) {
      note(`${playerId} is allocated to ${cluster}`, (shell) => allocate(shell, playerId, cluster));
    }
  } else if (clientTimeout(player.client) !== undefined) {
    note(`${playerId} waits no longer (${player.client.phase})`, (shell) =>
      stepClientOf(shell, playerId, { type: "timeout" }),
    );
  }
}

/** Where the master would send a player: to where it is, if that lives. */
function choices(world: World, playerId: string): string[] {
  const holder = world.players[playerId]?.session.holder;
  if (holder !== undefined && world.clusters[holder]?.alive === true) return [holder];
  return Object.values(world.clusters)
    .filter((cluster) => cluster.alive)
    .map((cluster) => cluster.name);
}

/** A player without a client to do it comes back by a ticket as well, so that everything that was decided comes to light. */
function isNowhere(world: World, playerId: string): boolean {
  return Object.values(world.clusters).every(
    ({ copies, entering, sources, destinations }) =>
      copies[playerId] === undefined &&
      entering[playerId] === undefined &&
      Object.values(sources).every((source) => !source.members.some((member) => member.playerId === playerId)) &&
      Object.values(destinations).every((one) => !one.members.some((member) => member.playerId === playerId)),
  );
}
