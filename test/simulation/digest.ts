/**
 * Digests of worlds, to know again those that have been visited. Parts of a world that did not change are the same objects as
 * before, so that their digests are remembered.
 */
import type { Cluster, Player, World } from "./world.ts";

// oxlint-disable-next-line no-extraneous-class -- only to be extended, see below
class Stampable {
  // oxlint-disable-next-line no-constructor-return -- this is how a private field gets onto an object that already exists
  constructor(part: object) {
    return part;
  }
}

/** Keeps an object's digest in a private field on it: quicker to find than in a WeakMap, and a copy by `...` does not have it. */
class Stamp extends Stampable {
  readonly #digest: number;

  constructor(part: object, digest: number) {
    super(part);
    this.#digest = digest;
  }

  static of(part: object): number | undefined {
    return #digest in part ? part.#digest : undefined;
  }
}

/** 53 bits of a world: among a million of them, two with the same digest are about as likely as 1 in 18,000. */
export function digestWorld(world: World): number {
  const mixer = new Mixer();
  mixer.add(world.handovers);
  const { budget } = world;
  mixer.add(budget.inputs + budget.outputs * 64 + budget.saves * 4_096 + budget.handovers * 262_144);
  mixer.add(budget.fillings + budget.crashes * 64 + budget.breaks * 4_096 + budget.lostMail * 262_144);
  mixer.add(budget.doubledMail + budget.goneClients * 64 + budget.devices * 4_096 + budget.tooLarge * 262_144);
  for (const name in world.clusters) {
    const cluster = world.clusters[name];
    if (cluster !== undefined) mixer.add(digestCluster(cluster));
  }
  for (const name in world.players) {
    const player = world.players[name];
    if (player !== undefined) mixer.add(digestPlayer(player));
  }
  for (const name in world.peers) {
    const link = world.peers[name];
    if (link === undefined) continue;
    mixer.add(link.up ? 1 : 0);
    for (const direction in link.queues) mixer.addQueue(link.queues[direction] ?? []);
  }
  for (const name in world.connections) {
    const connection = world.connections[name];
    if (connection === undefined) continue;
    mixer.add(digestText(name));
    mixer.add((connection.broken ? 1 : 0) + (connection.attached ? 2 : 0));
    mixer.add(digestPart(connection.to));
    mixer.add(connection.waiting === undefined ? 0 : digestPart(connection.waiting));
    mixer.addQueue(connection.toCluster);
    mixer.addQueue(connection.toClient);
  }
  // Mail is kept in the order of its digests.
  mixer.addQueue(world.mail);
  return mixer.digest;
}

function digestCluster(cluster: Cluster): number {
  const before = Stamp.of(cluster);
  if (before !== undefined) return before;
  const mixer = new Mixer();
  mixer.add(digestText(cluster.name));
  mixer.add(cluster.boot * 4 + (cluster.alive ? 1 : 0) + (cluster.full ? 2 : 0));
  mixer.addRecord(cluster.copies);
  mixer.addRecord(cluster.sources);
  mixer.addRecord(cluster.destinations);
  mixer.addRecord(cluster.entering);
  for (const key in cluster.keys) mixer.add(digestText(cluster.keys[key] ?? ""));
  void new Stamp(cluster, mixer.digest);
  return mixer.digest;
}

function digestPlayer(player: Player): number {
  const before = Stamp.of(player);
  if (before !== undefined) return before;
  const mixer = new Mixer();
  mixer.add(digestPart(player.session));
  mixer.add(digestPart(player.client));
  mixer.add(player.inputs * 64 + player.outputs);
  mixer.add((player.gone ? 1 : 0) + (player.allocating ? 2 : 0) + (player.mayLose ? 4 : 0));
  mixer.add(digestText(player.delivered));
  void new Stamp(player, mixer.digest);
  return mixer.digest;
}

export function digestPart(part: object): number {
  const before = Stamp.of(part);
  if (before !== undefined) return before;
  const digest = digestText(JSON.stringify(part));
  void new Stamp(part, digest);
  return digest;
}

function digestText(text: string): number {
  let a = 0xdead_beef;
  let b = 0x41c6_ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2_654_435_761);
    b = Math.imul(b ^ code, 1_597_334_677);
  }
  return finish(a, b);
}

class Mixer {
  #a = 0x9e37_79b9;
  #b = 0x85eb_ca6b;

  /** A whole number below 2^53. */
  add(number: number): void {
    const low = number | 0;
    const high = (number / 4_294_967_296) | 0;
    this.#a = Math.imul((this.#a ^ low) + high, 2_654_435_761);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul((this.#b ^ high) + low, 1_597_334_677);
    this.#b ^= this.#b >>> 13;
  }

  addRecord(record: Record<string, object>): void {
    let count = 0;
    for (const key in record) {
      const part = record[key];
      if (part === undefined) continue;
      this.add(digestText(key));
      this.add(digestPart(part));
      count += 1;
    }
    this.add(count);
  }

  addQueue(queue: readonly object[]): void {
    for (const part of queue) this.add(digestPart(part));
    this.add(queue.length);
  }

  get digest(): number {
    return finish(this.#a, this.#b);
  }
}

function finish(a: number, b: number): number {
  const first = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  const second = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(first ^ (first >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & second) + (first >>> 0);
}
