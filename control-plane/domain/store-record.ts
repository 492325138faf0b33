/** A player was given a seat. */
export interface AllocationRecord {
  readonly kind: "allocation";
  readonly reservationId: string;
  readonly playerId: string;
  readonly clusterId: string;
  readonly clusterName: string;
  readonly region: string;
  readonly generation: number;
  readonly atMs: number;
  /** When its ticket expires: a seat that has not joined by then was not used. */
  readonly expiresAtMs: number;
}

/** The seat's ticket has joined, and the player's session knows it. The cluster's name may be known from the allocation alone. */
export interface JoinRecord {
  readonly kind: "join";
  readonly reservationId: string;
  readonly playerId: string;
  readonly clusterId: string;
  readonly region: string;
  readonly generation: number;
  readonly atMs: number;
}

/** A cluster has reported that the seat's player is not in the game any more. */
export interface LeaveRecord {
  readonly kind: "leave";
  readonly reservationId: string;
  readonly playerId: string;
  readonly clusterId: string;
  readonly atMs: number;
}

export const clusterEventNames = [
  "registered",
  "starting",
  "ready",
  "suspect",
  "gone",
  "deregistered",
  "displaced",
] as const;
export type ClusterEventName = (typeof clusterEventNames)[number];

/** Something became of a cluster. */
export interface ClusterEventRecord {
  readonly kind: "cluster";
  /** 128 random bits: the same event is written once. */
  readonly eventId: string;
  readonly event: ClusterEventName;
  readonly clusterId: string;
  readonly clusterName: string;
  readonly shard: string;
  readonly boot: number;
  readonly atMs: number;
}

/** A player has logged in. */
export interface PlayerSeenRecord {
  readonly kind: "player";
  readonly playerId: string;
  readonly displayName: string;
  readonly atMs: number;
}

/** What a cluster has saved of a player. The newest by generation, then by version, is the one that counts. */
export interface SaveRecord {
  readonly kind: "save";
  readonly playerId: string;
  readonly generation: number;
  /** Counts the saves under this generation. */
  readonly version: number;
  /** Base64; what is in it is the game's. */
  readonly state: string;
  readonly atMs: number;
}

/**
 * What is written to the database of record behind the answer. Each can be written any number of times, and records of different
 * objects in any order: the outcome is the same. Times are milliseconds since 1970.
 */
export type StoreRecord =
  | AllocationRecord
  | JoinRecord
  | LeaveRecord
  | ClusterEventRecord
  | PlayerSeenRecord
  | SaveRecord;
export type StoreRecordKind = StoreRecord["kind"];
