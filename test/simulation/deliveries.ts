/** What is on its way arrives. */
import { readAtClient } from "./client-shell.ts";
import { readAtCluster } from "./cluster-clients.ts";
import { hearSession, readAtPeer } from "./cluster-inbox.ts";
import type { Note } from "./move.ts";
import { deliverToSession } from "./session-shell.ts";
import { clusterOf, type Shell } from "./shell.ts";
import type { FromClient, FromCluster, Mail, World } from "./world.ts";

export function noteDeliveries(world: World, note: Note): void {
  for (const link of Object.values(world.peers)) {
    for (const [direction, queue] of Object.entries(link.queues)) {
      const [from = "", to = ""] = direction.split(">");
      const item = queue[0];
      if (item === undefined || world.clusters[to]?.alive !== true) continue;
      note(`${from} → ${to}: ${item.type}`, (shell) => readAtPeer(shell, from, to));
    }
  }
  for (const [name, connection] of Object.entries(world.connections)) {
    const [playerId = "", cluster = ""] = name.split("@");
    const up = connection.toCluster[0];
    if (up !== undefined && world.clusters[cluster]?.alive === true) {
      note(`${playerId} → ${cluster}: ${wordsOf(up)}`, (shell) => readAtCluster(shell, playerId, cluster));
    }
    const down = connection.toClient[0];
    if (down !== undefined) {
      note(`${cluster} → ${playerId}: ${wordsOf(down)}`, (shell) => readAtClient(shell, playerId, cluster));
    }
  }
  for (const [index, mail] of world.mail.entries()) {
    note(nameOfMail(mail), (shell) => {
      shell.world.mail.splice(index, 1);
      readMail(shell, mail);
    });
  }
}

function wordsOf(message: FromClient | FromCluster): string {
  if (message.type === "told") return message.message.type;
  return message.type === "input" || message.type === "output" ? `${message.type} ${message.body}` : message.type;
}

export function nameOfMail(mail: Mail): string {
  if (mail.to === "cluster") {
    const whose = "playerId" in mail.message ? mail.message.playerId : "";
    return `session ${whose} → ${mail.cluster}: ${mail.message.type}`;
  }
  const from = mail.to === "session" ? mail.from : "session";
  return `${from} → session ${mail.playerId}: ${mail.message.type}`;
}

/** A letter to a process that is gone is lost. */
export function readMail(shell: Shell, mail: Mail): void {
  if (mail.to !== "cluster") return deliverToSession(shell, mail);
  const { alive, boot } = clusterOf(shell, mail.cluster);
  if (alive && boot === mail.boot) hearSession(shell, mail.cluster, mail.message);
}
