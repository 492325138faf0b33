import type { Announcement, Departure } from "../../domain/worlds/world-map.ts";
import type { MasterEvent } from "../../domain/operators/master-event.ts";
import type { MasterSettings } from "../../settings.ts";
import type { CandidateTables } from "./candidate-tables.ts";
import type { ClusterLinks } from "./cluster-links.ts";
import type { ClusterMemory } from "./cluster-memory.ts";
import type { OrderTables } from "./order-tables.ts";
import type { Outbox } from "../outbox.ts";
import type { ShardRecords } from "./shard-records.ts";
import type { ReportTables } from "./report-tables.ts";
import type { RegistrationTables } from "./registration-tables.ts";
import type { RegistryTables } from "./registry-tables.ts";
import type { SeatTables } from "./seat-tables.ts";
import type { WorldStandings } from "./world-standings.ts";

/** What a shard tells other objects, and must not lose. The target is a player's session, another shard, or a world. */
export type ShardMessage =
  | {
      readonly kind: "used";
      readonly reservationId: string;
      readonly generation: number;
      readonly clusterId: string;
      readonly shard: string;
      /** When the cluster reported it; `endedAtMs`, if it reported the end with it. Messages of the first release have neither. */
      readonly atMs?: number;
      readonly endedAtMs?: number | undefined;
      /** The cluster has come here with its players: no news but where they are. */
      readonly moved?: boolean | undefined;
    }
  | { readonly kind: "displace"; readonly clusterId: string; readonly boot: number }
  | { readonly kind: "announce"; readonly announcement: Announcement }
  | { readonly kind: "withdraw"; readonly clusterId: string; readonly boot: number }
  | { readonly kind: "leave"; readonly departure: Departure }
  /** What it says is looked up when it leaves. */
  | { readonly kind: "standing"; readonly clusterId: string; readonly boot: number }
  /** The target is the cluster's order book. */
  | { readonly kind: "drain-ended"; readonly orderedAtMs: number };

/** What the parts of a registry shard share. */
export interface ShardParts {
  readonly storage: ClusterMemory;
  readonly tables: RegistryTables;
  readonly seats: SeatTables;
  readonly reports: ReportTables;
  readonly candidates: CandidateTables;
  readonly registrations: RegistrationTables;
  readonly orders: OrderTables;
  readonly links: ClusterLinks;
  readonly outbox: Outbox<ShardMessage>;
  readonly standings: WorldStandings;
  readonly records: ShardRecords;
  /** Tells operators who watch, behind the answer. */
  readonly announce: (events: readonly MasterEvent[]) => void;
  /** @throws SettingError */
  readonly settings: () => MasterSettings;
}
