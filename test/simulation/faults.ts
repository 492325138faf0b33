/** What must not do harm. */
import { nameOfMail, readMail } from "./deliveries.ts";
import { changeDevice, crash, loseClient } from "./environment.ts";
import type { Note, Scope } from "./move.ts";
import { deliverToSession } from "./session-shell.ts";
import type { Shell } from "./shell.ts";
import { breakConnection, breakPeer } from "./wires.ts";
import type { Budget, World } from "./world.ts";

export function noteFaults(world: World, scope: Scope, note: Note): void {
  const { budget } = world;
  const spend = (what: keyof Budget, name: string, run: (shell: Shell) => void): void => {
    if (budget[what] === 0) return;
    note(name, (shell) => {
      shell.world.budget[what] -= 1;
      run(shell);
    });
  };
  for (const cluster of scope.mortals) {
    if (world.clusters[cluster]?.alive !== true) continue;
    spend("crashes", `${cluster} is killed`, (shell) => crash(shell, cluster, false));
    if (hasTraffic(world, cluster)) {
      spend("crashes", `${cluster} is killed, and what it has sent arrives`, (shell) => crash(shell, cluster, true));
    }
  }
  for (const [name, link] of Object.entries(world.peers)) {
    if (!link.up) continue;
    const [a = "", b = ""] = name.split("|");
    spend("breaks", `link ${name} breaks`, (shell) => breakPeer(shell.world, a, b, false));
    if (Object.values(link.queues).some((queue) => queue.length > 0)) {
      spend("breaks", `link ${name} breaks, and what was sent arrives`, (shell) => breakPeer(shell.world, a, b, true));
    }
  }
  for (const [name, connection] of Object.entries(world.connections)) {
    if (connection.broken) continue;
    const [playerId = "", cluster = ""] = name.split("@");
    spend("breaks", `${name} breaks`, (shell) => breakConnection(shell.world, playerId, cluster, false));
    if (connection.toClient.length + connection.toCluster.length > 0) {
      spend("breaks", `${name} breaks, and what was sent arrives`, (shell) =>
        breakConnection(shell.world, playerId, cluster, true),
      );
    }
  }
  for (const [index, mail] of world.mail.entries()) {
    spend("lostMail", `lost: ${nameOfMail(mail)}`, (shell) => shell.world.mail.splice(index, 1));
    if (mail.to === "session" && mail.message.type === "commit") {
      spend("tooLarge", `${nameOfMail(mail)}, and it is too large`, (shell) => {
        shell.world.mail.splice(index, 1);
        deliverToSession(shell, mail, () => Number.POSITIVE_INFINITY);
      });
    }
    spend("doubledMail", `${nameOfMail(mail)}, and once more later`, (shell) => readMail(shell, mail));
  }
  for (const [playerId, player] of Object.entries(world.players)) {
    if (player.gone) continue;
    spend("goneClients", `the client of ${playerId} vanishes`, (shell) => loseClient(shell, playerId));
    for (const { name, alive } of Object.values(world.clusters)) {
      if (alive)
        spend("devices", `${playerId} comes to ${name} from another device`, (shell) =>
          changeDevice(shell, playerId, name),
        );
    }
  }
}

function hasTraffic(world: World, cluster: string): boolean {
  return (
    Object.values(world.peers).some((link) =>
      Object.entries(link.queues).some(([direction, queue]) => direction.startsWith(`${cluster}>`) && queue.length > 0),
    ) ||
    Object.entries(world.connections).some(([name, one]) => name.endsWith(`@${cluster}`) && one.toClient.length > 0)
  );
}
