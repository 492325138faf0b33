import { decodeProtectedHeader } from "jose";
import { expect } from "vitest";
import { startCluster } from "../support/clusters.ts";
import type { CrashRun, CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { allocate, logIn } from "../support/players.ts";
import { activeKid, type KeySet, publishedKids, ripenNextKey, toldKeys } from "../support/signing-keys.ts";
import { eventually } from "../../support/eventually.ts";

async function prepareWith(path: string, settled: (before: string) => Promise<void>): Promise<CrashRun> {
  const cluster = await startCluster();
  const [operator, player] = [await logInOperator(), await logIn()];
  const before = await activeKid(operator);
  await ripenNextKey();
  const order = async (): Promise<Response> =>
    call("POST", path, { token: operator.accessToken, body: path.endsWith("revoke") ? { kid: before } : undefined });
  return {
    begin: order,
    carryOn: async () => {
      // What was rotated before the answer was lost needs no second time: the next key is too new for one.
      const { status } = await order();
      expect([200, 409]).toContain(status);
    },
    check: async () => {
      await settled(before);
      const kid = await activeKid(operator);
      expect(kid).not.toBe(before);
      const { ticket } = await allocate(player, { clusterId: cluster.id });
      expect(await publishedKids()).toContain(decodeProtectedHeader(ticket).kid);
      await eventually(async () => {
        const { keys } = await expectJson<KeySet>(
          await call("GET", "/v1/admin/signing-keys", { token: operator.accessToken }),
          200,
        );
        expect(keys.filter(({ state }) => state === "active")).toHaveLength(1);
        expect(keys.filter(({ state }) => state === "next")).toHaveLength(1);
      });
      await toldKeys(cluster);
    },
  };
}

/** One key signs, another waits, the old one still checks what it has signed, and clusters hear of it. */
export const rotate: CrashScenario = {
  flow: "rotate",
  prepare: async () =>
    prepareWith("/v1/admin/signing-keys/rotate", async (before) => {
      expect(await publishedKids()).toContain(before);
    }),
};

/** The leaked key signs nothing, is published no more, and clusters hear that it is worth nothing. */
export const emergency: CrashScenario = {
  flow: "emergency",
  prepare: async () =>
    prepareWith("/v1/admin/signing-keys/revoke", async (before) => {
      expect(await publishedKids()).not.toContain(before);
      const cluster = await startCluster();
      await eventually(async () => expect((await toldKeys(cluster)).revoked).toContain(before));
    }),
};
