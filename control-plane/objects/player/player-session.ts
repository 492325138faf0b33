import { DurableObject } from "cloudflare:workers";
import type { BetweenSessions, FromSession, ToSession } from "../../../protocol/handover/messages.ts";
import { Rate } from "../../../protocol/index.ts";
import { forgettableOperations, hashAllocateRequest, isUnused } from "../../domain/allocation/operations.ts";
import { playerMailBurst, playerMailsPerSecond } from "../../domain/clusters/mail-budget.ts";
import { type PartyMember, refuseParty } from "../../domain/parties/party.ts";
import { banInForce, goodStanding, type Standing } from "../../domain/players/standing.ts";
import { shardOfCluster } from "../../domain/clusters/sharding.ts";
import { queueOf } from "../../domain/waiting/waiting-queue.ts";
import { Wakeup } from "../../domain/wakeup.ts";
import { failpoint } from "../../failpoint.ts";
import type { Erasure } from "../../store/erasure.ts";
import { readMasterSettings } from "../../settings.ts";
import { retryAlarm } from "../alarm.ts";
import { Outbox } from "../outbox.ts";
import { deliverPlayerMessage, isForAWhile } from "./player-delivery.ts";
import { databaseTarget, type PlayerMessage } from "./player-message.ts";
import { loginEnded, PlayerRevocation, type Revoked, type RevokeOrder } from "./player-revocation.ts";
import { type AllocationAnswer, PlayerAllocation } from "./player-allocation.ts";
import { type Body, PlayerAuthority } from "./player-authority.ts";
import { answerAsStranger, type ConsultingCluster, PlayerConsult } from "./player-consult.ts";
import { PlayerCosts } from "./player-costs.ts";
import { exportPlayerData, type PlayerSessionExport } from "./player-export.ts";
import { inspectPlayer, type PlayerInspection } from "./player-inspection.ts";
import { PlayerParty } from "./player-party.ts";
import { PlayerReleases } from "./player-releases.ts";
import { PlayerSeats } from "./player-seats.ts";
import { playerMigrations, PlayerTables } from "./player-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { migrateStorage, migrateStored } from "../schema.ts";
import type { AllocationOrder } from "./allocation-order.ts";
import type { PartyViewAnswer } from "../party/party.ts";
import type { MailAddress } from "../shard/registry-mail.ts";
import { isPlace } from "../waiting/waiting-place.ts";

/** When orders to clusters leave at the latest, should they not leave at once. */
const firstDeliveryMs = 1_000;

/**
 * A player's one session: which allocations were asked for and what came of them, and where the newest session is. Whatever stops between two
 * steps, the next call with the key carries on.
 */
