import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, expect, it } from "vitest";
import { createKey, startCluster, type TestCluster } from "./support/clusters.ts";
import { call } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { startParty, type TestParty } from "./support/parties.ts";
import { allocate } from "./support/players.ts";

/*
 * An alarm that throws is tried six more times by the platform, and then never again. So nothing may come out of one, not even where an
 * object's storage is not what it should be: it is logged, and another one is set.
 */

let cluster: TestCluster;
let party: TestParty;
let keyId: string;

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
});

const objects = {
  "a registry shard": () => env.REGISTRY_SHARD.getByName("default.0"),
  "the key ring": () => env.KEY_RING.getByName("ring"),
  "a player's session": () => env.PLAYER_SESSION.getByName(party.leader.player.id),
  "a cluster key's record": () => env.CLUSTER_KEY_RECORD.getByName(keyId),
  "the audit log": () => env.AUDIT_LOG.getByName("log"),
  "a cluster's order book": () => env.CLUSTER_ORDER_BOOK.getByName(cluster.id),
  "a party": () => env.PARTY.getByName(party.view.id),
  "a keeper of records": () => env.RECORD_KEEPER.getByName("alarmed"),
  "the map of a world": () => env.WORLD_MAP.getByName("alarmed"),
};

it.each(Object.entries(objects))("an alarm of %s that fails is followed by another", async (_, object) => {
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
