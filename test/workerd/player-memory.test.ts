import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { OperationSummary } from "../../control-plane/domain/allocation/operations.ts";
import { encodeLimitWindows, spendLimits } from "../../control-plane/domain/limits/limits-policy.ts";
import { readLimits } from "../../control-plane/limit-settings.ts";
import { PlayerAuthority } from "../../control-plane/objects/player/player-authority.ts";
import { PlayerCosts } from "../../control-plane/objects/player/player-costs.ts";
import { playerMigrations, PlayerTables } from "../../control-plane/objects/player/player-tables.ts";
import type { SessionRow } from "../../control-plane/objects/player/player-row.ts";
import { migrateStorage, migrateStored } from "../../control-plane/objects/schema.ts";

const nowMs = 1_700_000_000_000;

const limits = readLimits(env);
/** What a step throws so that it comes to nothing. */
const undone = new Error("undone");

let players = 0;

/** Runs in the storage of a player of its own, of whom nothing is remembered yet. */
async function withPlayer(step: (storage: DurableObjectStorage, tables: PlayerTables) => void): Promise<void> {
  players += 1;
  await runInDurableObject(env.PLAYER_SESSION.getByName(`memory-${players}`), (_, { storage }) => {
    migrateStorage(storage, playerMigrations);
    step(storage, new PlayerTables(storage));
  });
}

function recorded(generation: number): OperationSummary {
  return {
    key: `key-${generation}`,
    bodyHash: "hash",
    reservationId: `reservation-${generation}`,
    generation,
    state: "recorded",
    shard: undefined,
    queue: undefined,
    clusterId: undefined,
    expiresAt: undefined,
    recordedAtMs: nowMs,
  };
}

/** As an allocation changes the row. */
function changeOf({ generation }: OperationSummary): Partial<SessionRow> {
  return { generation, next_seed: new Uint8Array(16).fill(generation).buffer };
}

function add(tables: PlayerTables): OperationSummary {
  const operation = recorded(tables.nextGeneration());
  tables.addOperation(operation, changeOf(operation));
  return operation;
}