export class PlayerSession extends DurableObject<Env> {
  readonly #tables: PlayerTables;
  readonly #outbox: Outbox<PlayerMessage>;
  readonly #revocation: PlayerRevocation;
  readonly #consult: PlayerConsult;
  readonly #party: PlayerParty;
  readonly #releases: PlayerReleases;
  readonly #allocation: PlayerAllocation;
  readonly #wakeup: Wakeup;
  readonly #mailRate = new Rate(playerMailsPerSecond, playerMailBurst);
  #isKnown: boolean;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    // A player of whom nobody knows yet stores nothing, whoever asks: only an allocation makes one known.
    this.#isKnown = migrateStored(context.storage, playerMigrations);
    this.#tables = new PlayerTables(context.storage);
    this.#wakeup = new Wakeup(context.storage);
    const costs = new PlayerCosts(this.#tables.row);
    this.#outbox = new Outbox<PlayerMessage>(
      context.storage.sql,
      Date.now,
      (message) => deliverPlayerMessage(env, message),
      isForAWhile,
    );
    this.#revocation = new PlayerRevocation(this.#tables, this.#outbox, () => this.#consult.doubtfulSource);
    this.#party = new PlayerParty({
      env,
      tables: this.#tables,
      costs,
      outbox: this.#outbox,
      settle: () => this.#settle(),
    });
    this.#releases = new PlayerReleases({
      env,
      outbox: this.#outbox,
      waitUntil: (promise) => context.waitUntil(promise),
    });
    this.#allocation = new PlayerAllocation({
      env,
      tables: this.#tables,
      costs,
      seats: new PlayerSeats(env, this.#tables, costs),
      revocation: this.#revocation,
      releases: this.#releases,
      settle: () => this.#settle(),
    });
    this.#consult = new PlayerConsult({
      env,
      tables: this.#tables,
      authority: new PlayerAuthority(context.storage.sql, this.#tables.row, context.id.name ?? "", (clusterId) =>
        shardOfCluster(readMasterSettings(env).shards, clusterId),
      ),
      isRevoked: (generation) => this.#revocation.covers(generation),
      orderAgain: (place) => this.#revocation.orderAgain(place, Date.now()),
      put: (target, message) => this.#put(target, message),
      isWaitingFor: (target) => this.#outbox.isWaitingFor(target),
    });
  }

  /** Of what was saved only the newest counts: an older save does not wait with it. One that is on its way goes on. [REC-4] */
  #put(target: string, message: PlayerMessage): void {
    if (message.kind === "save") this.#outbox.putLatestOf("save", target, message);
    else this.#outbox.put(target, message);
  }

  /** Allocates, or answers a retry with what its key has come to: see `PlayerAllocation`. */
  async allocate(order: AllocationOrder): Promise<AllocationAnswer> {
    const bodyHash = await hashAllocateRequest(order.request);
    if (!(await this.#holdsPlace(order))) {
      return refuse(
        "PLACE_INVALID",
        "This place is not of this player, request and key. Send it with the request that it came for.",
      );
    }
    this.#makeKnown();
    return this.#allocation.allocate(order, bodyHash);
  }

  /** Whether the place that comes with a request, if any, was given to this player, for this request, under this key. */
  async #holdsPlace({ playerId, idempotencyKey, request }: AllocationOrder): Promise<boolean> {
    if (request.place === undefined) return true;
    if (!this.#isKnown || this.#tables.operation(idempotencyKey) === undefined) return false;
    const { name: queue } = await queueOf(request);
    return isPlace(this.env, { playerId, queue, idempotencyKey }, request.place);
  }

  #makeKnown(): void {
    if (!this.#isKnown) migrateStorage(this.ctx.storage, playerMigrations);
    this.#isKnown = true;
  }

  /** Makes a party that the player leads; the one that it leads already, if any. */
  async createParty(member: PartyMember, size: number, authenticatedAt: number): Promise<PartyViewAnswer> {
    this.#makeKnown();
    const refusal = (): Refusal | undefined => this.#revocation.refusalOfLogin(authenticatedAt, Date.now());
    return refusal() ?? this.#party.create(member, size, refusal);
  }

  /** Joins a party. The route has checked the code. */
  async joinParty(member: PartyMember, id: string, authenticatedAt: number): Promise<PartyViewAnswer> {
    this.#makeKnown();
    const refusal = (): Refusal | undefined => this.#revocation.refusalOfLogin(authenticatedAt, Date.now());
    return refusal() ?? this.#party.join(member, id, refusal);
  }

  /** Whether a call about a party may go on: it is the player's, and the player may make more such calls. */
  useParty(id: string, allocationKey: string | undefined, authenticatedAt: number): { readonly ok: true } | Refusal {
    if (!this.#isKnown) return refuseParty("PARTY_NOT_FOUND");
    const refusal = this.#revocation.refusalOfLogin(authenticatedAt, Date.now());
    return refusal ?? this.#party.use(id, allocationKey);
  }

  /**
   * Gives a seat back, or a place in the waiting room. Its ticket can still be shown to the cluster, so the seat is free for others
   * once the cluster has promised to refuse it, or it has ended; for this player at once. [ALLOC-15]
   */
  async cancel(reservationId: string, playerId: string): Promise<{ readonly ok: true } | Refusal> {
    const operation = this.#isKnown ? this.#tables.operationOf(reservationId) : undefined;
    if (operation === undefined) return refuse("NOT_FOUND", "You have no such reservation.");
    if (operation.state === "consumed") return refuse("TICKET_CONSUMED", "The ticket of this reservation has joined.");
    if (isUnused(operation, Date.now())) {
      this.#tables.atomically(() => {
        this.#tables.endOperation(operation.key, "cancelled");
        this.#releases.leaveQueue(operation, playerId);
        this.#releases.giveBack(operation, playerId);
      });
      // Its answer may have been lost: no ticket was handed out for the seat that there may be.
      const { state, shard } = operation;
      if (state === "recorded" && shard !== undefined) this.#releases.withdraw(shard, reservationId, playerId);
      failpoint("release.cancelled");
    }
    await this.#settle();
    return { ok: true };
  }

  /**
   * A cluster has reported that a ticket joined: its session has authority now, unless a newer one joined elsewhere; the older
   * of the two is to be closed. Repeating it changes nothing. A cluster cannot speak for a player without that player's ticket:
   * the answer is whether this is one that the player was given.
   */
  async ticketUsed(use: {
    readonly playerId: string;
    readonly reservationId: string;
    readonly generation: number;
    readonly clusterId: string;
    readonly shard: string;
  }): Promise<boolean> {
    const { playerId, reservationId, generation, clusterId, shard } = use;
    const operation = this.#isKnown ? this.#tables.operationOf(reservationId) : undefined;
    const isUse = operation?.generation === generation && operation.clusterId === clusterId;
    if (!isUse) {
      // A long session outlives the memory of its operation, and one that was handed over has another generation.
      const current = this.#isKnown ? this.#tables.authority() : undefined;
      if (current?.generation !== generation || current.clusterId !== clusterId) return false;
      if (current.shard !== shard) this.#consult.noteShard(clusterId, shard);
    }
    if (this.#revocation.covers(generation)) {
      // It counts for nothing, but it is there: the cluster has to hear that it must not be.
      this.#revocation.orderAgain(use, Date.now());
      await this.#schedule();
      this.ctx.waitUntil(this.#outbox.deliverDue());
      return true;
    }
    if (!isUse) return true;
    this.#tables.atomically(() => {
      this.#tables.endOperation(operation.key, "consumed");
      this.#consult.enter({ clusterId, shard }, playerId, generation);
    });
    failpoint("use.counted");
    await this.#settle();
    return true;
  }

  /**
   * A message for the player: where it goes to, or why it goes nowhere. It passes by here, and nothing of it is kept; of whom
   * nobody knows, nothing is stored.
   */
  takeMail(): MailAddress | "unknown" | "refused" {
    const authority = this.#isKnown ? this.#tables.authority() : undefined;
    if (authority === undefined) return "unknown";
    if (!this.#mailRate.take(Date.now())) return "refused";
    const { shard, clusterId, generation } = authority;
    return { shard, clusterId, generation };
  }

  /** A cluster asks about authority, or has something to save: docs/HANDOVER.md, section 8. A stranger is told that it has nobody here. */
  async consult(
    from: ConsultingCluster,
    playerId: string,
    message: ToSession<Body>,
  ): Promise<readonly FromSession<Body>[]> {
    if (!this.#isKnown) return [];
    const answers = await this.#consult.answer(from, playerId, message);
    failpoint("handover.decided");
    if (answers.some(({ type }) => type === "entered")) this.#noteEntered(answers);
    await this.#settle();
    return answers;
  }

  /** The session of another member of a group speaks. [HAND-11] */
  async hearMember(playerId: string, message: BetweenSessions<Body>): Promise<void> {
    if (!this.#isKnown) return answerAsStranger(this.env, playerId, message);
    this.#consult.hearMember(playerId, message);
    await this.#settle();
  }

  #noteEntered(answers: readonly FromSession<Body>[]): void {
    for (const answer of answers) {
      if (answer.type !== "entered") continue;
      const used = this.#tables.operations().find(({ generation }) => generation === answer.generation);
      if (used?.state === "committed") this.#tables.endOperation(used.key, "consumed");
    }
  }

  /** Ends every session and every ticket of the player: see `PlayerRevocation`. */
  async revoke(order: RevokeOrder): Promise<({ readonly ok: true } & Revoked) | Refusal> {
    this.#makeKnown();
    const outcome = this.#revocation.revoke(order, Date.now());
    if (!outcome.ok) return outcome;
    const { seats, ...revoked } = outcome;
    // Without a wait in between, so that it is durable together with the floor: should all stop here, the orders leave all the same.
    const armed = this.#wakeup.set(Date.now() + firstDeliveryMs);
    failpoint("ban.committed");
    for (const { shard, reservationId } of seats) this.#releases.withdraw(shard, reservationId, order.playerId);
    await armed;
    this.ctx.waitUntil(this.#outbox.deliverDue());
    return revoked;
  }

  /** The caller of `revoke` has told the identity service of this sign-out: a later login is not to end by it. Repeating it is harmless. [SEC-75] */
  signOutTold(signOutId: string): void {
    if (this.#isKnown) this.#revocation.signOutTold(signOutId);
  }

  /** Ends a ban before its time. @returns whether there was one */
  async unban(by: { readonly playerId: string; readonly operatorId: string }): Promise<boolean> {
    if (!this.#isKnown) return false;
    const lifted = this.#revocation.unban(by, Date.now());
    const armed = this.#wakeup.set(Date.now() + firstDeliveryMs);
    failpoint("unban.lifted");
    await armed;
    this.ctx.waitUntil(this.#outbox.deliverDue());
    return lifted;
  }

  /** Whether something counts against the player. Of one whom nobody knows, nothing does. */
  standing(): Standing {
    return this.#isKnown ? this.#revocation.standing() : goodStanding;
  }

  /** What is kept here about the player. */
  exportData(): PlayerSessionExport {
    const nothing: PlayerSessionExport = { allocations: [], playingOn: null, party: null, ban: null };
    return this.#isKnown ? exportPlayerData(this.#tables, this.#revocation.standing().ban) : nothing;
  }

  /** What operators see of the player's session; `undefined` where there was never one, nor an order about it. */
  inspect(): PlayerInspection | undefined {
    if (!this.#isKnown) return undefined;
    return inspectPlayer(this.#tables, banInForce(this.#revocation.standing().ban, Date.now()));
  }

  /**
   * The account is deleted: every session and ticket ends, nothing of the game's is kept, and what is recorded is removed, as soon as the database is
   * there. Who comes back under the same id begins anew. Repeating it is harmless, though a deletion ends the login that it came by: one that a
   * sign-out has ended deletes nothing. [SEC-75]
   *
   * @param authenticatedAt of the login that wants it, seconds since 1970; `undefined` where that was decided before, and from a release before this one
   */
  async erase(playerId: string, authenticatedAt?: number): Promise<({ readonly ok: true } & Erasure) | Refusal> {
    this.#makeKnown();
    if (authenticatedAt !== undefined && !this.#revocation.mayErase(authenticatedAt)) return loginEnded();
    const tables = this.#tables;
    const erasedAtMs = Date.now();
    this.#allocation.giveUp();
    const { erasure, seats } = tables.atomically(() => {
      const revoked = this.#revocation.erase(playerId, erasedAtMs);
      // What is revoked goes with its ticket's end.
      const others = tables.operations().filter(({ state }) => state !== "revoked");
      tables.deleteOperations(others.map(({ key }) => key));
      tables.setParty(null);
      this.#consult.erase(revoked.minGeneration);
      const record: Erasure = { playerId, erasedAtMs, minGeneration: revoked.minGeneration };
      this.#outbox.put(databaseTarget, { kind: "erase", ...record });
      return { erasure: record, seats: revoked.seats };
    });
    for (const { shard, reservationId } of seats) this.#releases.withdraw(shard, reservationId, playerId);
    await this.#schedule();
    this.ctx.waitUntil(this.#send());
    return { ok: true, ...erasure };
  }

  override async alarm(): Promise<void> {
    const tables = this.#tables;
    this.#wakeup.forget();
    try {
      tables.deleteOperations(forgettableOperations(tables.operations(), Date.now()));
      this.#consult.repeat(Date.now());
      await this.#send();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
      this.#wakeup.forget();
    }
  }

  /** What is due leaves behind the answer; should this object die in between, it comes back and sends it. */
  async #settle(): Promise<void> {
    await this.#schedule();
    if (this.#outbox.nextDueAtMs() !== undefined) this.ctx.waitUntil(this.#send());
  }

  async #send(): Promise<void> {
    await this.#outbox.deliverDue();
    await this.#schedule();
  }

  async #schedule(): Promise<void> {
    // Later operations are forgotten later than those for which the alarm was set.
    const forgetAtMs = this.#wakeup.isSet ? undefined : this.#tables.nextForgetAtMs();
    await this.#wakeup.by([this.#outbox.nextDueAtMs(), forgetAtMs, this.#consult.repeatAtMs(Date.now())]);
  }
}
