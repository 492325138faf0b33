/** What carries messages: links between clusters, connections of clients, mail to the `PlayerSession`s; and how they break. */
import { digestPart } from "./digest.ts";
import {
  type Connection,
  connectionName,
  type FromClient,
  type FromCluster,
  type Mail,
  peerName,
  type PeerItem,
  put,
  type World,
} from "./world.ts";

/** Posts a letter. The same letter twice tells no more than once: a letter may be read twice anyway. */
export function post(world: World, mail: Mail): void {
  const digest = digestPart(mail);
  if (world.mail.some((one) => digestPart(one) === digest)) return;
  const index = world.mail.findIndex((one) => digestPart(one) > digest);
  world.mail.splice(index < 0 ? world.mail.length : index, 0, mail);
}

/** What is sent into a link that is down is lost. */
export function sendPeer(world: World, from: string, to: string, item: PeerItem): void {
  const link = world.peers[peerName(from, to)];
  if (link?.up !== true) return;
  const direction = `${from}>${to}`;
  link.queues[direction] = [...(link.queues[direction] ?? []), item];
}

/** Breaks a link: what is on its way may still arrive, or not. Each end notices when it has read to the end. */
export function breakPeer(world: World, a: string, b: string, arrives: boolean): void {
  const link = world.peers[peerName(a, b)];
  if (link?.up !== true) return;
  link.up = false;
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const direction = `${from}>${to}`;
    const left = arrives ? (link.queues[direction] ?? []) : [];
    link.queues[direction] = world.clusters[to]?.alive === true ? [...left, { type: "end" }] : [];
  }
}

export function connectionOf(world: World, playerId: string, cluster: string): Connection | undefined {
  return world.connections[connectionName(playerId, cluster)];
}

export function sendToCluster(world: World, playerId: string, cluster: string, message: FromClient): void {
  const connection = connectionOf(world, playerId, cluster);
  if (connection === undefined || connection.broken) return;
  connection.toCluster = [...connection.toCluster, message];
}

export function sendToClient(world: World, playerId: string, cluster: string, message: FromCluster): void {
  const connection = connectionOf(world, playerId, cluster);
  if (connection === undefined || connection.broken) return;
  connection.toClient = [...connection.toClient, message];
}

/** Breaks a connection, so that both ends will notice. */
export function breakConnection(world: World, playerId: string, cluster: string, arrives: boolean): void {
  const connection = connectionOf(world, playerId, cluster);
  if (connection === undefined || connection.broken) return;
  connection.broken = true;
  const alive = world.clusters[cluster]?.alive === true;
  connection.toClient = [...(arrives ? connection.toClient : []), { type: "end" }];
  connection.toCluster = alive ? [...(arrives ? connection.toCluster : []), { type: "end" }] : [];
}

/** The cluster ends a connection: the client reads what was sent before, then the end. */
export function endFromCluster(world: World, playerId: string, cluster: string): void {
  const connection = connectionOf(world, playerId, cluster);
  if (connection === undefined || connection.broken) return;
  connection.broken = true;
  connection.attached = false;
  connection.toCluster = [];
  connection.toClient = [...connection.toClient, { type: "end" }];
}

/** The client ends a connection: the cluster reads what was sent before, then the end. */
export function endFromClient(world: World, playerId: string, cluster: string): void {
  const connection = connectionOf(world, playerId, cluster);
  if (connection === undefined) return;
  connection.toClient = [];
  if (!connection.broken) connection.toCluster = [...connection.toCluster, { type: "end" }];
  connection.broken = true;
  forgetIfDone(world, playerId, cluster);
}

/** Forgets a broken connection that both ends have done with. */
export function forgetIfDone(world: World, playerId: string, cluster: string): void {
  const connection = connectionOf(world, playerId, cluster);
  if (connection?.broken !== true || connection.toClient.length > 0 || connection.toCluster.length > 0) return;
  delete world.connections[connectionName(playerId, cluster)];
}

export function openConnection(world: World, playerId: string, connection: Connection): void {
  put(world.connections, connectionName(playerId, connection.to.clusterId), connection);
}
