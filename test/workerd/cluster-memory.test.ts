import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { hasRoom } from "../../control-plane/domain/clusters/seats.ts";
import { CandidateTables } from "../../control-plane/objects/shard/candidate-tables.ts";
import { ClusterMemory } from "../../control-plane/objects/shard/cluster-memory.ts";
import { OrderTables } from "../../control-plane/objects/shard/order-tables.ts";
import type { ChoosableRow, ClusterRow } from "../../control-plane/objects/shard/registry-rows.ts";
import { RegistryTables } from "../../control-plane/objects/shard/registry-tables.ts";
import { SeatTables } from "../../control-plane/objects/shard/seat-tables.ts";
import { registration } from "./support/clusters.ts";

/** So few of the clusters are on a page. */
const pageSize = 4;
const capacity = 10;
const nowMs = 1_700_000_000_000;

interface Shard {
  readonly memory: ClusterMemory;
  readonly tables: RegistryTables;
  readonly candidates: CandidateTables;
  readonly orders: OrderTables;
  readonly ids: readonly string[];
  /** As it is stored. */
  readonly stored: (clusterId: string) => ClusterRow | undefined;
  /** Statements that were run. */
  readonly statements: string[];
}

let shards = 0;

/** Runs in a shard of its own, with so many clusters that can be offered. */
async function withShard<T>(clusters: number, step: (shard: Shard) => T, unlimited = 0): Promise<T> {
  shards += 1;
  return runInDurableObject(env.REGISTRY_SHARD.getByName(`memory.${shards}`), (_, { storage }) => {
    const statements: string[] = [];
    const memory = new ClusterMemory({
      sql: {
        exec: (query, ...bindings) => {
          statements.push(query);
          return storage.sql.exec(query, ...bindings);
        },
      },
      transactionSync: (step) => storage.transactionSync(step),
    });
    const tables = new RegistryTables(memory, new SeatTables(memory));
    const ids = Array.from({ length: clusters }, (_, index) => `memory.c${String(index).padStart(2, "0")}`);
    for (const [index, clusterId] of ids.entries()) {
      const place = { clusterId, shard: "memory.0", boot: 1, tokenHash: clusterId, state: "ready", nowMs } as const;
      tables.putCluster(place, registration({ region: "memory", capacity: index < unlimited ? 0 : capacity }));
    }
    return step({
      memory,
      tables,
      candidates: new CandidateTables(memory),
      orders: new OrderTables(memory.sql),
      ids,
      statements,
      stored: (id) => storage.sql.exec<ClusterRow>("SELECT * FROM clusters WHERE cluster_id = ?", id).toArray()[0],
    });
  });
}

function lowestLoad(rows: readonly ChoosableRow[]): number {
  return Math.min(...rows.filter((row) => hasRoom(row)).map(({ load }) => load));
}

function close({ orders }: Shard, { cluster_id: clusterId, capacity }: ClusterRow, locked: boolean): void {
  const orderly = { draining: false, capacity, tags: [], labels: {}, ticketLifetimeSeconds: undefined };
  orders.putInForce(clusterId, { ...orderly, locked, joinRatePerSecond: undefined });
}

/** Does something in a transaction that comes to nothing. */
function undo(memory: ClusterMemory, step: () => void): void {
  const undone = new Error("undone");
  try {
    memory.transactionSync(() => {
      step();
      throw undone;
    });
  } catch (error) {
    if (error !== undone) throw error;
  }
}

