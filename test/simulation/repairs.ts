/** What is down comes up. */
import { noticeLinkDown, noticeLinkUp } from "./cluster-inbox.ts";
import type { Note, Scope } from "./move.ts";
import { clusterOf, type Shell } from "./shell.ts";
import { peerName, type World } from "./world.ts";

export function noteRepairs(world: World, scope: Scope, note: Note): void {
  for (const { name, alive } of Object.values(world.clusters)) {
    if (!alive) note(`${name} starts`, (shell) => start(shell, name, scope.promptLinks));
  }
  for (const [name, link] of Object.entries(world.peers)) {
    const [a = "", b = ""] = name.split("|");
    if (link.up || world.clusters[a]?.alive !== true || world.clusters[b]?.alive !== true) continue;
    note(`link ${name} comes up`, (shell) => connectPeers(shell, a, b));
  }
}

function start(shell: Shell, name: string, links: boolean): void {
  clusterOf(shell, name).alive = true;
  if (!links) return;
  for (const [other, { alive }] of Object.entries(shell.world.clusters)) {
    if (alive && other !== name) connectPeers(shell, name, other);
  }
}

/** A new link: what was left of the old one is thrown away, and both ends know that it broke. [HAND-12] */
function connectPeers(shell: Shell, a: string, b: string): void {
  const link = shell.world.peers[peerName(a, b)];
  if (link === undefined) return;
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    if ((link.queues[`${from}>${to}`] ?? []).length > 0) noticeLinkDown(shell, to, from);
    link.queues[`${from}>${to}`] = [];
  }
  link.up = true;
  noticeLinkUp(shell, a, b);
  noticeLinkUp(shell, b, a);
}
