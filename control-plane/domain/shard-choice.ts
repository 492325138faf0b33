/** What a shard says about itself so that allocations need not ask every shard. Seconds old is good enough. */
export interface ShardDigest {
  readonly shard: string;
  /** Clusters that can be offered. */
  readonly clusters: number;
  /** Load of its least loaded cluster that has room; `undefined` when none has. */
  readonly lowestLoad: number | undefined;
}

/**
 * The shards to ask, the most promising first. One that last said that it has no room is asked last: it may have some now.
 * `random` breaks ties.
 */
export function orderShards(digests: readonly ShardDigest[], random: () => number): readonly string[] {
  return digests
    .map((digest) => ({ shard: digest.shard, load: digest.lowestLoad ?? Number.POSITIVE_INFINITY, tie: random() }))
    .sort((a, b) => (a.load === b.load ? a.tie - b.tie : a.load - b.load))
    .map(({ shard }) => shard);
}
