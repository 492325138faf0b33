import { DurableObject } from "cloudflare:workers";
import type { AllocateRequest, PartyHeld, PartyView, Waiting } from "../../../protocol/index.ts";
import { hashAllocateRequest } from "../../domain/allocation/operations.ts";
import {
  createParty,
  isBeingAllocated,
  isMember,
  joinParty,
  leaveParty,
  type Party as PartyState,
  type PartyMember,
  refuseParty,
} from "../../domain/parties/party.ts";
import {
  beginAllocation,
  changeAllocation,
  claimGraceMs,
  claimMs,
  claimSeat,
  giveUpAllocation,
  holdEndsAtMs,
  nextPartyStep,
  type PartyAllocation,
  type PartyHold,
  withoutAllocation,
} from "../../domain/parties/party-allocation.ts";
import { toBase64Url } from "../../domain/clusters/sharding.ts";
import type { QueuePass } from "../../domain/waiting/waiting-gate.ts";
import { queueOf } from "../../domain/waiting/waiting-queue.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { Outbox, type OutboxMessage } from "../outbox.ts";
import { partyMigrations, PartyTables } from "./party-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";
import type { HoldAnswer } from "../shard/registry-parties.ts";
import { registryShard, waitingRoom } from "../remote.ts";
import { migrateStorage, migrateStored } from "../schema.ts";
import { shardsToAsk } from "../shard/shard-directory.ts";
import { askInTurn } from "../shard/shard-round.ts";
import { visitQueue } from "../waiting/waiting-visit.ts";

/** The leader asks for seats. The route has verified the player and the shapes. */
export interface PartyOrder {
  readonly playerId: string;
  readonly idempotencyKey: string;
  readonly request: AllocateRequest;
}

export type PartyAnswer =
  | { readonly ok: true; readonly answer: string }
  | { readonly ok: true; readonly waiting: Waiting }
  | Refusal;

export type PartyViewAnswer = { readonly ok: true; readonly view: Omit<PartyView, "code"> } | Refusal;

export type ClaimAnswer =
  | ({ readonly ok: true; readonly holdId: string } & Pick<PartyHold, "shard" | "clusterId" | "fragment">)
  | Refusal;

/** What a party tells other objects, and must not lose. */
type PartyMessage =
  | { readonly kind: "release"; readonly holdId: string; readonly playerIds?: readonly string[] }
  | { readonly kind: "leave"; readonly visitor: string; readonly reservationId: string; readonly clusterId?: string };

/** After this an attempt counts as lost, and another may begin; the lost one goes no further. What a shard has answered it with still counts, since the hold is the same. */
const attemptTimeoutMs = 30_000;

/**
 * A party: who is in it, and the seats that are held for it. The one place that decides who may claim one. Every step is recorded
 * before the next begins, so whatever stops in between, the next call with the key carries on.
 */
