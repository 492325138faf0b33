/** How many registry shards each region has, as the setting `SHARDS` says. */
export interface ShardMap {
  /** Raised with every change. */
  readonly version: number;
  readonly regions: Readonly<Record<string, number>>;
  /** Numbers of an earlier version: clusters that have not registered again since are still on those shards. */
  readonly previous: Readonly<Record<string, number>>;
}

const maxShardsPerRegion = 256;
const regionPattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const instanceDigestPattern = /^[\w-]{22}$/;

/** Whether `text` can name a region: 1 to 32 of `a`–`z`, `0`–`9` and inner `-`. */
export function isRegion(text: string): boolean {
  return regionPattern.test(text);
}

/** The shard map that `text` (JSON) describes, or `undefined` when it does not. */
export function parseShardMap(text: string): ShardMap | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { version, regions, previous = {} }: { version?: unknown; regions?: unknown; previous?: unknown } = value;
  const counts = parseCounts(regions);
  const previousCounts = parseCounts(previous);
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 1) return undefined;
  if (counts === undefined || previousCounts === undefined || Object.keys(counts).length === 0) return undefined;
  return { version, regions: counts, previous: previousCounts };
}

function parseCounts(value: unknown): Record<string, number> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const counts: Record<string, number> = {};
  for (const [region, count] of Object.entries(value)) {
    if (!isRegion(region) || typeof count !== "number" || !Number.isInteger(count)) return undefined;
    if (count < 1 || count > maxShardsPerRegion) return undefined;
    counts[region] = count;
  }
  return counts;
}

/**
 * The id of a running cluster: `<region>.<22 characters>`, the latter a digest of its key and instance name. The region
 * can be told from it, and the same process that registers again gets the same id.
 */
export async function createClusterId(region: string, keyId: string, instance: string): Promise<string> {
  const bytes = new TextEncoder().encode(`${keyId}\n${instance}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).subarray(0, 16);
  return `${region}.${toBase64Url(digest)}`;
}

/** The region of a cluster id, or `undefined` when `clusterId` is not one. */
export function regionOfCluster(clusterId: string): string | undefined {
  const dot = clusterId.lastIndexOf(".");
  const region = clusterId.slice(0, Math.max(0, dot));
  return isRegion(region) && instanceDigestPattern.test(clusterId.slice(dot + 1)) ? region : undefined;
}

/** The name of the shard at which a cluster registers: the highest rendezvous score of its region's shards. */
export function shardOfCluster(map: ShardMap, clusterId: string): string | undefined {
  const region = regionOfCluster(clusterId);
  if (region === undefined) return undefined;
  const count = map.regions[region] ?? 1;
  let best = 0;
  let bestScore = -1;
  for (let index = 0; index < count; index += 1) {
    const score = rendezvousScore(clusterId, index);
    if (score > bestScore) [best, bestScore] = [index, score];
  }
  return shardName(region, best);
}

/** Every shard on which clusters of a region may be, under this version and the one before. */
export function shardsOfRegion(map: ShardMap, region: string): readonly string[] {
  const count = Math.max(map.regions[region] ?? 1, map.previous[region] ?? 0);
  return Array.from({ length: count }, (_, index) => shardName(region, index));
}

/** The shards on which a cluster may be, the likeliest first. */
export function shardsForCluster(map: ShardMap, clusterId: string): readonly string[] {
  const region = regionOfCluster(clusterId);
  const first = shardOfCluster(map, clusterId);
  if (region === undefined || first === undefined) return [];
  return [first, ...shardsOfRegion(map, region).filter((name) => name !== first)];
}

/** The shard that remembers which regions there are beside those of the map. */
export function homeShard(map: ShardMap): string {
  return shardName(Object.keys(map.regions)[0] ?? "default", 0);
}

/** The region whose clusters are on a shard. */
export function regionOfShard(shard: string): string {
  return shard.slice(0, shard.lastIndexOf("."));
}

function shardName(region: string, index: number): string {
  return `${region}.${index}`;
}

/** 32 well-mixed bits of cluster and shard (FNV-1a, then the finaliser of MurmurHash3). */
function rendezvousScore(clusterId: string, index: number): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`${clusterId}#${index}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Unpadded base64url. */
export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
