import { readMasterSettings, readStoreSettings } from "../../settings.ts";
import { writeRecords } from "../../store/records.ts";
import { CandidateTables } from "./candidate-tables.ts";
import { ClusterIntake } from "./cluster-intake.ts";
import { ClusterLinks } from "./cluster-links.ts";
import { ClusterMemory } from "./cluster-memory.ts";
import { ClusterMoves } from "./cluster-moves.ts";
import { Announcer } from "../operators/events.ts";
import { OrderTables } from "./order-tables.ts";
import { Outbox } from "../outbox.ts";
import { ReachTables } from "./reach-tables.ts";
import { RecordOutbox } from "../records/record-outbox.ts";
import { RegistrationTables } from "./registration-tables.ts";
import { RegistryKeys } from "./registry-keys.ts";
import { RegistryLeases } from "./registry-leases.ts";
import { RegistryMail } from "./registry-mail.ts";
import { RegistryReach } from "./registry-reach.ts";
import { RegistryRevocations } from "./registry-revocations.ts";
import { RegistrySeats } from "./registry-seats.ts";
import { RegistryTables } from "./registry-tables.ts";
import { RegistryWorlds } from "./registry-worlds.ts";
import { ReportTables } from "./report-tables.ts";
import { SeatTables } from "./seat-tables.ts";
import { mayGiveUp, ShardDelivery } from "./shard-delivery.ts";
import { ShardInspector } from "./shard-inspector.ts";
import { ShardOrders } from "./shard-orders.ts";
import type { ShardMessage, ShardParts } from "./shard-parts.ts";
import { ShardRecords } from "./shard-records.ts";
import { ShardReports } from "./shard-reports.ts";
import { ShardSessions } from "./shard-sessions.ts";
import { WorldStandings } from "./world-standings.ts";

/** Who does what in a registry shard. */
export interface ShardDesks {
  readonly parts: ShardParts;
  readonly records: RecordOutbox;
  readonly worlds: RegistryWorlds;
  readonly orders: ShardOrders;
  readonly inspector: ShardInspector;
  readonly leases: RegistryLeases;
  readonly seats: RegistrySeats;
  readonly reach: RegistryReach;
  readonly revocations: RegistryRevocations;
  readonly mail: RegistryMail;
  readonly moves: ClusterMoves;
  readonly keys: RegistryKeys;
  readonly intake: ClusterIntake;
  readonly sessions: ShardSessions;
  readonly reports: ShardReports;
}

/**
 * Puts a shard together. Its storage has been brought up to date.
 *
 * @param schedule has the object wake up when there is something to do
 */
export function openDesks(context: DurableObjectState, env: Env, schedule: () => Promise<void>): ShardDesks {
  const { sql } = context.storage;
  const records = new RecordOutbox({
    sql,
    now: Date.now,
    write: async (batch) => writeRecords(readStoreSettings(env), batch),
    schedule,
  });
  const storage = new ClusterMemory(context.storage);
  const seatTables = new SeatTables(storage);
  const tables = new RegistryTables(storage, seatTables);
  const outbox = new Outbox<ShardMessage>(sql, Date.now, async (message) => delivery.deliver(message), mayGiveUp);
  const announcer = new Announcer(env, (work) => context.waitUntil(work));
  const parts: ShardParts = {
    storage,
    tables,
    seats: seatTables,
    reports: new ReportTables(storage.sql),
    candidates: new CandidateTables(storage),
    registrations: new RegistrationTables(storage.sql),
    orders: new OrderTables(storage.sql),
    links: new ClusterLinks(context),
    outbox,
    standings: new WorldStandings(sql, tables, outbox),
    records: new ShardRecords(records),
    announce: (events) => announcer.announce(events),
    settings: () => readMasterSettings(env),
  };
  const worlds = new RegistryWorlds(parts);
  const orders = new ShardOrders(parts);
  const leases = new RegistryLeases(parts, worlds);
  const seats = new RegistrySeats(parts, leases);
  const reach = new RegistryReach(parts, new ReachTables(storage.sql));
  const revocations = new RegistryRevocations(parts, leases);
  const moves = new ClusterMoves(parts);
  const keys = new RegistryKeys(parts);
  const delivery = new ShardDelivery(parts, { seats, moves, revocations }, env);
  return {
    parts,
    records,
    worlds,
    orders,
    inspector: new ShardInspector(parts),
    leases,
    seats,
    reach,
    revocations,
    mail: new RegistryMail(parts, env),
    moves,
    keys,
    intake: new ClusterIntake(parts, { orders, reach, moves, worlds, revocations, keys }, env),
    sessions: new ShardSessions(parts),
    reports: new ShardReports(parts, { seats, orders, revocations, keys }),
  };
}
