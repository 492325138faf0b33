import { DurableObject } from "cloudflare:workers";
import {
  type ClusterListing,
  type HeartbeatResponse,
  type LinkCommand,
  type LinkReport,
  type LinkSessionMessage,
  type LinkTell,
  type LinkTold,
  type MailOutcome,
  mailsPerSecond,
  type SeatRef,
} from "../../protocol/index.ts";
import { ConsultBudget } from "../domain/consult-budget.ts";
import { stateAfter } from "../domain/cluster-states.ts";
import { parseLinkMessage } from "../domain/report-schema.ts";
import type { FenceOrder } from "../domain/authority.ts";
import type { ClusterOrders } from "../domain/cluster-orders.ts";
import type { ShardDigest } from "../domain/shard-choice.ts";
import type { Seat } from "../domain/seats.ts";
import { admitsRegion, maxBroughtRegions, maxRegionsPerKey } from "../domain/region-cap.ts";
import { homeShard, regionOfCluster, shardsOfRegion, shardsForCluster } from "../domain/sharding.ts";
import type { CapacityNote } from "../domain/waiting-calls.ts";
import type { QueueGate } from "../domain/waiting-gate.ts";
import { failpoint } from "../failpoint.ts";
import { logEvent } from "../log.ts";
import { count } from "../metrics.ts";
import { readLimits } from "../limit-settings.ts";
import { readMasterSettings, readStoreSettings } from "../settings.ts";
import { writeRecords } from "../store/records.ts";
import { retryAlarm, wakeAt } from "./alarm.ts";
import { CandidateTables } from "./candidate-tables.ts";
import { ClusterMoves } from "./cluster-moves.ts";
import { logMove } from "./cluster-standing.ts";
import { ClusterMemory } from "./cluster-memory.ts";
import { ClusterLinks, isOrderlyEnd } from "./cluster-links.ts";
import { objectCallTimeoutMs, withDeadline } from "./deadline.ts";
import { Announcer } from "./events.ts";
import { OrderTables } from "./order-tables.ts";
import { Outbox, type OutboxMessage } from "./outbox.ts";
import { RecordOutbox } from "./record-outbox.ts";
import { refuse, type Refusal } from "./refusal.ts";
import {
  type AssertionUse,
  checkAssertion,
  type CheckedAssertion,
  enrolledKey,
  refuseRevokedKey,
  type RegistrationAnswer,
  type RegistrationRequest,
  useAssertion,
} from "./registration.ts";
import { ReachTables } from "./reach-tables.ts";
import type { KeyAnnouncement } from "./key-announcement.ts";
import { RegistryKeys } from "./registry-keys.ts";
import { RegistryRevocations } from "./registry-revocations.ts";
import type { RevocationLag, RevocationOrder } from "./revocation-tables.ts";
import { RegistryLeases } from "./registry-leases.ts";
import { type ClusterRow, registryMigrations } from "./registry-rows.ts";
import { type Mail, type MailAddress, RegistryMail } from "./registry-mail.ts";
import { RegistryReach } from "./registry-reach.ts";
import type { HoldAnswer, HoldRequest } from "./registry-parties.ts";
import { RegistrySeats } from "./registry-seats.ts";
import { ReportTables } from "./report-tables.ts";
import { RegistrationTables } from "./registration-tables.ts";
import { RegistryTables } from "./registry-tables.ts";
import { RegistryWorlds } from "./registry-worlds.ts";
import { migrateStorage } from "./schema.ts";
import type { SeatAnswer, SeatRequest } from "./seat-request.ts";
import { createSessionToken, hashToken } from "./session-token.ts";
import { type ClusterInspection, ShardInspector, type ShardSummary } from "./shard-inspector.ts";
import { ShardOrders } from "./shard-orders.ts";
import type { ShardMessage, ShardParts } from "./shard-parts.ts";
import { readShardGauges, type ShardGauges } from "./shard-gauges.ts";
import { recordedCluster, ShardRecords } from "./shard-records.ts";
import { clusterKeyRecord, clusterOrderBook, playerSession, registryShard, worldMap } from "./remote.ts";
import type { WorldNotice } from "./world-map.ts";
import { WorldStandings } from "./world-standings.ts";

