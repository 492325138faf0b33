import type { AllocateRequest } from "../../../protocol/index.ts";
import type { Authority } from "../players/authority.ts";
import { regionOfCluster } from "./sharding.ts";

/**
 * The cluster to which a player belongs who asks for none: the one that holds the newest session. Somebody whose app was
 * restarted while the cluster keeps the session for its return comes back to it. Whether the cluster still has that session is
 * for its shard to say.
 */
export function clusterToReturnTo(
  authority: Authority | undefined,
  wish: Pick<AllocateRequest, "clusterId" | "region" | "avoid">,
): { readonly clusterId: string; readonly shard: string } | undefined {
  if (authority === undefined || wish.clusterId !== undefined) return undefined;
  const { clusterId, shard } = authority;
  if (wish.region !== undefined && wish.region !== regionOfCluster(clusterId)) return undefined;
  return (wish.avoid ?? []).includes(clusterId) ? undefined : { clusterId, shard };
}

/** What decides whether a cluster takes back a player who has a seat there. */
export interface ReturnSigns {
  readonly draining: boolean;
  readonly live: boolean;
  /** The player is in the game there, or is kept for a return. */
  readonly isHeld: boolean;
  /** Has what the request wants. */
  readonly fits: boolean;
}

/** Full or locked does not matter: the seat is the player's. A cluster that empties takes nobody. */
export function takesBack({ draining, live, isHeld, fits }: ReturnSigns): boolean {
  return isHeld && live && !draining && fits;
}
