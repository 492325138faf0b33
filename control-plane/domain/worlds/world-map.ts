import type { ClusterTls, FragmentArea, WorldMapView } from "../../../protocol/index.ts";
import { type Carriers, isLeaving, settleCarriers } from "./world-carriers.ts";
import { goodStanding, type WorldStanding } from "./world-standing.ts";

/** A cluster and what it can carry of a world. Decision: docs/adr/0012-world-map.md. */
export interface Announcement {
  readonly clusterId: string;
  readonly boot: number;
  /** The registry shard that the cluster is on. */
  readonly shard: string;
  readonly fragments: readonly FragmentArea[];
  readonly peer: { readonly host: string; readonly port: number; readonly tls: ClusterTls } | undefined;
  /** It empties itself, and has its players taken over: it carries only what nobody else can. [WORLD-6] */
  readonly leaving?: boolean;
  /** Version of the operators' orders that say whether it leaves. None: 0. */
  readonly ordersVersion?: number;
  /** What speaks against giving it more, and the version of that. None: nothing, 0. [WORLD-7] */
  readonly standing?: WorldStanding;
  readonly standingVersion?: number;
  /** Its process has said that it is about to end: it leaves, whatever operators order. [WORLD-8] */
  readonly ending?: true;
}

/** Whether a cluster is leaving: by the operators' orders of this version, or as its process is about to end. */
export type Departure = { readonly clusterId: string; readonly boot: number } & (
  | { readonly leaving: boolean; readonly ordersVersion: number }
  | { readonly ending: true }
);

/** What speaks against giving a cluster more, as its shard knows it by this version. */
export interface StandingNote {
  readonly clusterId: string;
  readonly boot: number;
  readonly standing: WorldStanding;
  readonly standingVersion: number;
}

/** Who may carry what in one world, and who does. Announcements are in the order in which the clusters came. */
export interface WorldState extends Carriers {
  readonly name: string;
  /** Rises whenever {@link viewOf} changes. */
  readonly version: number;
  readonly announcements: readonly Announcement[];
  /** What operators have decided: cluster id by fragment. */
  readonly assignments: ReadonlyMap<string, string>;
}

/** The greatest number of clusters of a world. Bounds the map. */
export const maxWorldClusters = 1_024;
/** The greatest number of fragments that all clusters of a world may announce together. Bounds the work of a change. */
export const maxAnnouncedFragments = 16_384;
/** The greatest number of fragments that operators may assign. */
export const maxAssignments = 4_096;

export function openWorld(name: string): WorldState {
  return {
    name,
    version: 0,
    announcements: [],
    carriers: new Map(),
    provisional: new Set(),
    assignments: new Map(),
  };
}

/** What a world has no more room for to take an announcement; `undefined` when it has. What comes late needs none. [WORLD-9] */
export function shortageFor(
  { announcements }: Pick<WorldState, "announcements">,
  announcement: Announcement,
): "clusters" | "fragments" | undefined {
  const before = announcements.find(({ clusterId }) => clusterId === announcement.clusterId);
  if (before !== undefined && before.boot > announcement.boot) return undefined;
  if (before === undefined && announcements.length >= maxWorldClusters) return "clusters";
  const others = announcements.filter((one) => one !== before);
  const fragments = others.reduce((sum, one) => sum + one.fragments.length, announcement.fragments.length);
  return fragments > maxAnnouncedFragments ? "fragments" : undefined;
}

/**
 * A cluster has registered. One that is known keeps its place in the order; an older boot changes nothing, and nor does what there is no room
 * for. [WORLD-4] [WORLD-9]
 */
export function announce(state: WorldState, announcement: Announcement): WorldState {
  if (shortageFor(state, announcement) !== undefined) return state;
  const { announcements } = state;
  const known = announcements.findIndex(({ clusterId }) => clusterId === announcement.clusterId);
  const before = announcements[known];
  if (before === undefined) return decide(state, { ...state, announcements: [...announcements, announcement] });
  if (before.boot > announcement.boot) return state;
  // Told twice, it takes back nothing that was said of this process in between.
  const isLate = before.boot === announcement.boot && ordersOf(before) > ordersOf(announcement);
  const { leaving = false, ordersVersion = 0 } = isLate ? before : announcement;
  const isOlder = before.boot === announcement.boot && standingVersionOf(before) > standingVersionOf(announcement);
  const { standing = goodStanding, standingVersion = 0 } = isOlder ? before : announcement;
  const isEnding = before.boot === announcement.boot && before.ending === true;
  const ending = isEnding ? ({ ending: true } as const) : {};
  const next = { ...announcement, leaving, ordersVersion, standing, standingVersion, ...ending };
  return decide(state, { ...state, announcements: announcements.with(known, next) });
}

/**
 * A cluster is told to empty itself and to have its players taken over, or that is taken back; or it does so by itself, for good. Older
 * orders, and what is about an earlier process, change nothing. [WORLD-6] [WORLD-8]
 *
 * @returns the state that results; `undefined` while that process has not announced itself
 */
