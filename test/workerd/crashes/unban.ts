import { expect } from "vitest";
import { startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import { requestBan } from "../support/revocations.ts";
import { eventually } from "../../support/eventually.ts";

/** A ban that was ended stays so, here and on record; what it had ended stays ended. */
export const scenario: CrashScenario = {
  flow: "unban",
  prepare: async () => {
    const cluster = await startCluster();
    const [operator, player] = [await logInOperator(), await logIn()];
    const { accessToken: token } = operator;
    const { id } = player.player;
    const wish = { clusterId: cluster.id };
    const [key, newKey] = [crypto.randomUUID(), crypto.randomUUID()];
    await allocate(player, wish, key);
    await expectJson(await requestBan(operator, id), 200);
    const lift = async () => call("DELETE", `/v1/admin/players/${id}/ban`, { token });
    return {
      begin: lift,
      carryOn: async () => {
        expect((await lift()).status).toBe(204);
      },
      check: async () => {
        await expectProblem(await requestAllocation(player, wish, key), "TICKET_REVOKED");
        await allocate(player, wish, newKey);
        await eventually(async () => {
          const page = await call("GET", `/v1/admin/bans?playerId=${id}`, { token });
          const { bans } = await expectJson<{ bans: object[] }>(page, 200);
          expect(bans).toMatchObject([{ playerId: id, liftedBy: operator.player.id }]);
        });
      },
    };
  },
};
