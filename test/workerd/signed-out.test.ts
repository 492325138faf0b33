import { afterEach, describe, expect, it, vi } from "vitest";
import { PlayerSession } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { createKey } from "./support/clusters.ts";
import { cutOff } from "./support/cut-off.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { logIn } from "./support/players.ts";
import { requestBan } from "./support/revocations.ts";
import { eventually } from "../support/eventually.ts";

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

  it("does so neither while nobody can say whether it was ended", async () => {
    const { accessToken: token } = await logIn();
    const asked = vi.spyOn(PlayerSession.prototype, "standing").mockImplementation(() => {
      throw new Error("broken by the test");
    });
    await expectProblem(await call("GET", "/v1/me/export", { token }), "IDENTITY_UNAVAILABLE");
    asked.mockRestore();
    await expectJson(await call("GET", "/v1/me/export", { token }), 200);
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

  it("that came to nothing gives nothing to a login that was ended before it", async () => {
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    const stolen = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/signup", { body: account }), 201);
    await signOutUnheard(stolen);
    const owner = await eventually(async () =>
      expectJson<PlayerSessionTokens>(await call("POST", "/v1/login", { body: account }), 200),
    );
    await expectProblem(await call("DELETE", "/v1/me", { token: owner.accessToken }), "IDENTITY_UNAVAILABLE");
    vi.restoreAllMocks();
    await expectProblem(await call("DELETE", "/v1/me", { token: stolen.accessToken }), "UNAUTHENTICATED");
    expect((await call("DELETE", "/v1/me", { token: owner.accessToken })).status).toBe(204);
  });

  it("ends with 204 though a sign-out comes while it runs", async () => {
    const player = await logIn();
    const operator = await logInOperator();
    const real = globalThis.fetch;
    const signOuts: number[] = [];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      if (request.method === "DELETE" && request.url.includes("/auth/v1/admin/users/")) {
        const path = `/v1/admin/players/${player.player.id}/sign-out`;
        signOuts.push((await call("POST", path, { token: operator.accessToken })).status);
      }
      return real(request);
    });
    expect((await call("DELETE", "/v1/me", { token: player.accessToken })).status).toBe(204);
    expect(signOuts).toEqual([204]);
    vi.restoreAllMocks();
    expect((await call("DELETE", "/v1/me", { token: player.accessToken })).status).toBe(204);
  });
});
