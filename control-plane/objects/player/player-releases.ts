import type { OperationSummary } from "../../domain/allocation/operations.ts";
import { logEvent } from "../../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import type { Outbox } from "../outbox.ts";
import type { PlayerMessage } from "./player-message.ts";
import { registryShard } from "../remote.ts";

export interface PlayerReleasesParts {
  readonly env: Env;
  readonly outbox: Outbox<PlayerMessage>;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** Tells queues and shards what a player does not need any more. */
export class PlayerReleases {
  readonly #parts: PlayerReleasesParts;

  constructor(parts: PlayerReleasesParts) {
    this.#parts = parts;
  }

  /** To be called in the transaction that ends an operation. */
  leaveQueue({ queue, reservationId }: OperationSummary, playerId: string, clusterId?: string): void {
    if (queue === undefined) return;
    this.#parts.outbox.put(queue, { kind: "leave", visitor: playerId, reservationId, clusterId });
  }

  /** The seat of a ticket that may still join: its shard sees to it that it is free before the ticket ends. */
  giveBack({ state, shard, reservationId }: OperationSummary, playerId: string): void {
    if (state !== "committed" || shard === undefined) return;
    this.#parts.outbox.put(shard, { kind: "give-back", reservationId, playerId });
  }

  /** No ticket was handed out for this: the seat can go at once. Should the message be lost, it goes when its time is up. */
  withdraw(shard: string, reservationId: string, playerId: string): void {
    const told = withDeadline(
      registryShard(this.#parts.env, shard).withdraw(reservationId, playerId),
      objectCallTimeoutMs,
      "a registry shard",
    );
    this.#parts.waitUntil(told.catch((error: unknown) => logEvent("warn", "session.withdraw_failed", { error })));
  }
}
