import { sessionOf } from "../../../protocol/handover/generation.ts";
import type { AllocateRequest, Waiting } from "../../../protocol/index.ts";
import { type Operation, replacedAt } from "../../domain/allocation/operations.ts";
import { refuseParty } from "../../domain/parties/party.ts";
import { clusterToReturnTo } from "../../domain/clusters/seat-return.ts";
import { shardsForCluster } from "../../domain/clusters/sharding.ts";
import { askingOrder } from "../../domain/allocation/shard-choice.ts";
import type { QueuePass } from "../../domain/waiting/waiting-gate.ts";
import { queueOf } from "../../domain/waiting/waiting-queue.ts";
import { failpoint } from "../../failpoint.ts";
import { readLimits } from "../../limit-settings.ts";
import { readMasterSettings } from "../../settings.ts";
import { AllocationAccount, type ExplainedSeat } from "./allocation-account.ts";
import type { AllocationOrder } from "./allocation-order.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import type { PlayerCosts } from "./player-costs.ts";
import type { PlayerTables } from "./player-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { partyObject, registryShard } from "../remote.ts";
import type { SeatAnswer, SeatRequest } from "../shard/seat-request.ts";
import { shardsToAsk } from "../shard/shard-directory.ts";
import { askInTurn, refusalOfNone } from "../shard/shard-round.ts";
import { visitQueue } from "../waiting/waiting-visit.ts";

/** Whether the call that looks for a seat is still the one that may go on with the operation. */
type IsCurrent = () => boolean;

/** Finds the seat of an operation: of the party that it is in, at a shard, or in the waiting room. */
export class PlayerSeats {
  readonly #env: Env;
  readonly #tables: PlayerTables;
  readonly #costs: PlayerCosts;

  constructor(env: Env, tables: PlayerTables, costs: PlayerCosts) {
    this.#env = env;
    this.#tables = tables;
    this.#costs = costs;
  }

