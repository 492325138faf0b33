import { regionOfCluster, regionOfShard, shardOfCluster, type ShardMap } from "../clusters/sharding.ts";

/** What a client has measured, in ms, by cluster id or by region. */
export type Latencies = Readonly<Record<string, number>>;

/** The greatest measurement that is taken, in ms; what was not measured counts as this. */
export const maxLatencyMs = 2_000;

/** The greatest number of measurements in one request. */
export const maxLatencies = 64;

/** What was measured to a cluster: itself, or else its region. Only the client's own entries count, whatever they are called. */
export function latencyToCluster(latencies: Latencies, clusterId: string): number | undefined {
  return own(latencies, clusterId) ?? own(latencies, regionOfCluster(clusterId) ?? "");
}

/** The least that was measured to anything on a shard. */
export function latencyToShard(latencies: Latencies, map: ShardMap, shard: string): number | undefined {
  const measured = Object.keys(latencies)
    .filter((name) => name === regionOfShard(shard) || shardOfCluster(map, name) === shard)
    .flatMap((name) => own(latencies, name) ?? []);
  return measured.length === 0 ? undefined : Math.min(...measured);
}

/** The clusters that were measured one by one. */
export function measuredClusters(latencies: Latencies): readonly string[] {
  return Object.keys(latencies).filter((name) => regionOfCluster(name) !== undefined);
}

function own(latencies: Latencies, name: string): number | undefined {
  return Object.hasOwn(latencies, name) ? latencies[name] : undefined;
}
