import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, expect, it, vi } from "vitest";
import * as worker from "../../control-plane/worker.ts";
import { Outbox } from "../../control-plane/objects/outbox.ts";
import { queueOf } from "../../control-plane/domain/waiting/waiting-queue.ts";
import { createKey, startCluster, type TestCluster } from "./support/clusters.ts";
import { call } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { startParty, type TestParty } from "./support/parties.ts";
import { allocate } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";
import { fill, newWaiter } from "./support/waiting.ts";

/*
 * An alarm that throws is tried six more times by the platform, and then never again. So nothing may come out of one, not even where an
 * object's storage is not what it should be: it is logged, and another one is set.
 */

let cluster: TestCluster;
let party: TestParty;
let keyId: string;
let queue: string;

beforeAll(async () => {
  cluster = await startCluster({
    world: { name: "alarmed", fragments: [{ name: "n", min: [0, 0, 0], max: [1, 1, 1] }] },
  });
  party = await startParty(2);
  await allocate(party.leader, { clusterId: cluster.id });
  const { accessToken: token } = await logInOperator();
  await call("PUT", `/v1/admin/clusters/${cluster.id}/drain`, { token, body: { deadlineSeconds: 600 } });
  ({ keyId } = await createKey());
  await env.CLUSTER_KEY_RECORD.getByName(keyId).retire(keyId, Date.now() + 60_000);
  const full = await startCluster({ capacity: 1 });
  await fill(full);
  await newWaiter({ clusterId: full.id });
  ({ name: queue } = await queueOf({ clusterId: full.id }));
  await env.RATE_LIMITER.getByName("alarmed").attempt(["loginPerAddress"]);
});

const objects = {
  RegistryShard: () => env.REGISTRY_SHARD.getByName("default.0"),
  KeyRing: () => env.KEY_RING.getByName("ring"),
  PlayerSession: () => env.PLAYER_SESSION.getByName(party.leader.player.id),
  ClusterKeyRecord: () => env.CLUSTER_KEY_RECORD.getByName(keyId),
  AuditLog: () => env.AUDIT_LOG.getByName("log"),
  ClusterOrderBook: () => env.CLUSTER_ORDER_BOOK.getByName(cluster.id),
  Party: () => env.PARTY.getByName(party.view.id),
  RecordKeeper: () => env.RECORD_KEEPER.getByName("alarmed"),
  WorldMap: () => env.WORLD_MAP.getByName("alarmed"),
};

/** Those whose alarms read no table: the call to their storage with which the alarm ends is what fails. */
const others = {
  WaitingRoom: [() => env.WAITING_ROOM.getByName(queue), "setAlarm"],
  RateLimiter: [() => env.RATE_LIMITER.getByName("alarmed"), "deleteAll"],
} as const;

it("is tried of every class of objects that has an alarm", () => {
  const names = Object.values(worker).flatMap((exported) =>
    typeof exported === "function" && "alarm" in exported.prototype ? [String(exported.name)] : [],
  );
  expect(new Set([...Object.keys(objects), ...Object.keys(others)])).toEqual(new Set(names));
});

it.each(Object.entries(objects))("an alarm of a %s that fails is followed by another", async (_, object) => {
  const rows = await runInDurableObject(object(), async (__, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf*' AND name NOT GLOB 'sqlite_*'",
      )
      .toArray()
      .map(({ name }) => name);
    for (const name of tables) storage.sql.exec(`ALTER TABLE "${name}" RENAME TO "lost_${name}"`);
    await storage.setAlarm(Date.now() + 3_600_000);
    return tables;
  });
  expect(rows.length).toBeGreaterThan(1);
  expect(await runDurableObjectAlarm(object())).toBe(true);
  const next = await runInDurableObject(object(), async (__, { storage }) => {
    for (const name of rows) storage.sql.exec(`ALTER TABLE "lost_${name}" RENAME TO "${name}"`);
    return storage.getAlarm();
  });
  expect(next).toBeGreaterThan(Date.now());
  expect(next).toBeLessThan(Date.now() + 120_000);
  // With its storage back, it works again.
  expect(await runDurableObjectAlarm(object())).toBe(true);
});

it.each(Object.entries(others))("an alarm of a %s that fails is followed by another", async (_, [object, call]) => {
  const alarmOf = async () => runInDurableObject(object(), async (__, { storage }) => storage.getAlarm());
  await runInDurableObject(object(), async (__, { storage }) => {
    await storage.setAlarm(Date.now() + 3_600_000);
    vi.spyOn(storage, call).mockRejectedValueOnce(new Error("lost"));
  });
  expect(await runDurableObjectAlarm(object())).toBe(true);
  const next = await alarmOf();
  // A minute, which is what follows a failure: an alarm that went well would have asked for less, or for none.
  expect(next).toBeGreaterThan(Date.now() + 30_000);
  expect(next).toBeLessThan(Date.now() + 120_000);
  expect(await runDurableObjectAlarm(object())).toBe(true);
  // Now it has gone well.
  expect((await alarmOf()) ?? 0).toBeLessThan(Date.now() + 30_000);
});

it("a message to an object that hangs does not delay those to others, before or after it", async () => {
  const stub = env.REGISTRY_SHARD.getByName("outbox-of-a-test");
  await runInDurableObject(stub, async (_, { storage }) => {
    const begun: string[] = [];
    const { promise: hanging, resolve: release } = Promise.withResolvers<void>();
    const outbox = new Outbox<string>(storage.sql, Date.now, async ({ target, payload }) => {
      begun.push(payload);
      if (target === "hangs") await hanging;
    });
    for (let index = 0; index < 40; index += 1) outbox.put("hangs", `hangs ${index}`);
    outbox.put("fine", "behind it");
    const run = outbox.deliverDue();
    const others = (): string[] => begun.filter((payload) => !payload.startsWith("hangs"));
    await eventually(() => expect(others()).toEqual(["behind it"]));
    outbox.put("fine", "meanwhile");
    void outbox.deliverDue();
    await eventually(() => expect(others()).toEqual(["behind it", "meanwhile"]));
    expect(begun.length - others().length).toBe(4);
    release();
    await run;
    expect([begun.length, outbox.nextDueAtMs()]).toEqual([42, undefined]);
  });
});

it("what fails is tried again while another object hangs", async () => {
  const stub = env.REGISTRY_SHARD.getByName("outbox-of-another-test");
  await runInDurableObject(stub, async (_, { storage }) => {
    let nowMs = 1_000_000;
    let attempts = 0;
    const { promise: hanging, resolve: release } = Promise.withResolvers<void>();
    const outbox = new Outbox<string>(
      storage.sql,
      () => nowMs,
      async ({ target }) => {
        if (target === "hangs") return hanging;
        attempts += 1;
        if (attempts === 1) throw new Error("not now");
      },
    );
    outbox.put("hangs", "x");
    outbox.put("fails", "y");
    const run = outbox.deliverDue();
    await eventually(() => expect(attempts).toBe(1));
    nowMs += 10_000;
    await eventually(() => expect(attempts).toBe(2));
    release();
    await run;
    expect(outbox.nextDueAtMs()).toBeUndefined();
  });
});