/** Least time between two looks at whether a region has clusters; longer than a registration takes. */
const regionCheckMs = 60_000;
/** How long a registration waits for the other shards of its region. */
const moveTimeoutMs = 2_000;
const regionCheckTimeoutMs = 1_000;

/**
 * Some of a region's clusters: their leases, links and seats. The only writer of all that, so no seat is given twice. State is
 * in SQL; memory holds nothing that matters.
 */
export class RegistryShard extends DurableObject<Env> {
  readonly #parts: ShardParts;
  readonly #records: RecordOutbox;
  readonly #leases: RegistryLeases;
  readonly #seats: RegistrySeats;
  readonly #worlds: RegistryWorlds;
  readonly #reach: RegistryReach;
  readonly #orders: ShardOrders;
  readonly #inspector: ShardInspector;
  readonly #revocations: RegistryRevocations;
  readonly #mail: RegistryMail;
  readonly #moves: ClusterMoves;
  readonly #consults = new ConsultBudget();
  readonly #keys: RegistryKeys;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    const { storage } = context;
    migrateStorage(storage, registryMigrations);
    this.#records = new RecordOutbox({
      sql: storage.sql,
      now: Date.now,
      write: async (records) => writeRecords(readStoreSettings(env), records),
      schedule: () => this.#schedule(),
    });
    const memory = new ClusterMemory(storage);
    const tables = new RegistryTables(memory);
    const outbox = new Outbox<ShardMessage>(storage.sql, Date.now, (message) => this.#deliver(message));
    const announcer = new Announcer(env, (work) => context.waitUntil(work));
    this.#parts = {
      storage: memory,
      tables,
      reports: new ReportTables(memory.sql),
      candidates: new CandidateTables(memory),
      registrations: new RegistrationTables(memory.sql),
      orders: new OrderTables(memory.sql),
      links: new ClusterLinks(context),
      outbox,
      standings: new WorldStandings(storage.sql, tables, outbox),
      records: new ShardRecords(this.#records),
      announce: (events) => announcer.announce(events),
      settings: () => readMasterSettings(env),
    };
    this.#worlds = new RegistryWorlds(this.#parts);
    this.#orders = new ShardOrders(this.#parts);
    this.#inspector = new ShardInspector(this.#parts);
    this.#leases = new RegistryLeases(this.#parts, this.#worlds);
    this.#seats = new RegistrySeats(this.#parts, this.#leases);
    this.#reach = new RegistryReach(this.#parts, new ReachTables(memory.sql));
    this.#revocations = new RegistryRevocations(this.#parts, this.#leases);
    this.#mail = new RegistryMail(this.#parts, env);
    this.#moves = new ClusterMoves(this.#parts);
    this.#keys = new RegistryKeys(this.#parts);
    this.#leases.giveGrace(Date.now());
  }

  /** Registers a cluster process; an older one of the same key and instance is fenced off. */
  async register(request: RegistrationRequest): Promise<RegistrationAnswer> {
    const assertion = await this.#checkRegistration(request);
    if (!assertion.ok) return assertion;
    failpoint("register.checked");
    const use = request.admitted === true ? assertion : await this.#useOnce(request, assertion);
    if (!use.ok) return use;
    failpoint("register.used");
    const sessionToken = await createSessionToken(this.env, request.shard, request.clusterId);
    const tokenHash = await hashToken(sessionToken);
    const asked = Promise.all([
      clusterOrderBook(this.env, request.clusterId).current(),
      clusterKeyRecord(this.env, request.keyId).isRevoked(),
    ]);
    const [orders, isRevoked] = await withDeadline(asked, objectCallTimeoutMs, "what operators have ordered");
    // It may have been revoked while this waited, or where this shard was not told of it.
    if (isRevoked || this.#orders.isRevoked(request.keyId)) return refuseRevokedKey(request.keyId);
    this.#orders.take(request.clusterId, orders, Date.now());
    // From here to the answer nothing waits: the epoch, the fence and the row change together.
    const boot = this.#install(request, tokenHash, Date.now());
    failpoint("register.installed");
    await this.#settle();
    await this.#awaitMoves(request.clusterId);
    return { ok: true, boot, sessionToken };
  }

  /** Most often the other shards answer at once, and the cluster can be offered when it hears that it is registered. */
  async #awaitMoves(clusterId: string): Promise<void> {
    if (this.#parts.tables.cluster(clusterId)?.awaited === "[]") return;
    const told = withDeadline(this.#send(), moveTimeoutMs, "the move of a cluster");
    await told.catch((error: unknown) => logEvent("warn", "registry.move_delayed", { clusterId, error }));
  }

  async #checkRegistration(request: RegistrationRequest) {
    const { registrations, settings } = this.#parts;
    if (this.#orders.isRevoked(request.keyId)) return refuseRevokedKey(request.keyId);
    const enrolled = await enrolledKey(registrations, this.env, request.keyId);
    return enrolled.ok ? checkAssertion(request, enrolled.key, settings().masterUrl) : enrolled;
  }

  #install(request: RegistrationRequest, tokenHash: string, nowMs: number): number {
    const { storage, tables, candidates, registrations, links, records } = this.#parts;
    const { clusterId, shard, details } = request;
    const previous = tables.cluster(clusterId);
    const boot = Math.max((previous?.boot ?? 0) + 1, nowMs);
    const reached = this.#reach.isReached(previous, details);
    const awaited = this.#moves.awaited(shard, clusterId, previous);
    const state = stateAfter(previous?.state ?? "gone", "registered", reached && awaited.length === 0);
    storage.transactionSync(() => {
      if (previous !== undefined) registrations.noteFencedToken(previous.token_hash, nowMs);
      tables.putCluster({ clusterId, shard, boot, tokenHash, state, nowMs }, details);
      this.#reach.begin(clusterId, reached, nowMs);
      candidates.putFacts(clusterId, details);
      tables.setJoinRate(clusterId, details.joinRatePerSecond);
      records.cluster("registered", { clusterId, name: details.name, shard, boot }, nowMs);
      this.#orders.apply(clusterId, request, nowMs);
      this.#worlds.noteRegistration({ clusterId, shard, boot, nowMs }, details, previous);
      this.#revocations.startOver(clusterId);
      this.#keys.startOver(clusterId);
      this.#moves.begin({ clusterId, shard, boot }, awaited, nowMs);
    });
    links.close(clusterId, "FENCED");
    logEvent("info", "registry.registered", { clusterId, shard, boot, fenced: previous !== undefined });
    if (previous?.state !== state) {
      logMove(previous ?? { cluster_id: clusterId, draining: 0, state: "" }, state, "registered");
    }
    this.#parts.announce([
      {
        type: "cluster.registered",
        subject: `cluster:${clusterId}`,
        data: { shard, boot, name: details.name, replaces: previous !== undefined && previous.state !== "gone" },
      },
    ]);
    return boot;
  }

  /**
   * An assertion serves once, whichever region it is shown in: one shard remembers them all. It is asked before anything is
   * changed, so an assertion may be lost with a crash, but never serves twice.
   */
  async #useOnce(request: RegistrationRequest, assertion: CheckedAssertion): Promise<AssertionUse> {
    const { shard, keyId } = request;
    const home = homeShard(this.#parts.settings().shards);
    if (home === shard) return this.useAssertion(keyId, assertion);
    const used = registryShard(this.env, home).useAssertion(keyId, assertion);
    return withDeadline(used, objectCallTimeoutMs, "the home shard");
  }

  /** Takes an assertion that has been verified, once, and not too many of one key. */
  useAssertion(keyId: string, assertion: CheckedAssertion): AssertionUse {
    const { storage, registrations } = this.#parts;
    return storage.transactionSync(() => useAssertion(registrations, readLimits(this.env), keyId, assertion));
  }

  /** A cluster has registered at another shard: an older process of it that is still here has to stop. Returns its seats. */
  async displace(clusterId: string, boot: number): Promise<readonly Seat[]> {
    const { links } = this.#parts;
    const { seats, left } = this.#moves.leave(clusterId, boot);
    if (left !== undefined) this.#worlds.noteEnd(left);
    links.close(clusterId, "FENCED");
    await this.#settle();
    return seats;
  }

  /** The world of some of these clusters has decided anew. */
  worldChanged(notice: WorldNotice): void {
    this.#worlds.apply(notice);
  }

  /** Passes word to a cluster that is linked. One that is not asks again. */
  tell(clusterId: string, command: LinkSessionMessage): void {
    this.#parts.links.send(clusterId, [command]);
  }

  /** The world that a cluster is in, empty when it shares none, and which process of it asks. */
  async worldOf(
    clusterId: string,
    token: string,
  ): Promise<{ readonly ok: true; readonly world: string; readonly boot: number } | Refusal> {
    const found = this.#authenticate(clusterId, await hashToken(token));
    return found.ok ? { ok: true, world: found.row.world, boot: found.row.boot } : found;
  }

  /**
   * Whether a cluster may speak of its players, asking so much at once, and whether it has deregistered: then it takes no more of them,
   * and may still save what they leave with.
   */
  async mayConsult(
    clusterId: string,
    token: string,
    questions: number,
  ): Promise<{ readonly ok: true; readonly gone: boolean } | Refusal> {
    const tokenHash = await hashToken(token);
    const found = this.#authenticate(clusterId, tokenHash);
    if (!found.ok) {
      const row = this.#parts.tables.cluster(clusterId);
      // Where its key is not known, as it registered with an earlier version of the master, nobody can say that it was not revoked.
      const isLate = row?.token_hash === tokenHash && row.key_id !== "";
      if (found.code !== "CLUSTER_SESSION_INVALID" || !isLate) return found;
    }
    if (!this.#consults.take(clusterId, questions, Date.now())) {
      return refuse("RATE_LIMITED", "This cluster asks too much about players at once. Repeat the request.", 1);
    }
    return { ok: true, gone: !found.ok };
  }

  reserve(request: SeatRequest): SeatAnswer {
    const answer = this.#seats.reserve(request, Date.now());
    const revokedKeys = this.#keys.revoked();
    return answer.ok && revokedKeys.length > 0 ? { ...answer, revokedKeys } : answer;
  }

  /** A queue of the waiting room says that it waits for seats of this shard; where there are some now. */
  attend(gate: QueueGate, withLargest: boolean): CapacityNote {
    return this.#seats.attend(gate, withLargest, Date.now());
  }

  /** Holds seats for all members of a party, or none. */
  hold(request: HoldRequest): HoldAnswer {
    return this.#seats.parties.hold(request, Date.now());
  }

  /** Gives back what is still held for these members of a party, or for all. */
  release(holdId: string, playerIds?: readonly string[]): void {
    this.#seats.parties.release(holdId, playerIds);
  }

  withdraw(reservationId: string): void {
    this.#seats.withdraw(reservationId);
  }

  giveBack(reservationId: string): void {
    this.#seats.giveBack(reservationId);
  }

  fence(order: Omit<FenceOrder, "shard"> & { readonly playerId: string }): void {
    this.#seats.fence(order);
  }

  /** A player's sessions on a cluster here are to end: see `RegistryRevocations`. Repeating it is harmless. */
  async revoke(order: RevocationOrder, forwarded = false): Promise<void> {
    const { tables, settings } = this.#parts;
    this.#revocations.revoke(order, Date.now());
    await this.#schedule();
    const row = tables.cluster(order.clusterId);
    if (forwarded || (row !== undefined && row.state !== "gone")) return;
    // It may have moved to another shard since the player's session heard of it.
    const names = shardsForCluster(settings().shards, order.clusterId);
    await Promise.all(
      names.map(async (name) =>
        withDeadline(registryShard(this.env, name).revoke(order, true), objectCallTimeoutMs, "another shard"),
      ),
    );
  }

  /** What a cluster that has moved to another shard has to be told there as well. */
  revocationsOf(clusterId: string): RevocationOrder[] {
    return this.#revocations.ordersFor(clusterId);
  }

  /** The published key set is another: clusters are told. Repeating it is harmless. */
  async keysChanged(announcement: KeyAnnouncement): Promise<void> {
    this.#keys.note(announcement, Date.now());
    await this.#schedule();
  }

  /** How long it has taken clusters to hold what was revoked. */
  revocationLag(): RevocationLag {
    return this.#revocations.lag();
  }

  listing(): ClusterListing[] {
    return this.#parts.tables.listings();
  }

  /** What this shard has to offer, and the regions that it was told of. */
  digest(shard: string): ShardDigest & { readonly regions: string[] } {
    const { candidates, registrations } = this.#parts;
    return { ...candidates.digest(shard, Date.now()), regions: registrations.regions().map(({ region }) => region) };
  }

  gauges(): ShardGauges {
    return readShardGauges(this.ctx.storage.sql, this.#records.backlog());
  }

  /** Whether some cluster has not been given up here. */
  hasClusters(): boolean {
    return this.#parts.tables.presentClusters().length > 0;
  }

  /**
   * Notes a region that the map does not name, if an enrolled cluster is about to register there: no stranger can have shards
   * made. Takes the assertion first, so that one that was used before adds nothing. Asked of the home shard.
   */
  async admitRegion(request: RegistrationRequest): Promise<{ readonly ok: true } | Refusal> {
    const admitted = await this.#checkRegistration(request);
    if (!admitted.ok) return admitted;
    const use = this.useAssertion(request.keyId, admitted);
    if (!use.ok) return use;
    await this.#forgetEmptyRegions(Date.now());
    const { registrations } = this.#parts;
    const { region } = request.details;
    if (!admitsRegion(registrations.regions(), region, request.keyId)) {
      return refuse(
        "TOO_MANY_REGIONS",
        `Beside the regions in SHARDS a key may bring ${maxRegionsPerKey}, and all keys together ${maxBroughtRegions}. Use one of those that there are, or add this one to SHARDS.`,
      );
    }
    registrations.noteRegion({ region, keyId: request.keyId }, Date.now());
    return { ok: true };
  }

  /** A region whose last cluster is gone makes room for another. Each is looked at once a minute at most. */
  async #forgetEmptyRegions(nowMs: number): Promise<void> {
    const { registrations, settings } = this.#parts;
    const beforeMs = nowMs - regionCheckMs;
    const map = settings().shards;
    await Promise.all(
      registrations.regionsNotedBefore(beforeMs).map(async (brought) => {
        const shards = shardsOfRegion(map, brought.region).map((name) => registryShard(this.env, name).hasClusters());
        const answers = await Promise.allSettled(
          shards.map((answer) => withDeadline(answer, regionCheckTimeoutMs, "a registry shard")),
        );
        // One that cannot be asked may have clusters.
        const empty = answers.every((answer) => answer.status === "fulfilled" && !answer.value);
        if (empty) registrations.forgetRegion(brought.region, beforeMs);
        else registrations.noteRegion(brought, nowMs);
      }),
    );
  }

  /** A report over HTTPS, for clusters whose link is down. */
  async heartbeat(
    clusterId: string,
    token: string,
    report: LinkReport,
  ): Promise<{ readonly ok: true; readonly response: HeartbeatResponse } | Refusal> {
    const found = this.#authenticate(clusterId, await hashToken(token));
    if (!found.ok) return found;
    const applied = this.#seats.report(found.row, report, { overLink: false, nowMs: Date.now() });
    if (!applied.ok) return applied;
    if (found.row.world !== "") this.#parts.standings.note(clusterId);
    const ordered = this.#orders.commandsFor(found.row, report, Date.now());
    const revoked = this.#answer(found.row, report);
    await this.#settle();
    const commands = [...applied.commands, ...this.#reach.commandsFor(clusterId), ...ordered, ...revoked];
    return { ok: true, response: { commands } };
  }

  /** The cluster's process is about to end, within so long as it says: see `ShardOrders.noteEnd`. */
  async drain(clusterId: string, token: string, deadlineMs: number): Promise<{ readonly ok: true } | Refusal> {
    const found = this.#authenticate(clusterId, await hashToken(token));
    if (!found.ok) return found;
    this.#orders.noteEnd(found.row, Date.now() + deadlineMs);
    failpoint("drain.noted");
    await this.#settle();
    return { ok: true };
  }

  /** The cluster stops: it is offered to nobody and its seats are gone. */
  async deregister(clusterId: string, token: string): Promise<{ readonly ok: true } | Refusal> {
    const { storage, links } = this.#parts;
    const found = this.#authenticate(clusterId, await hashToken(token));
    if (!found.ok) return found;
    const nowMs = Date.now();
    const drained = storage.transactionSync(() => {
      this.#end(found.row, nowMs);
      return this.#orders.endDrain(clusterId);
    });
    links.close(clusterId, "NORMAL");
    logEvent("info", "registry.deregistered", { clusterId });
    this.#parts.announce([{ type: "cluster.deregistered", subject: `cluster:${clusterId}`, data: { drained } }]);
    await this.#settle();
    return { ok: true };
  }

  /** A cluster is no more: it is offered to nobody and nobody is in the game there. To be called in a transaction. */
  #end(row: ClusterRow, nowMs: number): void {
    const { tables, records } = this.#parts;
    for (const ref of tables.joinedAt(row.cluster_id)) records.left(row.cluster_id, ref, nowMs);
    records.cluster("deregistered", recordedCluster(row), nowMs);
    tables.removeCluster(row.cluster_id);
    this.#worlds.noteEnd(row);
  }

  /** The upgrade request of a link; the route has checked that it is one. */
  override async fetch(request: Request): Promise<Response> {
    const clusterId = request.headers.get("x-cluster-id") ?? "";
    const token = request.headers.get("x-session-token") ?? "";
    const found = this.#authenticate(clusterId, await hashToken(token));
    if (!found.ok) return Response.json(found, { status: 409 });
    const { tables, links } = this.#parts;
    const response = links.accept({ clusterId, boot: found.row.boot });
    tables.setLinked(clusterId, true);
    this.#leases.sign(found.row, Date.now());
    links.send(clusterId, this.#reach.commandsFor(clusterId));
    await this.#settle();
    logEvent("info", "registry.linked", { clusterId });
    return response;
  }

  #authenticate(clusterId: string, tokenHash: string): { readonly ok: true; readonly row: ClusterRow } | Refusal {
    const { tables, registrations } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row !== undefined && row.state !== "gone" && row.token_hash === tokenHash) return { ok: true, row };
    return registrations.isFencedToken(tokenHash)
      ? refuse("CLUSTER_FENCED", "A newer process with this key and instance name has registered. Stop this one.")
      : refuse("CLUSTER_SESSION_INVALID", "This session has ended. Register again.");
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { tables, links } = this.#parts;
    const identity = links.identityOf(socket);
    const row = identity === undefined ? undefined : tables.cluster(identity.clusterId);
    if (row === undefined || row.state === "gone") return links.closeSocket(socket, "REGISTER_AGAIN");
    if (row.boot !== identity?.boot) return links.closeSocket(socket, "FENCED");
    const parsed = typeof message === "string" ? parseLinkMessage(message) : { fault: "not a text message" };
    if ("fault" in parsed) {
      logEvent("warn", "registry.bad_report", { clusterId: row.cluster_id, fault: parsed.fault });
      return links.closeSocket(socket, "BAD_MESSAGE", parsed.fault);
    }
    if (parsed.type === "tell") return this.#passMail(socket, row.cluster_id, parsed);
    const applied = this.#seats.report(row, parsed, { overLink: true, nowMs: Date.now() });
    if (!applied.ok) return links.closeSocket(socket, "BAD_MESSAGE", applied.detail);
    if (row.world !== "") this.#parts.standings.note(row.cluster_id);
    const ordered = this.#orders.commandsFor(row, parsed, Date.now());
    const revoked = this.#answer(row, parsed);
    for (const command of [...applied.commands, ...ordered, ...revoked]) socket.send(JSON.stringify(command));
    await this.#settle();
  }

  /** What a cluster has to hear beside the acknowledgement of its report. */
  #answer(row: ClusterRow, report: LinkReport): readonly LinkCommand[] {
    const nowMs = Date.now();
    return [...this.#revocations.answer(row, report, nowMs), ...this.#keys.answer(row, report, nowMs)];
  }

  /** Stores nothing and wakes nobody but the player's session and the shard of its cluster. */
  async #passMail(socket: WebSocket, clusterId: string, tell: LinkTell): Promise<void> {
    const outcome = await this.#mail.pass(clusterId, tell, Date.now());
    count("mails", outcome);
    if (outcome === "flooded") {
      return this.#parts.links.closeSocket(socket, "BAD_MESSAGE", `A cluster may send ${mailsPerSecond} a second.`);
    }
    const told: LinkTold = { type: "told", id: tell.id, outcome };
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(told));
  }

  /** A message for a player of a cluster here: see `RegistryMail`. */
  handMail(address: MailAddress, mail: Mail): MailOutcome {
    return this.#mail.hand(address, mail, Date.now());
  }

  override async webSocketClose(socket: WebSocket, code: number, _reason: string, wasClean: boolean): Promise<void> {
    this.#linkEnded(socket, isOrderlyEnd(code, wasClean));
    await this.#settle();
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#linkEnded(socket, false);
    await this.#settle();
  }

  #linkEnded(socket: WebSocket, orderly: boolean): void {
    const { tables, links } = this.#parts;
    // Unanswered, the cluster would wait for the end of the connection until its own patience ends.
    links.closeSocket(socket, "NORMAL");
    const identity = links.identityOf(socket);
    if (identity === undefined) return;
    const row = tables.cluster(identity.clusterId);
    if (row === undefined || row.boot !== identity.boot) return;
    tables.noteSign(identity.clusterId, links.pingAtMs(socket));
    if (links.isOpen(identity.clusterId)) return;
    tables.setLinked(identity.clusterId, false);
    if (!orderly) this.#leases.linkLost(row, Date.now());
  }

  /** What operators have ordered of a cluster. Older orders than those that are known change nothing. */
  async takeOrders(clusterId: string, orders: ClusterOrders): Promise<void> {
    this.#orders.take(clusterId, orders, Date.now());
    await this.#settle();
  }

  /** A cluster key is withdrawn: see `ShardOrders.revokeKey`. */
  revokeKey(keyId: string): void {
    const nowMs = Date.now();
    const stopped = this.#orders.revokeKey(keyId, nowMs, (row) => this.#end(row, nowMs));
    this.#parts.announce(
      stopped.map((clusterId) => ({
        type: "cluster.deregistered",
        subject: `cluster:${clusterId}`,
        data: { keyRevoked: true },
      })),
    );
  }

  /** Clusters of this shard as operators see them, by id. */
  inspect(after: string, limit: number): ClusterInspection[] {
    return this.#inspector.page(after, limit, Date.now());
  }

  inspectOne(clusterId: string): ClusterInspection | undefined {
    return this.#inspector.one(clusterId, Date.now());
  }

  summary(): ShardSummary {
    return this.#inspector.summary();
  }

  override async alarm(): Promise<void> {
    try {
      this.#moves.expire(Date.now());
      this.#leases.sweep(Date.now());
      this.#revocations.sweep(Date.now());
      this.#keys.sweep(Date.now());
      await Promise.all([this.#records.writeDue(), this.#send(), this.#reach.run()]);
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  /** Sees to it that this object wakes up for what is left to do, and sends what is due behind the answer. */
  async #settle(): Promise<void> {
    // Set before anything is sent: should this object die in between, it comes back and sends it.
    await this.#schedule();
    if (this.#parts.outbox.nextDueAtMs() !== undefined) this.ctx.waitUntil(this.#send());
    if ((this.#reach.nextDueAtMs() ?? Number.POSITIVE_INFINITY) <= Date.now()) this.ctx.waitUntil(this.#probe());
  }

  async #send(): Promise<void> {
    await this.#parts.outbox.deliverDue();
    await this.#schedule();
  }

  async #probe(): Promise<void> {
    await this.#reach.run();
    await this.#schedule();
  }

  async #schedule(): Promise<void> {
    const { outbox } = this.#parts;
    // While there are clusters, the next look at leases comes soon enough for records whose timer was lost.
    const sweepAtMs = this.#leases.nextSweepAtMs(Date.now()) ?? this.#records.nextDueAtMs();
    await wakeAt(this.ctx.storage, [
      outbox.nextDueAtMs(),
      this.#records.nextRetryAtMs(),
      this.#reach.nextDueAtMs(),
      this.#revocations.nextRepeatAtMs(),
      this.#keys.nextRepeatAtMs(),
      sweepAtMs,
    ]);
  }

  #recordUse(use: SeatRef & Pick<Extract<ShardMessage, { kind: "used" }>, "clusterId" | "atMs" | "endedAtMs">): void {
    const { records, storage } = this.#parts;
    const { clusterId, atMs = Date.now(), endedAtMs } = use;
    count("joins");
    storage.transactionSync(() => {
      records.joined(clusterId, regionOfCluster(clusterId) ?? "", use, atMs);
      if (endedAtMs !== undefined) records.left(clusterId, use, endedAtMs);
    });
  }

  async #deliver({ target, payload }: OutboxMessage<ShardMessage>): Promise<void> {
    switch (payload.kind) {
      case "used": {
        const { kind: _, ...use } = payload;
        failpoint("use.telling");
        const told = playerSession(this.env, target).ticketUsed({ playerId: target, ...use });
        const known = await withDeadline(told, objectCallTimeoutMs, "a player's session");
        failpoint("use.told");
        if (known && use.moved !== true) this.#recordUse({ playerId: target, ...use });
        if (!known) this.#seats.forgetJoin({ playerId: target, ...use }, Date.now());
        return;
      }
      case "drain-ended": {
        const told = clusterOrderBook(this.env, target).drainEnded(target, payload.orderedAtMs);
        return withDeadline(told, objectCallTimeoutMs, "a cluster's order book");
      }
      case "displace": {
        failpoint("register.displacing");
        const { clusterId, boot } = payload;
        const told = registryShard(this.env, target).displace(clusterId, boot);
        const seats = await withDeadline<readonly Seat[]>(told, objectCallTimeoutMs, "another shard");
        this.#moves.arrive(clusterId, boot, target, seats);
        const orders = registryShard(this.env, target).revocationsOf(clusterId);
        for (const order of await withDeadline(orders, objectCallTimeoutMs, "another shard")) {
          this.#revocations.revoke(order, Date.now());
        }
        // Players' sessions are told by whatever delivers this.
        return;
      }
      case "announce": {
        const told = worldMap(this.env, target).announce(target, payload.announcement);
        return withDeadline(told, objectCallTimeoutMs, "the map of a world");
      }
      case "leave": {
        const { departure } = payload;
        const row = this.#parts.tables.cluster(departure.clusterId);
        if (row?.boot !== departure.boot || row.state === "gone" || row.world !== target) return;
        failpoint("leave.telling");
        const told = worldMap(this.env, target).leave(target, departure);
        const known = await withDeadline(told, objectCallTimeoutMs, "the map of a world");
        // Messages to one object may overtake each other.
        if (!known) throw new Error("the world has not heard of this process yet");
        return;
      }
      case "standing": {
        const { clusterId, boot } = payload;
        const row = this.#parts.tables.cluster(clusterId);
        if (row?.boot !== boot || row.state === "gone" || row.world !== target) return;
        failpoint("standing.telling");
        const note = { clusterId, boot, ...this.#parts.standings.told(clusterId) };
        const told = worldMap(this.env, target).noteStanding(target, note);
        const known = await withDeadline(told, objectCallTimeoutMs, "the map of a world");
        if (!known) throw new Error("the world has not heard of this process yet");
        return;
      }
      case "withdraw": {
        const told = worldMap(this.env, target).withdraw(target, payload.clusterId, payload.boot);
        return withDeadline(told, objectCallTimeoutMs, "the map of a world");
      }
    }
  }
}
