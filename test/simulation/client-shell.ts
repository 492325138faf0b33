/** The client's library around its pure part: connections, and a game that notes what it is given. */
import type { ClientEvent } from "./model-client-state.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import { outputToken } from "./history.ts";
import { playerOf, type Shell } from "./shell.ts";
import { endFromClient, forgetIfDone, openConnection, sendToCluster } from "./wires.ts";
import { connectionName, type FromClient, type FromCluster, type History } from "./world.ts";

export function stepClientOf(shell: Shell, playerId: string, event: ClientEvent<History>): void {
  const player = playerOf(shell, playerId);
  if (player.gone) return;
  const { state, effects } = shell.parts.stepClient(player.client, event);
  player.client = state;
  for (const effect of effects) {
    switch (effect.type) {
      case "allocate":
        player.allocating = true;
        break;
      case "join":
        connect(shell, playerId, effect.to, { type: "join", ticket: effect.ticket, position: effect.position });
        break;
      case "return":
        connect(shell, playerId, effect.to, { type: "return", position: effect.position });
        break;
      case "arrive": {
        const { id, destination, key, token } = effect.move;
        connect(shell, playerId, destination, { type: "arrive", id, key, token, position: effect.position });
        break;
      }
      case "close":
        endFromClient(shell.world, playerId, effect.to.clusterId);
        break;
      case "send": {
        const { sequence, body, received } = effect;
        sendToCluster(shell.world, playerId, effect.to.clusterId, { type: "input", sequence, body, received });
        break;
      }
      case "deliver":
        player.delivered += outputToken(effect.body);
        break;
      case "startAfresh":
        if (!player.mayLose)
          shell.faults.push(`[HAND-10] ${playerId}: the client started afresh though nothing was killed`);
        player.delivered = "";
        break;
    }
  }
}

function connect(shell: Shell, playerId: string, to: ClusterRef, first: FromClient): void {
  const alive = shell.world.clusters[to.clusterId]?.alive === true;
  openConnection(shell.world, playerId, {
    to,
    broken: !alive,
    attached: false,
    waiting: undefined,
    toCluster: alive ? [first] : [],
    toClient: alive ? [] : [{ type: "end" }],
  });
}

/** The client reads the next message of a connection. */
export function readAtClient(shell: Shell, playerId: string, cluster: string): void {
  const connection = shell.world.connections[connectionName(playerId, cluster)];
  const [message, ...rest] = connection?.toClient ?? [];
  if (connection === undefined || message === undefined) return;
  connection.toClient = rest;
  const event = eventOf(message, connection.to);
  if (message.type === "refused") endFromClient(shell.world, playerId, cluster);
  forgetIfDone(shell.world, playerId, cluster);
  stepClientOf(shell, playerId, event);
}

function eventOf(message: FromCluster, from: ClusterRef): ClientEvent<History> {
  switch (message.type) {
    case "output":
      return { type: "output", from, sequence: message.sequence, body: message.body };
    case "acknowledged":
      return { type: "acknowledged", from, lastInput: message.lastInput };
    case "welcome": {
      const { tenure, lastInput, fresh } = message;
      return { type: "welcome", from, tenure, lastInput, fresh };
    }
    case "told":
      return { type: "told", from, message: message.message };
    case "refused":
      return { type: "refused", from };
    case "end":
      return { type: "linkDown", from };
  }
}
