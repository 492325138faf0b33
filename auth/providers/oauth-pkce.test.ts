import { describe, expect, it } from "vitest";
import { describeTestSession, refusal, reply, scriptFetch } from "../testing/scripted-fetch.ts";
import { createOAuthProvider, isOAuthProviderName } from "./oauth-pkce.ts";

const url = "https://project.supabase.co";
const redirectTo = "https://game.example/done";

function createFixture(script: Parameters<typeof scriptFetch>[0] = {}) {
  const { fetch, requests } = scriptFetch(script);
  const project = { url, publishableKey: "sb_publishable_key", fetch };
  const oauth = createOAuthProvider({ project, providers: ["discord"], redirectUrls: [redirectTo] });
  return { oauth, requests };
}

async function challengeOf(verifier: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  return btoa(String.fromCharCode(...digest))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

describe("a login in the browser", () => {
  it("[SEC-31] begins with an S256 challenge, whose verifier the client alone gets", async () => {
    const { oauth, requests } = createFixture();
    const { url: address, codeVerifier } = await oauth.start({ provider: "discord", redirectTo });
    expect(address.startsWith(`${url}/auth/v1/authorize?`)).toBe(true);
    const query = new URL(address).searchParams;
    expect(Object.fromEntries(query)).toEqual({
      provider: "discord",
      redirect_to: redirectTo,
      code_challenge: await challengeOf(codeVerifier),
      code_challenge_method: "s256",
    });
    expect(codeVerifier).toMatch(/^[\w.~-]{43,128}$/);
    expect(address).not.toContain(codeVerifier);
    expect(requests).toHaveLength(0);
    const second = await oauth.start({ provider: "discord", redirectTo });
    expect(second.codeVerifier).not.toBe(codeVerifier);
  });

  it("ends with the tokens that Supabase gives for code and verifier", async () => {
    const { oauth, requests } = createFixture({ "POST /auth/v1/token?grant_type=pkce": reply(describeTestSession()) });
    const verifier = "v".repeat(43);
    const tokens = await oauth.login({ code: "the-code", codeVerifier: verifier });
    expect(tokens).toMatchObject({
      accessToken: "aaaa.bbbb.cccc",
      refreshToken: "refresh-1",
      player: { displayName: "Ada" },
    });
    expect(requests.map(({ body }) => body)).toEqual([{ auth_code: "the-code", code_verifier: verifier }]);
  });

  it.each([
    [404, "flow_state_not_found"],
    [422, "flow_state_expired"],
    [400, "bad_code_verifier"],
    [400, "validation_failed"],
    [403, "user_banned"],
  ])("%i %s is PROVIDER_TOKEN_INVALID", async (status, code) => {
    const { oauth, requests } = createFixture({ "POST /auth/v1/token": refusal(status, code) });
    const failure = oauth.login({ code: "the-code", codeVerifier: "v".repeat(43) });
    await expect(failure).rejects.toMatchObject({ code: "PROVIDER_TOKEN_INVALID" });
    expect(requests).toHaveLength(1);
  });

  it.each([
    [429, "over_request_rate_limit", "RATE_LIMITED"],
    [500, "unexpected_failure", "IDENTITY_UNAVAILABLE"],
  ])("%i %s is %s", async (status, code, expected) => {
    const { oauth } = createFixture({ "POST /auth/v1/token": refusal(status, code) });
    const failure = oauth.login({ code: "the-code", codeVerifier: "v".repeat(43) });
    await expect(failure).rejects.toMatchObject({ code: expected });
  });

  it("does not begin at providers that are switched off, nor end at addresses that are not listed", async () => {
    const { oauth } = createFixture();
    await expect(oauth.start({ provider: "google", redirectTo })).rejects.toMatchObject({ code: "SWITCHED_OFF" });
    const elsewhere = { provider: "discord", redirectTo: "https://evil.example/done" };
    await expect(oauth.start(elsewhere)).rejects.toMatchObject({ code: "INVALID_FIELD" });
  });
});

describe("names of providers", () => {
  it.each(["discord", "google", "custom:studio-sso"])("%s is one", (name) => {
    expect(isOAuthProviderName(name)).toBe(true);
  });

  it.each(["", "Discord", "carrier-pigeon", "custom:", "custom:a b", "__proto__"])("%j is none", (name) => {
    expect(isOAuthProviderName(name)).toBe(false);
  });
});
