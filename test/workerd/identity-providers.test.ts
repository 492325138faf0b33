import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { createClient } from "@supabase/supabase-js";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../control-plane/http/app.ts";
import { readIdentitySettings, readStoreSettings } from "../../control-plane/settings.ts";
import { findPlayer } from "../../control-plane/store/players.ts";
import { agreeInBrowser, refuseInBrowser } from "../../dev/supabase-auth/test-browser.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { epicIdToken, newSteamId, steamTicket } from "./support/identities.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { logIn } from "./support/players.ts";
import { writeRecordsNow } from "./support/records.ts";
import { eventually } from "../support/eventually.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const login = (body: unknown): Promise<Response> => call("POST", "/v1/login", { body });

async function logInWith(body: unknown): Promise<PlayerSessionTokens> {
  return expectJson(await login(body), 200);
}

/** A login is worth what its token opens. */
async function expectLoggedIn({ accessToken, player }: PlayerSessionTokens): Promise<void> {
  expect(await expectJson(await call("GET", "/v1/me", { token: accessToken }), 200)).toEqual(player);
  await eventually(async () => {
    // On record a moment later, behind the answer.
    await writeRecordsNow();
    expect((await findPlayer(readStoreSettings(env), player.id))?.displayName).toBe(player.displayName);
  });
}

/** Supabase, spoken to as any client may: the publishable key is public. */
function supabase() {
  const { url, publishableKey } = readIdentitySettings(env);
  return createClient(url, publishableKey, { auth: { persistSession: false, autoRefreshToken: false } }).auth;
}

describe("a Steam ticket", () => {
  it("logs in, the same player every time, and the tokens can be refreshed", async () => {
    const steamId = newSteamId();
    const first = await logInWith({ provider: "steam", token: await steamTicket(steamId), displayName: "Gordon" });
    expect(first.player).toMatchObject({ email: null, anonymous: false, displayName: "Gordon" });
    await expectLoggedIn(first);
    const again = await logInWith({ provider: "steam", token: await steamTicket(steamId), displayName: "Other" });
    expect(again.player).toEqual(first.player);
    const { refreshToken } = again;
    const refreshed = await expectJson<PlayerSessionTokens>(
      await call("POST", "/v1/refresh", { body: { refreshToken } }),
      200,
    );
    expect(refreshed.player).toEqual(first.player);
    const other = await logInWith({ provider: "steam", token: await steamTicket(newSteamId()) });
    expect(other.player.id).not.toBe(first.player.id);
  });

  it("logs in many times at once, as one player", async () => {
    const steamId = newSteamId();
    const tickets = await Promise.all(Array.from({ length: 5 }, () => steamTicket(steamId)));
    const answers = await Promise.all(tickets.map((token) => login({ provider: "steam", token })));
    const players = new Set<string>();
    for (const answer of answers) {
      // Supabase has one login token for an account at a time: of two logins at once, one may have to come again.
      if (answer.status === 503) await expectProblem(answer, "IDENTITY_UNAVAILABLE");
      else players.add((await expectJson<PlayerSessionTokens>(answer, 200)).player.id);
    }
    const later = await logInWith({ provider: "steam", token: await steamTicket(steamId) });
    expect([...players].filter((id) => id !== later.player.id)).toEqual([]);
  });

  it.each([
    ["of another game", { appId: 730 }],
    ["for another service", { identity: "another" }],
  ])("[SEC-29] %s does not", async (_what, changes) => {
    const token = await steamTicket(newSteamId(), changes);
    await expectProblem(await login({ provider: "steam", token }), "PROVIDER_TOKEN_INVALID");
  });

  it("[SEC-29] of who is banned does not", async () => {
    for (const changes of [{ vacBanned: true }, { publisherBanned: true }]) {
      const token = await steamTicket(newSteamId(), changes);
      await expectProblem(await login({ provider: "steam", token }), "PROVIDER_BANNED");
    }
  });

  it("that is none does not", async () => {
    for (const token of ["00ff", "nonsense"]) {
      await expectProblem(await login({ provider: "steam", token }), "PROVIDER_TOKEN_INVALID");
    }
  });

  it("[SEC-30] opens no account that a stranger made beforehand", async () => {
    const steamId = newSteamId();
    const email = `steam-${steamId}@players.sustenet.invalid`;
    const password = "of a stranger";
    const squatter = await supabase().signUp({ email, password });
    expect(squatter.error).toBeNull();
    const { player } = await logInWith({ provider: "steam", token: await steamTicket(steamId) });
    expect(player.id).not.toBe(squatter.data.user?.id);
    const back = await supabase().signInWithPassword({ email, password });
    expect(back.error).toMatchObject({ code: "invalid_credentials" });
    await expectProblem(await login({ email, password }), "INVALID_CREDENTIALS");
    const again = await logInWith({ provider: "steam", token: await steamTicket(steamId) });
    expect(again.player.id).toBe(player.id);
  });

  it("[SEC-30] nobody signs up with a reserved address", async () => {
    const body = { email: `steam-${newSteamId()}@players.sustenet.invalid`, password: "correct horse" };
    await expectProblem(await call("POST", "/v1/signup", { body }), "INVALID_FIELD");
  });

  it("waits when Steam is away", async () => {
    const token = await steamTicket(newSteamId());
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const address = input instanceof Request ? input.url : String(input);
      return address.includes("/ISteamUserAuth/") ? Promise.reject(new TypeError("cut off")) : real(input, init);
    });
    const problem = await expectProblem(await login({ provider: "steam", token }), "IDENTITY_UNAVAILABLE");
    expect(problem.retryAfterSeconds).toBeGreaterThan(0);
  });
});

