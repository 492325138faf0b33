import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RecordOutbox, type RecordOutboxParts } from "../../control-plane/objects/records/record-outbox.ts";
import { readStoreSettings } from "../../control-plane/settings.ts";
import { listClusterEvents } from "../../control-plane/store/history.ts";
import { findPlayer } from "../../control-plane/store/players.ts";
import { findSave } from "../../control-plane/store/saves.ts";
import * as worker from "../../control-plane/worker.ts";
import type { PlayerSession, RecordKeeper, RegistryShard } from "../../control-plane/worker.ts";
import { maxStateLength } from "../../protocol/handover/commit-length.ts";
import { seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { cutOff, refuseLongBodies } from "./support/cut-off.ts";
import { call, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { historyOf, writeRecordsNow } from "./support/records.ts";
import { askSession } from "./support/sessions.ts";
import { eventually } from "../support/eventually.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** The pause after a failure is over. */
async function forgetPauses(): Promise<void> {
  for (const name of ["default.0", "eu.0", "eu.1"]) {
    await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage }) => {
      storage.sql.exec("UPDATE record_state SET not_before = 1 WHERE not_before > 0");
    });
  }
  for (const name of ["keeper.0", "keeper.1", "keeper.2", "keeper.3"]) {
    await runInDurableObject(env.RECORD_KEEPER.getByName(name), (_: RecordKeeper, { storage }) => {
      storage.sql.exec("UPDATE record_state SET not_before = 1 WHERE not_before > 0");
    });
  }
}

async function eventsOf(cluster: TestCluster): Promise<readonly string[]> {
  const events = await listClusterEvents(readStoreSettings(env), { clusterId: cluster.id, limit: 100 });
  return events.map(({ event }) => event);
}

describe("on record", () => {
  it("is who was where, from when to when", async () => {
    const cluster = await startCluster();
    const [player, other] = [await logIn(), await logIn()];
    const { ticket, reservationId } = await allocate(player, { clusterId: cluster.id });
    await allocate(other, { clusterId: cluster.id });
    await writeRecordsNow();
    expect(await historyOf(player.player)).toMatchObject([{ reservationId, clusterId: cluster.id, outcome: "open" }]);
    const seat = seatOf(player.player, ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    await eventually(async () => {
      await writeRecordsNow();
      expect(await historyOf(player.player)).toMatchObject([{ reservationId, outcome: "joined" }]);
    });
    await cluster.report({ players: 0, left: [seat] });
    await writeRecordsNow();
    const [entry, ...more] = await historyOf(player.player);
    expect(more).toEqual([]);
    expect(entry).toMatchObject({ reservationId, clusterName: "Test cluster", region: "default", outcome: "left" });
    expect(entry?.joinedAtMs).toBeGreaterThanOrEqual(entry?.allocatedAtMs ?? Infinity);
    expect(entry?.leftAtMs).toBeGreaterThanOrEqual(entry?.joinedAtMs ?? Infinity);
    expect(await historyOf(other.player)).toMatchObject([{ outcome: "open", joinedAtMs: undefined }]);
  });

  it("is a session that came and went within one report", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const seat = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    await cluster.report({ full: true, joined: [seat], left: [seat] });
    await eventually(async () => {
      await writeRecordsNow();
      expect(await historyOf(player.player)).toMatchObject([{ outcome: "left", joinedAtMs: expect.any(Number) }]);
    });
  });

  it("is the end of all who played on a cluster that stops", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const seat = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    expect((await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token })).status).toBe(204);
    await eventually(async () => {
      await writeRecordsNow();
      expect(await historyOf(player.player)).toMatchObject([{ outcome: "left", joinedAtMs: expect.any(Number) }]);
    });
    expect(await eventsOf(cluster)).toEqual(["deregistered", "registered"]);
  });

  it("[REC-5] is nothing that a cluster says of a player whom it was not given", async () => {
    const cluster = await startCluster();
    const { player } = await logIn();
    const reservationId = "AAAAAAAAAAAAAAAAAAAAAA";
    await cluster.report({ full: true, players: 1, joined: [{ playerId: player.id, reservationId, generation: 5 }] });
    await cluster.report({ players: 0, left: [{ playerId: player.id, reservationId, generation: 5 }] });
    await eventually(async () => {
      const waiting = await runInDurableObject(
        env.REGISTRY_SHARD.getByName("default.0"),
        (_: RegistryShard, { storage }) =>
          storage.sql.exec<{ count: number }>("SELECT count(*) AS count FROM outbox").one().count,
      );
      expect(waiting).toBe(0);
    });
    await writeRecordsNow();
    expect(await historyOf(player)).toEqual([]);
  });

  it("comes by itself, without anybody asking", async () => {
    const { player } = await logIn();
    await eventually(async () =>
      expect(await findPlayer(readStoreSettings(env), player.id)).toMatchObject({ displayName: "Ada" }),
    );
  });
});

