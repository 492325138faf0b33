import { type SupabaseClient, createClient } from "@supabase/supabase-js";
import { decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SupabaseAuth, startSupabaseAuth } from "./server.ts";
import { agreeInBrowser, refuseInBrowser } from "./test-browser.ts";
import { ManualClock, connectAuth } from "./test-client.ts";

const secretKey = "sb_secret_test";
const redirectTo = "https://game.example/done";
let clock: ManualClock;
let server: SupabaseAuth;

beforeEach(async () => {
  clock = new ManualClock();
  server = await startSupabaseAuth({
    publishableKey: "public",
    secretKey,
    clock: clock.now,
    oauthProviders: ["discord", "github"],
    siteUrl: "https://site.example",
    redirectUrls: ["https://game.example/*", "mygame://**"],
  });
});

afterEach(() => server.close());

function connect(flowType: "pkce" | "implicit" = "pkce"): SupabaseClient["auth"] {
  const options = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false, flowType };
  return createClient(server.url, "public", { auth: options }).auth;
}

async function start(auth: SupabaseClient["auth"], wanted = redirectTo): Promise<string> {
  const { data, error } = await auth.signInWithOAuth({ provider: "discord", options: { redirectTo: wanted } });
  if (error !== null) throw error;
  return data.url ?? "";
}

async function signIn(email: string) {
  const auth = connect();
  const end = await agreeInBrowser(await start(auth), email);
  return auth.exchangeCodeForSession(end.searchParams.get("code") ?? "");
}

describe("a login in the browser", () => {
  it("ends at the client's address with a code that serves once, with its verifier", async () => {
    const auth = connect();
    const end = await agreeInBrowser(await start(auth), "ada@example.com");
    expect(end.href).toMatch(/^https:\/\/game\.example\/done\?code=[\da-f-]{36}$/);
    const code = end.searchParams.get("code") ?? "";
    const { data, error } = await auth.exchangeCodeForSession(code);
    expect(error).toBeNull();
    expect(data.user).toMatchObject({
      email: "ada@example.com",
      is_anonymous: false,
      app_metadata: { provider: "discord", providers: ["discord"] },
      identities: [{ provider: "discord", identity_data: { email: "ada@example.com" } }],
    });
    expect(decodeJwt(data.session?.access_token ?? "")).toMatchObject({ amr: [{ method: "oauth" }] });
    expect((await connectAuth(server).getUser(data.session?.access_token)).error).toBeNull();
    const again = await fetch(`${server.url}/auth/v1/token?grant_type=pkce`, {
      method: "POST",
      headers: { apikey: "public", "x-supabase-api-version": "2024-01-01" },
      body: JSON.stringify({ auth_code: code, code_verifier: "x".repeat(43) }),
    });
    expect([again.status, await again.json()]).toMatchObject([404, { code: "flow_state_not_found" }]);
  });

  it("finds the same account again", async () => {
    const first = await signIn("ada@example.com");
    const second = await signIn("Ada@example.com");
    expect(second.data.user?.id).toBe(first.data.user?.id);
    expect(second.data.user?.identities).toHaveLength(1);
  });

  it("refuses the verifier of another login, and keeps the code for the right one", async () => {
    const auth = connect();
    const other = connect();
    const end = await agreeInBrowser(await start(auth), "ada@example.com");
    await start(other);
    const code = end.searchParams.get("code") ?? "";
    expect((await other.exchangeCodeForSession(code)).error).toMatchObject({ status: 400, code: "bad_code_verifier" });
    expect((await auth.exchangeCodeForSession(code)).error).toBeNull();
  });

  it("has to be finished within five minutes", async () => {
    const auth = connect();
    const end = await agreeInBrowser(await start(auth), "ada@example.com");
    const late = connect();
    const lateEnd = await agreeInBrowser(await start(late), "eve@example.com");
    clock.advanceSeconds(300);
    expect((await auth.exchangeCodeForSession(end.searchParams.get("code") ?? "")).error).toBeNull();
    clock.advanceSeconds(1);
    expect((await late.exchangeCodeForSession(lateEnd.searchParams.get("code") ?? "")).error).toMatchObject({
      status: 422,
      code: "flow_state_expired",
    });
    const abandoned = await start(connect());
    const consent = await fetch(abandoned, { redirect: "manual" });
    clock.advanceSeconds(301);
    expect((await fetch(consent.headers.get("location") ?? "")).status).toBe(400);
  });

  it("tells the client that it was refused", async () => {
    const end = await refuseInBrowser(await start(connect()));
    expect(Object.fromEntries(end.searchParams)).toMatchObject({
      error: "access_denied",
      error_code: "access_denied",
      error_description: "The user has denied access",
    });
    expect(end.hash).toContain("error=access_denied");
  });

  it("gives tokens straight to a client without a challenge", async () => {
    const end = await agreeInBrowser(await start(connect("implicit")), "ada@example.com");
    const fragment = new URLSearchParams(end.hash.slice(1));
    expect((await connectAuth(server).getUser(fragment.get("access_token") ?? "")).data.user?.email).toBe(
      "ada@example.com",
    );
    expect(fragment.get("token_type")).toBe("bearer");
  });
});

