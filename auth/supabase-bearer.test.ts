import { describe, expect, it } from "vitest";
import { playerOfSession, upgradePlayer } from "./supabase-bearer.ts";
import { describeTestUser, refusal, reply, type Responder, scriptFetch } from "./testing/scripted-fetch.ts";

const accessToken = "aaaa.bbbb.cccc";
const whoIs = "GET /auth/v1/user";
const change = "PUT /auth/v1/user";
const guest = describeTestUser({ email: "", is_anonymous: true, user_metadata: { display_name: "Fox" } });
const full = describeTestUser({ user_metadata: { display_name: "Fox" } });
const account = { email: "ada@example.com", password: "hunter2-hunter2" };

function connect(script: Record<string, Responder>) {
  const { fetch, requests } = scriptFetch(script);
  return { project: { url: "https://project.supabase.co", publishableKey: "sb_publishable_key", fetch }, requests };
}

describe("whose session it is", () => {
  it("is asked of Supabase, with the token", async () => {
    const { project, requests } = connect({ [whoIs]: reply(full) });
    const player = { id: full["id"], email: "ada@example.com", anonymous: false, displayName: "Fox" };
    expect(await playerOfSession(project, accessToken)).toEqual(player);
    expect(requests[0]?.headers.get("authorization")).toBe(`Bearer ${accessToken}`);
  });

  it.each([
    [403, "session_not_found"],
    [403, "bad_jwt"],
    [403, "user_not_found"],
    [401, "no_authorization"],
  ])("is nobody's after %i %s", async (status, code) => {
    const { project } = connect({ [whoIs]: refusal(status, code) });
    await expect(playerOfSession(project, accessToken)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it.each(["", "a.b", "a.b.c\r\nX-Evil: 1"])("is not asked about %j", async (token) => {
    const { project, requests } = connect({});
    await expect(playerOfSession(project, token)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    expect(requests).toHaveLength(0);
  });

  it("is not known while Supabase is away, or talks nonsense", async () => {
    for (const respond of [refusal(503, "unexpected_failure"), reply({ id: "" }), reply({})]) {
      const { project } = connect({ [whoIs]: respond });
      await expect(playerOfSession(project, accessToken)).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE" });
    }
  });
});

describe("an upgrade", () => {
  it("makes the same player a full account", async () => {
    const { project, requests } = connect({ [whoIs]: reply(guest), [change]: reply(full) });
    const result = await upgradePlayer(project, accessToken, { ...account, displayName: "Ada " });
    const player = { id: full["id"], email: "ada@example.com", anonymous: false, displayName: "Fox" };
    expect(result).toEqual({ kind: "upgraded", player });
    expect(requests).toHaveLength(2);
    expect(requests[1]?.headers.get("authorization")).toBe(`Bearer ${accessToken}`);
    expect(requests[1]?.body).toMatchObject({ ...account, data: { display_name: "Ada" } });
  });

  it("waits for a confirmation where addresses are confirmed", async () => {
    const { project } = connect({ [whoIs]: reply(guest), [change]: reply({ ...guest, new_email: account.email }) });
    expect(await upgradePlayer(project, accessToken, account)).toEqual({ kind: "confirmation-required" });
  });

  it("[SEC-33] is not a way to change a full account", async () => {
    const { project, requests } = connect({ [whoIs]: reply(full) });
    await expect(upgradePlayer(project, accessToken, account)).rejects.toMatchObject({ code: "NOT_ANONYMOUS" });
    expect(requests).toHaveLength(1);
  });

  it("[SEC-30] cannot take a reserved address", async () => {
    const { project, requests } = connect({});
    const reserved = { ...account, email: "steam-76561198000000001@players.sustenet.invalid" };
    await expect(upgradePlayer(project, accessToken, reserved)).rejects.toMatchObject({ code: "INVALID_FIELD" });
    expect(requests).toHaveLength(0);
  });

  it.each([
    [422, "email_exists", "ACCOUNT_EXISTS"],
    [422, "weak_password", "WEAK_PASSWORD"],
    [400, "validation_failed", "INVALID_FIELD"],
    [422, "same_password", "INVALID_FIELD"],
    [403, "session_not_found", "UNAUTHENTICATED"],
    [403, "bad_jwt", "UNAUTHENTICATED"],
    [429, "over_email_send_rate_limit", "RATE_LIMITED"],
    [500, "unexpected_failure", "IDENTITY_UNAVAILABLE"],
  ])("%i %s is %s", async (status, code, expected) => {
    const { project } = connect({ [whoIs]: reply(guest), [change]: refusal(status, code) });
    const error = await upgradePlayer(project, accessToken, account).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: expected });
    expect(String(error)).not.toContain("ada@example.com");
  });
});
