import { isIPv6 } from "node:net";
import {
  type Allocation,
  type ClusterTls,
  type RegisterRequest,
  versions,
  type WorldAnnouncement,
} from "../../protocol/index.ts";
import type { ClusterAddress } from "../cluster-server.ts";
import type { ClusterSettings } from "../config/settings.ts";

const software = "sustenet-cluster/0.1.0";

/** What of the cluster changes while it runs. */
export interface PresentFacts {
  readonly tls: ClusterTls;
  readonly counters: Readonly<Record<string, number>>;
  /** `undefined` where nobody has laid a world out: its one fragment is nothing to send players to. */
  readonly world: WorldAnnouncement | undefined;
}

type DescribedSettings = Pick<
  ClusterSettings,
  | "serverName"
  | "wsUrl"
  | "instance"
  | "region"
  | "maxConnections"
  | "tags"
  | "labels"
  | "gameBuild"
  | "joinRatePerSecond"
  | "ticketLifetimeSeconds"
>;

/** What a cluster says of itself when it registers. */
export function describeCluster(
  settings: DescribedSettings,
  address: ClusterAddress,
  { tls, counters, world }: PresentFacts,
): RegisterRequest {
  const { instance, region, maxConnections, tags, labels, gameBuild, joinRatePerSecond } = settings;
  const { ticketLifetimeSeconds } = settings;
  return {
    instance,
    region,
    ...describeAddress(settings, address, tls),
    ...(world === undefined ? {} : { world }),
    capacity: maxConnections,
    protocol: versions,
    tags,
    // Left out rather than sent as 0: a master of an earlier version refuses what it does not know.
    ...(joinRatePerSecond === 0 ? {} : { joinRatePerSecond }),
    ...(ticketLifetimeSeconds === undefined ? {} : { ticketLifetimeSeconds }),
    labels: Object.fromEntries(labels.map(labelEntry)),
    counters,
    ...(gameBuild === undefined ? {} : { gameBuild }),
    software,
  };
}

/** Where players reach a cluster. */
export function describeAddress(
  { serverName, wsUrl }: Pick<ClusterSettings, "serverName" | "wsUrl">,
  address: ClusterAddress,
  tls: ClusterTls,
): Omit<Allocation["cluster"], "id"> {
  const wssUrl = address.webSocketPort === undefined ? undefined : (wsUrl ?? webSocketUrl(address));
  return {
    name: serverName,
    host: address.advertisedHost,
    port: address.advertisedPort,
    ...(wssUrl === undefined ? {} : { wssUrl }),
    tls,
  };
}

function webSocketUrl({ advertisedHost, webSocketPort }: ClusterAddress): string {
  const host = isIPv6(advertisedHost) ? `[${advertisedHost}]` : advertisedHost;
  return `wss://${host}:${webSocketPort}`;
}

/** A label of the settings, which have looked at its form. */
function labelEntry(label: string): [string, string] {
  const equals = label.indexOf("=");
  return [label.slice(0, equals), label.slice(equals + 1)];
}
