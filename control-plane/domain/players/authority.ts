/** Where a player's newest session is: it alone has authority. */
export interface Authority {
  readonly generation: number;
  readonly clusterId: string;
  /** The shard that the cluster is registered at. */
  readonly shard: string;
}

/** An order to a cluster to close a player's sessions below `generation`. */
export interface FenceOrder {
  readonly shard: string;
  readonly clusterId: string;
  readonly generation: number;
}
