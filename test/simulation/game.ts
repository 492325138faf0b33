/** What players, games and operators do. */
import { sessionOf } from "../../protocol/handover/generation.ts";
import { stepClientOf } from "./client-shell.ts";
import { giveItem } from "./cluster-shell.ts";
import { mayBeHandedOver, startHandover, takeSave } from "./environment.ts";
import { outputBody } from "./history.ts";
import type { Note, Scope } from "./move.ts";
import { clusterOf, playerOf, type Shell } from "./shell.ts";
import { type Copy, peerName, type World } from "./world.ts";

export function noteGame(world: World, scope: Scope, note: Note): void {
  const { budget } = world;
  for (const [playerId, player] of Object.entries(world.players)) {
    if (player.inputs < budget.inputs && !player.gone) {
      note(`${playerId} makes input ${player.inputs + 1}`, (shell) => makeInput(shell, playerId));
    }
    for (const { name, copies } of Object.values(world.clusters)) {
      const copy = copies[playerId];
      // A copy that a newer session has left behind is lost, with whatever it still does.
      if (copy === undefined || sessionOf(copy.generation) < sessionOf(player.session.generation)) continue;
      if (player.outputs < budget.outputs) {
        note(`${name} makes output ${player.outputs + 1} for ${playerId}`, (shell) =>
          makeOutput(shell, name, playerId, copy),
        );
      }
      if (budget.saves > 0 && !copy.frozen)
        note(`${name} saves ${playerId}`, (shell) => takeSave(shell, name, playerId));
    }
  }
  if (budget.fillings > 0) {
    for (const { name, full } of Object.values(world.clusters)) {
      note(full ? `${name} has room again` : `${name} fills up`, (shell) => {
        shell.world.budget.fillings -= 1;
        clusterOf(shell, name).full = !full;
      });
    }
  }
  if (budget.handovers === 0) return;
  for (const { playerIds, from, to } of scope.handovers) {
    if (world.peers[peerName(from, to)]?.up !== true) continue;
    if (!playerIds.every((playerId) => mayBeHandedOver(world, from, playerId))) continue;
    note(`${from} hands ${playerIds.join(" and ")} over to ${to}`, (shell) =>
      startHandover(shell, playerIds, from, to),
    );
  }
}

function makeInput(shell: Shell, playerId: string): void {
  const player = playerOf(shell, playerId);
  player.inputs += 1;
  stepClientOf(shell, playerId, { type: "input", body: String(player.inputs) });
}

function makeOutput(shell: Shell, cluster: string, playerId: string, copy: Copy): void {
  const player = playerOf(shell, playerId);
  player.outputs += 1;
  const body = outputBody(player.outputs, `${cluster}${copy.generation}`);
  giveItem(shell, cluster, playerId, { kind: "output", body });
}
