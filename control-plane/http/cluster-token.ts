import { registryShard } from "../objects/remote.ts";
import { shardOfToken } from "../objects/session-token.ts";
import { ProblemError } from "./problem.ts";

/**
 * The shard that a cluster's session token names. The token says by itself whether this master made it for this cluster: a
 * stranger makes no objects, and no list of regions can end a session.
 */
export async function authenticateCluster(env: Env, clusterId: string, token: string | undefined) {
  const name = token === undefined ? undefined : await shardOfToken(env, clusterId, token);
  if (token === undefined || name === undefined) {
    throw new ProblemError(
      "CLUSTER_SESSION_INVALID",
      "Send the session token of the registration as Authorization: Bearer.",
    );
  }
  return { token, name, shard: registryShard(env, name) };
}
