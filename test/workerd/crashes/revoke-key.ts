import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect } from "vitest";
import {
  assertionOf,
  createKey,
  registration,
  requestRegistration,
  startCluster,
  type TestKey,
} from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { eventually } from "../../support/eventually.ts";

async function expectRefused(key: TestKey, instance: string): Promise<void> {
  const details = registration({ instance });
  const response = await requestRegistration(details, await assertionOf(key, details.instance));
  await expectProblem(response, "CLUSTER_KEY_UNKNOWN");
}

/** Once it is on record, a revocation reaches every shard, whether or not its caller comes again. */
export const scenario: CrashScenario = {
  flow: "revoke-key",
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const key = await createKey();
    const body = { name: "crash", publicKey: key.publicKey };
    await expectJson(await call("POST", "/v1/admin/keys", { token, body }), 200);
    const clusters = [
      await startCluster({ instance: "a" }, key),
      await startCluster({ instance: "b", region: "eu" }, key),
    ];
    const path = `/v1/admin/keys/${key.keyId}`;
    return {
      begin: async () => call("DELETE", path, { token }),
      carryOn: async () => {
        await expectJson(await call("DELETE", path, { token }), 200);
        await eventually(async () => {
          await runDurableObjectAlarm(env.CLUSTER_KEY_RECORD.getByName(key.keyId));
          expect(await expectJson(await call("DELETE", path, { token }), 200)).toMatchObject({ pendingShards: 0 });
        });
      },
      check: async () => {
        for (const cluster of clusters) {
          await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
          await expectRefused(key, cluster.details.instance);
        }
      },
    };
  },
};

/** A key that another has taken the place of ends by itself. */
export const retirement: CrashScenario = {
  flow: "retire-key",
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const [old, next] = [await createKey(), await createKey()];
    const enrolment = { name: "crash", publicKey: old.publicKey };
    await expectJson(await call("POST", "/v1/admin/keys", { token, body: enrolment }), 200);
    const cluster = await startCluster({ instance: "a" }, old);
    const path = `/v1/admin/keys/${old.keyId}/rotate`;
    const body = { publicKey: next.publicKey, overlapSeconds: 0 };
    return {
      begin: async () => call("POST", path, { token, body }),
      carryOn: async () => {
        const response = await call("POST", path, { token, body });
        // It may have ended already: that is what it is for.
        if (response.status !== 200) await expectProblem(response, "KEY_REVOKED");
        await eventually(async () => {
          await runDurableObjectAlarm(env.CLUSTER_KEY_RECORD.getByName(old.keyId));
          expect((await cluster.requestLink()).status).toBe(409);
        });
      },
      check: async () => {
        await expectRefused(old, "b");
        const details = registration({ instance: "a" });
        await expectJson(await requestRegistration(details, await assertionOf(next, details.instance)), 200);
      },
    };
  },
};
