import { DurableObject } from "cloudflare:workers";
import type { WorldMapView } from "../../../protocol/index.ts";
import {
  announce,
  type Announcement,
  assign,
  carriedBy,
  type Departure,
  isAssignable,
  isFragmentKnown,
  leave,
  maxAssignments,
  noteStanding,
  openWorld,
  shortageFor,
  viewOf,
  withdraw,
  type StandingNote,
  type WorldState,
} from "../../domain/worlds/world-map.ts";
import { newlyStoodIn } from "../../domain/worlds/world-carriers.ts";
import { disagreementsOf } from "../../domain/worlds/world-disagreements.ts";
import { overlapsOf } from "../../domain/worlds/world-overlaps.ts";
import { overviewOf, type WorldOverview } from "../../domain/worlds/world-overview.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { retryAlarm, wakeAt } from "../alarm.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { Outbox, type OutboxMessage } from "../outbox.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { registryShard } from "../remote.ts";
import { migrateStorage, migrateStored } from "../schema.ts";
import { WorldTables, worldMigrations } from "./world-tables.ts";

/** What a shard is told about those of its clusters that are in a world. */
export interface WorldNotice {
  readonly world: string;
  readonly version: number;
  /** Every cluster of the shard that has announced itself, with what it carries. */
  readonly clusters: readonly {
    readonly clusterId: string;
    readonly boot: number;
    readonly carried: readonly string[];
  }[];
}

/** When notices leave at the latest, should they not leave at once. */
const firstDeliveryMs = 1_000;

