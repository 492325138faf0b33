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

/**
 * A ticket was used: who has authority now, and whom that throws out. Reports of two clusters may arrive in either order;
 * the newest generation wins in both.
 */
export function authorityAfterUse(
  current: Authority | undefined,
  used: Authority,
): { readonly authority: Authority; readonly fence: FenceOrder | undefined } {
  if (current === undefined) return { authority: used, fence: undefined };
  // The cluster has moved to another shard with its players.
  if (used.generation === current.generation && used.clusterId === current.clusterId) {
    return { authority: used, fence: undefined };
  }
  const [newer, older] = used.generation > current.generation ? [used, current] : [current, used];
  // On one cluster the newer connection has replaced the older by itself.
  const overlaps = newer.generation > older.generation && newer.clusterId !== older.clusterId;
  const fence = overlaps ? { shard: older.shard, clusterId: older.clusterId, generation: newer.generation } : undefined;
  return { authority: newer, fence };
}