describe("while the database is away", () => {
  it("[REC-1] [REC-2] players log in, allocate and join, known clusters register again, and all of it is on record afterwards, once", async () => {
    const cluster = await startCluster();
    await writeRecordsNow();
    cutOff(readStoreSettings(env).url);
    const players = await Promise.all(Array.from({ length: 8 }, async () => logIn("Grace")));
    const again = await startCluster({}, cluster.key);
    const seats = await Promise.all(
      players.map(async (player) => seatOf(player.player, (await allocate(player, { clusterId: again.id })).ticket)),
    );
    await again.report({ full: true, players: 8, joined: seats });
    await writeRecordsNow();
    // The memory of all objects goes as well.
    await abortAllDurableObjects();
    await again.report({ players: 0, left: seats });
    await expectProblem(await call("GET", "/v1/me/export", { token: players[0]?.accessToken }), "DATABASE_UNAVAILABLE");
    vi.restoreAllMocks();
    await eventually(async () => {
      await forgetPauses();
      await writeRecordsNow();
      for (const { player } of players) {
        expect(await historyOf(player)).toMatchObject([
          { clusterId: again.id, outcome: "left", joinedAtMs: expect.any(Number) },
        ]);
        expect(await findPlayer(readStoreSettings(env), player.id)).toMatchObject({ displayName: "Grace" });
      }
    });
    expect(await eventsOf(cluster)).toEqual(["registered", "registered"]);
  });

  it("an allocation with a token from before is given at once", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    cutOff(readStoreSettings(env).url);
    expect((await requestAllocation(player, { clusterId: cluster.id })).status).toBe(200);
  });
});

describe("long saves", () => {
  const longState = (mark: number): string => String(mark).padEnd(maxStateLength, "A");

  async function enter(cluster: TestCluster): Promise<{ readonly playerId: string; readonly generation: number }> {
    const player = await logIn();
    const { generation } = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    const playerId = player.player.id;
    expect(await askSession(cluster, playerId, { type: "enter", generation })).toMatchObject([{ type: "entered" }]);
    return { playerId, generation };
  }

  async function waitingSaves(playerId: string): Promise<number> {
    return runInDurableObject(env.PLAYER_SESSION.getByName(playerId), (_: PlayerSession, { storage }) => {
      const saves = "SELECT count(*) AS count FROM outbox WHERE payload ->> 'kind' = 'save'";
      return storage.sql.exec<{ count: number }>(saves).one().count;
    });
  }

  it("[REC-4] reach a database that takes only one of them at a time", async () => {
    const cluster = await startCluster();
    const players = await Promise.all(Array.from({ length: 12 }, async () => enter(cluster)));
    await writeRecordsNow();
    cutOff(readStoreSettings(env).url);
    for (const { playerId, generation } of players) {
      const save = { type: "save", generation, version: 1, state: longState(1) } as const;
      expect(await askSession(cluster, playerId, save)).toMatchObject([{ type: "saved" }]);
    }
    for (const { playerId } of players) await eventually(async () => expect(await waitingSaves(playerId)).toBe(0));
    vi.restoreAllMocks();
    refuseLongBodies(readStoreSettings(env).url, 150_000);
    await eventually(async () => {
      await forgetPauses();
      await writeRecordsNow();
      for (const { playerId } of players) {
        expect((await findSave(readStoreSettings(env), playerId))?.state === longState(1)).toBe(true);
      }
    });
  });

  it("[REC-4] of one player wait as one, the newest, wherever they wait", async () => {
    const cluster = await startCluster();
    const { playerId, generation } = await enter(cluster);
    await writeRecordsNow();
    cutOff(readStoreSettings(env).url);
    const keep = vi.spyOn(worker.RecordKeeper.prototype, "keep").mockRejectedValue(new Error("away"));
    const save = async (version: number) => {
      const message = { type: "save", generation, version, state: longState(version) } as const;
      expect(await askSession(cluster, playerId, message)).toMatchObject([{ type: "saved" }]);
    };
    for (let version = 1; version <= 5; version += 1) await save(version);
    expect(await waitingSaves(playerId)).toBe(1);
    keep.mockRestore();
    for (let version = 6; version <= 9; version += 1) await save(version);
    await eventually(async () => expect(await waitingSaves(playerId)).toBe(0));
    const kept = await Promise.all(
      ["keeper.0", "keeper.1", "keeper.2", "keeper.3"].map(async (name) =>
        runInDurableObject(env.RECORD_KEEPER.getByName(name), (_: RecordKeeper, { storage }) => {
          const saves =
            "SELECT count(*) AS count FROM records WHERE record ->> 'kind' = 'save' AND record ->> 'playerId' = ?";
          return storage.sql.exec<{ count: number }>(saves, playerId).one().count;
        }),
      ),
    );
    expect(kept.reduce((sum, count) => sum + count, 0)).toBe(1);
    vi.restoreAllMocks();
    await eventually(async () => {
      await forgetPauses();
      await writeRecordsNow();
      expect(await findSave(readStoreSettings(env), playerId)).toMatchObject({ generation, version: 9 });
    });
  });
});

