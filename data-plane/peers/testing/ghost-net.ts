import { decodeClusterMessage, EntityView, features, KindTable, type SeenEntity } from "../../../protocol/index.ts";
import type { ClusterRef } from "../../../protocol/handover/parties.ts";
import type { Layout } from "../../fragments/layout.ts";
import type { Placement } from "../../plugin/player.ts";
import { ClusterWorld, type WorldEvents, type WorldPlayer } from "../../world/cluster-world.ts";
import { createKinds, type NamedKinds } from "../../world/entity-kinds.ts";
import { GhostExchange } from "../ghost-exchange.ts";
import type { PeerEvents } from "../peers.ts";

/** A player without a wire: what its client would see. */
export class Watcher implements WorldPlayer {
  readonly id: string;
  readonly number: number;
  position: Placement;
  readonly moveBudget = { maxSpeed: 0 };
  readonly dropped = false;
  readonly viewWaits = false;
  held = false;
  view: EntityView | undefined;
  /** What came into its view and went, as `+number` and `-number`. */
  readonly seen: string[] = [];
  /** Frames that have shown it something, or that there is nothing. */
  frames = 0;

  constructor(id: string, number: number, x: number, z: number) {
    this.id = id;
    this.number = number;
    this.position = { x, y: 0, z, heading: 0 };
  }

  has(feature: number): boolean {
    return feature === features.world;
  }

  sendControl(frame: Uint8Array): void {
    const message = decodeClusterMessage(frame.subarray(2));
    if (message.type === "kinds") this.view = new EntityView(new KindTable(message.kinds));
  }

  sendView(frame: Uint8Array): void {
    const message = decodeClusterMessage(frame.subarray(2));
    if (message.type !== "entities") throw new Error("no view");
    this.frames += 1;
    this.view?.apply(message, {
      onEnter: ({ number }) => this.seen.push(`+${number}`),
      onLeave: ({ number }) => this.seen.push(`-${number}`),
    });
  }

  /** What it sees of a kind. */
  all(kind: string): SeenEntity[] {
    return [...(this.view?.entities() ?? [])].filter((entity) => entity.kind.name === kind);
  }
}

/** A cluster of a world that is shared, without sockets. */
export interface GhostCluster {
  readonly ref: ClusterRef;
  readonly world: ClusterWorld<Watcher>;
  readonly exchange: GhostExchange;
  readonly events: PeerEvents[];
  /** Bytes that wait for its links, as it believes. */
  queuedBytes: number;
  refused: number;
}

const nothing = (): void => undefined;

/** Clusters of one world and the links between them: what one says the others hear when it is delivered. */
export class GhostNet {
  readonly clusters = new Map<string, GhostCluster>();
  readonly #layout: (clusterId: string) => Layout;
  readonly #tickHz: number;
  readonly #letters: { from: ClusterRef; to: string; body: Uint8Array }[] = [];
  nowMs = 0;
  tick = 0;
  /** Told of what is said. */
  onSaid: (letter: { readonly to: string; readonly body: Uint8Array }) => void = () => undefined;

  /** @param layout the world as a cluster carries it */
  constructor(layout: (clusterId: string) => Layout, tickHz: number) {
    this.#layout = layout;
    this.#tickHz = tickHz;
  }

  /** @param hooks the game's */
  add(
    clusterId: string,
    kinds: NamedKinds = createKinds([{ tree: { height: "f32" } }]),
    hooks: Partial<Pick<WorldEvents<Watcher>, "enterFragment" | "leaveFragment">> = {},
  ): GhostCluster {
    const ref = { clusterId, boot: 1 };
    const events: PeerEvents[] = [];
    const world = new ClusterWorld<Watcher>({
      layout: this.#layout(clusterId),
      kinds,
      tickHz: this.#tickHz,
      maxPlayers: 0,
      maxSpeed: 0,
      spawn: { x: 0, y: 0, z: 0 },
      isShared: true,
      events: { enterFragment: nothing, leaveFragment: nothing, threshold: nothing, carry: nothing, ...hooks },
    });
    const exchange = new GhostExchange({
      world,
      nowMs: () => this.nowMs,
      onRefused: () => (cluster.refused += 1),
      peers: {
        listen: (listener) => events.push(listener),
        sendGhosts: (to, body) => {
          const letter = { from: ref, to, body: Uint8Array.from(body) };
          this.onSaid(letter);
          return this.#letters.push(letter) > 0;
        },
        queuedBytes: () => cluster.queuedBytes,
        isCarriedBy: (id, fragment) => this.#carries(id, fragment),
      },
    });
    const cluster: GhostCluster = { ref, world, exchange, events, queuedBytes: 0, refused: 0 };
    this.clusters.set(clusterId, cluster);
    return cluster;
  }

  link(a: GhostCluster, b: GhostCluster): void {
    for (const { onUp } of a.events) onUp(b.ref);
    for (const { onUp } of b.events) onUp(a.ref);
  }

  /** What is on its way is lost. */
  cut(a: GhostCluster, b: GhostCluster): void {
    this.#letters.length = 0;
    for (const { onDown } of a.events) onDown(b.ref);
    for (const { onDown } of b.events) onDown(a.ref);
  }

  /** A tick everywhere; what was said comes before the next one. */
  step(ticks = 1): void {
    for (let left = ticks; left > 0; left--) {
      this.deliver();
      this.tick += 1;
      this.nowMs += 1_000 / this.#tickHz;
      for (const { world, exchange } of this.clusters.values()) {
        world.tick(this.tick, () => exchange.tick(this.tick));
      }
    }
  }

  /** Bytes that were said and have not come yet. */
  get waitingBytes(): number {
    return this.#letters.reduce((sum, { body }) => sum + body.length, 0);
  }

  deliver(): void {
    for (const { from, to, body } of this.#letters.splice(0)) {
      for (const { onGhosts } of this.clusters.get(to)?.events ?? []) onGhosts?.(from, body);
    }
  }

  #carries(clusterId: string, fragment: string): boolean {
    return this.#layout(clusterId).fragments.some(({ name, carried }) => carried && name === fragment);
  }
}

/** A player comes into a cluster's game, wherever it stands. */
export function enter(cluster: GhostCluster, id: string, number: number, x: number, z: number): Watcher {
  const player = new Watcher(id, number, x, z);
  if (!cluster.world.enter(player, {}, true)) throw new Error("there is room");
  cluster.world.tellKinds(player);
  return player;
}

export function walk(cluster: GhostCluster, player: Watcher, x: number, z: number): void {
  player.position = { ...player.position, x, z };
  cluster.world.moved(player, player.position);
}
