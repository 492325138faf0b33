import { type FragmentArea, maxFragmentsPerCluster, type WorldAnnouncement } from "../../protocol/index.ts";
import type { Layout, Point } from "../fragments/layout.ts";

/** Where a world of two dimensions has no bounds of height. */
const endless = 1e9;

/** The world that a cluster shares with others, and where they reach it. */
export type SharedWorld = Required<Pick<WorldAnnouncement, "name" | "peer">>;

/**
 * What the cluster tells the master of the fragments that it carries, so that players can be sent to them. `undefined` where they are
 * more than the master takes: then players are sent to the cluster as a whole.
 */
export function announceWorld({ fragments }: Layout, shared?: SharedWorld): WorldAnnouncement | undefined {
  const carried = fragments.filter((fragment) => fragment.carried);
  if (carried.length > maxFragmentsPerCluster) return undefined;
  return {
    ...shared,
    fragments: carried.map(({ name, box: { min, max }, ticketLifetimeSeconds }): FragmentArea => ({
      name,
      min: corner(min),
      max: corner(max),
      ticketLifetimeSeconds,
    })),
  };
}

function corner({ x, y, z }: Point): [number, number, number] {
  return [x, Math.max(-endless, Math.min(endless, y)), z];
}
