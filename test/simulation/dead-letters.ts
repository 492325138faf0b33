/**
 * Throws away what can have no effect any more, whenever it arrives. Worlds that differ in nothing else are the same from here on:
 * visiting them once is enough.
 */
import { generationAfterAbort, generationAfterCommit } from "../../protocol/handover/generation.ts";
import type { Cluster, Mail, World } from "./world.ts";

export function sweepDeadLetters(world: World): void {
  if (world.mail.some((mail) => isDead(world, mail))) world.mail = world.mail.filter((mail) => !isDead(world, mail));
  for (const link of Object.values(world.peers)) {
    for (const [direction, queue] of Object.entries(link.queues)) {
      const receiver = world.clusters[direction.slice(direction.indexOf(">") + 1)];
      // A handover is known from its first message on, and never again after it has been forgotten.
      const isLive = (item: (typeof queue)[number]): boolean =>
        (item.type !== "abort" && item.type !== "finished") ||
        receiver?.destinations[item.id] !== undefined ||
        queue.some((other) => other.type === "prepare" && other.id === item.id);
      if (!queue.every(isLive)) link.queues[direction] = queue.filter(isLive);
    }
  }
}

function isDead(world: World, mail: Mail): boolean {
  switch (mail.to) {
    case "member":
      return false;
    case "cluster": {
      const cluster = world.clusters[mail.cluster];
      return cluster === undefined || !cluster.alive || cluster.boot !== mail.boot || isMoot(cluster, mail);
    }
    case "session": {
      const session = world.players[mail.playerId]?.session;
      const sender = world.clusters[mail.from];
      if (session === undefined || session.enlistment !== undefined || session.groups.length > 0) return false;
      const { message } = mail;
      const sent = sender !== undefined && sender.alive && sender.boot === mail.boot ? sender : undefined;
      switch (message.type) {
        case "commit":
          // It would be refused, and nobody waits for that.
          return sent?.sources[message.id] === undefined && session.generation > (message.members[0]?.generation ?? 0);
        case "abort":
          return (
            session.generation > generationAfterAbort(message.generation) &&
            session.last?.from !== message.generation &&
            !waitsFor(sent, mail.playerId, message.generation)
          );
        case "enter":
          return (
            session.generation >= message.generation && sent?.entering[mail.playerId]?.generation !== message.generation
          );
        case "enlist":
        case "save":
        case "joined":
          return false;
      }
    }
  }
}

function isMoot(cluster: Cluster, mail: Extract<Mail, { to: "cluster" }>): boolean {
  const { message } = mail;
  switch (message.type) {
    case "saved":
    case "saveLater":
      return true;
    case "enlisted":
    case "enlistRefused":
    case "committed":
    case "commitRefused":
      return cluster.sources[message.id] === undefined;
    case "aborted":
    case "superseded": {
      const { playerId, generation } = message;
      return cluster.entering[playerId]?.generation !== generation && !waitsFor(cluster, playerId, generation);
    }
    case "entered":
      return cluster.entering[message.playerId]?.generation !== message.generation;
    case "settled":
      return !Object.values(cluster.destinations).some((one) =>
        one.members.some(
          (member) =>
            member.playerId === message.playerId && generationAfterCommit(member.generation) === message.generation,
        ),
      );
    case "fence":
      return false;
  }
}

function waitsFor(cluster: Cluster | undefined, playerId: string, generation: number): boolean {
  return Object.values(cluster?.sources ?? {}).some((source) =>
    source.members.some((member) => member.playerId === playerId && member.generation === generation),
  );
}