export class Party extends DurableObject<Env> {
  readonly #tables: PartyTables;
  readonly #outbox: Outbox<PartyMessage>;
  #party: PartyState | undefined;
  #attempt: { readonly startedAtMs: number } | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    const { storage } = context;
    this.#tables = new PartyTables(storage.sql);
    this.#outbox = new Outbox<PartyMessage>(storage.sql, Date.now, (message) => this.#deliver(message));
    if (!migrateStored(storage, partyMigrations)) return;
    this.#party = this.#tables.party();
  }

  /** Makes the party. Repeating it changes nothing. */
  async create(id: string, leader: PartyMember, size: number): Promise<PartyViewAnswer> {
    migrateStorage(this.ctx.storage, partyMigrations);
    this.#current();
    if (this.#party === undefined) await this.#store(createParty(id, leader, size, Date.now()));
    return this.view(leader.playerId);
  }

  view(playerId: string): PartyViewAnswer {
    const party = this.#current();
    if (party === undefined || !isMember(party, playerId)) return refuseParty("PARTY_NOT_FOUND");
    return { ok: true, view: viewOf(party, this.#inFlight(Date.now())) };
  }

  async join(member: PartyMember): Promise<PartyViewAnswer> {
    const party = this.#current();
    const nowMs = Date.now();
    const inFlight = this.#inFlight(nowMs);
    const change = party === undefined ? refuseParty("PARTY_NOT_FOUND") : joinParty(party, member, nowMs, inFlight);
    if (!change.ok) return change;
    if (change.party !== party) await this.#store(change.party);
    return { ok: true, view: viewOf(change.party, inFlight) };
  }

  /** A member leaves, or is sent away by the leader. Repeating it changes nothing. */
  async leave(playerId: string, by: string): Promise<{ readonly ok: true } | Refusal> {
    const party = this.#current();
    if (party === undefined) return playerId === by ? { ok: true } : refuseParty("PARTY_NOT_FOUND");
    const change = leaveParty(party, playerId, by);
    if (!change.ok) return change;
    await this.#store(change.party.members.length === 0 ? undefined : change.party, (after) => {
      if (after !== undefined) this.#release(after.allocation, [playerId]);
    });
    return { ok: true };
  }

  async disband(by: string): Promise<{ readonly ok: true } | Refusal> {
    const party = this.#current();
    const change = party === undefined ? refuseParty("PARTY_NOT_FOUND") : giveUpAllocation(party, by);
    if (!change.ok) return change;
    await this.#store(undefined);
    return { ok: true };
  }

  /** Gives up the wait, or the seats that are held. Repeating it changes nothing. */
  async giveUp(by: string): Promise<{ readonly ok: true } | Refusal> {
    const party = this.#current();
    const change = party === undefined ? refuseParty("PARTY_NOT_FOUND") : giveUpAllocation(party, by);
    if (!change.ok) return change;
    await this.#store(change.party);
    return { ok: true };
  }

  /** Holds seats for all members, or answers a retry with what its key has come to. */
  async allocate({ playerId, idempotencyKey: key, request }: PartyOrder): Promise<PartyAnswer> {
    const bodyHash = await hashAllocateRequest(request);
    const party = this.#current();
    if (party === undefined) return refuseParty("PARTY_NOT_FOUND");
    const nowMs = Date.now();
    const step = nextPartyStep(party, { by: playerId, key, bodyHash, inFlight: this.#inFlight(nowMs) });
    if (step.kind === "answer") return { ok: true, answer: step.answer };
    if (step.kind === "refuse") return step.refusal;
    const attempt = { startedAtMs: nowMs };
    this.#attempt = attempt;
    try {
      let { allocation } = party;
      if (step.kind === "begin" || allocation === undefined) {
        const holdId = toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
        const begun = beginAllocation(party, { key, bodyHash, holdId }, nowMs);
        await this.#store(begun);
        ({ allocation } = begun);
      }
      failpoint("party.recorded");
      return await this.#carryOut(allocation, request, attempt);
    } finally {
      if (this.#attempt === attempt) this.#attempt = undefined;
    }
  }

  /** Whether a call is asking for seats right now. */
  #inFlight(nowMs: number): boolean {
    return this.#attempt !== undefined && nowMs - this.#attempt.startedAtMs <= attemptTimeoutMs;
  }

  async #carryOut(allocation: PartyAllocation, request: AllocateRequest, attempt: object): Promise<PartyAnswer> {
    const { holdId } = allocation;
    if (allocation.queue === undefined || allocation.shard !== undefined) {
      const held = await this.#hold(allocation, request, attempt);
      if (held.ok || held.waitable !== true || request.wait !== true) return this.#outcome(held, holdId, request);
    }
    const queue = await queueOf(request);
    if (!(await this.#change(holdId, attempt, { queue: queue.name, shard: undefined }))) return takenOver();
    failpoint("party.queued");
    const size = this.#party?.members.length ?? 0;
    const visitor = visitorOf(this.#party);
    const visit = await visitQueue(this.env, { visitor, reservationId: holdId, size }, queue, allocation.key);
    if (!visit.ok) {
      // There is no place to wait at.
      if (visit.code === "WAITING_ROOM_FULL") await this.#change(holdId, attempt, { queue: undefined });
      return visit;
    }
    failpoint("party.visited");
    if (visit.pass === undefined) return { ok: true, waiting: visit.waiting };
    const held = await this.#hold({ ...allocation, shard: undefined }, request, attempt, visit.pass);
    const isTooLarge = !held.ok && held.code === "PARTY_TOO_LARGE";
    if (isTooLarge && request.clusterId !== undefined) {
      // It will never be served there: it has to ask for something else.
      await this.#send(() => this.#outbox.put(queue.name, { kind: "leave", visitor, reservationId: holdId }));
      await this.#change(holdId, attempt, { queue: undefined });
    }
    // A cluster that its leader did not name has become smaller since it was this party's turn there: others may do.
    const waitsOn = isTooLarge ? request.clusterId === undefined : !held.ok && held.waitable === true;
    if (!waitsOn) return this.#outcome(held, holdId, request);
    const again = await this.#change(holdId, attempt, { queue: queue.name, shard: undefined });
    return again ? { ok: true, waiting: visit.waiting } : takenOver();
  }

  /** Asks shard after shard; which one is recorded before it is asked, since it may hold seats for us ever after. */
  async #hold(
    { holdId, shard: asked }: PartyAllocation,
    request: AllocateRequest,
    attempt: object,
    pass?: QueuePass,
  ): Promise<
    (Extract<HoldAnswer, { ok: true }> & { readonly shard: string; readonly claimUntilMs: number }) | Refusal
  > {
    // The queue has found a cluster that is large enough.
    const wish = pass?.clusterId === undefined ? request : { ...request, clusterId: pass.clusterId };
    const names = await shardsToAsk(this.env, wish);
    return askInTurn(new Set(asked === undefined ? names : [asked, ...names]), wish, async (shard) => {
      if (!(await this.#change(holdId, attempt, { shard }))) return takenOver();
      failpoint("party.asking");
      const claimUntilMs = Date.now() + claimMs;
      const playerIds = this.#party?.members.map(({ playerId }) => playerId) ?? [];
      const order = { holdId, playerIds, untilMs: claimUntilMs + claimGraceMs, wish, pass };
      const told = registryShard(this.env, shard).hold(order);
      const answer = await withDeadline<HoldAnswer>(told, objectCallTimeoutMs, "a registry shard");
      return answer.ok ? { ...answer, shard, claimUntilMs } : answer;
    });
  }

  /** What has come of it is recorded before it is told: the hold, or that there is none. */
  async #outcome(
    held: (Extract<HoldAnswer, { ok: true }> & { readonly shard: string; readonly claimUntilMs: number }) | Refusal,
    holdId: string,
    { fragment }: AllocateRequest,
  ): Promise<PartyAnswer> {
    // A refusal ends nothing: the next try with the key goes on.
    if (!held.ok) return held;
    const party = this.#current();
    failpoint("party.held");
    const { shard, clusterId, clusterName, claimUntilMs } = held;
    const playerIds = held.playerIds.filter((playerId) => party !== undefined && isMember(party, playerId));
    const told: PartyHeld = {
      status: "held",
      cluster: { id: clusterId, name: clusterName },
      expiresAt: Math.floor(claimUntilMs / 1_000),
      members: playerIds,
    };
    const answer = JSON.stringify(told);
    const changed = changeAllocation(party, holdId, {
      hold: { shard, clusterId, fragment, playerIds, claimUntilMs, answer },
    });
    if (party === undefined || changed === undefined) {
      // Given up while the shard was asked: what it holds goes back.
      await this.#send(() => this.#outbox.put(shard, { kind: "release", holdId }));
      return takenOver();
    }
    await this.#store(changed, () => {
      const gone = held.playerIds.filter((playerId) => !playerIds.includes(playerId));
      if (gone.length > 0) this.#outbox.put(shard, { kind: "release", holdId, playerIds: gone });
      const { queue } = party.allocation ?? {};
      if (queue === undefined) return;
      this.#outbox.put(queue, { kind: "leave", visitor: visitorOf(party), reservationId: holdId, clusterId });
    });
    failpoint("party.committed");
    return { ok: true, answer };
  }

  /** A member claims a seat for an operation of their own. Repeating it changes nothing. */
  async claim(playerId: string, reservationId: string): Promise<ClaimAnswer> {
    const party = this.#current();
    const claim =
      party === undefined ? refuseParty("PARTY_NOT_FOUND") : claimSeat(party, playerId, reservationId, Date.now());
    if (!claim.ok) return claim;
    await this.#store(claim.party);
    failpoint("party.claimed");
    const { holdId, shard, clusterId, fragment } = claim;
    return { ok: true, holdId, shard, clusterId, fragment };
  }

  async #change(holdId: string, attempt: object, changes: Partial<Pick<PartyAllocation, "shard" | "queue">>) {
    const changed = changeAllocation(this.#party, holdId, changes);
    if (this.#attempt !== attempt || changed === undefined) return false;
    await this.#store(changed);
    return true;
  }

  /** The party as it is now: ended when its time is up, and without its seats when theirs is. */
  #current(): PartyState | undefined {
    const party = this.#party;
    if (party === undefined) return undefined;
    const nowMs = Date.now();
    const endsAtMs = holdEndsAtMs(party);
    const isOver = nowMs >= party.expiresAtMs;
    if (!isOver && (endsAtMs === undefined || nowMs < endsAtMs)) return party;
    this.#put(isOver ? undefined : withoutAllocation(party));
    return this.#party;
  }

  /** Stores the party, gives back what it lost, and sends the messages. */
  async #store(party: PartyState | undefined, also: (party: PartyState | undefined) => void = () => undefined) {
    await this.#send(() => {
      this.#put(party);
      also(party);
    });
  }

  /** The seats and the place of an allocation that is not there any more are given back in the same step. */
  #put(party: PartyState | undefined): void {
    const before = this.#party?.allocation;
    this.ctx.storage.transactionSync(() => {
      this.#tables.put(party);
      if (before === undefined || before.holdId === party?.allocation?.holdId) return;
      this.#release(before);
      if (before.hold !== undefined || before.queue === undefined) return;
      const visitor = visitorOf(this.#party);
      this.#outbox.put(before.queue, { kind: "leave", visitor, reservationId: before.holdId });
    });
    this.#party = party;
  }

  #release(allocation: PartyAllocation | undefined, playerIds?: readonly string[]): void {
    const shard = allocation?.hold?.shard ?? allocation?.shard;
    if (allocation === undefined || shard === undefined) return;
    const { holdId } = allocation;
    this.#outbox.put(shard, { kind: "release", holdId, ...(playerIds === undefined ? {} : { playerIds }) });
  }

  async #send(change: () => void): Promise<void> {
    try {
      this.ctx.storage.transactionSync(change);
    } catch (error) {
      // What was undone must not be remembered.
      this.#party = this.#tables.party();
      throw error;
    }
    await this.#schedule();
    if (this.#outbox.nextDueAtMs() !== undefined) this.ctx.waitUntil(this.#deliverDue());
  }

  async #deliverDue(): Promise<void> {
    await this.#outbox.deliverDue();
    await this.#schedule();
  }

  async #schedule(): Promise<void> {
    const party = this.#party;
    const endsAtMs = party === undefined ? undefined : holdEndsAtMs(party);
    await wakeAt(this.ctx.storage, [this.#outbox.nextDueAtMs(), party?.expiresAtMs, endsAtMs]);
  }

  override async alarm(): Promise<void> {
    try {
      this.#current();
      await this.#outbox.deliverDue();
      if (this.#party === undefined && this.#outbox.nextDueAtMs() === undefined) {
        logEvent("info", "party.ended");
        await this.ctx.storage.deleteAll();
      } else {
        await this.#schedule();
      }
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  async #deliver({ target, payload }: OutboxMessage<PartyMessage>): Promise<void> {
    failpoint("party.telling");
    if (payload.kind === "release") {
      const told = registryShard(this.env, target).release(payload.holdId, payload.playerIds);
      return withDeadline(told, objectCallTimeoutMs, "a registry shard");
    }
    const { kind: _, ...departure } = payload;
    return withDeadline(waitingRoom(this.env, target).leave(departure), objectCallTimeoutMs, "the waiting room");
  }
}

/** As whom a party waits; no player's id looks like it. */
function visitorOf(party: PartyState | undefined): string {
  return `party:${party?.id ?? ""}`;
}

function viewOf(party: PartyState, inFlight: boolean): Omit<PartyView, "code"> {
  const { id, size, members, allocation, expiresAtMs } = party;
  const { hold, queue, claims = {} } = allocation ?? {};
  const isBusy = isBeingAllocated(party, inFlight);
  const state = !isBusy ? "open" : hold !== undefined ? "held" : queue === undefined ? "allocating" : "waiting";
  return {
    id,
    size,
    state,
    leaderId: members[0]?.playerId ?? "",
    members: members.map(({ playerId, displayName }) => ({
      playerId,
      displayName,
      claimed: Object.hasOwn(claims, playerId),
    })),
    ...(hold === undefined
      ? {}
      : { hold: { clusterId: hold.clusterId, expiresAt: Math.floor(hold.claimUntilMs / 1_000) } }),
    expiresAt: Math.floor(expiresAtMs / 1_000),
  };
}

function takenOver(): Refusal {
  return refuse("ALLOCATION_IN_PROGRESS", "This was given up, or another call has taken over. Repeat the request.", 1);
}
