import type { LinkOrders, RegisterRequest } from "../../../protocol/index.ts";

/** What operators have set for a cluster, in place of what it says of itself or of what the master does for all. */
export interface OrderedSettings {
  readonly ticketLifetimeSeconds?: number | undefined;
  /** 0: no limit. */
  readonly capacity?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** How many players a second may be sent there. */
  readonly joinRatePerSecond?: number | undefined;
}

/** An order to a cluster to empty itself and end. */
export interface DrainOrder {
  readonly deadlineAtMs: number;
  /** Players are told to allocate again; without it, it waits for them to leave by themselves. */
  readonly movePlayers: boolean;
  readonly orderedAtMs: number;
}

/** Everything that operators have ordered of a cluster. */
export interface ClusterOrders {
  /** Raised with every change; 0 when there was none. */
  readonly version: number;
  readonly locked: boolean;
  readonly drain: DrainOrder | null;
  readonly settings: OrderedSettings;
}

export const noOrders: ClusterOrders = { version: 0, locked: false, drain: null, settings: {} };

/** What a cluster has said of itself, as far as orders can take its place. */
export type DeclaredSettings = Pick<
  RegisterRequest,
  "capacity" | "tags" | "labels" | "ticketLifetimeSeconds" | "joinRatePerSecond"
>;

/** What is in force. */
export function settingsInForce(
  declared: DeclaredSettings,
  orders: ClusterOrders,
): Required<Pick<DeclaredSettings, "capacity" | "tags" | "labels">> &
  Pick<DeclaredSettings, "ticketLifetimeSeconds" | "joinRatePerSecond"> {
  const { settings } = orders;
  return {
    capacity: settings.capacity ?? declared.capacity,
    tags: settings.tags ?? declared.tags,
    labels: settings.labels ?? declared.labels ?? {},
    ticketLifetimeSeconds: settings.ticketLifetimeSeconds ?? declared.ticketLifetimeSeconds,
    joinRatePerSecond: settings.joinRatePerSecond ?? declared.joinRatePerSecond,
  };
}

/**
 * The orders as they apply to a process that registers now. A drain is for what ran when it was ordered, and for whatever takes its
 * place before the deadline; a process that comes after it is a new one.
 */
export function ordersAtRegistration(orders: ClusterOrders, nowMs: number): ClusterOrders {
  return orders.drain !== null && orders.drain.deadlineAtMs <= nowMs ? { ...orders, drain: null } : orders;
}

/** What the cluster is told of it. */
export function ordersCommand(orders: ClusterOrders, nowMs: number): LinkOrders {
  const { version, drain, settings } = orders;
  return {
    type: "orders",
    version,
    drain:
      drain === null ? null : { deadlineMs: Math.max(0, drain.deadlineAtMs - nowMs), movePlayers: drain.movePlayers },
    settings: settings.capacity === undefined ? {} : { capacity: settings.capacity },
  };
}
