import { DurableObject } from "cloudflare:workers";
import {
  type ClusterListing,
  type HeartbeatResponse,
  type LinkReport,
  type LinkSessionMessage,
  type LinkTell,
  type LinkTold,
  type MailOutcome,
  mailsPerSecond,
} from "../../../protocol/index.ts";
import { parseLinkMessage } from "../../domain/clusters/report-schema.ts";
import type { FenceOrder } from "../../domain/players/authority.ts";
import type { ClusterOrders } from "../../domain/clusters/cluster-orders.ts";
import type { ShardDigest } from "../../domain/allocation/shard-choice.ts";
import type { Seat } from "../../domain/clusters/seats.ts";
import { shardsForCluster } from "../../domain/clusters/sharding.ts";
import type { CapacityNote } from "../../domain/waiting/waiting-calls.ts";
import type { QueueGate } from "../../domain/waiting/waiting-gate.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { count } from "../../metrics.ts";
import { endAlarm, retryAlarm, wakeAt } from "../alarm.ts";
import { isOrderlyEnd } from "./cluster-links.ts";
import { logLeft } from "./cluster-standing.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import type { Refusal } from "../refusal.ts";
import {
  type AssertionUse,
  type CheckedAssertion,
  refuseRevokedKey,
  type RegistrationAnswer,
  type RegistrationRequest,
} from "./registration.ts";
import type { KeyAnnouncement } from "../key/key-announcement.ts";
import type { RevocationOrder } from "./revocation-tables.ts";
import { type ClusterRow, registryMigrations } from "./registry-rows.ts";
import type { Mail, MailAddress } from "./registry-mail.ts";
import type { HoldAnswer, HoldRequest } from "./registry-parties.ts";
import { migrateStorage } from "../schema.ts";
import type { SeatAnswer, SeatRequest } from "./seat-request.ts";
import { createSessionToken, hashToken } from "../session-token.ts";
import type { ClusterInspection, ShardSummary } from "./shard-inspector.ts";
import type { ShardParts } from "./shard-parts.ts";
import { readShardGauges, type ShardGauges } from "./shard-gauges.ts";
import { recordedCluster } from "./shard-records.ts";
import { clusterKeyRecord, clusterOrderBook, registryShard } from "../remote.ts";
import type { WorldNotice } from "../world/world-map.ts";
import { openDesks, type ShardDesks } from "./shard-desks.ts";
import { SharedTurns } from "./shared-turns.ts";

/** How long a registration waits for the other shards of its region. */
const moveTimeoutMs = 2_000;

/**
 * Some of a region's clusters: their leases, links and seats. The only writer of all that, so no seat is given twice. State is
 * in SQL; memory holds nothing that matters.
 */
