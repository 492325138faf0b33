/** What a cluster does with what it receives: from other clusters, and from the `PlayerSession`s. */
import { answerUnknown, beginReservation } from "../../protocol/handover/destination.ts";
import { isOwnEntry } from "../../protocol/handover/entry.ts";
import { generationAfterCommit } from "../../protocol/handover/generation.ts";
import type { FromSession, ToDestination, ToSource } from "../../protocol/handover/messages.ts";
import { governsCopy } from "../../protocol/handover/source-state.ts";
import { answerForgotten } from "../../protocol/handover/source.ts";
import { enterPlayer, refuseEntry } from "./cluster-clients.ts";
import { dropCopy, fenceHandovers, runDestination, stepDestinationOf, stepSourceOf } from "./cluster-shell.ts";
import { readToken } from "./session-shell.ts";
import { clusterOf, type Shell } from "./shell.ts";
import { sendPeer } from "./wires.ts";
import { type History, peerName } from "./world.ts";

/** The cluster `to` reads the next message of its link with `from`. */
export function readAtPeer(shell: Shell, from: string, to: string): void {
  const queues = shell.world.peers[peerName(from, to)]?.queues;
  const [item, ...rest] = queues?.[`${from}>${to}`] ?? [];
  if (queues === undefined || item === undefined) return;
  queues[`${from}>${to}`] = rest;
  switch (item.type) {
    case "end":
      return noticeLinkDown(shell, to, from);
    case "prepare":
    case "transfer":
    case "commit":
    case "forward":
    case "abort":
    case "finished":
      return hearSource(shell, to, from, item);
    case "prepared":
    case "ready":
    case "activated":
    case "forwarded":
    case "refused":
      return hearDestination(shell, to, from, item);
  }
}

export function noticeLinkDown(shell: Shell, cluster: string, peer: string): void {
  for (const source of Object.values(clusterOf(shell, cluster).sources)) {
    if (source.destination.clusterId === peer) stepSourceOf(shell, cluster, source.id, { type: "linkDown" });
  }
}

export function noticeLinkUp(shell: Shell, cluster: string, peer: string): void {
  const { boot } = clusterOf(shell, peer);
  for (const source of Object.values(clusterOf(shell, cluster).sources)) {
    if (source.destination.clusterId === peer) stepSourceOf(shell, cluster, source.id, { type: "linkUp", boot });
  }
  for (const destination of Object.values(clusterOf(shell, cluster).destinations)) {
    if (destination.source === peer) stepDestinationOf(shell, cluster, destination.id, { type: "linkUp" });
  }
}

function hearSource(shell: Shell, cluster: string, from: string, message: ToDestination<History>): void {
  const { boot, destinations } = clusterOf(shell, cluster);
  if (message.type === "prepare") {
    return runDestination(shell, cluster, beginReservation(message, from, { clusterId: cluster, boot }));
  }
  if (destinations[message.id] === undefined) {
    const answer = answerUnknown(message);
    if (answer !== undefined) sendPeer(shell.world, cluster, from, answer);
    return;
  }
  if (message.type !== "commit") return stepDestinationOf(shell, cluster, message.id, { type: "source", message });
  const claims = readToken(message.token);
  stepDestinationOf(shell, cluster, message.id, { type: "commit", claims, from: "source" });
}

function hearDestination(shell: Shell, cluster: string, from: string, message: ToSource): void {
  if (clusterOf(shell, cluster).sources[message.id] !== undefined) {
    return stepSourceOf(shell, cluster, message.id, { type: "destination", message });
  }
  const answer = answerForgotten<History>(message);
  if (answer?.type === "toDestination") sendPeer(shell.world, cluster, from, answer.message);
}

/** The cluster reads a letter from a `PlayerSession`. */
export function hearSession(shell: Shell, cluster: string, message: FromSession<History>): void {
  const { sources, destinations, copies, entering } = clusterOf(shell, cluster);
  switch (message.type) {
    case "enlisted":
    case "enlistRefused":
    case "committed":
    case "commitRefused":
      return stepSourceOf(shell, cluster, message.id, { type: "session", message });
    case "aborted":
    case "superseded": {
      const { playerId, generation } = message;
      if (message.type === "superseded" && isOwnEntry(message, entering[playerId]?.generation)) return;
      if (entering[playerId]?.generation === generation) return refuseEntry(shell, cluster, playerId);
      for (const source of Object.values(sources)) {
        if (source.members.some((member) => member.playerId === playerId && member.generation === generation)) {
          stepSourceOf(shell, cluster, source.id, { type: "session", message });
        }
      }
      return;
    }
    case "entered":
      return enterPlayer(shell, cluster, message);
    case "settled":
      for (const destination of Object.values(destinations)) {
        const { playerId, generation } = message;
        const meant = destination.members.some(
          (member) => member.playerId === playerId && generationAfterCommit(member.generation) === generation,
        );
        if (meant) stepDestinationOf(shell, cluster, destination.id, { type: "settled", playerId, generation });
      }
      return;
    case "fence": {
      const { playerId, generation } = message;
      if (isOwnEntry(message, entering[playerId]?.generation)) return;
      fenceHandovers(shell, cluster, playerId, generation);
      const handingOver = Object.values(sources).some((source) => governsCopy(source, playerId));
      const copy = copies[playerId];
      if (!handingOver && copy !== undefined && copy.generation < generation) {
        dropCopy(shell, cluster, playerId, copy.generation);
      }
      return;
    }
    case "saved":
    case "saveLater":
      return;
  }
}
