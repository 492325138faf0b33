import { peerTicketKind, signPeerTicket } from "../../../auth/peer-ticket.ts";
import type { PeerTicketGrant } from "../../../protocol/index.ts";
import { readMasterSettings } from "../../settings.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { worldMap } from "../remote.ts";
import { currentSigningKey } from "../key/signing-key.ts";

/**
 * A ticket for a link from one cluster to another of its world; `undefined` when that is not one which carries anything and takes
 * peers: a cluster meets only those whom it may have to hand players to. [PEER-3]
 */
export async function grantPeerTicket(
  env: Env,
  source: { readonly clusterId: string; readonly boot: number },
  world: string,
  destination: string,
): Promise<PeerTicketGrant | undefined> {
  if (world === "" || destination === source.clusterId) return undefined;
  const map = await withDeadline(worldMap(env, world).map(world), objectCallTimeoutMs, "the map of a world");
  const peer = map.clusters.find(({ clusterId }) => clusterId === destination);
  if (peer?.peer === undefined) return undefined;
  const now = Math.floor(Date.now() / 1_000);
  const signingKey = await currentSigningKey(env, Date.now());
  const ticket = await signPeerTicket(
    { world, source, destination: { clusterId: destination, boot: peer.boot } },
    { issuer: readMasterSettings(env).masterUrl, now },
    signingKey,
  );
  return { ticket, expiresAt: now + peerTicketKind.maxLifetimeSeconds };
}