export class RegistryShard extends DurableObject<Env> {
  readonly #desks: ShardDesks;
  readonly #parts: ShardParts;
  /** Whoever asks for a seat, or gives one back, waits for a turn here: all of that is done in the order in which it comes, and stored together. */
  readonly #turns = new SharedTurns();

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    migrateStorage(context.storage, registryMigrations);
    this.#desks = openDesks(context, env, async () => this.#schedule());
    this.#parts = this.#desks.parts;
    this.#desks.leases.giveGrace(Date.now());
  }

  /** Registers a cluster process; an older one of the same key and instance is fenced off. */
  async register(request: RegistrationRequest): Promise<RegistrationAnswer> {
    const assertion = await this.#desks.intake.check(request);
    if (!assertion.ok) return assertion;
    failpoint("register.checked");
    const use = request.admitted === true ? assertion : await this.#desks.intake.useOnce(request, assertion);
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
    if (isRevoked || this.#desks.orders.isRevoked(request.keyId)) return refuseRevokedKey(request.keyId);
    this.#desks.orders.take(request.clusterId, orders, Date.now());
    const boot = this.#desks.intake.install(request, tokenHash, Date.now());
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

  /** Takes an assertion that has been verified, once, and not too many of one key. */
  useAssertion(keyId: string, assertion: CheckedAssertion): AssertionUse {
    return this.#desks.intake.use(keyId, assertion);
  }

  /** A cluster has registered at another shard: an older process of it that is still here has to stop. Returns its seats. */
  async displace(clusterId: string, boot: number): Promise<readonly Seat[]> {
    const { links } = this.#parts;
    const { seats, left } = this.#desks.moves.leave(clusterId, boot);
    if (left !== undefined) this.#desks.worlds.noteEnd(left);
    links.fence(clusterId, "newer-process");
    await this.#settle();
    return seats;
  }

  /** The world of some of these clusters has decided anew. */
  worldChanged(notice: WorldNotice): void {
    this.#desks.worlds.apply(notice);
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
    const found = await this.#desks.sessions.authenticate(clusterId, token);
    return found.ok ? { ok: true, world: found.row.world, boot: found.row.boot } : found;
  }

  /** Whether a cluster may speak of its players: see `ShardSessions`. */
  async mayConsult(
    clusterId: string,
    token: string,
    questions: number,
  ): Promise<{ readonly ok: true; readonly gone: boolean } | Refusal> {
    return this.#desks.sessions.mayConsult(clusterId, token, questions);
  }

  async reserve(request: SeatRequest): Promise<SeatAnswer> {
    await this.#turns.next();
    const answer = this.#desks.seats.reserve(request, Date.now());
    const revokedKeys = this.#desks.keys.revoked();
    return answer.ok && revokedKeys.length > 0 ? { ...answer, revokedKeys } : answer;
  }

  /** Whether the player is in the game at the cluster, or is kept for a return, as far as its link tells. [ALLOC-21] */
  holds(clusterId: string, playerId: string): boolean {
    return this.#desks.seats.holds(clusterId, playerId, Date.now());
  }

  /** A queue of the waiting room says that it waits for seats of this shard; where there are some now. */
  attend(gate: QueueGate, withLargest: boolean): CapacityNote {
    return this.#desks.seats.attend(gate, withLargest, Date.now());
  }

  /** Holds seats for all members of a party, or none. */
  async hold(request: HoldRequest): Promise<HoldAnswer> {
    await this.#turns.next();
    return this.#desks.seats.parties.hold(request, Date.now());
  }

  /** Gives back what is still held for these members of a party, or for all. */
  async release(holdId: string, playerIds?: readonly string[]): Promise<void> {
    await this.#turns.next();
    this.#desks.seats.parties.release(holdId, playerIds);
  }

  /** `playerId`: see `SeatTables.placesOf`. */
  async withdraw(reservationId: string, playerId?: string): Promise<void> {
    await this.#turns.next();
    this.#desks.seats.withdraw(reservationId, playerId);
  }

  /** `playerId`: see `SeatTables.placesOf`. */
  async giveBack(reservationId: string, playerId?: string): Promise<void> {
    await this.#turns.next();
    this.#desks.seats.giveBack(reservationId, playerId);
  }

  fence(order: Omit<FenceOrder, "shard"> & { readonly playerId: string }): void {
    this.#desks.seats.fence(order);
  }

  /** A player's sessions on a cluster here are to end: see `RegistryRevocations`. Repeating it is harmless. */
  async revoke(order: RevocationOrder, forwarded = false): Promise<void> {
    const { tables, settings } = this.#parts;
    this.#desks.revocations.revoke(order, Date.now());
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
    return this.#desks.revocations.ordersFor(clusterId);
  }

  /** The published key set is another: clusters are told. Repeating it is harmless. */
  async keysChanged(announcement: KeyAnnouncement): Promise<void> {
    this.#desks.keys.note(announcement, Date.now());
    await this.#schedule();
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
    return readShardGauges(this.ctx.storage.sql, this.#desks.records.backlog());
  }

  /** Whether some cluster has not been given up here. */
  hasClusters(): boolean {
    return this.#parts.tables.presentClusters().length > 0;
  }

  /** Notes a region that the map does not name: see `ClusterIntake`. Asked of the home shard. */
  async admitRegion(request: RegistrationRequest): Promise<{ readonly ok: true } | Refusal> {
    return this.#desks.intake.admitRegion(request);
  }

  /** A report over HTTPS, for clusters whose link is down. */
  async heartbeat(
    clusterId: string,
    token: string,
    report: LinkReport,
  ): Promise<{ readonly ok: true; readonly response: HeartbeatResponse } | Refusal> {
    const found = await this.#desks.sessions.authenticate(clusterId, token);
    if (!found.ok) return found;
    const taken = this.#desks.reports.take(found.row, report, false);
    if (!taken.ok) return taken;
    await this.#settle();
    const commands = [...taken.commands, ...this.#desks.reach.commandsFor(clusterId)];
    return { ok: true, response: { commands } };
  }

  /** The cluster's process is about to end, within so long as it says: see `ShardOrders.noteEnd`. */
  async drain(clusterId: string, token: string, deadlineMs: number): Promise<{ readonly ok: true } | Refusal> {
    const found = await this.#desks.sessions.authenticate(clusterId, token);
    if (!found.ok) return found;
    this.#desks.orders.noteEnd({ clusterId, boot: found.row.boot }, Date.now() + deadlineMs);
    failpoint("drain.noted");
    await this.#settle();
    return { ok: true };
  }

  /** The cluster stops: it is offered to nobody and its seats are gone. */
  async deregister(clusterId: string, token: string): Promise<{ readonly ok: true } | Refusal> {
    const { storage, links } = this.#parts;
    // Not behind another wait: a process that has registered meanwhile is not to end in this one's place.
    const found = this.#desks.sessions.find(clusterId, await hashToken(token));
    if (!found.ok) return found;
    const nowMs = Date.now();
    const drained = storage.transactionSync(() => {
      this.#end(found.row, nowMs);
      return this.#desks.orders.endDrain(clusterId);
    });
    links.close(clusterId, "NORMAL");
    logEvent("info", "registry.deregistered", { clusterId });
    this.#parts.announce([{ type: "cluster.deregistered", subject: `cluster:${clusterId}`, data: { drained } }]);
    await this.#settle();
    return { ok: true };
  }

  /** A cluster is no more: it is offered to nobody and nobody is in the game there. To be called in a transaction. */
  #end(row: ClusterRow, nowMs: number): void {
    const { tables, seats, records } = this.#parts;
    for (const ref of seats.joinedAt(row.cluster_id)) records.left(row.cluster_id, ref, nowMs);
    records.cluster("deregistered", recordedCluster(row), nowMs);
    logLeft(row, "deregistered");
    tables.removeCluster(row.cluster_id);
    this.#desks.worlds.noteEnd(row);
  }

  /** The upgrade request of a link; the route has checked that it is one. */
  override async fetch(request: Request): Promise<Response> {
    const clusterId = request.headers.get("x-cluster-id") ?? "";
    const token = request.headers.get("x-session-token") ?? "";
    const found = await this.#desks.sessions.authenticate(clusterId, token);
    if (!found.ok) return Response.json(found, { status: 409 });
    const { tables, links } = this.#parts;
    const response = links.accept({ clusterId, boot: found.row.boot });
    tables.setLinked(clusterId, true);
    this.#desks.leases.sign(found.row, Date.now());
    links.send(clusterId, this.#desks.reach.commandsFor(clusterId));
    await this.#settle();
    logEvent("info", "registry.linked", { clusterId });
    return response;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { tables, links } = this.#parts;
    const identity = links.identityOf(socket);
    const row = identity === undefined ? undefined : tables.cluster(identity.clusterId);
    if (row === undefined || row.state === "gone") return links.closeSocket(socket, "REGISTER_AGAIN");
    if (row.boot !== identity?.boot) return links.fenceSocket(socket, "newer-process");
    const parsed = typeof message === "string" ? parseLinkMessage(message) : { fault: "not a text message" };
    if ("fault" in parsed) {
      logEvent("warn", "registry.bad_report", { clusterId: row.cluster_id, fault: parsed.fault });
      return links.closeSocket(socket, "BAD_MESSAGE", parsed.fault);
    }
    if (parsed.type === "tell") return this.#passMail(socket, row.cluster_id, parsed);
    const taken = this.#desks.reports.take(row, parsed, true);
    if (!taken.ok) return links.closeSocket(socket, "BAD_MESSAGE", taken.detail);
    for (const command of taken.commands) socket.send(JSON.stringify(command));
    await this.#settle();
  }

  /** Stores nothing and wakes nobody but the player's session and the shard of its cluster. */
  async #passMail(socket: WebSocket, clusterId: string, tell: LinkTell): Promise<void> {
    const outcome = await this.#desks.mail.pass(clusterId, tell, Date.now());
    count("mails", outcome);
    if (outcome === "flooded") {
      return this.#parts.links.closeSocket(socket, "BAD_MESSAGE", `A cluster may send ${mailsPerSecond} a second.`);
    }
    const told: LinkTold = { type: "told", id: tell.id, outcome };
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(told));
  }

  /** A message for a player of a cluster here: see `RegistryMail`. */
  handMail(address: MailAddress, mail: Mail): MailOutcome {
    return this.#desks.mail.hand(address, mail, Date.now());
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
    if (!orderly) this.#desks.leases.linkLost(row, Date.now());
  }

  /** What operators have ordered of a cluster. Older orders than those that are known change nothing. */
  async takeOrders(clusterId: string, orders: ClusterOrders): Promise<void> {
    this.#desks.orders.take(clusterId, orders, Date.now());
    await this.#settle();
  }

  /** A cluster key is withdrawn: see `ShardOrders.revokeKey`. */
  revokeKey(keyId: string): void {
    const nowMs = Date.now();
    const stopped = this.#desks.orders.revokeKey(keyId, nowMs, (row) => this.#end(row, nowMs));
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
    return this.#desks.inspector.page(after, limit, Date.now());
  }

  inspectOne(clusterId: string): ClusterInspection | undefined {
    return this.#desks.inspector.one(clusterId, Date.now());
  }

  summary(): ShardSummary {
    return this.#desks.inspector.summary();
  }

  override async alarm(): Promise<void> {
    try {
      this.#desks.moves.expire(Date.now());
      this.#desks.leases.sweep(Date.now());
      this.#desks.revocations.sweep(Date.now());
      this.#desks.keys.sweep(Date.now());
      const { records, reach } = this.#desks;
      const work = Promise.all([records.writeDue(), this.#parts.outbox.deliverDue(), reach.run()]);
      await endAlarm(this.ctx, work, () => this.#schedule());
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  /** Sees to it that this object wakes up for what is left to do, and sends what is due behind the answer. */
  async #settle(): Promise<void> {
    // Set before anything is sent: should this object die in between, it comes back and sends it.
    await this.#schedule();
    if (this.#parts.outbox.nextDueAtMs() !== undefined) this.ctx.waitUntil(this.#send());
    if ((this.#desks.reach.nextDueAtMs() ?? Number.POSITIVE_INFINITY) <= Date.now()) this.ctx.waitUntil(this.#probe());
  }

  async #send(): Promise<void> {
    await this.#parts.outbox.deliverDue();
    await this.#schedule();
  }

  async #probe(): Promise<void> {
    await this.#desks.reach.run();
    await this.#schedule();
  }

  async #schedule(): Promise<void> {
    const { outbox } = this.#parts;
    // While there are clusters, the next look at leases comes soon enough for records whose timer was lost.
    const sweepAtMs = this.#desks.leases.nextSweepAtMs(Date.now()) ?? this.#desks.records.nextDueAtMs();
    await wakeAt(this.ctx.storage, [
      outbox.nextDueAtMs(),
      this.#desks.records.nextRetryAtMs(),
      this.#desks.reach.nextDueAtMs(),
      this.#desks.revocations.nextRepeatAtMs(),
      this.#desks.keys.nextRepeatAtMs(),
      sweepAtMs,
    ]);
  }
}
