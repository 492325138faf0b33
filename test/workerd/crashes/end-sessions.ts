import { expect } from "vitest";
import type { PlayerSessionTokens, RevocationReason, SeatRef } from "../../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster } from "../support/clusters.ts";
import type { CrashRun, CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import { toldOf } from "../support/revocations.ts";
import { eventually } from "../../support/eventually.ts";

interface Ended {
  readonly player: PlayerSessionTokens;
  readonly playedOn: TestCluster;
  readonly ticketed: TestCluster;
  /** Of the unused ticket. */
  readonly key: string;
  readonly newest: SeatRef;
}

/** A player in the game on one cluster, with a ticket for another. */
async function playing(player: PlayerSessionTokens): Promise<Ended> {
  const [playedOn, ticketed] = [await startCluster(), await startCluster()];
  const joined = seatOf(player.player, (await allocate(player, { clusterId: playedOn.id })).ticket);
  await playedOn.report({ full: true, players: 1, joined: [joined] });
  const key = crypto.randomUUID();
  const newest = seatOf(player.player, (await allocate(player, { clusterId: ticketed.id }, key)).ticket);
  return { player, playedOn, ticketed, key, newest };
}

/** Both clusters hear of it, with a floor above every ticket that there was. */
async function expectTold({ player, playedOn, ticketed, newest }: Ended, reason: RevocationReason): Promise<void> {
  for (const cluster of [playedOn, ticketed]) {
    const told = await toldOf(cluster, player.player.id);
    expect(told.minGeneration).toBeGreaterThan(newest.generation);
    expect(told.reason).toBe(reason);
  }
}

/** Below the floor nothing counts any more; what comes after it does. */
async function expectAbove({ player, playedOn, ticketed }: Ended, as: PlayerSessionTokens): Promise<void> {
  const { ticket } = await allocate(as, { clusterId: ticketed.id });
  const { minGeneration } = await toldOf(playedOn, player.player.id);
  expect(seatOf(player.player, ticket).generation).toBeGreaterThanOrEqual(minGeneration);
}

/** The player's session and ticket end, on every cluster, whatever stops; the player may come back. */
export const kick: CrashScenario = {
  flow: "ban",
  steps: ["committed", "listed", "ordering", "ordered"],
  beside: true,
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const ended = await playing(await logIn());
    const { player, ticketed, key } = ended;
    const order = async () => call("POST", `/v1/admin/players/${player.player.id}/kick`, { token });
    return {
      begin: order,
      carryOn: async () => {
        expect((await order()).status).toBe(204);
      },
      check: async () => {
        await expectProblem(await requestAllocation(player, { clusterId: ticketed.id }, key), "TICKET_REVOKED");
        await expectTold(ended, "kicked");
      },
      finish: async () => expectAbove(ended, player),
    };
  },
};

async function signingOut(): Promise<CrashRun> {
  const { accessToken: token } = await logInOperator();
  const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
  await expectJson(await call("POST", "/v1/signup", { body: account }), 201);
  const logInAgain = async (): Promise<PlayerSessionTokens> =>
    expectJson(await call("POST", "/v1/login", { body: account }), 200);
  const ended = await playing(await logInAgain());
  const { player, ticketed, key } = ended;
  const order = async () => call("POST", `/v1/admin/players/${player.player.id}/sign-out`, { token });
  return {
    begin: order,
    carryOn: async () => {
      expect((await order()).status).toBe(204);
    },
    check: async () => {
      await expectProblem(await requestAllocation(player, { clusterId: ticketed.id }, key), "UNAUTHENTICATED");
      await expectTold(ended, "signed-out");
    },
    finish: async () => {
      const { refreshToken } = player;
      await eventually(async () =>
        expectProblem(await call("POST", "/v1/refresh", { body: { refreshToken } }), "REFRESH_TOKEN_INVALID"),
      );
      // A login counts from the second after the sign-out.
      await eventually(async () => expectAbove(ended, await logInAgain()));
    },
  };
}

/** No login of before is good for anything, at the master, at clusters and at the identity service. */
export const signOut: CrashScenario = {
  flow: "ban",
  steps: ["committed", "listed", "ordering", "ordered"],
  beside: true,
  prepare: signingOut,
};

export const signOutAtIdentity: CrashScenario = { flow: "sign-out", prepare: signingOut };