  /** A seat; or a place in the waiting room, for who wants to wait. */
  async find(
    operation: Operation,
    order: AllocationOrder,
    isCurrent: IsCurrent,
  ): Promise<ExplainedSeat | { readonly ok: true; readonly waiting: Waiting }> {
    if (await this.#isReplaced(order.request.after, order.playerId)) {
      return refuse("REPLACED", "The player is in the game elsewhere. Join again only if the player asks to.");
    }
    if (order.request.party !== undefined) return this.#claimSeat(operation, order, order.request.party, isCurrent);
    // Who waits asks the queue, not the shards, unless one of them may have a seat for this operation already.
    if (operation.queue === undefined || operation.shard !== undefined) {
      const seat = await this.#reserve(operation, order, isCurrent);
      if (seat.ok || seat.waitable !== true || order.request.wait !== true) return seat;
    }
    const queue = await queueOf(order.request);
    const cost =
      operation.queue === undefined
        ? this.#costs.spend(["waitingPlacesPerHour"], readLimits(this.#env), Date.now())
        : undefined;
    if (cost?.allowed === false) {
      return refuse("RATE_LIMITED", "Too many places in the waiting room. Try again later.", cost.retryAfterSeconds);
    }
    if (!this.#queueUp(operation, isCurrent, queue.name)) return takenOver();
    failpoint("waiting.recorded");
    const { reservationId, key: idempotencyKey } = operation;
    const { playerId } = order;
    const visit = await visitQueue(this.#env, { visitor: playerId, reservationId, size: 1 }, queue, idempotencyKey);
    if (!visit.ok) return visit;
    failpoint("waiting.visited");
    if (visit.pass === undefined) return { ok: true, waiting: visit.waiting };
    const seat = await this.#reserve({ ...operation, shard: undefined }, order, isCurrent, visit.pass);
    if (seat.ok || seat.waitable !== true) return seat;
    // Somebody from another queue was quicker: the place is still the same.
    return this.#queueUp(operation, isCurrent, queue.name) ? { ok: true, waiting: visit.waiting } : takenOver();
  }

  /** Whether the player has a session in the game that is newer than the one that wants to come back. [ALLOC-21] */
  async #isReplaced(after: number | undefined, playerId: string): Promise<boolean> {
    const authority = this.#tables.authority();
    if (after === undefined || authority === undefined) return false;
    const { clusterId, shard, generation } = authority;
    if (sessionOf(generation) <= sessionOf(after)) return false;
    return withDeadline(
      registryShard(this.#env, shard).holds(clusterId, playerId),
      objectCallTimeoutMs,
      "a registry shard",
    );
  }

  /** The seat that is held for the player's party: the party says which, and the shard hands it over. */
  async #claimSeat(
    operation: Operation,
    order: AllocationOrder,
    partyId: string,
    isCurrent: IsCurrent,
  ): Promise<ExplainedSeat> {
    if (this.#tables.party() !== partyId) return refuseParty("PARTY_NOT_FOUND");
    const { reservationId, key } = operation;
    const told = partyObject(this.#env, partyId).claim(order.playerId, reservationId);
    const claim = await withDeadline(told, objectCallTimeoutMs, "the party");
    if (!claim.ok) return claim;
    const { shard: heldAt, holdId, clusterId, fragment } = claim;
    const wish = { ...order.request, clusterId, fragment };
    let seat: ExplainedSeat = takenOver();
    // The cluster may have moved to another shard since, and what was held with it.
    for (const shard of new Set([heldAt, ...shardsForCluster(readMasterSettings(this.#env).shards, clusterId)])) {
      if (!isCurrent()) return takenOver();
      this.#tables.setOperationShard(key, shard);
      failpoint("party.claiming");
      seat = await this.#ask(operation, order, { shard, holdId, wish });
      if (seat.ok || seat.code !== "PARTY_HOLD_ENDED") break;
    }
    return seat.ok ? { ...seat, fragment } : seat;
  }

  /** Asks a shard for a seat. To be noted before: from now on it may have one for this operation. */
  #ask(
    operation: Operation,
    { playerId, request: wish }: AllocationOrder,
    more: Pick<SeatRequest, "shard"> & Partial<SeatRequest>,
  ): Promise<SeatAnswer> {
    const { reservationId, generation } = operation;
    const { ticketLifetimeSeconds: lifetimeSeconds } = readMasterSettings(this.#env);
    const replaces = replacedAt(more.shard, this.#tables.operations(), operation, Date.now());
    const whole = { reservationId, playerId, generation, lifetimeSeconds, wish, sparing: false, replaces, ...more };
    return withDeadline(registryShard(this.#env, more.shard).reserve(whole), objectCallTimeoutMs, "a registry shard");
  }

  /**
   * Step 2: asks shard after shard. Which one is noted with the operation before it is asked, as it may have a seat for us ever after; where nothing of
   * the operation is stored yet, and all memory of it is lost, such a seat ends with its time.
   */
  async #reserve(
    operation: Operation,
    order: AllocationOrder,
    isCurrent: IsCurrent,
    pass?: QueuePass,
  ): Promise<ExplainedSeat> {
    const { request: wish } = order;
    const { shards: map } = readMasterSettings(this.#env);
    const names = await shardsToAsk(this.#env, wish);
    const shards = [...new Set(operation.shard === undefined ? names : [operation.shard, ...names])];
    if (shards.length === 0 && wish.clusterId === undefined) return refusalOfNone(wish);
    const account = new AllocationAccount(wish, shards);
    const back = clusterToReturnTo(this.#tables.authority(), wish);
    if (back !== undefined && (operation.shard ?? back.shard) === back.shard) {
      const seat = await this.#returnTo(back, operation, order, isCurrent);
      if (seat.ok || seat.code === "ALLOCATION_IN_PROGRESS") {
        account.note(back.shard, seat);
        return seat.ok ? { ...seat, explanation: account.explanation() } : seat;
      }
    }
    const questions = [...this.#homeward(shards, operation, wish), ...askingOrder(shards, wish.avoid ?? [], map)];
    const seat = await askInTurn(questions, wish, async (question) => {
      const { shard } = question;
      if (!isCurrent()) return takenOver();
      this.#tables.setOperationShard(operation.key, shard);
      failpoint("allocate.asking");
      const answer = await this.#ask(operation, order, { ...question, pass });
      account.note(shard, answer);
      return answer;
    });
    const explanation = account.explanation();
    if (seat.ok) return { ...seat, explanation };
    const { code, detail, retryAfterSeconds, waitable } = seat;
    return { ...refuse(code, detail, retryAfterSeconds), waitable, explanation };
  }

  /**
   * Shards to ask first when the request names no cluster and no fragment: each for the fragment that the player was last saved in, the player's
   * last shard first. [ALLOC-16]
   */
  #homeward(shards: readonly string[], operation: Operation, wish: AllocateRequest) {
    const fragment = this.#tables.row.values.saved_fragment;
    if (fragment === null || wish.clusterId !== undefined || wish.fragment !== undefined) return [];
    // One that may have a seat for this operation already comes first, or there would be two.
    const last = operation.shard ?? this.#tables.authority()?.shard;
    const ordered = shards.toSorted((a, b) => Number(b === last) - Number(a === last));
    return ordered.map((shard) => ({ shard, sparing: true, wish: { ...wish, fragment } }));
  }

  /** The seat that the player still has where the newest session is, if the cluster takes the player back. */
  async #returnTo(
    { clusterId, shard }: { readonly clusterId: string; readonly shard: string },
    operation: Operation,
    order: AllocationOrder,
    isCurrent: IsCurrent,
  ): Promise<SeatAnswer> {
    if (!isCurrent()) return takenOver();
    this.#tables.setOperationShard(operation.key, shard);
    failpoint("allocate.returning");
    return this.#ask(operation, order, { shard, returnTo: clusterId });
  }

  /** Notes that no shard has a seat for the operation, and where it waits. */
  #queueUp(operation: Operation, isCurrent: IsCurrent, queue: string): boolean {
    if (!isCurrent() || this.#tables.operation(operation.key)?.state !== "recorded") return false;
    this.#tables.setOperationQueue(operation.key, queue);
    return true;
  }
}

/** What a call hears that another one has taken the operation over from. */
export function takenOver(): Refusal {
  return refuse("ALLOCATION_IN_PROGRESS", "Another call has taken over. Repeat the request.", 1);
}
