import { DurableObject } from "cloudflare:workers";
import { shardsForCluster } from "../../domain/clusters/sharding.ts";
import {
  callPlaces,
  type Calls,
  type CapacityNote,
  type ClosedCluster,
  roomAfter,
  sumNotes,
} from "../../domain/waiting/waiting-calls.ts";
import {
  firstInLine,
  type FirstInLine,
  gateMs,
  playersWaiting,
  type QueueGate,
  type QueuePass,
} from "../../domain/waiting/waiting-gate.ts";
import { type Place, type Visit, WaitingLine } from "../../domain/waiting/waiting-line.ts";
import {
  callMs,
  estimateSeconds,
  noteServed,
  patienceMs,
  retryAfterSeconds,
  servedPerSecond,
  type ServiceRate,
} from "../../domain/waiting/waiting-pace.ts";
import type { WaitingQueue } from "../../domain/waiting/waiting-queue.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { count } from "../../metrics.ts";
import { readMasterSettings } from "../../settings.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { withDeadline } from "../deadline.ts";
import { registryShard } from "../remote.ts";
import { migrateStorage, migrateStored } from "../schema.ts";
import { shardsIn } from "../shard/shard-directory.ts";
import { waitingMigrations, WaitingTables } from "./waiting-tables.ts";

/** What a visitor is told. */
export type VisitAnswer =
  | {
      readonly kind: "placed";
      readonly sequence: number;
      /** From 1. */
      readonly position: number;
      readonly estimateSeconds: number | null;
      readonly retryAfterSeconds: number;
      /** It is this visitor's turn: with it the shards give a seat, if there still is one. */
      readonly pass: QueuePass | undefined;
    }
  /** The cluster gives seats to nobody now. Whoever comes again has the place that there was. */
  | ({ readonly kind: "closed"; readonly retryAfterSeconds: number } & ClosedCluster)
  | { readonly kind: "full"; readonly retryAfterSeconds: number };

/** That a place is not needed any more. */
export interface Departure extends Pick<Place, "visitor" | "reservationId"> {
  /** The cluster of the seats that were given; without it the place was given up. */
  readonly clusterId?: string | undefined;
}

/** Shards are asked at most this often, however many wait. */
const lookMs = 1_000;
/** A shard that does not answer in time has no room for now. */
const lookTimeoutMs = 2_000;
/** How often the alarm says again that somebody waits: three times while a shard believes it. */
const watchMs = 6_000;

/**
 * One queue of the waiting room: all who want the same, first come, first served. It gives no seats itself: it asks the shards
 * once a second at most where there is room, and tells as many visitors, in order, that it is their turn.
 */
