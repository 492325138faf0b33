import { stateAfter } from "../../domain/clusters/cluster-states.ts";
import { admitsRegion, maxBroughtRegions, maxRegionsPerKey } from "../../domain/clusters/region-cap.ts";
import { homeShard, shardsOfRegion } from "../../domain/clusters/sharding.ts";
import { readLimits } from "../../limit-settings.ts";
import { logEvent } from "../../log.ts";
import type { ClusterMoves } from "./cluster-moves.ts";
import { logMove } from "./cluster-standing.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { refuse, type Refusal } from "../refusal.ts";
import {
  type AssertionUse,
  checkAssertion,
  type CheckedAssertion,
  enrolledKey,
  refuseRevokedKey,
  type RegistrationRequest,
  useAssertion,
} from "./registration.ts";
import type { RegistryKeys } from "./registry-keys.ts";
import type { RegistryReach } from "./registry-reach.ts";
import type { RegistryRevocations } from "./registry-revocations.ts";
import type { RegistryWorlds } from "./registry-worlds.ts";
import { registryShard } from "../remote.ts";
import type { ShardOrders } from "./shard-orders.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Least time between two looks at whether a region has clusters; longer than a registration takes. */
const regionCheckMs = 60_000;
const regionCheckTimeoutMs = 1_000;

/** What of a shard has to know when a cluster process registers. */
export interface IntakeParts {
  readonly orders: ShardOrders;
  readonly reach: RegistryReach;
  readonly moves: ClusterMoves;
  readonly worlds: RegistryWorlds;
  readonly revocations: RegistryRevocations;
  readonly keys: RegistryKeys;
}

/** Takes cluster processes in: who they are, whether they may, and what changes with that. */
export class ClusterIntake {
  readonly #parts: ShardParts;
  readonly #others: IntakeParts;
  readonly #env: Env;

  constructor(parts: ShardParts, others: IntakeParts, env: Env) {
    this.#parts = parts;
    this.#others = others;
    this.#env = env;
  }

  /** Whether the request is by the key that it names, and that key may register. */
  async check(request: RegistrationRequest): Promise<({ readonly ok: true } & CheckedAssertion) | Refusal> {
    const { registrations, settings } = this.#parts;
    if (this.#others.orders.isRevoked(request.keyId)) return refuseRevokedKey(request.keyId);
    const enrolled = await enrolledKey(registrations, this.#env, request.keyId);
    return enrolled.ok ? checkAssertion(request, enrolled.key, settings().masterUrl) : enrolled;
  }

  /**
   * An assertion serves once, whichever region it is shown in: one shard remembers them all. It is asked before anything is
   * changed, so an assertion may be lost with a crash, but never serves twice.
   */
  async useOnce(request: RegistrationRequest, assertion: CheckedAssertion): Promise<AssertionUse> {
    const { shard, keyId } = request;
    const home = homeShard(this.#parts.settings().shards);
    if (home === shard) return this.use(keyId, assertion);
    const used = registryShard(this.#env, home).useAssertion(keyId, assertion);
    return withDeadline(used, objectCallTimeoutMs, "the home shard");
  }

  /** Takes an assertion that has been verified, once, and not too many of one key. */
  use(keyId: string, assertion: CheckedAssertion): AssertionUse {
    const { storage, registrations } = this.#parts;
    return storage.transactionSync(() => useAssertion(registrations, readLimits(this.#env), keyId, assertion));
  }

  /** Puts the process in the place of the one before it. Nothing waits in it: the epoch, the fence and the row change together. */
  install(request: RegistrationRequest, tokenHash: string, nowMs: number): number {
    const { storage, tables, candidates, registrations, links, records } = this.#parts;
    const { orders, reach, moves, worlds, revocations, keys } = this.#others;
    const { clusterId, shard, details } = request;
    const previous = tables.cluster(clusterId);
    const boot = Math.max((previous?.boot ?? 0) + 1, nowMs);
    const reached = reach.isReached(previous, details);
    const awaited = moves.awaited(shard, clusterId, previous);
    const state = stateAfter(previous?.state ?? "gone", "registered", reached && awaited.length === 0);
    storage.transactionSync(() => {
      if (previous !== undefined) registrations.noteFencedToken(previous.token_hash, "newer-process", nowMs);
      tables.putCluster({ clusterId, shard, boot, tokenHash, state, nowMs }, details);
      reach.begin(clusterId, reached, nowMs);
      candidates.putFacts(clusterId, details);
      tables.setJoinRate(clusterId, details.joinRatePerSecond);
      records.cluster("registered", { clusterId, name: details.name, shard, boot }, nowMs);
      orders.apply(clusterId, request, nowMs);
      worlds.noteRegistration({ clusterId, shard, boot, nowMs }, details, previous);
      revocations.startOver(clusterId);
      keys.startOver(clusterId);
      moves.begin({ clusterId, shard, boot }, awaited, nowMs);
    });
    links.fence(clusterId, "newer-process");
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
   * Notes a region that the map does not name, if an enrolled cluster is about to register there: no stranger can have shards
   * made. Takes the assertion first, so that one that was used before adds nothing. Asked of the home shard.
   */
  async admitRegion(request: RegistrationRequest): Promise<{ readonly ok: true } | Refusal> {
    const admitted = await this.check(request);
    if (!admitted.ok) return admitted;
    const use = this.use(request.keyId, admitted);
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
        const shards = shardsOfRegion(map, brought.region).map((name) => registryShard(this.#env, name).hasClusters());
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
}
