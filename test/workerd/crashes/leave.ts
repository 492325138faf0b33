import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect } from "vitest";
import type { WorldMapView } from "../../../protocol/index.ts";
import { startCluster, type TestCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { eventually } from "../../support/eventually.ts";

/** A drain with moving that is on record gives the fragments away, wherever it stopped. [WORLD-6] */
export const scenario: CrashScenario = {
  flow: "leave",
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const name = `w-${crypto.randomUUID()}`;
    const world = { name, fragments: [{ name: "n", min: [0, 0, 0], max: [1, 1, 1] }] } as const;
    const carrier = await startCluster({ world });
    await carriedBy(carrier);
    const standby = await startCluster({ world });
    const path = `/v1/admin/clusters/${carrier.id}/drain`;
    const body = { deadlineSeconds: 600, movePlayers: true };
    return {
      begin: async () => call("PUT", path, { token, body }),
      carryOn: async () => {
        await expectJson(await call("PUT", path, { token, body }), 200);
        await runDurableObjectAlarm(env.CLUSTER_ORDER_BOOK.getByName(carrier.id));
        await carriedBy(standby);
      },
      check: async () => carriedBy(standby),
    };
  },
};

async function carriedBy(cluster: TestCluster): Promise<void> {
  await eventually(async () => {
    const response = await call("GET", `/v1/clusters/${cluster.id}/world`, { token: cluster.token });
    const { fragments } = await expectJson<WorldMapView>(response, 200);
    expect(fragments.map(({ clusterId }) => clusterId)).toEqual([cluster.id]);
  });
}
