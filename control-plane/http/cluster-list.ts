import type { ClusterListing } from "../../protocol/index.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { shardsIn } from "../objects/shard/shard-directory.ts";
import { registryShard } from "../objects/remote.ts";
import { ProblemError } from "./problem.ts";

const freshMs = 1_000;
const maxCached = 1_024;
const cache = new Map<string, { readonly clusters: readonly ClusterListing[]; readonly atMs: number }>();

/** The clusters of a region, or of all. At most a second old: the list is open to all, and must not weigh on allocations. */
export async function listClusters(env: Env, region: string | undefined): Promise<ClusterListing[]> {
  const shards = await shardsIn(env, region);
  if (shards.length === 0 && region !== undefined) {
    throw new ProblemError("REGION_NOT_FOUND", `There is no region ${region}. Leave it out for the clusters of all.`);
  }
  const lists = await Promise.all(shards.map((shard) => listingOf(env, shard)));
  return lists.flat();
}

async function listingOf(env: Env, shard: string): Promise<readonly ClusterListing[]> {
  const nowMs = Date.now();
  const known = cache.get(shard);
  if (known !== undefined && nowMs >= known.atMs && nowMs - known.atMs < freshMs) return known.clusters;
  const listing = registryShard(env, shard).listing();
  const clusters = await withDeadline<readonly ClusterListing[]>(listing, objectCallTimeoutMs, "a registry shard");
  if (cache.size >= maxCached) cache.clear();
  cache.set(shard, { clusters, atMs: nowMs });
  return clusters;
}
