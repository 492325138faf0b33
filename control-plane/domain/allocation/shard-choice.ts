import type { AllocationPolicy } from "../../../protocol/index.ts";
import { latencyScore } from "./pick.ts";
import { type ShardMap, shardsForCluster } from "../clusters/sharding.ts";

/** What a shard says about itself so that allocations need not ask every shard. Seconds old is good enough. */
export interface ShardDigest {
  readonly shard: string;
  /** Clusters that can be offered. */
  readonly clusters: number;
  /** Load of its least loaded cluster that has room; `undefined` when none has. */
  readonly lowestLoad: number | undefined;
  /** The greatest load of a cluster that has room, as far as it is below 1. */
  readonly packedLoad: number | undefined;
  /** The fewest places that are taken on one of some clusters with room, drawn by chance. */
  readonly fewestPlaces: number | undefined;
}

/** What else decides. */
export interface ShardSigns {
  /** What the client measured to the nearest of a shard's clusters, in ms. */
  readonly latencyOf: (shard: string) => number | undefined;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Loads that differ by less than this count as equal: a digest is a moment old, and all who see it would go to one shard. */
const loadStep = 0.05;

/**
 * The shards in the order in which to ask them: of two, drawn by chance in proportion to their clusters, the better one, then
 * the other, then the rest. One that last said that it has no room comes last: it may have some now.
 */
export function orderShards(
  digests: readonly ShardDigest[],
  policy: AllocationPolicy,
  { latencyOf, random }: ShardSigns,
): readonly string[] {
  const roomy = digests.filter(({ lowestLoad }) => lowestLoad !== undefined);
  const others = digests.filter(({ lowestLoad }) => lowestLoad === undefined);
  const ordered =
    policy === "packed"
      ? roomy.toSorted(byPackedLoad)
      : policy === "latency"
        ? nearestFirst(roomy, latencyOf).flatMap((equals) => drawTwo(equals, policy, random))
        : drawTwo(roomy, policy, random);
  return [...ordered, ...shuffle(others, random)].map(({ shard }) => shard);
}

/** Everybody has to come to the same one, or nothing is packed. */
function byPackedLoad(a: ShardDigest, b: ShardDigest): number {
  return (b.packedLoad ?? -1) - (a.packedLoad ?? -1) || (a.shard < b.shard ? -1 : 1);
}

/** Groups of shards that are equally far away; the group that has the best to offer first. */
function nearestFirst(
  digests: readonly ShardDigest[],
  latencyOf: ShardSigns["latencyOf"],
): readonly (readonly ShardDigest[])[] {
  const groups = Map.groupBy(digests, ({ shard }) => latencyOf(shard));
  const best = (group: readonly ShardDigest[]) =>
    Math.min(...group.map(({ shard, lowestLoad = 1 }) => latencyScore(latencyOf(shard), lowestLoad)));
  return [...groups.values()].toSorted((a, b) => best(a) - best(b));
}

function drawTwo(
  digests: readonly ShardDigest[],
  policy: AllocationPolicy,
  random: () => number,
): readonly ShardDigest[] {
  const drawn = shuffle(digests, random);
  const [first, second, ...rest] = drawn;
  if (first === undefined || second === undefined) return drawn;
  return worthOf(second, policy) < worthOf(first, policy) ? [second, first, ...rest] : drawn;
}

/** Less is better. */
function worthOf(digest: ShardDigest, policy: AllocationPolicy): number {
  return policy === "distributed" ? (digest.fewestPlaces ?? 0) : Math.round((digest.lowestLoad ?? 1) / loadStep);
}

/** In an order drawn by chance, in which shards with more clusters tend to come earlier. */
function shuffle(digests: readonly ShardDigest[], random: () => number): ShardDigest[] {
  const weighted = digests.map((digest) => ({ digest, key: (1 - random()) ** (1 / Math.max(1, digest.clusters)) }));
  return weighted.toSorted((a, b) => b.key - a.key).map(({ digest }) => digest);
}

/** Which shards to ask for a seat, and whether to spare the clusters that are to be avoided. */
export interface ShardQuestion {
  readonly shard: string;
  readonly sparing: boolean;
}

/**
 * Every shard once, in this order; clusters that are to be avoided are spared as long as another shard may have others, so
 * those that may have one of them are asked again at the end. [ALLOC-12]
 */
export function askingOrder(
  shards: readonly string[],
  avoid: readonly string[],
  map: ShardMap,
): readonly ShardQuestion[] {
  const sparing = shards.length > 1 && avoid.length > 0;
  const first = shards.map((shard) => ({ shard, sparing }));
  if (!sparing) return first;
  const homes = new Set(avoid.flatMap((clusterId) => shardsForCluster(map, clusterId)));
  return [...first, ...shards.filter((shard) => homes.has(shard)).map((shard) => ({ shard, sparing: false }))];
}