export class WaitingRoom extends DurableObject<Env> {
  readonly #tables: WaitingTables;
  #queue: WaitingQueue | undefined;
  #line = new WaitingLine([]);
  #rate: ServiceRate = { weight: 0, atMs: 0, sinceMs: 0 };
  #note: CapacityNote = { rooms: [], largest: 1 };
  #calls: Calls = { called: new Map(), kept: new Set() };
  /** For whom the shards keep seats, as they were told last. */
  #told: readonly FirstInLine[] = [];
  #toldAtMs = 0;
  #lookedAtMs = 0;
  #look: Promise<void> | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#tables = new WaitingTables(context.storage.sql);
    // A queue at which nobody waits stores nothing.
    if (!migrateStored(context.storage, waitingMigrations)) return;
    const room = this.#tables.room();
    if (room === undefined) return;
    this.#queue = room.queue;
    this.#rate = room.rate;
    this.#line = new WaitingLine(this.#tables.places(), room.lastSequence);
  }

  /** Takes a place at the end, or comes back to the one that the visitor has. Repeating it changes nothing. */
  async visit(visit: Visit, queue: WaitingQueue): Promise<VisitAnswer> {
    this.#open(queue, Date.now());
    this.#expire(Date.now());
    const before = this.#line.length;
    const entered = this.#line.enter(visit, Date.now());
    if (entered === undefined) {
      count("waiting", "full");
      logEvent("warn", "waiting.full", { queue: queue.name, places: this.#line.length });
      return {
        kind: "full",
        retryAfterSeconds: retryAfterSeconds(
          { ahead: this.#line.length, length: this.#line.length, estimate: null },
          Math.random,
        ),
      };
    }
    this.#tables.put(entered);
    if (this.#line.length > before) count("waiting", "entered");
    await wakeAt(this.ctx.storage, [Date.now() + watchMs]);
    failpoint("waiting.entered");
    // Before the answer leaves, every shard knows that somebody waits: nobody who comes later is served before.
    await this.#lookForRoom(visit.size);
    const nowMs = Date.now();
    const place = this.#line.placeOf(visit.visitor);
    if (place?.reservationId !== visit.reservationId) {
      // Given up meanwhile, by another call of the same visitor.
      return { kind: "full", retryAfterSeconds: 1 };
    }
    this.#calls = callPlaces(this.#line.places, this.#note, nowMs);
    return this.#answer(place, nowMs);
  }

  #answer(place: Place, nowMs: number): VisitAnswer {
    const { sequence, joinedAtMs } = place;
    const ahead = this.#line.aheadOf(place);
    const estimate = estimateSeconds(ahead, servedPerSecond(this.#rate, nowMs));
    const seconds = retryAfterSeconds({ ahead, length: this.#line.length, estimate }, Math.random);
    const expiresAtMs = Math.ceil(nowMs + patienceMs(seconds));
    this.#tables.put(this.#line.keep(place, { dueAtMs: Math.ceil(nowMs + callMs(seconds)), expiresAtMs }));
    const { closed } = this.#note;
    if (closed !== undefined) return { kind: "closed", retryAfterSeconds: seconds, ...closed };
    const isCalled = this.#calls.called.has(sequence);
    const clusterId = this.#calls.called.get(sequence);
    const pass: QueuePass = {
      queue: this.#queue?.name ?? "",
      sinceMs: joinedAtMs,
      ...(clusterId === undefined ? {} : { clusterId }),
    };
    return {
      kind: "placed",
      sequence,
      position: ahead + 1,
      estimateSeconds: estimate,
      retryAfterSeconds: seconds,
      pass: isCalled ? pass : undefined,
    };
  }

  /** Gives a place up, because its visitor has been served or does not want it any more. Repeating it changes nothing. */
  async leave(departure: Departure): Promise<void> {
    const place = this.#line.leave(departure);
    if (place === undefined) return;
    const nowMs = Date.now();
    const { clusterId } = departure;
    this.ctx.storage.transactionSync(() => {
      this.#tables.delete([place]);
      if (clusterId === undefined) return;
      this.#rate = noteServed(this.#rate, 1, nowMs);
      this.#tables.setRate(this.#rate);
    });
    count("waiting", clusterId === undefined ? "left" : "served");
    failpoint("waiting.left");
    if (clusterId !== undefined) this.#take(clusterId, place.size);
    this.#calls = callPlaces(this.#line.places, this.#note, nowMs);
    if (this.#line.length === 0) this.ctx.waitUntil(this.#tell());
  }

  /** What was given since the shards were asked is not there any more. */
  #take(clusterId: string, places: number): void {
    const { rooms } = this.#note;
    const left = rooms.map((room) => (room.clusterId === clusterId ? roomAfter(room, places) : room));
    this.#note = { ...this.#note, rooms: left };
  }

  #open(queue: WaitingQueue, nowMs: number): void {
    if (this.#queue !== undefined) return;
    migrateStorage(this.ctx.storage, waitingMigrations);
    this.#rate = { weight: 0, atMs: nowMs, sinceMs: nowMs };
    this.#tables.open(queue, this.#rate);
    this.#queue = queue;
  }

  #expire(nowMs: number): void {
    const expired = this.#line.expire(nowMs);
    if (expired.length === 0) return;
    this.#tables.delete(expired);
    for (const _ of expired) count("waiting", "expired");
    logEvent("info", "waiting.expired", { queue: this.#queue?.name, places: expired.length });
  }

  /** @param size of who has come: the shards have to hear at once of the first who needs so little, whatever they were told just now */
  async #lookForRoom(size: number): Promise<void> {
    const isKnown = this.#told.some((first) => first.size <= size);
    const ageMs = Date.now() - this.#lookedAtMs;
    const isDue = this.#look === undefined && !(ageMs >= 0 && ageMs < lookMs);
    await (!isKnown || isDue ? this.#tell() : this.#look);
  }

  /** Whoever comes meanwhile waits until all shards have heard. */
  async #tell(): Promise<void> {
    const look = this.#tellShards(Date.now()).finally(() => {
      if (this.#look === look) this.#look = undefined;
    });
    this.#look = look;
    return look;
  }

  /** Says who waits to every shard that may have a seat for them, and hears where there is room. */
  async #tellShards(nowMs: number): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) return;
    const firsts = firstInLine(this.#line.places, nowMs);
    this.#told = firsts;
    this.#lookedAtMs = 0;
    // Two words within a millisecond: the later one counts.
    this.#toldAtMs = Math.max(nowMs, this.#toldAtMs + 1);
    const gate: QueueGate = {
      queue: queue.name,
      wish: queue.wish,
      sinceMs: firsts[0]?.sinceMs ?? nowMs,
      firsts,
      waiting: playersWaiting(this.#line.places, nowMs),
      // Where nobody comes when called, nobody is waited for.
      untilMs: firsts.length === 0 ? 0 : nowMs + gateMs,
      kept: [...this.#calls.kept],
      saidAtMs: this.#toldAtMs,
    };
    const withParties = this.#line.places.some(({ size }) => size > 1);
    const notes = await Promise.all(
      (await this.#shards(queue)).map(async (shard): Promise<CapacityNote | undefined> => {
        try {
          const answer = registryShard(this.env, shard).attend(gate, withParties);
          return await withDeadline(answer, lookTimeoutMs, "a registry shard");
        } catch (error) {
          logEvent("warn", "waiting.look_failed", { queue: queue.name, shard, error });
          return undefined;
        }
      }),
    );
    this.#note = sumNotes(notes);
    this.#lookedAtMs = Date.now();
  }

  async #shards({ wish }: WaitingQueue): Promise<readonly string[]> {
    const { clusterId, region } = wish;
    if (clusterId !== undefined) return shardsForCluster(readMasterSettings(this.env).shards, clusterId);
    return shardsIn(this.env, region);
  }

  override async alarm(): Promise<void> {
    try {
      this.#expire(Date.now());
      await this.#tell();
      if (this.#line.length > 0) await this.ctx.storage.setAlarm(Date.now() + watchMs);
      else await this.#close();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  /** Nobody waits: the object goes. Somebody may have come while the shards were told. */
  async #close(): Promise<void> {
    this.#queue = undefined;
    this.#line = new WaitingLine([]);
    await this.ctx.storage.deleteAll();
  }
}