describe("an outbox of records", () => {
  const keeper = env.RECORD_KEEPER.getByName("of this test alone");

  /** An outbox in an object's own storage, written to by `write`. */
  async function withOutbox<R = number>(
    write: (records: readonly R[]) => Promise<void>,
    run: (outbox: RecordOutbox<R>, passMs: (ms: number) => void, reopen: () => RecordOutbox<R>) => Promise<void>,
    more: Partial<RecordOutboxParts<R>> & { readonly spareBytes?: number } = {},
  ): Promise<void> {
    await runInDurableObject(keeper, async (_: RecordKeeper, { storage }) => {
      storage.sql.exec("DELETE FROM records");
      storage.sql.exec("UPDATE record_state SET attempts = 0, not_before = 0, lost = 0, refused = 0");
      let nowMs = 1_000_000;
      const { spareBytes, ...changes } = more;
      const bound = spareBytes === undefined ? {} : { maxStoredBytes: storage.sql.databaseSize + spareBytes };
      const parts = {
        sql: storage.sql,
        now: () => nowMs,
        write,
        schedule: async () => undefined,
        ...bound,
        ...changes,
      };
      const open = () => new RecordOutbox<R>(parts);
      await run(open(), (ms) => void (nowMs += ms), open);
    });
  }

  /** A database that takes no more than this at once, and says nothing of it. */
  function takingAtMost(characters: number, written: string[][]): (records: readonly string[]) => Promise<void> {
    return async (records) => {
      if (records.join("").length > characters) throw new Error("it takes too long");
      written.push([...records]);
    };
  }

  it("writes in batches, in order", async () => {
    const batches: (readonly number[])[] = [];
    const write = async (records: readonly number[]) => void batches.push(records);
    await withOutbox(write, async (outbox) => {
      for (let record = 0; record < 450; record += 1) outbox.put(record);
      await outbox.writeDue();
      expect(outbox.backlog()).toEqual({ waiting: 0, oldestAtMs: undefined, lost: 0, refused: 0 });
    });
    expect(batches.map(({ length }) => length)).toEqual([200, 200, 50]);
    expect(batches.flat()).toEqual(Array.from({ length: 450 }, (_, record) => record));
  });

  it("writes once, and in order, what comes while others are being written, and again after all has been written", async () => {
    const written: number[] = [];
    const coming = [3, 4, 5];
    let put: (record: number) => void = () => undefined;
    const write = async (records: readonly number[]) => {
      const next = coming.shift();
      if (next !== undefined) put(next);
      await Promise.resolve();
      written.push(...records);
    };
    await withOutbox(write, async (outbox) => {
      put = (record) => outbox.put(record);
      for (const record of [1, 2]) outbox.put(record);
      await outbox.writeDue();
      expect(outbox.backlog()).toMatchObject({ waiting: 0 });
      outbox.put(6);
      await outbox.writeDue();
      expect(outbox.backlog()).toMatchObject({ waiting: 0 });
    });
    expect(written).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("waits longer and longer for a database that is away, up to a minute", async () => {
    let calls = 0;
    const write = async () => {
      calls += 1;
      throw new Error("away");
    };
    await withOutbox(write, async (outbox, passMs) => {
      outbox.put(1);
      const pauses: number[] = [];
      for (let attempt = 1; attempt <= 12; attempt += 1) {
        await outbox.writeDue();
        await outbox.writeDue();
        expect(calls).toBe(attempt);
        const pauseMs = (outbox.nextRetryAtMs() ?? 0) - 1_000_000 - pauses.reduce((sum, ms) => sum + ms, 0);
        pauses.push(pauseMs);
        passMs(pauseMs);
      }
      expect(pauses[0]).toBeLessThanOrEqual(1_000);
      expect(pauses[4]).toBeGreaterThanOrEqual(8_000);
      expect(Math.max(...pauses)).toBeLessThanOrEqual(60_000);
      expect(pauses.at(-1)).toBeGreaterThanOrEqual(30_000);
      expect(outbox.backlog()).toMatchObject({ waiting: 1, oldestAtMs: 1_000_000, lost: 0 });
    });
  });

  it("[REC-4] takes no more than its bound, and counts what it did not take", async () => {
    const written: number[] = [];
    const write = async (records: readonly number[]) => void written.push(...records);
    await withOutbox(
      write,
      async (outbox) => {
        for (let record = 1; record <= 5; record += 1) outbox.put(record);
        expect(outbox.backlog()).toMatchObject({ waiting: 3, lost: 2 });
        await outbox.writeDue();
        outbox.put(6);
        expect(outbox.backlog()).toMatchObject({ waiting: 1, lost: 2 });
        await outbox.writeDue();
      },
      { maxWaiting: 3 },
    );
    expect(written).toEqual([1, 2, 3, 6]);
  });

  it("[REC-4] lets its object hold no more than so many bytes, however few records that is, and takes more once some have gone", async () => {
    const written: string[] = [];
    const write = async (records: readonly string[]) => void written.push(...records);
    await withOutbox<string>(
      write,
      async (outbox) => {
        for (let record = 0; record < 20; record += 1) outbox.put(String(record).padEnd(40_000, "."));
        const { waiting, lost } = outbox.backlog();
        expect(waiting).toBeGreaterThanOrEqual(4);
        expect(waiting).toBeLessThanOrEqual(6);
        expect(lost).toBe(20 - waiting);
        await outbox.writeDue();
        for (let record = 0; record < waiting; record += 1) outbox.put(`more ${record} `.padEnd(40_000, "."));
        expect(outbox.backlog()).toMatchObject({ waiting, lost });
        outbox.put("x".repeat(40_000));
        expect(outbox.backlog()).toMatchObject({ waiting, lost: lost + 1 });
        await outbox.writeDue();
        expect(written).toHaveLength(2 * waiting);
      },
      { spareBytes: 200_000 },
    );
  });

  it("[REC-4] writes a megabyte at a time at most, and what is longer alone", async () => {
    const written: string[][] = [];
    await withOutbox<string>(takingAtMost(Infinity, written), async (outbox) => {
      outbox.put("x".repeat(1_200_000));
      for (let record = 0; record < 30; record += 1) outbox.put("x".repeat(98_000));
      await outbox.writeDue();
      expect(outbox.backlog()).toMatchObject({ waiting: 0 });
    });
    expect(written.map(({ length }) => length)).toEqual([1, 10, 10, 10]);
  });

  it.each(["one object", "objects that forget each other"])(
    "[REC-4] gets what is too long for the database through in smaller parts: %s",
    async (kind) => {
      const written: string[][] = [];
      await withOutbox<string>(takingAtMost(20_000, written), async (first, passMs, reopen) => {
        let outbox = first;
        for (let record = 0; record < 200; record += 1) outbox.put(String(record).padEnd(1_000));
        for (let tries = 0; outbox.backlog().waiting > 0 && tries < 200; tries += 1) {
          if (kind !== "one object") outbox = reopen();
          await outbox.writeDue();
          passMs(60_000);
        }
        for (let record = 200; record < 1_000; record += 1) outbox.put(String(record));
        await outbox.writeDue();
        expect(outbox.backlog()).toMatchObject({ waiting: 0, lost: 0, refused: 0 });
      });
      expect(written.flat().map(Number)).toEqual(Array.from({ length: 1_000 }, (_, record) => record));
      expect(Math.max(...written.map(({ length }) => length)), "it takes as many again").toBe(200);
    },
  );

  interface Mark {
    readonly of: string;
    readonly version: number;
  }
  const newest = {
    keyOf: ({ of }: Mark) => (of === "" ? undefined : of),
    isNewer: (one: Mark, other: Mark) => one.version > other.version,
  };

  it("holds the newest alone of those of which only the newest counts, also while an older one is being written", async () => {
    const written: string[] = [];
    let during: (records: readonly Mark[]) => void = () => undefined;
    let away = false;
    const write = async (records: readonly Mark[]) => {
      during(records);
      await Promise.resolve();
      if (away) throw new Error("away");
      written.push(...records.map(({ of, version }) => `${of}${version}`));
    };
    await withOutbox<Mark>(
      write,
      async (outbox, passMs) => {
        for (const version of [1, 3, 2]) outbox.put({ of: "a", version });
        outbox.put({ of: "b", version: 1 });
        outbox.put({ of: "", version: 1 });
        outbox.put({ of: "", version: 1 });
        expect(outbox.backlog()).toMatchObject({ waiting: 4 });
        away = true;
        // What was renewed on its way is there yet, whether that was written or not.
        during = () => outbox.put({ of: "b", version: 2 });
        await outbox.writeDue();
        expect(outbox.backlog()).toMatchObject({ waiting: 4 });
        away = false;
        during = (records) => {
          if (records.some(({ of, version }) => of === "b" && version === 2)) outbox.put({ of: "b", version: 3 });
        };
        passMs(60_000);
        await outbox.writeDue();
        expect(outbox.backlog()).toMatchObject({ waiting: 0, lost: 0 });
      },
      { newest },
    );
    expect(written).toEqual(["a3", "b2", "1", "1", "b3"]);
  });

  it("[REC-4] writes in the order in which it began to wait what is renewed all the time, and says for how long it has waited", async () => {
    const written: string[] = [];
    const write = async (records: readonly Mark[]) => {
      written.push(...records.map(({ of, version }) => `${of}${version}`));
    };
    await withOutbox<Mark>(
      write,
      async (outbox, passMs) => {
        outbox.put({ of: "a", version: 1 });
        for (let record = 0; record < 300; record += 1) {
          passMs(1);
          outbox.put({ of: "", version: record });
          outbox.put({ of: "a", version: 2 + record });
        }
        expect(outbox.backlog()).toMatchObject({ waiting: 301, oldestAtMs: 1_000_000 });
        await outbox.writeDue();
      },
      { newest },
    );
    expect(written[0]).toBe("a301");
    expect(written).toHaveLength(301);
  });

  it("[REC-4] lets others go before what is renewed while it is being written, unless it was not written", async () => {
    const written: string[] = [];
    let away = true;
    let version = 1;
    let renew: () => void = () => undefined;
    const write = async (records: readonly Mark[]) => {
      if (records.some(({ of }) => of === "a") && version < 4) renew();
      await Promise.resolve();
      if (away) throw new Error("away");
      written.push(...records.map((record) => `${record.of}${record.version}`));
    };
    await withOutbox<Mark>(
      write,
      async (outbox, passMs) => {
        renew = () => {
          passMs(10);
          outbox.put({ of: "a", version: (version += 1) });
        };
        outbox.put({ of: "a", version });
        await outbox.writeDue();
        expect(outbox.backlog()).toMatchObject({ waiting: 1, oldestAtMs: 1_000_000 });
        outbox.put({ of: "b", version: 1 });
        away = false;
        passMs(60_000);
        await outbox.writeDue();
        expect(outbox.backlog()).toEqual({ waiting: 0, oldestAtMs: undefined, lost: 0, refused: 0 });
      },
      { newest },
    );
    // One alone is tried first, since the database did not take it.
    expect(written).toEqual(["a2", "b1", "a3", "a4"]);
  });

  it("gives up only the record that the database will not have", async () => {
    const written: number[] = [];
    const write = async (records: readonly number[]) => {
      if (records.includes(77)) throw Object.assign(new Error("no"), { code: "SQLITE_CONSTRAINT" });
      written.push(...records);
    };
    await withOutbox(write, async (outbox) => {
      for (let record = 0; record < 100; record += 1) outbox.put(record);
      await outbox.writeDue();
      expect(outbox.backlog()).toMatchObject({ waiting: 0, lost: 0, refused: 1 });
    });
    expect(written).toEqual(Array.from({ length: 100 }, (_, record) => record).filter((record) => record !== 77));
  });

  it("tries nothing again when all that waited was given up by a database that is back", async () => {
    const faults = ["UNAVAILABLE", "SQLITE_CONSTRAINT"];
    const write = async () => {
      throw Object.assign(new Error("no"), { code: faults.shift() });
    };
    await withOutbox(write, async (outbox, passMs) => {
      outbox.put(1);
      await outbox.writeDue();
      expect(outbox.nextRetryAtMs()).toBeGreaterThan(1_000_000);
      passMs(60_000);
      await outbox.writeDue();
      expect(outbox.backlog()).toMatchObject({ waiting: 0, refused: 1 });
      expect(outbox.nextRetryAtMs()).toBeUndefined();
    });
  });
});
