import { expect } from "vitest";
import type { WorldMapView } from "../../../protocol/index.ts";
import { startCluster, type TestCluster } from "../support/clusters.ts";
import type { CrashRun, CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { logIn, requestAllocation } from "../support/players.ts";
import { eventually } from "../../support/eventually.ts";

/** A process that has said that it is about to end is given to nobody, and its fragments are given away. [WORLD-8] */
async function prepare(): Promise<CrashRun> {
  const name = `w-${crypto.randomUUID()}`;
  const world = { name, fragments: [{ name: "n", min: [0, 0, 0], max: [1, 1, 1] }] } as const;
  const carrier = await startCluster({ world });
  await carriedBy(carrier);
  const standby = await startCluster({ world });
  const drain = async () =>
    call("POST", `/v1/clusters/${carrier.id}/drain`, { token: carrier.token, body: { deadlineMs: 600_000 } });
  return {
    begin: drain,
    carryOn: async () => {
      expect((await drain()).status).toBe(204);
      await carriedBy(standby);
    },
    check: async () => {
      await carriedBy(standby);
      await expectProblem(await requestAllocation(await logIn(), { clusterId: carrier.id }), "NO_CLUSTER_AVAILABLE");
    },
  };
}

export const scenario: CrashScenario = { flow: "drain", prepare };

/** The same where the world is told, as of an operator's order. */
export const telling: CrashScenario = { flow: "leave", steps: ["telling"], beside: true, prepare };

async function carriedBy(cluster: TestCluster): Promise<void> {
  await eventually(async () => {
    const response = await call("GET", `/v1/clusters/${cluster.id}/world`, { token: cluster.token });
    const { fragments } = await expectJson<WorldMapView>(response, 200);
    expect(fragments.map(({ clusterId }) => clusterId)).toEqual([cluster.id]);
  });
}
