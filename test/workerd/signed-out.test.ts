import { afterEach, describe, expect, it, vi } from "vitest";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { createKey } from "./support/clusters.ts";
import { cutOff } from "./support/cut-off.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { logIn } from "./support/players.ts";
import { requestBan } from "./support/revocations.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Signs somebody out of whom the identity service does not hear: its session lives on there. */
async function signOutUnheard({ player }: PlayerSessionTokens): Promise<void> {
  const { accessToken: token } = await logInOperator();
  cutOff("/auth/v1/admin/");
  expect((await call("POST", `/v1/admin/players/${player.id}/sign-out`, { token })).status).toBe(204);
}

describe("[SEC-75] a login that was ended, and lives on at the identity service", () => {
  it("exports, upgrades and deletes nothing, however long ago the account was its own", async () => {
    const player = await logIn();
    const { accessToken: token } = player;
    await signOutUnheard(player);
    vi.restoreAllMocks();
    await expectProblem(await call("GET", "/v1/me/export", { token }), "UNAUTHENTICATED");
    const body = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    await expectProblem(await call("POST", "/v1/me/upgrade", { token, body }), "UNAUTHENTICATED");
    await expectProblem(await call("DELETE", "/v1/me", { token }), "UNAUTHENTICATED");
    // Nothing of it has gone.
    const { accessToken: operator } = await logInOperator();
    await expectJson(await call("GET", `/v1/admin/players/${player.player.id}`, { token: operator }), 200);
  });

  it("decides nothing about players and keys as an operator", async () => {
    const stolen = await logInOperator();
    await signOutUnheard(stolen);
    vi.restoreAllMocks();
    await expectProblem(await requestBan(stolen, crypto.randomUUID()), "UNAUTHENTICATED");
    const { keyId } = await createKey();
    const revoke = call("DELETE", `/v1/admin/keys/${keyId}`, { token: stolen.accessToken });
    await expectProblem(await revoke, "UNAUTHENTICATED");
  });
});

describe("[REC-3] a deletion", () => {
  it("may be repeated by the login that it has ended itself, and by no other", async () => {
    const player = await logIn();
    const { accessToken: token } = player;
    cutOff("/auth/v1/admin/users/");
    await expectProblem(await call("DELETE", "/v1/me", { token }), "IDENTITY_UNAVAILABLE");
    vi.restoreAllMocks();
    await expectProblem(await call("GET", "/v1/me/export", { token }), "UNAUTHENTICATED");
    expect((await call("DELETE", "/v1/me", { token })).status).toBe(204);
  });
});
