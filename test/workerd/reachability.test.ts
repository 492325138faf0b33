import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import type { RegistryShard } from "../../control-plane/worker.ts";
import { startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import type { Provided } from "./support/provided.ts";
import { localMasterUrl, setProbing } from "./support/shard-settings.ts";
import { eventually } from "../support/eventually.ts";

const shard = env.REGISTRY_SHARD.getByName("default.0");
const bindings: Provided["workerBindings"] = inject("workerBindings");
/** Something that listens on this machine: the database. */
const open = Number(new URL(bindings["TURSO_DATABASE_URL"] ?? "").port);

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
    storage.sql.exec("UPDATE clusters SET state = 'gone'");
  });
  await setProbing(true);
});

afterEach(async () => {
  vi.useRealTimers();
  await setProbing(false);
});

async function stateOf({ id }: TestCluster) {
  return runInDurableObject(shard, (_: RegistryShard, { storage }) =>
    storage.sql
      .exec<{ state: string; failures: number; fault: string; pauseMs: number }>(
        `SELECT state, probe_failures AS failures, probe_fault AS fault, probe_at - probed_at AS pauseMs
         FROM clusters WHERE cluster_id = ?`,
        id,
      )
      .one(),
  );
}

async function runAlarm(): Promise<void> {
  await runInDurableObject(shard, async (instance: RegistryShard) => instance.alarm());
}

describe("a cluster whose address the master tries", () => {
  it("is starting until it is reached, then ready", async () => {
    await setProbing(true, localMasterUrl);
    const cluster = await startCluster({ port: open }, undefined, localMasterUrl);
    await eventually(async () => expect((await stateOf(cluster)).state).toBe("ready"));
    await allocate(await logIn(), { clusterId: cluster.id });
    const link = await cluster.openLink();
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
  });

  it("[SEC-62] is not given while nobody answers there, is told that and no more, and tried again", async () => {
    await setProbing(true, localMasterUrl);
    const cluster = await startCluster({ port: 1 }, undefined, localMasterUrl);
    await eventually(async () => expect((await stateOf(cluster)).fault).toBe("refused"));
    const named = await requestAllocation(await logIn(), { clusterId: cluster.id });
    expect((await expectProblem(named, "NO_CLUSTER_AVAILABLE")).detail).toContain("starting");
    await expectProblem(await requestAllocation(await logIn(), { region: "default" }), "NO_CLUSTER_AVAILABLE");
    const told = { type: "reach", host: "127.0.0.1", port: 1, fault: "refused" };
    expect(await (await cluster.openLink()).nextCommand()).toEqual(told);
    const { accessToken: token } = await logInOperator();
    expect(await expectJson(await call("GET", `/v1/admin/clusters/${cluster.id}`, { token }), 200)).toMatchObject({
      state: "starting",
      reason: "127.0.0.1:1 cannot be reached: refused",
    });
    expect(await cluster.report()).toContainEqual(told);
    await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
      storage.sql.exec("UPDATE clusters SET port = ? WHERE cluster_id = ?", open, cluster.id);
    });
    vi.setSystemTime(Date.now() + 11_000);
    await runAlarm();
    expect((await stateOf(cluster)).state).toBe("ready");
    expect(await cluster.report()).toHaveLength(1);
    await allocate(await logIn(), { clusterId: cluster.id });
  });

  it("hears it over its link as soon as it is known", async () => {
    await setProbing(true, localMasterUrl);
    const cluster = await startCluster({ port: 1 }, undefined, localMasterUrl);
    const link = await cluster.openLink();
    expect(await link.nextCommand()).toMatchObject({ type: "reach", fault: "refused" });
  });

  it("is reached where it was reached before: registering again costs no offer", async () => {
    await setProbing(true, localMasterUrl);
    const cluster = await startCluster({ port: open }, undefined, localMasterUrl);
    await eventually(async () => expect((await stateOf(cluster)).state).toBe("ready"));
    const again = await startCluster({ port: open }, cluster.key, localMasterUrl);
    expect((await stateOf(again)).state).toBe("ready");
    const moved = await startCluster({ port: 1 }, cluster.key, localMasterUrl);
    expect((await stateOf(moved)).state).toBe("starting");
  });

  it("[SEC-60] is not tried on a private address, unless the master is on one", async () => {
    const cluster = await startCluster({ port: open });
    await eventually(async () => expect((await stateOf(cluster)).fault).toBe("private"));
    expect((await stateOf(cluster)).state).toBe("starting");
  });

  it("[SEC-61] is not tried more often when it registers again and again", async () => {
    await setProbing(true, localMasterUrl);
    const cluster = await startCluster({ port: 1 }, undefined, localMasterUrl);
    await eventually(async () => expect((await stateOf(cluster)).failures).toBe(1));
    let again = cluster;
    for (let index = 0; index < 3; index += 1) {
      again = await startCluster({ port: 1 }, cluster.key, localMasterUrl);
      await runAlarm();
      expect((await stateOf(again)).failures).toBe(0);
    }
    vi.setSystemTime(Date.now() + 5_000);
    await runAlarm();
    expect((await stateOf(cluster)).failures).toBe(1);
    for (let index = 0; index < 9; index += 1) {
      vi.setSystemTime(Date.now() + 300_000);
      await again.report();
      await runAlarm();
    }
    const { pauseMs } = await stateOf(cluster);
    expect(pauseMs).toBeGreaterThanOrEqual(150_000);
    expect(pauseMs).toBeLessThanOrEqual(300_000);
  });

  it("is offered at once when attempts are switched off", async () => {
    const cluster = await startCluster({ port: 1 });
    expect((await stateOf(cluster)).state).toBe("starting");
    await setProbing(false);
    vi.setSystemTime(Date.now() + 300_000);
    await cluster.report();
    await runAlarm();
    expect((await stateOf(cluster)).state).toBe("ready");
  });
});