describe("an account that is there already", () => {
  it("is linked by its confirmed address, and keeps its password", async () => {
    const { data } = await connectAuth(server).signUp({ email: "ada@example.com", password: "correct horse" });
    const linked = await signIn("ada@example.com");
    expect(linked.data.user).toMatchObject({
      id: data.user?.id,
      app_metadata: { provider: "email", providers: ["email", "discord"] },
    });
    const byPassword = await connectAuth(server).signInWithPassword({
      email: "ada@example.com",
      password: "correct horse",
    });
    expect(byPassword.data.user?.id).toBe(data.user?.id);
  });

  it("loses a password that nobody confirmed: it may be a stranger's", async () => {
    const { admin } = connectAuth(server, secretKey);
    await admin.createUser({ email: "ada@example.com", password: "of a stranger" });
    await signIn("ada@example.com");
    const stranger = await connectAuth(server).signInWithPassword({
      email: "ada@example.com",
      password: "of a stranger",
    });
    expect(stranger.error).toMatchObject({ code: "invalid_credentials" });
  });

  it("that is banned gets an error instead of a code", async () => {
    const { data } = await signIn("ada@example.com");
    await connectAuth(server, secretKey).admin.updateUserById(data.user?.id ?? "", { ban_duration: "1h" });
    const end = await agreeInBrowser(await start(connect()), "ada@example.com");
    expect(end.searchParams.get("error_code")).toBe("user_banned");
    expect(end.searchParams.get("code")).toBeNull();
  });
});

describe("where the browser may go", () => {
  it.each([
    ["https://game.example/done", "https://game.example"],
    ["https://site.example/anything?x=1", "https://site.example"],
    ["mygame://login/done", "mygame://login"],
    ["https://game.example/a/b", "https://site.example"],
    ["https://gameXexample/done", "https://site.example"],
    ["https://evil.example/", "https://site.example"],
    ["nonsense", "https://site.example"],
  ])("%s leads to %s", async (wanted, beginning) => {
    const end = await agreeInBrowser(await start(connect(), wanted), "ada@example.com");
    expect(end.href.startsWith(beginning)).toBe(true);
  });
});

describe("bad beginnings", () => {
  const challenge = "a".repeat(43);

  it.each([
    ["an unknown provider", { provider: "google" }, 400, "validation_failed"],
    ["no provider", {}, 400, "validation_failed"],
    ["a challenge without a method", { provider: "github", code_challenge: challenge }, 400, "validation_failed"],
    ["a method without a challenge", { provider: "github", code_challenge_method: "s256" }, 400, "validation_failed"],
    [
      "a short challenge",
      { provider: "github", code_challenge: challenge.slice(1), code_challenge_method: "s256" },
      400,
      "validation_failed",
    ],
    [
      "a challenge of other characters",
      { provider: "github", code_challenge: `${challenge}/`, code_challenge_method: "s256" },
      400,
      "validation_failed",
    ],
    [
      "another method",
      { provider: "github", code_challenge: challenge, code_challenge_method: "s512" },
      500,
      "unexpected_failure",
    ],
  ])("%s", async (_name, query, status, code) => {
    const answer = await fetch(`${server.url}/auth/v1/authorize?${new URLSearchParams(query).toString()}`, {
      redirect: "manual",
      headers: { "x-supabase-api-version": "2024-01-01" },
    });
    expect([answer.status, await answer.json()]).toMatchObject([status, { code }]);
  });

  it("a state that nobody began, or that was used", async () => {
    const ask = (state: string): Promise<Response> =>
      fetch(`${server.url}/auth/v1/callback?state=${state}&code=eve@example.com`, { redirect: "manual" });
    expect((await ask("unknown")).status).toBe(400);
    const url = await start(connect());
    const consent = await fetch(url, { redirect: "manual" });
    const state = new URL(consent.headers.get("location") ?? "").searchParams.get("state") ?? "";
    expect((await ask(state)).status).toBe(302);
    expect((await ask(state)).status).toBe(400);
  });

  it("a redirect that would break out of the page", async () => {
    const { data } = await connect().signInWithOAuth({
      provider: "discord",
      options: { redirectTo: 'https://site.example/"><script>alert(1)</script>' },
    });
    const page = await (await fetch(data.url ?? "")).text();
    expect(page).toContain("Sign in with discord");
    expect(page).not.toContain("<script>");
  });
});