describe("an Epic ID token", () => {
  it("logs in, the same player every time, by the name that Epic tells", async () => {
    const accountId = crypto.randomUUID().replaceAll("-", "");
    const first = await logInWith({ provider: "epic", token: await epicIdToken(accountId) });
    expect(first.player).toMatchObject({ email: null, anonymous: false, displayName: "Epic Player" });
    await expectLoggedIn(first);
    const again = await logInWith({ provider: "epic", token: await epicIdToken(accountId) });
    expect(again.player).toEqual(first.player);
  });

  it.each([{ aud: "other" }, { iss: "https://evil.example" }, { exp: 1 }, { t: "epic_id" }, { sub: null }])(
    "[SEC-29] with %j does not",
    async (changes) => {
      const token = await epicIdToken("0123456789abcdef0123456789abcdef", changes);
      await expectProblem(await login({ provider: "epic", token }), "PROVIDER_TOKEN_INVALID");
    },
  );

  it("is no Steam ticket, nor the other way round", async () => {
    const epic = await epicIdToken("0123456789abcdef0123456789abcdef");
    await expectProblem(await login({ provider: "steam", token: epic }), "PROVIDER_TOKEN_INVALID");
    const steam = await steamTicket(newSteamId());
    await expectProblem(await login({ provider: "epic", token: steam }), "PROVIDER_TOKEN_INVALID");
  });
});

describe("a Supabase token that the client brings", () => {
  it("logs in, and comes back with what was brought", async () => {
    const { data } = await supabase().signInAnonymously({ options: { data: { display_name: "Own" } } });
    const token = data.session?.access_token ?? "";
    const tokens = await logInWith({ provider: "supabase", token, refreshToken: "kept" });
    expect(tokens).toMatchObject({ accessToken: token, refreshToken: "kept", player: { displayName: "Own" } });
    await expectLoggedIn(tokens);
    expect((await logInWith({ provider: "supabase", token })).refreshToken).toBe("");
  });

  it("[SEC-29] does not when its session has ended, though it verifies", async () => {
    const player = await logIn();
    expect((await call("POST", "/v1/logout", { token: player.accessToken })).status).toBe(204);
    expect((await call("GET", "/v1/me", { token: player.accessToken })).status).toBe(200);
    const answer = await login({ provider: "supabase", token: player.accessToken });
    await expectProblem(answer, "PROVIDER_TOKEN_INVALID");
  });

  it("does not when it is none", async () => {
    await expectProblem(await login({ provider: "supabase", token: "a.b.c" }), "PROVIDER_TOKEN_INVALID");
  });
});

describe("a login in the browser", () => {
  interface Started {
    url: string;
    codeVerifier: string;
  }
  const redirectTo = "https://game.test/done";
  const start = async (): Promise<Started> =>
    expectJson(await call("POST", "/v1/login/oauth/start", { body: { provider: "discord", redirectTo } }), 200);
  const finish = (body: unknown): Promise<Response> => call("POST", "/v1/login/oauth/finish", { body });

  it("begins here, goes through the provider, and ends here", async () => {
    const { url, codeVerifier } = await start();
    const email = `${crypto.randomUUID()}@example.com`;
    const end = await agreeInBrowser(url, email);
    expect(`${end.origin}${end.pathname}`).toBe(redirectTo);
    const code = end.searchParams.get("code") ?? "";
    const tokens = await expectJson<PlayerSessionTokens>(await finish({ code, codeVerifier }), 200);
    expect(tokens.player).toMatchObject({ email, anonymous: false });
    await expectLoggedIn(tokens);
    await expectProblem(await finish({ code, codeVerifier }), "PROVIDER_TOKEN_INVALID");
  });

  it("[SEC-31] does not end with another's verifier, which does not spoil the code", async () => {
    const mine = await start();
    const other = await start();
    const end = await agreeInBrowser(mine.url, `${crypto.randomUUID()}@example.com`);
    const code = end.searchParams.get("code") ?? "";
    await expectProblem(await finish({ code, codeVerifier: other.codeVerifier }), "PROVIDER_TOKEN_INVALID");
    await expectJson(await finish({ code, codeVerifier: mine.codeVerifier }), 200);
  });

  it("tells the client when the player refuses", async () => {
    const end = await refuseInBrowser((await start()).url);
    expect(end.searchParams.get("error")).toBe("access_denied");
    expect(end.searchParams.get("code")).toBeNull();
  });

  it("[SEC-32] does not begin with a redirect that is not listed, nor at a provider that is not", async () => {
    const ask = (body: unknown) => call("POST", "/v1/login/oauth/start", { body });
    await expectProblem(await ask({ provider: "discord", redirectTo: "https://evil.example/done" }), "INVALID_FIELD");
    await expectProblem(await ask({ provider: "google", redirectTo }), "SWITCHED_OFF");
  });
});

