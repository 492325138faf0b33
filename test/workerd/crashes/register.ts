import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { decodeJwt } from "jose";
import { expect, inject } from "vitest";
import type { RegistryShard } from "../../../control-plane/worker.ts";
import type { RegisterRequest } from "../../../protocol/index.ts";
import {
  assertionOf,
  enrolledKey,
  registration,
  requestRegistration,
  startCluster,
  type TestCluster,
} from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectProblem, masterUrl } from "../support/master.ts";
import { allocate, logIn } from "../support/players.ts";
import type { Provided } from "../support/provided.ts";
import { localMasterUrl, setProbing } from "../support/shard-settings.ts";
import { eventually } from "../../support/eventually.ts";

/** The process that registers again is the one that players are sent to, and the only one that may speak. */
async function prepare(changes: Partial<RegisterRequest>) {
  const key = await enrolledKey();
  const details = registration(changes);
  const older = await startCluster(changes, key);
  let newest: TestCluster | undefined;
  return {
    begin: async () => requestRegistration(details, await assertionOf(key, details.instance)),
    carryOn: async () => {
      newest = await startCluster(changes, key);
    },
    check: async () => {
      const { boot } = newest?.registered ?? { boot: 0 };
      expect(boot).toBeGreaterThan(older.registered.boot);
      const { ticket, cluster } = await allocate(await logIn(), { clusterId: older.id });
      expect([cluster.id, decodeJwt(ticket)["boot"]]).toEqual([older.id, boot]);
      await expectProblem(await older.requestLink(), "CLUSTER_FENCED");
      expect(await newest?.report({ full: true })).toHaveLength(1);
    },
  };
}

/** Two shards, so that one has to tell the other. */
export const registering: CrashScenario = { flow: "register", prepare: async () => prepare({ region: "eu" }) };

export const bringing: CrashScenario = {
  flow: "register",
  steps: ["admitted"],
  prepare: async () => prepare({ region: `new-${crypto.randomUUID().slice(0, 8)}` }),
};

/** The other shard's answer is lost with the memory of this one, and asked for again: then the cluster is offered. */
export const arriving: CrashScenario = {
  flow: "register",
  steps: ["arriving", "displacing"],
  prepare: async () => {
    const key = await enrolledKey();
    const details = registration({ region: "eu", capacity: 1 });
    let cluster: TestCluster | undefined;
    return {
      begin: async () => requestRegistration(details, await assertionOf(key, details.instance)),
      carryOn: async () => {
        cluster = await startCluster({ region: "eu", capacity: 1 }, key);
      },
      check: async () => {
        const player = await logIn();
        await eventually(async () => allocate(player, { clusterId: cluster?.id ?? "" }));
        await call("DELETE", `/v1/clusters/${cluster?.id}`, { token: cluster?.token });
        cluster = await startCluster({ region: "eu", capacity: 1 }, key);
      },
    };
  },
};

/** A cluster whose address was being tried is tried again, and then offered. */
export const probing: CrashScenario = {
  flow: "register",
  steps: ["probing"],
  prepare: async () => {
    const shard = env.REGISTRY_SHARD.getByName("default.0");
    const bindings: Provided["workerBindings"] = inject("workerBindings");
    const port = Number(new URL(bindings["TURSO_DATABASE_URL"] ?? "").port);
    const key = await enrolledKey();
    const details = registration({ port });
    let clusterId = "";
    await setProbing(true, localMasterUrl);
    return {
      begin: async () => {
        const answer = await requestRegistration(details, await assertionOf(key, details.instance, localMasterUrl));
        const registered: { clusterId: string } = await answer.json();
        ({ clusterId } = registered);
      },
      carryOn: async () => {
        await setProbing(true, localMasterUrl);
        await runInDurableObject(shard, async (instance: RegistryShard, { storage }) => {
          storage.sql.exec("UPDATE clusters SET probe_at = 1 WHERE probe_at > 0");
          await instance.alarm();
        });
        await setProbing(false, masterUrl);
      },
      check: async () => {
        await eventually(async () => allocate(await logIn(), { clusterId }));
      },
    };
  },
};
