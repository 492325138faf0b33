import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createClient, type GameSession, type SustenetClient } from "../../clients/typescript/index.ts";
import { findSave } from "../../control-plane/store/saves.ts";
import { decodePlayerState } from "../../data-plane/authority/player-state.ts";
import { freePort } from "../../dev/ports.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";

/** A real master, and two real clusters of a game that saves. They share one set-up: the last test kills the master. */
let stateDir: string;
let port: number;
let master: MasterProcess;
let clusters: ClusterProcess[];
let ids: string[];
const log: string[] = [];
const say = (_who: string, what: string): void => void log.push(what);
const program = join(import.meta.dirname, "../support/saving-cluster.ts");

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-saves-"));
  port = await freePort("127.0.0.1");
  master = await startMaster({ stateDir, port, say });
  clusters = await Promise.all([1, 2].map((number) => startCluster({ stateDir, number, master, say, program })));
  ids = (await createClient({ masterUrl: master.url }).clusters()).map(({ id }) => id);
});

afterAll(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

async function logIn(): Promise<{ readonly client: SustenetClient; readonly playerId: string }> {
  const client = createClient({ masterUrl: master.url });
  const { id } = await client.login({ anonymous: true });
  return { client, playerId: id };
}

const enter = async (client: SustenetClient, cluster: 0 | 1): Promise<GameSession> =>
  client.join(await client.allocate({ clusterId: ids[cluster] ?? "" }));
const ask = async (session: GameSession, command: 1 | 2): Promise<string> =>
  Buffer.from(await session.request(command, undefined, { timeoutMs: 60_000 })).toString();

/** What the database of record has in the player's purse. */
async function recorded(playerId: string): Promise<number | undefined> {
  const save = await findSave(master.database, playerId);
  return save === undefined ? undefined : decodePlayerState(Buffer.from(save.state, "base64")).saved?.[0];
}

it("[HAND-8] what a player saves on one cluster is there when it joins on another, and in the database", async () => {
  const { client, playerId } = await logIn();
  const first = await enter(client, 0);
  expect([await ask(first, 2), await ask(first, 1), await ask(first, 1), await ask(first, 2)]).toEqual([
    "0",
    "saved",
    "saved",
    "2",
  ]);
  await first.leave();
  const second = await enter(client, 1);
  expect(await ask(second, 2)).toBe("2");
  await expect.poll(() => recorded(playerId)).toBe(2);
  await second.leave();
});

it("[HAND-3] a session that a newer one has left behind is closed, and saves nothing", async () => {
  const { client, playerId } = await logIn();
  const older = await enter(client, 0);
  expect(await ask(older, 1)).toBe("saved");
  const closed = Promise.withResolvers<string>();
  older.on("close", ({ code }) => closed.resolve(code));
  const newer = await enter(client, 1);
  expect([await closed.promise, await ask(newer, 2)]).toEqual(["REPLACED", "1"]);
  await expect.poll(() => log.includes(`purse of ${playerId} superseded`)).toBe(true);
  expect(await ask(newer, 1)).toBe("saved");
  await newer.leave();
  const last = await enter(client, 0);
  expect(await ask(last, 2)).toBe("2");
  await last.leave();
});

it("[HAND-10] with the master killed players join all the same, and what they save waits and arrives when it is back", async () => {
  const [rich, fresh, late] = [await logIn(), await logIn(), await logIn()];
  for (const { client } of [rich, late]) {
    const before = await enter(client, 0);
    expect(await ask(before, 1)).toBe("saved");
    await before.leave();
  }
  const allocations = await Promise.all(
    [rich, fresh].map(async ({ client }) => client.allocate({ clusterId: ids[1] ?? "" })),
  );
  master.child.kill("SIGKILL");
  await master.ended;
  const [richSession, freshSession] = await Promise.all(
    [rich, fresh].map(async ({ client }, index) => {
      const allocation = allocations[index];
      if (allocation === undefined) throw new Error("no allocation");
      return client.join(allocation);
    }),
  );
  if (richSession === undefined || freshSession === undefined) throw new Error("nobody has joined");
  // Nobody knows yet what there was.
  expect(await ask(richSession, 2)).toBe("");
  const early = [ask(richSession, 1), ask(freshSession, 1)];
  master = await startMaster({ stateDir, port, say });
  // Its ticket shows that the master is back, however long the cluster would have waited before it tried again.
  const lateSession = await enter(late.client, 1);
  expect(await ask(lateSession, 2)).toBe("1");
  await lateSession.leave();
  // One would have overwritten what had not been read; the other had nothing to overwrite.
  expect(await Promise.all(early)).toEqual(["unsaved", "saved"]);
  await expect.poll(() => ask(richSession, 2)).toBe("1");
  expect(await ask(richSession, 1)).toBe("saved");
  await Promise.all([richSession.leave(), freshSession.leave()]);
  const again = await enter(rich.client, 0);
  expect(await ask(again, 2)).toBe("2");
  await expect.poll(() => recorded(rich.playerId)).toBe(2);
  await expect.poll(() => recorded(fresh.playerId)).toBe(1);
  await again.leave();
});
