import type { AllocateRequest } from "../../../protocol/index.ts";
import { latencyToShard } from "../../domain/allocation/latency.ts";
import { policyOf } from "../../domain/allocation/pick.ts";
import { orderShards, type ShardDigest } from "../../domain/allocation/shard-choice.ts";
import {
  homeShard,
  regionOfCluster,
  type ShardMap,
  shardsForCluster,
  shardsOfRegion,
} from "../../domain/clusters/sharding.ts";
import { logEvent } from "../../log.ts";
import { readMasterSettings } from "../../settings.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { registryShard } from "../remote.ts";

interface Digest extends ShardDigest {
  /** Regions that clusters have brought with them; the home shard knows them. */
  readonly regions: readonly string[];
  readonly atMs: number;
}

const freshMs = 1_000;
/** Least time between two looks that names of regions which nobody knows can cause. */
const unknownRegionMs = 20;
const timeoutMs = 2_000;
const maxCached = 4_096;
const cache = new Map<string, Digest>();

/** The shards at which to ask for a seat, the most promising first. Empty where there can be none. */
export async function shardsToAsk(env: Env, request: AllocateRequest): Promise<readonly string[]> {
  const { shards: map } = readMasterSettings(env);
  const { clusterId, region, latencies = {} } = request;
  if (clusterId !== undefined) {
    const home = regionOfCluster(clusterId);
    return home !== undefined && (await isKnownRegion(env, home)) ? shardsForCluster(map, clusterId) : [];
  }
  const names = await shardsIn(env, region);
  if (names.length < 2) return names;
  const digests = await Promise.all(names.map((name) => promisingOf(env, name)));
  const latencyMs = new Map(names.map((name) => [name, latencyToShard(latencies, map, name)]));
  return orderShards(digests, policyOf(request), { latencyOf: (shard) => latencyMs.get(shard), random: Math.random });
}

/** The shards of a region, or of all: those of the map, and those that clusters have brought with them. */
export async function shardsIn(env: Env, region: string | undefined): Promise<readonly string[]> {
  const { shards: map } = readMasterSettings(env);
  if (region === undefined) return (await allRegions(env, map)).flatMap((name) => shardsOfRegion(map, name));
  return (await isKnownRegion(env, region)) ? shardsOfRegion(map, region) : [];
}

/** Whether there may be such a cluster, going by its region: then its shards may be asked. */
export async function isKnownCluster(env: Env, clusterId: string): Promise<boolean> {
  const region = regionOfCluster(clusterId);
  return region !== undefined && isKnownRegion(env, region);
}

/** Every shard that there may be; rejects when that cannot be told. For what none of them must miss. */
export async function certainShards(env: Env): Promise<readonly string[]> {
  const { shards: map } = readMasterSettings(env);
  const home = registryShard(env, homeShard(map)).digest(homeShard(map));
  const { regions } = await withDeadline(home, objectCallTimeoutMs, "the home shard");
  const all = [...new Set([...Object.keys(map.regions), ...Object.keys(map.previous), ...regions])];
  return all.flatMap((name) => shardsOfRegion(map, name));
}

/** Whether there are shards for a region. Those of other names are never asked: every name that is asked becomes an object. */
async function isKnownRegion(env: Env, region: string): Promise<boolean> {
  const { shards: map } = readMasterSettings(env);
  if (Object.hasOwn(map.regions, region) || Object.hasOwn(map.previous, region)) return true;
  const home = homeShard(map);
  if ((await digestOf(env, home)).regions.includes(region)) return true;
  // A cluster may have brought it a moment ago.
  return (await digestOf(env, home, unknownRegionMs)).regions.includes(region);
}

async function allRegions(env: Env, map: ShardMap): Promise<readonly string[]> {
  const brought = await digestOf(env, homeShard(map)).then(
    ({ regions }) => regions,
    () => [],
  );
  return [...new Set([...Object.keys(map.regions), ...Object.keys(map.previous), ...brought])];
}

/** One that cannot be asked counts as one without room: it is asked last. */
async function promisingOf(env: Env, name: string): Promise<ShardDigest> {
  const unknown = { shard: name, clusters: 0, lowestLoad: undefined, packedLoad: undefined, fewestPlaces: undefined };
  return digestOf(env, name).catch(() => unknown);
}

/** What a shard said about itself not long ago; the last that it said while it cannot be asked. */
async function digestOf(env: Env, name: string, maxAgeMs = freshMs): Promise<Digest> {
  const nowMs = Date.now();
  const known = cache.get(name);
  if (known !== undefined && nowMs - known.atMs < maxAgeMs && nowMs >= known.atMs) return known;
  try {
    const answer = await withDeadline(registryShard(env, name).digest(name), timeoutMs, "a registry shard");
    const digest: Digest = { ...answer, regions: [...answer.regions], atMs: nowMs };
    if (cache.size >= maxCached) cache.clear();
    cache.set(name, digest);
    return digest;
  } catch (error) {
    logEvent("warn", "registry.digest_failed", { shard: name, error });
    if (known === undefined) throw error;
    return known;
  }
}
