import { expect } from "vitest";
import type { WorldOverview } from "../../../control-plane/domain/worlds/world-overview.ts";
import { startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { eventually } from "../../support/eventually.ts";

/** A lock that is on record reaches the world, wherever it stopped, and takes away nothing that is carried. [WORLD-7] */
export const scenario: CrashScenario = {
  flow: "standing",
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const name = `w-${crypto.randomUUID()}`;
    const world = { name, fragments: [{ name: "n", min: [0, 0, 0], max: [1, 1, 1] }] } as const;
    const cluster = await startCluster({ world });
    const isShown = async (reasons: readonly string[]) => {
      await eventually(async () => {
        const shown = await expectJson<WorldOverview>(await call("GET", `/v1/admin/worlds/${name}`, { token }), 200);
        expect(shown.announced).toEqual([{ clusterId: cluster.id, fragments: ["n"], reasons }]);
        expect(shown.fragments.map(({ clusterId }) => clusterId)).toEqual([cluster.id]);
        expect(shown.provisional).toEqual([]);
      });
    };
    await isShown([]);
    const lock = async () => call("PUT", `/v1/admin/clusters/${cluster.id}/lock`, { token, body: {} });
    return {
      begin: lock,
      carryOn: async () => {
        await expectJson(await lock(), 200);
        await isShown(["locked"]);
      },
      check: async () => isShown(["locked"]),
    };
  },
};
