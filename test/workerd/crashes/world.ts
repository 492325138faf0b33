import { expect } from "vitest";
import type { WorldMapView } from "../../../protocol/index.ts";
import { startCluster, type TestCluster } from "../support/clusters.ts";
import { call, expectJson } from "../support/master.ts";
import { allocate, logIn } from "../support/players.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { eventually } from "../../support/eventually.ts";

/** A fragment whose carrier stops has the standby as its one carrier, in the map and for those who allocate. */
export const scenario: CrashScenario = {
  flow: "world",
  prepare: async () => {
    const name = `w-${crypto.randomUUID()}`;
    const fragment = `${name}-n`;
    const world = { name, fragments: [{ name: fragment, min: [0, 0, 0], max: [1, 1, 1] }] } as const;
    const [carrier, standby] = [await startCluster({ world }), await startCluster({ world })];
    await carriedBy(carrier, fragment);
    const clusterOf = async () => (await allocate(await logIn(), { fragment })).cluster.id;
    await eventually(async () => expect(await clusterOf()).toBe(carrier.id));
    return {
      begin: async () => call("DELETE", `/v1/clusters/${carrier.id}`, { token: carrier.token }),
      carryOn: async () => carriedBy(standby, fragment),
      check: async () => {
        await carriedBy(standby, fragment);
        await eventually(async () => expect(await clusterOf()).toBe(standby.id));
      },
    };
  },
};

/** Waits until the map says so: a shard tells the world again by itself, a moment later. */
async function carriedBy(cluster: TestCluster, fragment: string): Promise<void> {
  await eventually(async () => {
    const response = await call("GET", `/v1/clusters/${cluster.id}/world`, { token: cluster.token });
    const { fragments } = await expectJson<WorldMapView>(response, 200);
    expect(fragments.map((each) => [each.name, each.clusterId])).toEqual([[fragment, cluster.id]]);
  });
}
