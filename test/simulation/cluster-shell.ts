/** A cluster around its handovers: copies of players, their clients, and the carrying out of what the pure parts decide. */
import type { DestinationEffect, DestinationEvent, DestinationStep } from "../../protocol/handover/destination.ts";
import type { HeldItem, ToSession } from "../../protocol/handover/messages.ts";
import type { Snapshot } from "../../protocol/handover/parties.ts";
import {
  handoverHolding,
  type SourceEffect,
  type SourceEvent,
  type SourceStep,
} from "../../protocol/handover/source-state.ts";
import { withInput, withOutput } from "./model-streams.ts";
import { inputToken, outputToken } from "./history.ts";
import { clusterOf, type Shell } from "./shell.ts";
import { connectionOf, endFromCluster, post, sendPeer, sendToClient } from "./wires.ts";
import { type History, put } from "./world.ts";

export function runSource(shell: Shell, cluster: string, step: SourceStep<History>): void {
  const { sources } = clusterOf(shell, cluster);
  const { state } = step;
  if (state.phase === "ended") delete sources[state.id];
  else put(sources, state.id, state);
  for (const effect of step.effects) doSourceEffect(shell, cluster, state.id, state.destination.clusterId, effect);
}

/** Gives an event to a handover of which the cluster is the source. */
export function stepSourceOf(shell: Shell, cluster: string, id: string, event: SourceEvent<History>): void {
  const source = clusterOf(shell, cluster).sources[id];
  if (source !== undefined) runSource(shell, cluster, shell.parts.stepSource(source, event));
}

function doSourceEffect(
  shell: Shell,
  cluster: string,
  id: string,
  destination: string,
  effect: SourceEffect<History>,
): void {
  const { world } = shell;
  const { copies } = clusterOf(shell, cluster);
  switch (effect.type) {
    case "toDestination":
      return sendPeer(world, cluster, destination, effect.message);
    case "toSession":
      return toSession(shell, cluster, effect.playerId, effect.message);
    case "toClient":
      if (connectionOf(world, effect.playerId, cluster)?.attached === true) {
        sendToClient(world, effect.playerId, cluster, { type: "told", message: effect.message });
      }
      return;
    case "freeze": {
      const snapshots: Record<string, Snapshot<History>> = {};
      for (const playerId of effect.playerIds) {
        const copy = copies[playerId];
        if (copy === undefined) continue;
        put(copies, playerId, { ...copy, frozen: true });
        snapshots[playerId] = { state: copy.history, streams: copy.streams };
      }
      return stepSourceOf(shell, cluster, id, { type: "frozen", snapshots });
    }
    case "depart":
      delete copies[effect.playerId];
      return;
    case "play": {
      const { playerId, generation, snapshot, items } = effect;
      const { state: history, streams } = snapshot;
      const frozen = copies[playerId] ?? { generation, saves: 0 };
      put(copies, playerId, { generation: frozen.generation, history, streams, frozen: false, saves: frozen.saves });
      for (const item of items) applyItem(shell, cluster, playerId, item);
      return;
    }
    case "adopt": {
      const copy = copies[effect.playerId];
      if (copy?.generation !== effect.from) return;
      put(copies, effect.playerId, { ...copy, generation: effect.generation, saves: 0 });
      return;
    }
    case "drop":
      return dropCopy(shell, cluster, effect.playerId, effect.generation);
  }
}

/** Forgets the copy that has `generation`; a newer one, and its connection, stay. */
export function dropCopy(shell: Shell, cluster: string, playerId: string, generation: number): void {
  const { copies, entering, keys } = clusterOf(shell, cluster);
  const copy = copies[playerId];
  if (copy !== undefined && copy.generation !== generation) return;
  delete copies[playerId];
  delete keys[playerId];
  if (entering[playerId] === undefined) endFromCluster(shell.world, playerId, cluster);
}

export function runDestination(shell: Shell, cluster: string, step: DestinationStep<History>): void {
  const { destinations } = clusterOf(shell, cluster);
  const { state } = step;
  if (state.phase === "ended") delete destinations[state.id];
  else put(destinations, state.id, state);
  for (const effect of step.effects) doDestinationEffect(shell, cluster, state.id, state.source, effect);
}

