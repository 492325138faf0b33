import type { LinkReach, ReachFault } from "../../protocol/index.ts";

const reasons: Readonly<Record<ReachFault, string>> = {
  private:
    "it is an address of a private network; where master and players are in it too, set PROBE_CLUSTERS to off at the master",
  timeout: "no answer in time: a firewall may drop what comes to this port",
  refused: "no connection: is the name right, is the port open and forwarded to this machine?",
};

/** What the master says of this cluster's address, in one line for whoever runs the cluster. */
export function explainReach(reach: LinkReach, masterUrl: string): string {
  const address = reach.host.includes(":") ? `[${reach.host}]:${reach.port}` : `${reach.host}:${reach.port}`;
  return reach.fault === undefined
    ? `the master at ${masterUrl} has reached this cluster at ${address}`
    : `the master at ${masterUrl} cannot reach this cluster at ${address} and sends no players: ${reasons[reach.fault]} (advertised_host, advertised_port)`;
}