export function leave(state: WorldState, departure: Departure): WorldState | undefined {
  const { clusterId, boot } = departure;
  const known = state.announcements.findIndex((one) => one.clusterId === clusterId);
  const before = state.announcements[known];
  if (before === undefined || before.boot < boot) return undefined;
  if (before.boot > boot) return state;
  if ("ending" in departure ? before.ending === true : ordersOf(before) >= departure.ordersVersion) return state;
  const next: Announcement =
    "ending" in departure
      ? { ...before, ending: true }
      : { ...before, leaving: departure.leaving, ordersVersion: departure.ordersVersion };
  return decide(state, { ...state, announcements: state.announcements.with(known, next) });
}

/**
 * What speaks against giving a cluster more has changed. What is older, or of an earlier process, changes nothing. [WORLD-7]
 *
 * @returns the state that results; `undefined` while that process has not announced itself
 */
export function noteStanding(
  state: WorldState,
  { clusterId, boot, standing, standingVersion }: StandingNote,
): WorldState | undefined {
  const known = state.announcements.findIndex((one) => one.clusterId === clusterId);
  const before = state.announcements[known];
  if (before === undefined || before.boot < boot) return undefined;
  if (before.boot > boot || standingVersionOf(before) >= standingVersion) return state;
  const next = { ...before, standing, standingVersion };
  return decide(state, { ...state, announcements: state.announcements.with(known, next) });
}

/** A cluster is gone, or no longer of this world. A later boot of it stays. [WORLD-4] */
export function withdraw(state: WorldState, clusterId: string, boot: number): WorldState {
  const announcements = state.announcements.filter((one) => one.clusterId !== clusterId || one.boot > boot);
  return announcements.length === state.announcements.length ? state : decide(state, { ...state, announcements });
}

/** Whether a cluster announces a fragment, or operators have assigned it. Of no other there is anything to leave to the rules. [WORLD-11] */
export function isFragmentKnown(
  { announcements, assignments }: Pick<WorldState, "announcements" | "assignments">,
  fragment: string,
): boolean {
  return (
    assignments.has(fragment) || announcements.some(({ fragments }) => fragments.some(({ name }) => name === fragment))
  );
}

/** Whether operators can assign a fragment, or all that they can is assigned already. [WORLD-10] */
export function isAssignable({ assignments }: Pick<WorldState, "assignments">, fragment: string): boolean {
  return assignments.has(fragment) || assignments.size < maxAssignments;
}

/**
 * An operator decides who carries a fragment; `undefined` leaves it to the rules again. One that is not assignable changes nothing.
 * [WORLD-2] [WORLD-10]
 */
export function assign(state: WorldState, fragment: string, clusterId: string | undefined): WorldState {
  if (clusterId !== undefined && !isAssignable(state, fragment)) return state;
  const assignments = new Map(state.assignments);
  if (clusterId === undefined) assignments.delete(fragment);
  else assignments.set(fragment, clusterId);
  return decide(state, { ...state, assignments });
}

/** The fragments that a cluster carries. */
export function carriedBy(state: WorldState, clusterId: string): readonly string[] {
  return [...state.carriers].filter(([, carrier]) => carrier === clusterId).map(([fragment]) => fragment);
}

/** The map as clusters see it. */
export function viewOf(state: WorldState): WorldMapView {
  const fragments: WorldMapView["fragments"][number][] = [];
  const clusters: WorldMapView["clusters"][number][] = [];
  for (const announcement of state.announcements) {
    const { clusterId, boot, peer, fragments: areas } = announcement;
    const carried = areas.filter(({ name }) => state.carriers.get(name) === clusterId);
    // One that leaves still has players to hand over: without a place in the map nobody would link to it.
    if (carried.length === 0 && !isLeaving(announcement)) continue;
    for (const { name, min, max } of carried) fragments.push({ name, min, max, clusterId });
    clusters.push(peer === undefined ? { clusterId, boot } : { clusterId, boot, peer });
  }
  return { world: state.name, version: state.version, fragments, clusters };
}

/** Settles who carries what, and raises the version if anything that shows has changed. */
function decide(before: WorldState, after: WorldState): WorldState {
  const settled = settleCarriers(after);
  // What stays the same is not stored anew.
  const carriers = isSameMap(settled.carriers, after.carriers) ? after.carriers : settled.carriers;
  const provisional = isSameSet(settled.provisional, after.provisional) ? after.provisional : settled.provisional;
  const decided = { ...after, carriers, provisional };
  return shown(decided) === shown(before) ? decided : { ...decided, version: before.version + 1 };
}

function isSameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((one) => b.has(one));
}

function ordersOf({ ordersVersion = 0 }: Announcement): number {
  return ordersVersion;
}

function standingVersionOf({ standingVersion = 0 }: Announcement): number {
  return standingVersion;
}

function shown(state: WorldState): string {
  const { fragments, clusters } = viewOf(state);
  return JSON.stringify([fragments, clusters]);
}