/** Who carries what in one world: the only one who decides. Decision: docs/adr/0012-world-map.md. */
export class WorldMap extends DurableObject<Env> {
  readonly #tables: WorldTables;
  readonly #outbox: Outbox<WorldNotice>;
  #isKnown: boolean;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    // A world of which nobody has spoken stores nothing, whoever asks.
    this.#isKnown = migrateStored(context.storage, worldMigrations);
    this.#tables = new WorldTables(context.storage.sql);
    this.#outbox = new Outbox<WorldNotice>(context.storage.sql, Date.now, (message) => this.#deliver(message));
  }

  /**
   * A cluster has registered. Its shard hears what it carries, also if nothing has changed.
   *
   * @returns whether there is room for it: if not, it has to be told again [WORLD-9]
   */
  async announce(world: string, announcement: Announcement): Promise<boolean> {
    const shortage = shortageFor(this.#read(world), announcement);
    if (shortage !== undefined) {
      logEvent("warn", "world.refused", { world, clusterId: announcement.clusterId, tooMany: shortage });
      return false;
    }
    this.#makeKnown();
    await this.#change(world, (state) => announce(state, announcement), announcement.shard);
    return true;
  }

  /** A cluster is gone, or no longer of this world. */
  async withdraw(world: string, clusterId: string, boot: number): Promise<void> {
    if (this.#isKnown) await this.#change(world, (state) => withdraw(state, clusterId, boot));
  }

  /**
   * A cluster is told to leave, or that is taken back. [WORLD-6]
   *
   * @returns whether that process, or a later one, has announced itself: if not, it has to be told again
   */
  async leave(world: string, departure: Departure): Promise<boolean> {
    if (leave(this.#read(world), departure) === undefined) return false;
    await this.#change(world, (state) => leave(state, departure) ?? state);
    return true;
  }

  /**
   * What speaks against giving a cluster more has changed. [WORLD-7]
   *
   * @returns whether that process, or a later one, has announced itself: if not, it has to be told again
   */
  async noteStanding(world: string, note: StandingNote): Promise<boolean> {
    if (noteStanding(this.#read(world), note) === undefined) return false;
    await this.#change(world, (state) => noteStanding(state, note) ?? state);
    return true;
  }

  /** An operator decides who carries a fragment, or (`undefined`) leaves it to the rules. Answers the map that results. */
  async assign(
    world: string,
    fragment: string,
    clusterId: string | undefined,
  ): Promise<{ readonly ok: true; readonly overview: WorldOverview } | Refusal> {
    const state = this.#read(world);
    const known = state.announcements.find((one) => one.clusterId === clusterId);
    if (clusterId !== undefined && known?.fragments.some(({ name }) => name === fragment) !== true) {
      return refuse(
        "CLUSTER_NOT_FOUND",
        `No cluster ${clusterId} has announced ${fragment} in the world ${world}. Let it announce the fragment first.`,
      );
    }
    if (clusterId !== undefined && !isAssignable(state, fragment)) {
      return refuse(
        "TOO_MANY_ASSIGNMENTS",
        `${maxAssignments} fragments of the world ${world} are assigned. Leave one of them to the rules first, with clusterId null.`,
      );
    }
    if (!isFragmentKnown(state, fragment)) {
      return refuse(
        "FRAGMENT_NOT_FOUND",
        `No cluster announces ${fragment} in the world ${world}, and nobody has assigned it. GET /v1/admin/worlds/${world} shows what there is.`,
      );
    }
    await this.#change(world, (before) => assign(before, fragment, clusterId));
    return { ok: true, overview: this.overview(world) };
  }

  map(world: string): WorldMapView {
    return viewOf(this.#read(world));
  }

  /** The map as operators see it. */
  overview(world: string): WorldOverview {
    return overviewOf(this.#read(world));
  }

  override async alarm(): Promise<void> {
    try {
      await this.#outbox.deliverDue();
      await this.#schedule();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }

  #makeKnown(): void {
    if (!this.#isKnown) migrateStorage(this.ctx.storage, worldMigrations);
    this.#isKnown = true;
  }

  #read(world: string): WorldState {
    return (this.#isKnown ? this.#tables.read() : undefined) ?? openWorld(world);
  }

  async #change(world: string, step: (state: WorldState) => WorldState, asker?: string): Promise<void> {
    const before = this.#read(world);
    const after = step(before);
    const shards = new Set(asker === undefined ? [] : [asker]);
    const stoodIn = newlyStoodIn(before, after);
    if (stoodIn.fragments.length > 0) {
      logEvent(stoodIn.isMeant ? "info" : "warn", "world.stood_in", {
        world,
        fragments: stoodIn.fragments.slice(0, 8),
      });
    }
    if (after.version !== before.version) {
      // A shard whose last cluster has just left has nobody to tell.
      for (const { shard } of after.announcements) shards.add(shard);
      logEvent("info", "world.changed", { world, version: after.version, carriers: after.carriers.size });
      const { pairs } = overlapsOf(viewOf(after));
      if (pairs.length > 0) logEvent("warn", "world.overlaps", { world, overlaps: pairs.slice(0, 8) });
    }
    const disagreements = after.announcements === before.announcements ? [] : disagreementsOf(after);
    if (disagreements.length > 0 && JSON.stringify(disagreements) !== JSON.stringify(disagreementsOf(before))) {
      logEvent("warn", "world.disagreements", { world, disagreements: disagreements.slice(0, 8) });
    }
    this.ctx.storage.transactionSync(() => {
      if (after !== before) this.#tables.write(before, after);
      for (const shard of shards) this.#outbox.putLatest(shard, noticeFor(after, shard));
    });
    // Without a wait in between, so that it is durable together with the notices: should all stop here, they leave all the same.
    const armed = shards.size > 0 ? this.ctx.storage.setAlarm(Date.now() + firstDeliveryMs) : undefined;
    failpoint("world.decided");
    await armed;
    if (shards.size > 0) this.ctx.waitUntil(this.#outbox.deliverDue().then(() => this.#schedule()));
  }

  async #schedule(): Promise<void> {
    await wakeAt(this.ctx.storage, [this.#outbox.nextDueAtMs()]);
  }

  async #deliver({ target, payload }: OutboxMessage<WorldNotice>): Promise<void> {
    await withDeadline(registryShard(this.env, target).worldChanged(payload), objectCallTimeoutMs, "a registry shard");
  }
}

function noticeFor(state: WorldState, shard: string): WorldNotice {
  return {
    world: state.name,
    version: state.version,
    clusters: state.announcements
      .filter((one) => one.shard === shard)
      .map(({ clusterId, boot }) => ({ clusterId, boot, carried: carriedBy(state, clusterId) })),
  };
}
