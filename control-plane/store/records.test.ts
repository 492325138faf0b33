import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LibsqlServer, startLibsqlServer } from "../../dev/libsql/server.ts";
import type { AllocationRecord, ClusterEventRecord, StoreRecord } from "../domain/store-record.ts";
import { DatabaseError } from "./database.ts";
import { listAllocations, listClusterEvents } from "./history.ts";
import { migrate } from "./migrate.ts";
import { erasePlayer } from "./erasure.ts";
import { findPlayer } from "./players.ts";
import { writeRecords } from "./records.ts";
import { refusesRows } from "./refusal.ts";
import { forgetErasedPlayers, pruneRecords } from "./retention.ts";
import { findSave } from "./saves.ts";

const authToken = "a-token-for-tests";
let folder: string;
let server: LibsqlServer;
let address: { url: string; authToken: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-records-"));
  server = await startLibsqlServer({ file: join(folder, "turso.db"), authToken });
  address = { url: server.url, authToken };
  await migrate(address);
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

let numbers = 0;

/** One player's seat, and all that becomes of it. */
function session(start: number) {
  numbers += 1;
  const of = { reservationId: `r${numbers}`, playerId: `p${numbers}`, clusterId: `eu.c${numbers}` };
  const seat = { ...of, region: "eu", generation: 1 };
  const allocation: AllocationRecord = {
    kind: "allocation",
    ...seat,
    clusterName: "Frankfurt",
    atMs: start,
    expiresAtMs: start + 60,
  };
  const records: StoreRecord[] = [
    { kind: "player", playerId: of.playerId, displayName: "Ada", atMs: start - 1 },
    allocation,
    { kind: "join", ...seat, atMs: start + 10 },
    { kind: "leave", ...of, atMs: start + 50 },
  ];
  return { ...of, allocation, records };
}

const historyOf = (playerId: string, nowMs = 1_000_000) => listAllocations(address, { playerId, limit: 100, nowMs });

describe("records", () => {
  it("come to the same however often and in whatever batches they are written", async () => {
    const { playerId, reservationId, records } = session(1_000);
    await writeRecords(address, records);
    await writeRecords(address, records.slice(0, 2));
    await writeRecords(address, [...records, ...records]);
    expect(await historyOf(playerId)).toEqual([
      {
        reservationId,
        playerId,
        clusterId: expect.stringMatching(/^eu\.c/),
        clusterName: "Frankfurt",
        region: "eu",
        generation: 1,
        allocatedAtMs: 1_000,
        joinedAtMs: 1_010,
        leftAtMs: 1_050,
        outcome: "left",
      },
    ]);
  });

  it("may come from another object before those that they follow", async () => {
    const { playerId, records } = session(1_000);
    const [, allocation, join, leave] = records;
    if (allocation === undefined || join === undefined || leave === undefined) throw new Error("there are four");
    await writeRecords(address, [join]);
    expect(await historyOf(playerId)).toMatchObject([{ allocatedAtMs: 1_010, clusterName: "", outcome: "joined" }]);
    await writeRecords(address, [leave]);
    await writeRecords(address, [allocation]);
    expect(await historyOf(playerId)).toMatchObject([
      { allocatedAtMs: 1_000, clusterName: "Frankfurt", joinedAtMs: 1_010, leftAtMs: 1_050 },
    ]);
  });

  it("tell a seat that can still be used from one that was not", async () => {
    const { playerId, allocation } = session(5_000);
    await writeRecords(address, [allocation]);
    expect(await historyOf(playerId, 5_060)).toMatchObject([{ outcome: "open" }]);
    expect(await historyOf(playerId, 5_061)).toMatchObject([{ outcome: "unused" }]);
  });

  it("[REC-5] of one reservation are not changed by who else names it", async () => {
    const { playerId, records, reservationId } = session(1_000);
    await writeRecords(address, records.slice(0, 2));
    const stranger = { reservationId, playerId: "another", clusterId: "eu.other" };
    await writeRecords(address, [
      { kind: "join", ...stranger, region: "eu", generation: 9, atMs: 1_001 },
      { kind: "leave", ...stranger, atMs: 1_002 },
    ]);
    expect(await historyOf(playerId)).toMatchObject([{ joinedAtMs: undefined, leftAtMs: undefined, generation: 1 }]);
    expect(await historyOf("another")).toEqual([]);
  });

  it("keep a player's first visit, the latest, and its name", async () => {
    const seen = (displayName: string, atMs: number) => ({
      kind: "player" as const,
      playerId: "seen",
      displayName,
      atMs,
    });
    await writeRecords(address, [seen("Grace", 20)]);
    await writeRecords(address, [seen("Ada", 10)]);
    expect(await findPlayer(address, "seen")).toEqual({ displayName: "Grace", createdAtMs: 10, lastSeenAtMs: 20 });
  });

  it("of clusters are written once each, and read in pages, the newest first", async () => {
    const events = Array.from({ length: 5 }, (_, index): ClusterEventRecord => ({
      kind: "cluster",
      eventId: `event-${index}`,
      event: "registered",
      clusterId: "eu.paged",
      clusterName: "Frankfurt",
      shard: "eu.0",
      boot: index,
      // Two at the same time.
      atMs: Math.floor(index / 2),
    }));
    await writeRecords(address, events);
    await writeRecords(address, events);
    const first = await listClusterEvents(address, { clusterId: "eu.paged", limit: 3 });
    const last = first.at(-1);
    if (last === undefined) throw new Error("there are three");
    const after = { atMs: last.atMs, id: last.eventId };
    const second = await listClusterEvents(address, { clusterId: "eu.paged", limit: 3, after });
    expect([...first, ...second].map(({ boot }) => boot)).toEqual([4, 3, 2, 1, 0]);
  });

  it("are all written or none", async () => {
    const { playerId, records } = session(1_000);
    // Each row has to have it.
    const broken: AllocationRecord = { ...session(2_000).allocation };
    Reflect.set(broken, "clusterName", null);
    const failure = await writeRecords(address, [...records, broken]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DatabaseError);
    expect(refusesRows(failure)).toBe(true);
    expect(await historyOf(playerId)).toEqual([]);
    expect(await findPlayer(address, playerId)).toBeUndefined();
  });

  it("that cannot be written because the database is away are not refused", async () => {
    const { records } = session(1_000);
    const failure = await writeRecords({ ...address, url: "http://127.0.0.1:9" }, records).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(DatabaseError);
    expect(refusesRows(failure)).toBe(false);
  });
});

describe("the records of a deleted account", () => {
  it("[REC-3] are gone, and those on their way do not come back", async () => {
    const { playerId, records } = session(1_000);
    const other = session(1_000);
    await writeRecords(address, [...records.slice(0, 3), ...other.records]);
    await erasePlayer(address, { playerId, erasedAtMs: 2_000, minGeneration: 0 });
    await erasePlayer(address, { playerId, erasedAtMs: 2_000, minGeneration: 0 });
    await writeRecords(address, [...records, ...other.records]);
    expect(await historyOf(playerId)).toEqual([]);
    expect(await findPlayer(address, playerId)).toBeUndefined();
    expect(await historyOf(other.playerId)).toHaveLength(1);
  });

  it("[REC-3] do not go on with a session from before, however late it ends", async () => {
    const { playerId, reservationId, clusterId } = session(1_000);
    const said = (generation: number): StoreRecord[] => [
      { kind: "join", reservationId, playerId, clusterId, region: "eu", generation, atMs: 3_000 },
      { kind: "save", playerId, generation, version: 1, state: "AAAA", atMs: 3_000 },
    ];
    await erasePlayer(address, { playerId, erasedAtMs: 2_000, minGeneration: 2 });
    await writeRecords(address, said(1));
    expect(await historyOf(playerId)).toEqual([]);
    expect(await findSave(address, playerId)).toBeUndefined();
    // Said once more, and late.
    await writeRecords(address, said(2));
    await erasePlayer(address, { playerId, erasedAtMs: 2_000, minGeneration: 2 });
    expect(await historyOf(playerId)).toMatchObject([{ joinedAtMs: 3_000 }]);
    expect(await findSave(address, playerId)).toMatchObject({ generation: 2 });
  });

  it("begin anew when the same player comes back", async () => {
    const { playerId, allocation, records } = session(1_000);
    await writeRecords(address, records);
    await erasePlayer(address, { playerId, erasedAtMs: 2_000, minGeneration: 0 });
    const again: AllocationRecord = { ...allocation, reservationId: `${allocation.reservationId}-again`, atMs: 3_000 };
    await writeRecords(address, [{ kind: "player", playerId, displayName: "Ada", atMs: 3_000 }, again]);
    await writeRecords(address, records);
    expect(await historyOf(playerId)).toMatchObject([{ allocatedAtMs: 3_000 }]);
    await forgetErasedPlayers(address, 5_000);
    expect(await findPlayer(address, playerId)).toBeDefined();
  });
});

describe("retention", () => {
  it("removes what is too old, a batch at a time, and nothing else", async () => {
    const old = Array.from({ length: 5 }, (_, index) => session(-10_000 + index));
    const fresh = session(9_000);
    await writeRecords(
      address,
      [...old, fresh].flatMap(({ records }) => records),
    );
    expect(await pruneRecords(address, -5_000, 3)).toBe(3);
    expect(await pruneRecords(address, -5_000, 3)).toBe(2);
    expect(await pruneRecords(address, -5_000, 3)).toBe(0);
    expect(await historyOf(fresh.playerId)).toHaveLength(1);
    expect(await findPlayer(address, old[0]?.playerId ?? "")).toBeDefined();
  });
});
