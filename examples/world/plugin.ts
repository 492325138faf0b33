import {
  ByteReader,
  ByteWriter,
  type Cluster,
  type Entity,
  Memory,
  type Player,
  type Point,
  type ServerPlugin,
  type ThresholdChange,
} from "../../data-plane/index.ts";

/** Commands of the game's messages. */
export const commands = { welcome: 30, caught: 31 } as const;

/** In the whole world; each cluster has those in its part of it. */
const wispCount = 24;
/** The wisps stay so far from the middle of the world, at most. */
const reach = 36;
const speed = 2;
const catchRange = 1.5;

interface Wisp {
  readonly entity: Entity;
  heading: number;
}

/**
 * Wisps drift over four fragments; whoever comes near one catches it, and it shows up elsewhere. Players see each other and the
 * wisps, over borders too; the cluster shows them, and this plugin only says what is where, and keeps what a player has caught.
 */
export class Wisps implements ServerPlugin {
  readonly name = "wisps";
  /** A player's score is part of what others see of it. */
  readonly entities = { player: { score: "u16" }, wisp: { heading: "angle", glow: "u8" } } as const;
  readonly #random: () => number;
  readonly #wisps: Wisp[] = [];
  /** How many wisps a player has caught, ever. */
  readonly #caught = new Memory(() => 0);
  #cluster: Cluster | undefined;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  onStart(cluster: Cluster): void {
    this.#cluster = cluster;
    for (let count = 0; count < wispCount; count++) {
      const place = this.#somewhere();
      if (cluster.fragmentAt(place) !== undefined) this.#spawn(cluster, place);
    }
  }

  /** What was saved. As a rule it comes before the player is in the game; if it comes later, what it caught meanwhile counts too. */
  onLoad(player: Player, saved: Uint8Array | undefined): void {
    this.#count(player, saved === undefined ? 0 : new ByteReader(saved).u16());
  }

  onJoin(player: Player): void {
    this.#count(player, 0);
  }

  onLeave(player: Player): void {
    void player.save(scoreBytes(this.#caught.get(player)));
  }

  /** At another cluster of the world it goes on with what it had. */
  onMigrateOut(player: Player): Uint8Array {
    return scoreBytes(this.#caught.get(player));
  }

  onMigrateIn(player: Player, score: Uint8Array | undefined): void {
    if (score !== undefined) this.#caught.set(player, new ByteReader(score).u16());
    this.#count(player, 0);
  }

  onEnterFragment(player: Player, fragment: string): void {
    const name = new TextEncoder().encode(fragment);
    player.send(commands.welcome, new ByteWriter(name.length).raw(name).bytes);
  }

  onThreshold({ fragment, to, players }: ThresholdChange): void {
    this.#cluster?.log.info({ fragment, level: to, players }, `${players} players in ${fragment}: level ${to}`);
  }

  onTick(_tick: number, dtSeconds: number): void {
    for (const wisp of this.#wisps) this.#drift(wisp, speed * dtSeconds);
  }

  /** A player who moves may catch what is near. */
  onMove(player: Player): void {
    const { x, z } = player.position;
    for (const wisp of this.#wisps) {
      const { position } = wisp.entity;
      if (Math.hypot(position.x - x, position.z - z) > catchRange) continue;
      const score = scoreBytes(this.#count(player, 1));
      player.send(commands.caught, score);
      // Not each is sent: one a second at most, the latest.
      void player.save(score);
      wisp.entity.moveTo(this.#somewhereHere(wisp.entity.position));
      wisp.entity.set({ glow: this.#glow() });
    }
  }

  /** So many more, for everybody to see. */
  #count(player: Player, more: number): number {
    const score = Math.min(this.#caught.get(player) + more, 0xffff);
    this.#caught.set(player, score);
    player.entity?.set({ score });
    return score;
  }

  #spawn(cluster: Cluster, place: Point): void {
    const heading = this.#random() * 2 * Math.PI;
    const entity = cluster.spawn("wisp", place, { glow: this.#glow() });
    if (entity !== undefined) this.#wisps.push({ entity, heading });
  }

  #drift(wisp: Wisp, distance: number): void {
    const { x, y, z } = wisp.entity.position;
    const isOut = Math.abs(x) > reach || Math.abs(z) > reach;
    wisp.heading = isOut ? Math.atan2(-z, -x) : wisp.heading + (this.#random() - 0.5) / 4;
    const next = { x: x + Math.cos(wisp.heading) * distance, y, z: z + Math.sin(wisp.heading) * distance };
    if (this.#cluster?.fragmentAt(next) === undefined) wisp.heading += Math.PI;
    else wisp.entity.moveTo(next);
    const turns = wisp.heading / (2 * Math.PI);
    wisp.entity.set({ heading: Math.floor((turns - Math.floor(turns)) * 65_536) & 0xffff });
  }

  #somewhere(): Point {
    const along = (): number => (this.#random() * 2 - 1) * reach;
    return { x: along(), y: 0, z: along() };
  }

  /** Somewhere in this cluster's part of the world: another cluster has wisps of its own. */
  #somewhereHere(otherwise: Point): Point {
    for (let tries = 0; tries < 32; tries++) {
      const place = this.#somewhere();
      if (this.#cluster?.fragmentAt(place) !== undefined) return place;
    }
    return otherwise;
  }

  #glow(): number {
    return Math.floor(this.#random() * 256);
  }
}

function scoreBytes(score: number): Uint8Array {
  return new ByteWriter(2).u16(score).bytes;
}