/** Gives an event to a handover of which the cluster is the destination. */
export function stepDestinationOf(shell: Shell, cluster: string, id: string, event: DestinationEvent<History>): void {
  const state = clusterOf(shell, cluster).destinations[id];
  if (state !== undefined) runDestination(shell, cluster, shell.parts.stepDestination(state, event));
}

function doDestinationEffect(
  shell: Shell,
  cluster: string,
  id: string,
  source: string,
  effect: DestinationEffect<History>,
): void {
  const { full, copies, entering, keys } = clusterOf(shell, cluster);
  switch (effect.type) {
    case "toSource":
      return sendPeer(shell.world, cluster, source, effect.message);
    case "toSession":
      return toSession(shell, cluster, effect.playerId, effect.message);
    case "reserve": {
      const here = effect.members.some(
        ({ playerId }) => copies[playerId] !== undefined || entering[playerId] !== undefined,
      );
      if (full || here) {
        return stepDestinationOf(shell, cluster, id, { type: "notReserved", reason: full ? "full" : "invalid" });
      }
      return stepDestinationOf(shell, cluster, id, { type: "reserved" });
    }
    case "unreserve":
      return;
    case "admit":
      return stepDestinationOf(shell, cluster, id, { type: "admitted" });
    case "activate": {
      const { playerId, generation, key, snapshot } = effect;
      put(copies, playerId, {
        generation,
        history: snapshot.state,
        streams: snapshot.streams,
        frozen: false,
        saves: 0,
      });
      put(keys, playerId, key);
      // A connection from an earlier stay here has inputs that belong behind those which are still on their way back. [HAND-7]
      const earlier = connectionOf(shell.world, playerId, cluster);
      if (earlier !== undefined) earlier.attached = false;
      return;
    }
    case "deliver":
      return giveItem(shell, cluster, effect.playerId, effect.item);
  }
}

export function toSession(shell: Shell, cluster: string, playerId: string, message: ToSession<History>): void {
  const { boot } = clusterOf(shell, cluster);
  post(shell.world, { to: "session", playerId, from: cluster, boot, message });
}

/** Something for a player: to the handover that holds it, or to the game. */
export function giveItem(shell: Shell, cluster: string, playerId: string, item: HeldItem<History>): void {
  const { copies, sources } = clusterOf(shell, cluster);
  const holding = handoverHolding(Object.values(sources), playerId, copies[playerId]?.generation);
  if (holding === undefined) applyItem(shell, cluster, playerId, item);
  else stepSourceOf(shell, cluster, holding.id, { type: "item", playerId, item });
}

/** The game at work: applies an input, or makes an output. */
export function applyItem(shell: Shell, cluster: string, playerId: string, item: HeldItem<History>): void {
  const { world, parts } = shell;
  const { copies } = clusterOf(shell, cluster);
  const copy = copies[playerId];
  if (copy === undefined) return;
  const attached = connectionOf(world, playerId, cluster)?.attached === true;
  if (item.kind === "input") {
    const verdict = parts.judgeInput(copy.streams, item.sequence);
    if (verdict === "gap")
      shell.faults.push(`[HAND-9] ${playerId}: input ${item.sequence} came before one that is missing`);
    if (verdict !== "next") return;
    const streams = withInput(copy.streams);
    put(copies, playerId, { ...copy, streams, history: copy.history + inputToken(item.body, cluster) });
    if (attached) sendToClient(world, playerId, cluster, { type: "acknowledged", lastInput: streams.lastInput });
  } else if (item.kind === "output") {
    const streams = withOutput(copy.streams, item.body);
    put(copies, playerId, { ...copy, streams, history: copy.history + outputToken(item.body) });
    if (attached)
      sendToClient(world, playerId, cluster, { type: "output", sequence: streams.lastOutput, body: item.body });
  }
}

/** A newer session has the player: tells every handover here. */
export function fenceHandovers(shell: Shell, cluster: string, playerId: string, generation: number): void {
  const { sources, destinations } = clusterOf(shell, cluster);
  for (const id of Object.keys(sources)) {
    stepSourceOf(shell, cluster, id, { type: "session", message: { type: "fence", playerId, generation } });
  }
  for (const id of Object.keys(destinations)) {
    stepDestinationOf(shell, cluster, id, { type: "fence", playerId, generation });
  }
}
