import type { Clock } from "./clock.ts";
import type { ClusterSettings } from "./config/settings.ts";
import type { Layout } from "./fragments/layout.ts";
import type { ClusterLimits } from "./limits.ts";
import type { Logger } from "./log.ts";
import type { Fence } from "./master-link/fence.ts";
import type { Registration } from "./master-link/master-answers.ts";
import type { LinkPace } from "./master-link/master-link.ts";
import type { MetricsSnapshot } from "./metrics.ts";
import type { Readiness } from "./ops/ops-server.ts";
import type { Peers } from "./peers/peers.ts";
import type { HookWatch } from "./plugin/hook-names.ts";
import type { ServerPlugin } from "./plugin/server-plugin.ts";
import type { WorldCounts } from "./world/cluster-world.ts";

export interface ClusterOptions {
  readonly settings: ClusterSettings;
  /** Game logic; several are asked in this order. */
  readonly plugin: ServerPlugin | readonly ServerPlugin[];
  readonly logger: Logger;
  /** Bounds other than the usual ones. */
  readonly limits?: Partial<ClusterLimits>;
  /** Waiting times towards the master other than the usual ones. */
  readonly pace?: Partial<LinkPace>;
  readonly clock?: Clock;
  /** Told which hook runs. */
  readonly watch?: HookWatch;
}

/** A cluster in this process. */
export interface ClusterServer {
  /**
   * Loads keys, listens, starts the plugin, and begins to register. Resolves when players can connect; they can join once
   * the master has taken the registration, for which this does not wait.
   *
   * @throws KeyError, StorageError, ListenError, or what the plugin's `onStart` threw
   */
  start(): Promise<void>;
  /**
   * Lets nobody in, lets the plugins bring the game to its end, hands over the players whom other clusters of the world can take,
   * deregisters, tells all others to go, and resolves when it is over: at the latest `drainSeconds`, `stopTimeoutMs` and three seconds from now.
   */
  stop(): Promise<void>;
  /** Looks at once whether there is another certificate. */
  reloadCertificate(): Promise<void>;
  /** Takes over another layout of the world while players play; without effect where there is no world. */
  changeLayout(layout: Layout): void;
  /** Where it listens, and where players are sent; `undefined` before it has started. */
  readonly address: ClusterAddress | undefined;
  readonly metrics: MetricsSnapshot;
  /** Whether players can join. */
  readonly readiness: Readiness;
  /** The other clusters of the world; `undefined` where it is not shared, and before the start. */
  readonly peers: Peers | undefined;
  /** What the world has done so far; `undefined` where there is none. */
  readonly worldCounts: WorldCounts | undefined;
  /** Port of health and metrics, where they are served. */
  readonly opsPort: number | undefined;
  /** Resolves with the first registration. */
  readonly registered: Promise<Registration>;
  /** Resolves when a newer process with the same key and instance has taken over, or the key has ended: then this one has to stop. */
  readonly superseded: Promise<Fence>;
  /** Resolves when an operator's order to drain has been carried out, or its time is over: then this process has to stop. */
  readonly drained: Promise<void>;
}

export interface ClusterAddress {
  readonly port: number;
  readonly advertisedHost: string;
  readonly advertisedPort: number;
  /** Where it listens for WebSocket, if it does. */
  readonly webSocketPort: number | undefined;
}