describe("configuration", () => {
  const ask = async (changes: Record<string, unknown>, body: unknown, path = "/v1/login"): Promise<Response> => {
    const request = new Request(masterUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return createApp().fetch(request, { ...env, ...changes }, createExecutionContext());
  };
  const bodies = {
    password: { email: "ada@example.com", password: "correct horse" },
    anonymous: { anonymous: true },
    supabase: { provider: "supabase", token: "a.b.c" },
    steam: { provider: "steam", token: "00" },
    epic: { provider: "epic", token: "a.b.c" },
  };

  it.each(Object.entries(bodies))("switches %s off, and nothing else", async (method, body) => {
    const others = Object.keys(bodies).filter((name) => name !== method);
    const problem = await expectProblem(await ask({ IDENTITY_PROVIDERS: others.join(",") }, body), "SWITCHED_OFF");
    expect(problem.detail).toContain(others.join(", "));
    for (const other of Object.entries(bodies).filter(([name]) => name !== method)) {
      const answer = await ask({ IDENTITY_PROVIDERS: others.join(",") }, other[1]);
      expect([other[0], answer.status === 403]).toEqual([other[0], false]);
    }
  });

  it("switches sign-ups off together with passwords, and logins in the browser by themselves", async () => {
    const changes = { IDENTITY_PROVIDERS: "anonymous" };
    await expectProblem(await ask(changes, bodies.password, "/v1/signup"), "SWITCHED_OFF");
    const start = { provider: "discord", redirectTo: "https://game.test/done" };
    await expectProblem(await ask(changes, start, "/v1/login/oauth/start"), "SWITCHED_OFF");
    const finish = { code: "x", codeVerifier: "v".repeat(43) };
    await expectProblem(await ask(changes, finish, "/v1/login/oauth/finish"), "SWITCHED_OFF");
  });

  it.each([
    [{ IDENTITY_PROVIDERS: "" }, "IDENTITY_PROVIDERS", bodies.anonymous],
    [{ IDENTITY_PROVIDERS: "password,telepathy" }, "IDENTITY_PROVIDERS", bodies.anonymous],
    [{ STEAM_WEB_API_KEY: "" }, "STEAM_WEB_API_KEY", bodies.steam],
    [{ STEAM_APP_ID: "half-life" }, "STEAM_APP_ID", bodies.steam],
    [{ STEAM_IDENTITY: "" }, "STEAM_IDENTITY", bodies.steam],
    [{ STEAM_REFUSE_VAC_BANNED: "perhaps" }, "STEAM_REFUSE_VAC_BANNED", bodies.steam],
    [{ STEAM_API_URL: "http://steam.example" }, "STEAM_API_URL", bodies.steam],
    [{ SUPABASE_SECRET_KEY: "" }, "SUPABASE_SECRET_KEY", bodies.steam],
    [{ EPIC_CLIENT_IDS: " , " }, "EPIC_CLIENT_IDS", bodies.epic],
    [{ CLIENT_ADDRESS_HEADER: "x y" }, "CLIENT_ADDRESS_HEADER", bodies.anonymous],
    [{ RESERVED_EMAIL_DOMAIN: "Nowhere" }, "RESERVED_EMAIL_DOMAIN", bodies.password],
  ])("that is not right names the setting: %j", async (changes, setting, body) => {
    const problem = await expectProblem(await ask(changes, body), "INTERNAL");
    expect(problem.detail).toContain(setting);
  });

  it.each([
    [{ OAUTH_PROVIDERS: "telepathy" }, "OAUTH_PROVIDERS"],
    [{ OAUTH_REDIRECT_URLS: "nowhere" }, "OAUTH_REDIRECT_URLS"],
  ])("of logins in the browser that is not right names the setting: %j", async (changes, setting) => {
    const body = { provider: "discord", redirectTo: "https://game.test/done" };
    const problem = await expectProblem(await ask(changes, body, "/v1/login/oauth/start"), "INTERNAL");
    expect(problem.detail).toContain(setting);
  });
});
