import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { PlayerSession } from "../../control-plane/worker.ts";
import { goodStanding } from "../../control-plane/domain/players/standing.ts";
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
  it("shows, exports, upgrades and deletes nothing, however long ago the account was its own", async () => {
    const player = await logIn();
    const { accessToken: token } = player;
    await signOutUnheard(player);
    vi.restoreAllMocks();
    await expectProblem(await call("GET", "/v1/me", { token }), "UNAUTHENTICATED");
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
    await expectProblem(await call("GET", "/v1/me", { token }), "IDENTITY_UNAVAILABLE");
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

describe("[SEC-75] a sign-out everywhere by the player", () => {
  const everywhere = "/v1/logout?scope=everywhere";

  /** An account, and how it logs in: again and again until a login counts. */
  async function signUp() {
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    const tokens = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/signup", { body: account }), 201);
    const logInAgain = async (): Promise<PlayerSessionTokens> =>
      expectJson(await call("POST", "/v1/login", { body: account }), 200);
    /** From the second after a sign-out on. */
    const logInAnew = async (): Promise<PlayerSessionTokens> =>
      eventually(async () => {
        const again = await logInAgain();
        await expectJson(await call("GET", "/v1/me/export", { token: again.accessToken }), 200);
        return again;
      });
    return { tokens, logInAgain, logInAnew, id: tokens.player.id };
  }

  /** All that waits to be told is told. */
  async function tellAll(playerId: string): Promise<void> {
    await runInDurableObject(env.PLAYER_SESSION.getByName(playerId), async (session: PlayerSession, { storage }) => {
      storage.sql.exec("UPDATE outbox SET due_at = 1");
      await session.alarm();
      expect(storage.sql.exec("SELECT 1 FROM outbox").toArray()).toEqual([]);
    });
  }

  const refresh = async ({ refreshToken }: PlayerSessionTokens) =>
    call("POST", "/v1/refresh", { body: { refreshToken } });

  it("is told to the identity service once: a login of after it lives on", async () => {
    const { tokens, logInAnew, id } = await signUp();
    cutOff("/auth/v1/admin/");
    expect((await call("POST", everywhere, { token: tokens.accessToken })).status).toBe(204);
    const again = await logInAnew();
    vi.restoreAllMocks();
    await tellAll(id);
    await expectJson(await refresh(again), 200);
    await expectProblem(await refresh(tokens), "REFRESH_TOKEN_INVALID");
  });

  it("that comes twice at once, by one token, is one: the other is refused, and a login of after it lives on", async () => {
    const { tokens, logInAnew, id } = await signUp();
    // Both have found the login alive before either has ended it.
    const looked = vi.spyOn(PlayerSession.prototype, "standing").mockReturnValue(goodStanding);
    const asked = vi.spyOn(globalThis, "fetch");
    const answers = await Promise.all([1, 2].map(() => call("POST", everywhere, { token: tokens.accessToken })));
    const told = asked.mock.calls
      .map(([request]) => (request instanceof Request ? request.url : String(request)))
      .filter((url) => url.includes("/logout"));
    looked.mockRestore();
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([204, 401]);
    for (const answer of answers) if (answer.status === 401) await expectProblem(answer, "UNAUTHENTICATED");
    expect(told).toHaveLength(1);
    const again = await logInAnew();
    await tellAll(id);
    await expectJson(await refresh(again), 200);
  });

  it("by a login that has ended there already ends the others there all the same", async () => {
    const { tokens, logInAgain, id } = await signUp();
    const other = await logInAgain();
    expect((await call("POST", "/v1/logout", { token: tokens.accessToken })).status).toBe(204);
    const beforeMs = Date.now();
    expect((await call("POST", everywhere, { token: tokens.accessToken })).status).toBe(204);
    // The session comes back for it by itself, when this has had its time.
    await runInDurableObject(env.PLAYER_SESSION.getByName(id), async (session: PlayerSession, { storage }) => {
      await storage.deleteAlarm();
      await session.alarm();
      expect(await storage.getAlarm()).toBeGreaterThanOrEqual(beforeMs + 15_000);
      expect(storage.sql.exec("SELECT target FROM outbox").toArray()).toEqual([{ target: "identity" }]);
    });
    await tellAll(id);
    const answer = await fetch(`${String(Reflect.get(env, "SUPABASE_URL"))}/auth/v1/user`, {
      headers: {
        apikey: String(Reflect.get(env, "SUPABASE_PUBLISHABLE_KEY")),
        authorization: `Bearer ${other.accessToken}`,
      },
    });
    expect(await answer.json()).toMatchObject({ error_code: "session_not_found" });
  });

  it("does not fail where the session cannot take back what waits, as one of the release before", async () => {
    const { tokens, logInAnew, id } = await signUp();
    vi.spyOn(PlayerSession.prototype, "signOutTold").mockImplementation(() => {
      throw new Error("no such method");
    });
    expect((await call("POST", everywhere, { token: tokens.accessToken })).status).toBe(204);
    vi.restoreAllMocks();
    await tellAll(id);
    await logInAnew();
  });

  it("leaves an operator's sign-out alone that came after it", async () => {
    const { tokens, id } = await signUp();
    const { accessToken: operator } = await logInOperator();
    const real = globalThis.fetch;
    const signOuts: number[] = [];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      if (request.url.includes("/auth/v1/admin/")) throw new TypeError("cut off by the test");
      const answer = await real(request);
      if (request.url.includes("/auth/v1/logout")) {
        signOuts.push((await call("POST", `/v1/admin/players/${id}/sign-out`, { token: operator })).status);
      }
      return answer;
    });
    expect((await call("POST", everywhere, { token: tokens.accessToken })).status).toBe(204);
    expect(signOuts).toEqual([204]);
    await runInDurableObject(env.PLAYER_SESSION.getByName(id), (_: PlayerSession, { storage }) => {
      expect(storage.sql.exec("SELECT target, source FROM outbox").toArray()).toEqual([
        { target: "identity", source: "" },
      ]);
    });
  });
});

describe("[SEC-75] a login of the very second of a sign-out", () => {
  it("is refused with what the description of the interface says", async () => {
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    await expectJson(await call("POST", "/v1/signup", { body: account }), 201);
    const standing = { ban: undefined, signedOutAtMs: Date.now() + 60_000 };
    vi.spyOn(PlayerSession.prototype, "standing").mockReturnValue(standing);
    await expectProblem(await call("POST", "/v1/login", { body: account }), "REFRESH_TOKEN_INVALID");
    const { paths } = await expectJson<{ paths: Record<string, { post: { responses: object } }> }>(
      await call("GET", "/openapi.json"),
      200,
    );
    const described = ["/v1/login", "/v1/login/oauth/finish"].map((path) => paths[path]?.post.responses);
    for (const responses of described) expect(JSON.stringify(responses)).toContain("REFRESH_TOKEN_INVALID");
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
