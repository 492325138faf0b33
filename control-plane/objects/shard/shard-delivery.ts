import type { SeatRef } from "../../../protocol/index.ts";
import type { Seat } from "../../domain/clusters/seats.ts";
import { regionOfCluster } from "../../domain/clusters/sharding.ts";
import { failpoint } from "../../failpoint.ts";
import { count } from "../../metrics.ts";
import type { ClusterMoves } from "./cluster-moves.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import type { OutboxMessage } from "../outbox.ts";
import type { RegistryRevocations } from "./registry-revocations.ts";
import type { RegistrySeats } from "./registry-seats.ts";
import { clusterOrderBook, playerSession, registryShard, worldMap } from "../remote.ts";
import type { ShardMessage, ShardParts } from "./shard-parts.ts";

/** What of a shard takes part when its messages are delivered. */
export interface DeliveryParts {
  readonly seats: RegistrySeats;
  readonly moves: ClusterMoves;
  readonly revocations: RegistryRevocations;
}

type Message<Kind extends ShardMessage["kind"]> = Extract<ShardMessage, { readonly kind: Kind }>;

/**
 * Whether a message that did not arrive for a day is given up. What a world is told of a process is not: it ends with that process, and a world
 * that was full takes it in whenever there is room. [WORLD-9]
 */
export function mayGiveUp({ kind }: ShardMessage): boolean {
  return kind !== "announce" && kind !== "leave" && kind !== "standing";
}

/** Delivers what a shard has to tell other objects. What throws comes again: each has to be harmless when it does. */
export class ShardDelivery {
  readonly #parts: ShardParts;
  readonly #others: DeliveryParts;
  readonly #env: Env;

  constructor(parts: ShardParts, others: DeliveryParts, env: Env) {
    this.#parts = parts;
    this.#others = others;
    this.#env = env;
  }

  async deliver({ target, payload }: OutboxMessage<ShardMessage>): Promise<void> {
    switch (payload.kind) {
      case "used": {
        const { kind: _, ...use } = payload;
        return this.#tellUse(target, use);
      }
      case "drain-ended": {
        const told = clusterOrderBook(this.#env, target).drainEnded(target, payload.orderedAtMs);
        return withDeadline(told, objectCallTimeoutMs, "a cluster's order book");
      }
      case "displace":
        return this.#displace(target, payload);
      case "announce":
        return this.#announce(target, payload);
      case "leave":
        return this.#tellDeparture(target, payload);
      case "standing":
        return this.#tellStanding(target, payload);
      case "withdraw": {
        const told = worldMap(this.#env, target).withdraw(target, payload.clusterId, payload.boot);
        return withDeadline(told, objectCallTimeoutMs, "the map of a world");
      }
    }
  }

  async #tellUse(playerId: string, use: Omit<Message<"used">, "kind">): Promise<void> {
    failpoint("use.telling");
    const told = playerSession(this.#env, playerId).ticketUsed({ playerId, ...use });
    const known = await withDeadline(told, objectCallTimeoutMs, "a player's session");
    failpoint("use.told");
    if (known && use.moved !== true) this.#recordUse({ playerId, ...use });
    if (!known) this.#others.seats.forgetJoin({ playerId, ...use }, Date.now());
  }

  #recordUse(use: SeatRef & Pick<Message<"used">, "clusterId" | "atMs" | "endedAtMs">): void {
    const { records, storage } = this.#parts;
    const { clusterId, atMs = Date.now(), endedAtMs } = use;
    count("joins");
    storage.transactionSync(() => {
      records.joined(clusterId, regionOfCluster(clusterId) ?? "", use, atMs);
      if (endedAtMs !== undefined) records.left(clusterId, use, endedAtMs);
    });
  }

  async #displace(shard: string, { clusterId, boot }: Message<"displace">): Promise<void> {
    failpoint("register.displacing");
    const told = registryShard(this.#env, shard).displace(clusterId, boot);
    const seats = await withDeadline<readonly Seat[]>(told, objectCallTimeoutMs, "another shard");
    this.#others.moves.arrive(clusterId, boot, shard, seats);
    const orders = registryShard(this.#env, shard).revocationsOf(clusterId);
    for (const order of await withDeadline(orders, objectCallTimeoutMs, "another shard")) {
      this.#others.revocations.revoke(order, Date.now());
    }
    // Players' sessions are told by whatever delivers this.
  }

  async #announce(world: string, { announcement }: Message<"announce">): Promise<void> {
    if (!this.#isOf(world, announcement)) return;
    const isTaken = await this.#worldsWord(worldMap(this.#env, world).announce(world, announcement));
    if (!isTaken) throw new Error("the world has no room for this cluster");
  }

  async #tellDeparture(world: string, { departure }: Message<"leave">): Promise<void> {
    if (!this.#isOf(world, departure)) return;
    failpoint("leave.telling");
    expectKnown(await this.#worldsWord(worldMap(this.#env, world).leave(world, departure)));
  }

  async #tellStanding(world: string, { clusterId, boot }: Message<"standing">): Promise<void> {
    if (!this.#isOf(world, { clusterId, boot })) return;
    failpoint("standing.telling");
    const note = { clusterId, boot, ...this.#parts.standings.told(clusterId) };
    expectKnown(await this.#worldsWord(worldMap(this.#env, world).noteStanding(world, note)));
  }

  async #worldsWord(told: Promise<boolean>): Promise<boolean> {
    return withDeadline(told, objectCallTimeoutMs, "the map of a world");
  }

  /** Whether this process is still the cluster's, and in that world: if not, what comes after it has announced itself. */
  #isOf(world: string, process: { readonly clusterId: string; readonly boot: number }): boolean {
    const row = this.#parts.tables.cluster(process.clusterId);
    return row?.boot === process.boot && row.state !== "gone" && row.world === world;
  }
}

/** Messages to one object may overtake each other: then it is told again. */
function expectKnown(isKnown: boolean): void {
  if (!isKnown) throw new Error("the world has not heard of this process yet");
}
