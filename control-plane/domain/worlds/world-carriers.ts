import type { Announcement, WorldState } from "./world-map.ts";
import { goodStanding } from "./world-standing.ts";

/** Who carries what, and of that what its carrier only stands in for. */
export interface Carriers {
  /** Cluster id by fragment. */
  readonly carriers: ReadonlyMap<string, string>;
  /** Fragments that nobody could take over: whoever can has them at once. [WORLD-7] */
  readonly provisional: ReadonlySet<string>;
}

/** How a cluster comes into question for a fragment; what comes first here comes first. */
const places = [
  "assigned",
  "holds",
  "can",
  "can, but is full",
  "holds, and leaves",
  "stands in already",
  "is locked",
  "drains",
  "is suspect",
] as const;
const firstToStandIn = places.indexOf("stands in already");

/** Settles who carries each fragment that somebody announces. [WORLD-1] [WORLD-2] [WORLD-6] [WORLD-7] [WORLD-8] */
export function settleCarriers(state: Pick<WorldState, "announcements" | "assignments"> & Carriers): Carriers {
  const best = new Map<string, { readonly clusterId: string; readonly place: number }>();
  for (const announcement of state.announcements) {
    const { clusterId } = announcement;
    for (const { name } of announcement.fragments) {
      const claim = {
        isAssigned: state.assignments.get(name) === clusterId,
        holds: state.carriers.get(name) === clusterId,
        standsIn: state.provisional.has(name),
      };
      const place = places.indexOf(placeOf(announcement, claim));
      const present = best.get(name);
      if (present === undefined || place < present.place) best.set(name, { clusterId, place });
    }
  }
  const settled = [...best];
  return {
    carriers: new Map(settled.map(([name, { clusterId }]) => [name, clusterId])),
    provisional: new Set(settled.filter(([, { place }]) => place >= firstToStandIn).map(([name]) => name)),
  };
}

/**
 * Fragments that have just got a stand-in, and whether that was intended: the previous carrier, if any, had announced that it leaves, and the
 * stand-in is not suspect.
 */
export function newlyStoodIn(
  before: Pick<WorldState, "announcements"> & Carriers,
  after: Pick<WorldState, "announcements"> & Carriers,
): { readonly fragments: readonly string[]; readonly isMeant: boolean } {
  const fragments = [...after.provisional].filter((name) => !before.provisional.has(name));
  const isMeant = fragments.every((name) => {
    const carrier = announcedBy(after, after.carriers.get(name));
    const previous = announcedBy(before, before.carriers.get(name));
    return carrier?.standing?.suspect !== true && (previous === undefined || isOnItsWayOut(previous));
  });
  return { fragments, isMeant };
}

function announcedBy({ announcements }: Pick<WorldState, "announcements">, clusterId: string | undefined) {
  return announcements.find((one) => one.clusterId === clusterId);
}

function isOnItsWayOut(announcement: Announcement): boolean {
  return isLeaving(announcement) || announcement.standing?.draining === true;
}

/** Whether a cluster carries only what nobody else can: as an operator has ordered, or as its process is about to end. */
export function isLeaving({ leaving, ending }: Announcement): boolean {
  return leaving === true || ending === true;
}

function placeOf(
  announcement: Announcement,
  claim: { readonly isAssigned: boolean; readonly holds: boolean; readonly standsIn: boolean },
): (typeof places)[number] {
  const { standing = goodStanding } = announcement;
  const leaving = isLeaving(announcement);
  const isFit = !leaving && !standing.suspect && !standing.draining && (!standing.locked || claim.isAssigned);
  const holds = claim.holds && (isFit || !claim.standsIn);
  if (claim.isAssigned && (isFit || (holds && !leaving))) return "assigned";
  if (holds) return leaving ? "holds, and leaves" : "holds";
  if (isFit) return standing.full ? "can, but is full" : "can";
  if (claim.holds) return "stands in already";
  if (standing.suspect) return "is suspect";
  return leaving || standing.draining ? "drains" : "is locked";
}