describe("what a shard remembers of its clusters", () => {
  it.each([0, 6, 20])(
    "is what is stored, and has the least loaded of them, whatever changes: %i of 20 without a limit",
    async (unlimited) => {
      await withShard(
        20,
        (shard) => {
          const { tables, candidates, memory, ids, stored } = shard;
          let seed = 20_261_126;
          const random = (below: number): number => {
            seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
            return (seed >>> 8) % below;
          };
          for (let step = 0; step < 2_000; step += 1) {
            const page = candidates.leastLoaded({}, pageSize, nowMs);
            const all = candidates.promising({ policy: "load", selector: {}, without: [], limit: ids.length, nowMs });
            expect(lowestLoad(page), `step ${step}`).toBe(lowestLoad(all));
            const seek = random(10) < 8 ? page[random(Math.max(1, page.length))]?.cluster_id : undefined;
            const clusterId = seek ?? ids[random(ids.length)] ?? "";
            const row = tables.cluster(clusterId);
            expect(row, `step ${step}`).toEqual(stored(clusterId));
            if (row === undefined) throw new Error("each of them is there");
            const what = random(20);
            if (what === 0) close(shard, row, row.locked === 0);
            else if (what === 1) {
              const freed = -random(Math.min(row.seats, 2) + 1);
              const tickMs = random(2) === 0 ? random(150) / 3 : undefined;
              const counters = random(3) === 0 ? { games: random(2) } : undefined;
              const report = { sequence: step, players: random(capacity), tickMs, counters };
              tables.noteReport(clusterId, report, { seatsDelta: freed, joinedDelta: random(2) }, nowMs + step);
            } else if (what === 7) tables.renew(clusterId, nowMs + step);
            else if (what === 2) tables.removeSeats(clusterId);
            else if (what < 6) tables.addOccupancy(clusterId, -Math.min(row.seats, 1 + random(capacity)), 0);
            else if (what === 6) {
              undo(memory, () => tables.addOccupancy(clusterId, 1, 0));
            } else if (hasRoom(row)) tables.addOccupancy(clusterId, 1, 0);
            expect(tables.cluster(clusterId), `step ${step}`).toEqual(stored(clusterId));
          }
        },
        unlimited,
      );
    },
  );

  it("needs no second look for an allocation after a seat, a report or a sign of life", async () => {
    await withShard(3, ({ tables, candidates, statements, ids, stored }) => {
      candidates.leastLoaded({}, pageSize, nowMs);
      for (const id of ids) tables.cluster(id);
      const [first = "", second = "", third = ""] = ids;
      statements.length = 0;
      tables.addOccupancy(first, 2, 0);
      tables.noteReport(first, { sequence: 1, players: 1 }, { seatsDelta: -1, joinedDelta: 1 }, nowMs + 1);
      tables.noteReport(second, { sequence: 1, players: 1, tickMs: 1.5 }, { seatsDelta: 1, joinedDelta: 1 }, nowMs + 1);
      tables.addOccupancy(second, 3, 0);
      tables.renew(third, nowMs + 1);
      expect(statements.filter((statement) => !statement.startsWith("UPDATE"))).toEqual([]);
      expect(statements).toHaveLength(5);
      const page = candidates.leastLoaded({}, pageSize, nowMs);
      expect(statements).toHaveLength(5);
      expect(page).toHaveLength(3);
      for (const row of page) expect(stored(row.cluster_id)).toMatchObject(row);
    });
  });

  it("is given out as it was read: a row does not change under who holds it", async () => {
    await withShard(1, ({ tables, ids: [id = ""] }) => {
      const before = tables.cluster(id);
      tables.addOccupancy(id, 1, 0);
      expect(before?.seats).toBe(0);
      expect(tables.cluster(id)?.seats).toBe(1);
    });
  });

  it("of who may be filled no faster than so is looked at again a moment later", async () => {
    await withShard(2, ({ tables, candidates, ids: [first = "", second = ""] }) => {
      tables.setJoinRate(first, 1);
      tables.addSeats(first, 1, nowMs);
      tables.addOccupancy(first, -1, 0);
      const openAt = (atMs: number) => candidates.leastLoaded({}, pageSize, atMs).map((row) => row.cluster_id);
      expect(openAt(nowMs)).toEqual([second]);
      expect(openAt(nowMs + 2_000)).toEqual([first, second]);
    });
  });
});
