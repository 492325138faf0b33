import { describe, expect, it } from "vitest";
import { foreignAccountId, openForeignSession } from "./foreign-sessions.ts";
import {
  describeTestSession,
  describeTestUser,
  refusal,
  reply,
  type Responder,
  scriptFetch,
} from "./testing/scripted-fetch.ts";

const identity = { provider: "steam", id: "76561198000000001", displayName: " Ada\u202E " } as const;
const email = "steam-76561198000000001@players.sustenet.invalid";
const id = await foreignAccountId(identity);
const mark = { foreign_identity: { provider: "steam", id: identity.id } };
const ours = describeTestUser({ id, email, app_metadata: mark });
const byId = `GET /auth/v1/admin/users/${id}`;
const create = "POST /auth/v1/admin/users";
const generate = "POST /auth/v1/admin/generate_link";
const verify = "POST /auth/v1/verify";

function link(user: Readonly<Record<string, unknown>>): Responder {
  return reply({
    ...user,
    action_link: "",
    email_otp: "123456",
    hashed_token: "the-hash",
    verification_type: "magiclink",
  });
}

function open(
  script: Record<string, Responder | readonly Responder[]>,
  of: Parameters<typeof openForeignSession>[1] = identity,
) {
  const { fetch, requests } = scriptFetch(script);
  const displaced: unknown[] = [];
  const project = {
    url: "https://project.supabase.co",
    publishableKey: "sb_publishable_key",
    secretKey: "sb_secret_key",
    fetch,
  };
  return { done: openForeignSession(project, of, (what) => displaced.push(what)), requests, displaced };
}

const opened = { [verify]: reply(describeTestSession(ours)) };

describe("a player whom another service vouches for", () => {
  it("has one account id for ever, of its own", async () => {
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    // Written down: should this change, every player would lose the account.
    expect(id).toBe("e6608883-d725-5bd6-9298-fe40060420a4");
    expect(await foreignAccountId({ provider: "epic", id: identity.id })).not.toBe(id);
    expect(await foreignAccountId({ provider: "steam", id: "76561198000000002" })).not.toBe(id);
  });

  it("[SEC-30] gets an account at the first login: marked, under a reserved address that nobody sees", async () => {
    const { done, requests } = open({
      [byId]: refusal(404, "user_not_found"),
      [create]: reply(ours),
      [generate]: link(ours),
      ...opened,
    });
    const tokens = await done;
    expect(tokens.player).toEqual({ id, email: null, anonymous: false, displayName: "Ada" });
    expect(requests.map(({ body }) => body)).toEqual([
      undefined,
      { id, email, email_confirm: true, app_metadata: mark, user_metadata: { display_name: "Ada" } },
      { type: "magiclink", email },
      { type: "email", token_hash: "the-hash", gotrue_meta_security: {} },
    ]);
    const keys = requests.map(({ headers }) => headers.get("apikey"));
    expect(keys).toEqual(["sb_secret_key", "sb_secret_key", "sb_secret_key", "sb_publishable_key"]);
  });

  it("finds it again, also under an address of the player's own", async () => {
    const moved = describeTestUser({ id, email: "ada@example.com", app_metadata: mark });
    const { done, requests } = open({
      [byId]: reply(moved),
      [generate]: link(moved),
      [verify]: reply(describeTestSession(moved)),
    });
    expect((await done).player).toMatchObject({ id, email: "ada@example.com" });
    expect(requests[1]?.body).toEqual({ type: "magiclink", email: "ada@example.com" });
    expect(requests).toHaveLength(3);
  });

  it("finds it when another login was faster", async () => {
    const { done } = open({
      [byId]: refusal(404, "user_not_found"),
      [create]: refusal(422, "email_exists"),
      [generate]: link(ours),
      ...opened,
    });
    expect((await done).player.id).toBe(id);
  });

  it("finds it by its mark in a project where ids cannot be chosen", async () => {
    const elder = describeTestUser({ email, app_metadata: mark });
    const { done, displaced } = open({
      [byId]: refusal(404, "user_not_found"),
      [create]: refusal(422, "email_exists"),
      [generate]: link(elder),
      [verify]: reply(describeTestSession(elder)),
    });
    expect((await done).player.id).toBe(elder["id"]);
    expect(displaced).toEqual([]);
  });
});

describe("an account of a stranger on the reserved address", () => {
  const stranger = describeTestUser({ id: "6f1c2b3a-93f5-4f0c-8a55-0d3d2d1f0a02", email });
  const moveRoute = `PUT /auth/v1/admin/users/${String(stranger["id"])}`;

  it.each([
    ["without a mark", stranger],
    ["with another's mark", { ...stranger, app_metadata: { foreign_identity: { provider: "steam", id: "7" } } }],
    ["with a mark of its own making", { ...stranger, user_metadata: mark }],
  ])("[SEC-30] %s is moved off it, and never opened", async (_what, squatter) => {
    const { done, requests, displaced } = open({
      [byId]: refusal(404, "user_not_found"),
      [create]: [refusal(422, "email_exists"), reply(ours)],
      [generate]: [link(squatter), link(ours)],
      [moveRoute]: reply(stranger),
      ...opened,
    });
    expect((await done).player.id).toBe(id);
    const moved = requests.find(({ route }) => route === moveRoute);
    expect(moved?.body).toMatchObject({
      email: expect.stringMatching(/^displaced-[\da-f-]{36}@players\.sustenet\.invalid$/),
    });
    expect(displaced).toEqual([{ accountId: stranger["id"], provider: "steam" }]);
  });

  it("that comes back at once is an error, not an endless fight", async () => {
    const { done } = open({
      [byId]: refusal(404, "user_not_found"),
      [create]: refusal(422, "email_exists"),
      [generate]: link(stranger),
      [moveRoute]: reply(stranger),
    });
    await expect(done).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE" });
  });

  it.each([
    ["the link is another's", { [byId]: reply(ours), [generate]: link(stranger) }],
    [
      "the session is another's",
      { [byId]: reply(ours), [generate]: link(ours), [verify]: reply(describeTestSession(stranger)) },
    ],
    ["the account has no address", { [byId]: reply(describeTestUser({ id, email: "" })) }],
  ])("[SEC-30] opens nothing when %s", async (_what, script) => {
    await expect(open(script).done).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE" });
  });
});

describe("what goes wrong at Supabase", () => {
  it.each([
    ["a wrong secret key", { [byId]: refusal(401, "no_authorization") }],
    ["a key that is no secret one", { [byId]: refusal(403, "not_admin") }],
    ["an outage", { [byId]: refusal(500, "unexpected_failure") }],
    ["an empty link", { [byId]: reply(ours), [generate]: reply({ ...ours, hashed_token: "" }) }],
    [
      "a login token that another login has replaced",
      { [byId]: reply(ours), [generate]: link(ours), [verify]: refusal(403, "otp_expired") },
    ],
    ["a half-made session", { [byId]: reply(ours), [generate]: link(ours), [verify]: reply({ user: ours }) }],
  ])("%s is IDENTITY_UNAVAILABLE", async (_what, script) => {
    await expect(open(script).done).rejects.toMatchObject({ code: "IDENTITY_UNAVAILABLE", retryAfterSeconds: 5 });
  });

  it("a ban there is not", async () => {
    const { done } = open({ [byId]: reply(ours), [generate]: link(ours), [verify]: refusal(403, "user_banned") });
    await expect(done).rejects.toMatchObject({ code: "PROVIDER_TOKEN_INVALID" });
  });
});
