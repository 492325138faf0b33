import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect } from "vitest";
import { startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { logIn, requestAllocation } from "../support/players.ts";
import { eventually } from "../../support/eventually.ts";

/** An order that is on record is carried out, and holds when the cluster registers again. */
export const scenario: CrashScenario = {
  flow: "orders",
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const cluster = await startCluster();
    const path = `/v1/admin/clusters/${cluster.id}/drain`;
    const body = { deadlineSeconds: 600 };
    return {
      begin: async () => call("PUT", path, { token, body }),
      carryOn: async () => {
        await expectJson(await call("PUT", path, { token, body }), 200);
        await eventually(async () => {
          await runDurableObjectAlarm(env.CLUSTER_ORDER_BOOK.getByName(cluster.id));
          const answer = await call("GET", `/v1/admin/clusters/${cluster.id}`, { token });
          expect(await expectJson(answer, 200)).toMatchObject({ state: "draining" });
        });
      },
      check: async () => {
        const wish = { clusterId: cluster.id };
        await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
        await startCluster(cluster.details, cluster.key);
        await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
      },
    };
  },
};
