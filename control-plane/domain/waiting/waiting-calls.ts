import type { Place } from "./waiting-line.ts";

/** A cluster with room, as its shard said a moment ago. */
export interface ClusterRoom {
  readonly clusterId: string;
  /** How many more it takes now. */
  readonly places: number;
  /** How large a party it takes, where that is more: one is let in whole, however slowly the cluster is to be filled. [WAIT-7] */
  readonly whole?: number;
  /** How many it takes with nobody in it; 0, as when it is not said, for no limit. */
  readonly capacity?: number;
}

/** The room that is left when so many have been let in. */
export function roomAfter(room: ClusterRoom, size: number): Required<ClusterRoom> {
  const { clusterId, places, whole = places, capacity = 0 } = room;
  return { clusterId, places: Math.max(0, places - size), whole: Math.max(0, whole - size), capacity };
}

/** What all shards together have for a queue. */
export interface CapacityNote {
  readonly rooms: readonly ClusterRoom[];
  /** The most that any of the queue's clusters could ever take at a time, with nobody in it. */
  readonly largest: number;
  /** Why the one cluster that the queue is for gives seats to nobody. Never with a queue for any of several. */
  readonly closed?: ClosedCluster | undefined;
}

/** That waiting leads to nothing as things stand. */
export interface ClosedCluster {
  readonly code: "CLUSTER_NOT_FOUND" | "NO_CLUSTER_AVAILABLE";
  readonly detail: string;
}

/**
 * What the shards have said, as one. The cluster of a queue may be at any of them: it is closed when none of them has it open, and all
 * have answered (`undefined` stands for one that has not).
 */
export function sumNotes(notes: readonly (CapacityNote | undefined)[]): CapacityNote {
  const answers = notes.filter((note) => note !== undefined);
  const closed = answers.flatMap((note) => note.closed ?? []);
  const isClosed = closed.length > 0 && closed.length === notes.length;
  return {
    rooms: answers.flatMap(({ rooms }) => rooms),
    largest: Math.max(1, ...answers.map(({ largest }) => largest)),
    closed: isClosed ? (closed.find(({ code }) => code !== "CLUSTER_NOT_FOUND") ?? closed[0]) : undefined,
  };
}

/** Whose turn it is. */
export interface Calls {
  /** Places that may reserve now, and where: one of several seats is held for on its cluster; others may go to any. */
  readonly called: ReadonlyMap<number, string | undefined>;
  /** Clusters whose seats are for parties, and for nobody else. */
  readonly kept: ReadonlySet<string>;
}

/** For so long after it came, a party may be overtaken by those who fit where it does not. */
export const overtakingMs = 30_000;

/** How far down the line it is looked for somebody who can be served. */
const maxConsidered = 1_000;

/**
 * Whose turn it is: the first in line, as many as there are seats. A party that fits nowhere lets others pass for a while; then
 * the roomiest cluster that could take it is kept for it until it fits, while those behind are served from the others.
 * Somebody who did not come again in time keeps the place, and nobody waits for it.
 */
export function callPlaces(places: readonly Place[], note: CapacityNote, nowMs: number): Calls {
  const called = new Map<number, string | undefined>();
  const kept = new Set<string>();
  const rooms = note.rooms.filter(({ places: free }) => free > 0).map((room) => roomAfter(room, 0));
  for (const place of places.slice(0, maxConsidered)) {
    if (rooms.every((room) => room.places === 0)) break;
    if (isAbsent(place, nowMs) || place.size > note.largest) continue;
    const open = rooms.filter(({ clusterId }) => !kept.has(clusterId) || place.size > 1);
    const fitting = open.filter((room) => room.places > 0 && room.whole >= place.size);
    // The tightest that fits: large gaps are for parties.
    const room = fitting.reduce<(typeof rooms)[number] | undefined>(
      (best, each) => (best === undefined || each.whole < best.whole ? each : best),
      undefined,
    );
    if (room !== undefined) {
      Object.assign(room, roomAfter(room, place.size));
      called.set(place.sequence, place.size > 1 ? room.clusterId : undefined);
      if (place.size > 1) kept.add(room.clusterId);
    } else if (place.size > 1 && nowMs - place.joinedAtMs >= overtakingMs) {
      // One that could never take it is kept from nobody by it.
      const roomiest = rooms
        .filter(({ capacity }) => capacity === 0 || capacity >= place.size)
        .reduce<(typeof rooms)[number] | undefined>(
          (best, each) => (best === undefined || each.whole > best.whole ? each : best),
          undefined,
        );
      if (roomiest === undefined) continue;
      kept.add(roomiest.clusterId);
      Object.assign(roomiest, roomAfter(roomiest, Number.POSITIVE_INFINITY));
    }
  }
  return { called, kept };
}

/** Whether the visitor of a place has not come again when it was told to. */
export function isAbsent(place: Pick<Place, "dueAtMs">, nowMs: number): boolean {
  return nowMs > place.dueAtMs;
}