describe("what a player's session remembers", () => {
  it("is what is stored, whatever changes, and whatever of it is undone", async () => {
    await withPlayer((storage, tables) => {
      const authority = new PlayerAuthority(storage.sql, tables.row, "ada", () => "home.0");
      const costs = new PlayerCosts(tables.row);
      let seed = 20_261_126;
      const random = (below: number): number => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        return (seed >>> 8) % below;
      };
      const changes: readonly (() => void)[] = [
        () => add(tables),
        () => {
          const operation = recorded(tables.nextGeneration());
          tables.draftOperation(operation, changeOf(operation));
        },
        () => tables.setParty(random(2) === 0 ? null : `party-${random(9)}`),
        () => tables.setPartyKey(`key-${random(9)}`),
        () => void costs.spend(["allocatePerPlayer"], limits, nowMs + random(600_000)),
        () => authority.noteShard(`cluster-${random(3)}`, `shard-${random(3)}`),
        () =>
          void authority.step({
            type: "request",
            clusterId: `cluster-${random(3)}`,
            message: { type: "enter", generation: tables.generation() },
          }),
        () =>
          void authority.step({
            type: "request",
            clusterId: `cluster-${random(3)}`,
            message: {
              type: "save",
              generation: tables.row.values.authority_generation ?? 0,
              version: random(9),
              state: btoa(`\u0001${"\0".repeat(26)}\u0001${random(9)}`),
            },
          }),
        () => {
          const [current, older] = tables.operations().toReversed();
          if (current === undefined) return;
          const ticket = { clusterId: "cluster-1", expiresAt: nowMs / 1_000, answer: `answer ${current.generation}` };
          tables.commitOperation(current, ticket, older === undefined || random(2) === 0 ? [] : [older]);
        },
        () =>
          tables.deleteOperations(
            tables
              .operations()
              .slice(0, 2)
              .map(({ key }) => key),
          ),
      ];
      for (let step = 0; step < 1_000; step += 1) {
        const isUndone = random(3) === 0;
        const change = (): void => {
          changes[random(changes.length)]?.();
          if (isUndone) throw undone;
        };
        try {
          tables.atomically(change);
        } catch (error) {
          if (error !== undone) throw error;
        }
        const newest = tables.operations().at(-1)?.key ?? "";
        if (random(2) === 0) tables.keepDraft(newest);
        const fresh = new PlayerTables(storage);
        // Of a draft that was not kept, nothing is stored; everything else is.
        const isDraft = tables.operation(newest)?.state === "recorded" && fresh.operation(newest) === undefined;
        const { generation, next_seed } = fresh.row.values;
        const row = isDraft ? { ...tables.row.values, generation, next_seed } : tables.row.values;
        expect(fresh.row.values, `step ${step}`).toEqual(row);
        expect(fresh.operations(), `step ${step}`).toEqual(tables.operations().slice(0, isDraft ? -1 : undefined));
      }
    });
  });

  it("has a ticket of the newest operation, and none of the one that it has ended", async () => {
    await withPlayer((storage, tables) => {
      const first = add(tables);
      tables.commitOperation(first, { clusterId: "one", expiresAt: 100, answer: "first" }, []);
      expect(tables.operation(first.key)).toMatchObject({ state: "committed", answer: "first" });
      const superseded = tables.operations();
      const second = recorded(tables.nextGeneration());
      tables.draftOperation(second, changeOf(second));
      tables.commitOperation(second, { clusterId: "two", expiresAt: 200, answer: "second" }, superseded);
      expect(tables.operation(second.key)).toMatchObject({ state: "committed", clusterId: "two", answer: "second" });
      expect(tables.operation(first.key)).toMatchObject({ state: "cancelled", clusterId: "one", expiresAt: 100 });
      const kept = storage.sql.exec("SELECT answer FROM operations ORDER BY generation").toArray();
      expect(kept, "a ticket that is no good is not kept").toEqual([{ answer: null }, { answer: "second" }]);
    });
  });

  it("ends with a ticket all that it replaces, however many", async () => {
    await withPlayer((storage, tables) => {
      const older = Array.from({ length: 20 }, () => add(tables));
      const newest = add(tables);
      tables.commitOperation(newest, { clusterId: "one", expiresAt: 100, answer: "newest" }, older);
      const states = new PlayerTables(storage).operations().map(({ state }) => state);
      expect(states).toEqual([...older.map(() => "cancelled"), "committed"]);
    });
  });

  it("of a draft comes to nothing with the memory, and is whole with whatever is stored of it", async () => {
    await withPlayer((storage, tables) => {
      const before = new PlayerTables(storage);
      const draft = recorded(tables.nextGeneration());
      tables.draftOperation(draft, { ...changeOf(draft), costs: "as deferred" });
      tables.setOperationShard(draft.key, "home.0");
      // What else changes meanwhile is stored, and stays.
      tables.row.change({ costs: "as of now" });
      expect(new PlayerTables(storage).operations()).toEqual([]);
      expect(new PlayerTables(storage).row.values).toEqual({ ...before.row.values, costs: "as of now" });
      tables.endOperation(draft.key, "revoked");
      const after = new PlayerTables(storage);
      expect(after.operations()).toEqual([{ ...draft, state: "revoked", shard: "home.0" }]);
      expect(after.row.values).toEqual({ ...before.row.values, ...changeOf(draft), costs: "as of now" });
    });
  });

  it.each([
    ["kept", (tables: PlayerTables, key: string) => tables.keepDraft(key)],
    ["ended", (tables: PlayerTables, key: string) => tables.endOperation(key, "cancelled")],
    [
      "a ticket",
      (tables: PlayerTables, key: string) =>
        tables.inOrder(() => {
          const draft = tables.operation(key);
          if (draft === undefined) throw new Error("there is a draft");
          tables.commitOperation(draft, { clusterId: "one", expiresAt: 100, answer: "answer" }, []);
        }),
    ],
    ["queued", (tables: PlayerTables, key: string) => tables.setOperationQueue(key, "queue")],
    ["followed by another", (tables: PlayerTables) => tables.atomically(() => add(tables))],
  ])("of a draft is what is stored, whichever statement fails when it is %s", async (_, change) => {
    let faults = 0;
    for (let until = 0; faults === until; until += 1) {
      await withPlayer((storage) => {
        let left = Number.POSITIVE_INFINITY;
        const sql: SqlStorage = Object.assign(Object.create(storage.sql), {
          exec: (query: string, ...bindings: SqlStorageValue[]) => {
            if (/^\s*(?:INSERT|UPDATE)/.test(query) && (left -= 1) < 0) throw new Error("disk I/O error");
            return storage.sql.exec(query, ...bindings);
          },
        });
        const tables = new PlayerTables({ sql, transactionSync: (step) => storage.transactionSync(step) });
        const draft = recorded(tables.nextGeneration());
        tables.draftOperation(draft, changeOf(draft));
        left = until;
        try {
          change(tables, draft.key);
        } catch {
          faults += 1;
        }
        const fresh = new PlayerTables(storage);
        expect(tables.operations(), `fault ${until}`).toEqual(fresh.operations());
        expect(tables.row.values, `fault ${until}`).toEqual(fresh.row.values);
      });
    }
    expect(faults).toBeGreaterThan(1);
  });

  it("counts what was asked for by what is stored, also after it was undone", async () => {
    await withPlayer((_, tables) => {
      const costs = new PlayerCosts(tables.row);
      costs.spend(["allocatePerPlayer"], limits, nowMs);
      const once = tables.row.values.costs;
      expect(() =>
        tables.atomically(() => {
          costs.spend(["allocatePerPlayer"], limits, nowMs);
          throw undone;
        }),
      ).toThrow("undone");
      expect(tables.row.values.costs).toBe(once);
      costs.spend(["allocatePerPlayer"], limits, nowMs);
      const twice = spendLimits(JSON.parse(once), ["allocatePerPlayer"], limits, nowMs);
      expect(tables.row.values.costs).toBe(twice.allowed ? encodeLimitWindows(twice.windows) : "refused");
    });
  });
});

describe("whether an object has stored anything", () => {
  it("is not told by a fault of its storage", async () => {
    await runInDurableObject(env.PLAYER_SESSION.getByName("memory-fault"), (_, { storage }) => {
      expect(migrateStored(storage, playerMigrations)).toBe(false);
      const broken = {
        sql: {
          exec: () => {
            throw new Error("database disk image is malformed: SQLITE_CORRUPT");
          },
        },
      };
      expect(() => migrateStored(Object.assign(Object.create(storage), broken), playerMigrations)).toThrow("malformed");
    });
  });
});
