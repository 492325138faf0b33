import type { ByteReader } from "../../../protocol/bytes.ts";
import type { Player } from "../../plugin/player.ts";
import type { Cluster, ServerPlugin } from "../../plugin/server-plugin.ts";
import type { TestClient } from "../../testing/test-client.ts";
import type { BorderOptions } from "./border.ts";

/** A cluster's game: it counts what each player says, answers with the count, and notes its hooks. */
export class Counting implements ServerPlugin {
  readonly name = "counting";
  readonly entities = { crate: {} } as const;
  readonly hooks: string[] = [];
  readonly players = new Map<string, Player>();
  /** What the game does as it gives somebody up. */
  onOut: ((player: Player) => void) | undefined;
  /** What the game does as it takes somebody in. */
  onIn: ((player: Player) => void | Promise<void>) | undefined;
  /** The same for all, as games do that pack often. */
  readonly #packed = Buffer.alloc(1);
  readonly #counts = new Map<string, number>();
  cluster: Cluster | undefined;
  refusesToPack = false;
  /** Whether it leaves no room in the world when a player goes. */
  fillsUp = false;
  /** What handling a message waits for. */
  slow: Promise<void> | undefined;

  onStart(cluster: Cluster): void {
    this.cluster = cluster;
  }

  onJoin(player: Player): void {
    this.hooks.push("join");
    this.players.set(player.id, player);
  }

  onLeave(player: Player, reason: string): void {
    this.hooks.push(`leave ${reason}`);
    this.#counts.delete(player.id);
  }

  onEnterFragment(_player: Player, name: string): void {
    this.hooks.push(`enter ${name}`);
  }

  onLeaveFragment(_player: Player, name: string): void {
    this.hooks.push(`leave ${name}`);
    const corner = { x: -49, y: 0, z: -49 };
    while (this.fillsUp && this.cluster?.spawn("crate", corner) !== undefined);
  }

  async onMessage(player: Player, command: number): Promise<void> {
    await this.slow;
    const count = (this.#counts.get(player.id) ?? 0) + 1;
    this.#counts.set(player.id, count);
    player.send(command, Uint8Array.of(count));
  }

  /** Takes as long as it is let. */
  onRequest(_player: Player, _command: number, _reader: ByteReader, signal: AbortSignal): Promise<Uint8Array> {
    this.hooks.push("asked");
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        this.hooks.push("called off");
        resolve(new Uint8Array(0));
      });
    });
  }

  onMigrateOut(player: Player): Uint8Array {
    if (this.refusesToPack) throw new Error("not now");
    this.hooks.push("out");
    this.onOut?.(player);
    this.#packed.writeUInt8(this.#counts.get(player.id) ?? 0);
    return this.#packed;
  }

  onMigrateIn(player: Player, bytes: Uint8Array | undefined): void | Promise<void> {
    this.hooks.push(`in ${bytes?.[0]}`);
    const done = this.onIn?.(player);
    this.players.set(player.id, player);
    this.#counts.set(player.id, bytes?.[0] ?? 0);
    return done;
  }
}

/** The answers that a client has, in order. */
export function counts(client: TestClient): number[] {
  return client.received.flatMap((one) => (one.type === "message" ? [one.payload[0] ?? 0] : []));
}

/** Only the first one is stopped while somebody plays. The second one announces both halves; the first one has the west, as it was first. */
export const countingBorder: BorderOptions<Counting> = {
  createGame: () => new Counting(),
  carries: (instance) => (instance === "a" ? ["west"] : undefined),
  settings: (instance) => ({ drainSeconds: instance === "b" ? 0 : 20, loadTimeoutMs: 10_000 }),
};
