import { expect } from "vitest";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { seatOf, startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { logInOperator } from "../support/operators.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import { requestBan, toldOf } from "../support/revocations.ts";
import { eventually } from "../../support/eventually.ts";

/** The player gets no ticket, not even the one of before; its cluster is told; and the record has one ban. */
export const scenario: CrashScenario = {
  flow: "ban",
  prepare: async () => {
    const [playedOn, ticketed] = [await startCluster(), await startCluster()];
    const [operator, player] = [await logInOperator(), await logIn()];
    const { id } = player.player;
    const joined = seatOf(player.player, (await allocate(player, { clusterId: playedOn.id })).ticket);
    await playedOn.report({ full: true, players: 1, joined: [joined] });
    const key = crypto.randomUUID();
    const waiting = seatOf(player.player, (await allocate(player, { clusterId: ticketed.id }, key)).ticket);
    return {
      begin: async () => requestBan(operator, id),
      carryOn: async () => {
        expect((await requestBan(operator, id)).status).toBe(200);
      },
      check: async () => {
        await expectProblem(await requestAllocation(player, { clusterId: ticketed.id }, key), "BANNED");
        await expectProblem(await requestAllocation(player, {}), "BANNED");
        for (const cluster of [playedOn, ticketed]) {
          const { minGeneration, reason } = await toldOf(cluster, id);
          expect(minGeneration).toBeGreaterThan(Math.max(joined.generation, waiting.generation));
          expect(reason).toBe("banned");
        }
      },
      finish: async () => {
        const { accessToken: token } = operator;
        await eventually(async () => {
          const { bans } = await expectJson<{ bans: object[] }>(
            await call("GET", `/v1/admin/bans?playerId=${id}`, { token }),
            200,
          );
          expect(bans).toHaveLength(1);
        });
        expect((await call("DELETE", `/v1/admin/players/${id}/ban`, { token })).status).toBe(204);
        await expectProblem(await requestAllocation(player, { clusterId: ticketed.id }, key), "TICKET_REVOKED");
        const { generation } = seatOf(player.player, (await allocate(player, { clusterId: ticketed.id })).ticket);
        expect(generation).toBeGreaterThanOrEqual((await toldOf(playedOn, id)).minGeneration);
      },
    };
  },
};
