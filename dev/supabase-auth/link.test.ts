import { decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SupabaseAuth, startSupabaseAuth } from "./server.ts";
import { ManualClock, connectAuth } from "./test-client.ts";

const secretKey = "sb_secret_test";
const email = "ada@example.com";
let clock: ManualClock;
let server: SupabaseAuth;

beforeEach(async () => {
  clock = new ManualClock();
  server = await startSupabaseAuth({ publishableKey: "public", secretKey, clock: clock.now });
});

afterEach(() => server.close());

const admin = () => connectAuth(server, secretKey).admin;

async function link(address = email): Promise<string> {
  const { data, error } = await admin().generateLink({ type: "magiclink", email: address });
  if (error !== null) throw error;
  return data.properties.hashed_token;
}

const verify = (tokenHash: string, type: "email" | "magiclink" | "signup" | "recovery" = "email") =>
  connectAuth(server).verifyOtp({ type, token_hash: tokenHash });

const expired = { status: 403, code: "otp_expired" };

describe("a magic link", () => {
  it("opens one session of the account", async () => {
    const created = await admin().createUser({ email, email_confirm: true, app_metadata: { role: "operator" } });
    const { data } = await admin().generateLink({ type: "magiclink", email });
    expect(data.user).toMatchObject({ id: created.data.user?.id, app_metadata: { role: "operator" } });
    expect(data.properties).toMatchObject({
      verification_type: "magiclink",
      hashed_token: expect.stringMatching(/^[\da-f]{56}$/),
      email_otp: expect.stringMatching(/^\d{6}$/),
      action_link: expect.stringContaining(data.properties?.hashed_token ?? "-"),
    });
    const opened = await verify(data.properties?.hashed_token ?? "");
    expect(opened.data.user?.id).toBe(created.data.user?.id);
    expect(decodeJwt(opened.data.session?.access_token ?? "")).toMatchObject({
      amr: [{ method: "otp" }],
      app_metadata: { role: "operator" },
    });
    expect((await verify(data.properties?.hashed_token ?? "")).error).toMatchObject(expired);
  });

  it("may be typed as digits together with the address", async () => {
    await admin().createUser({ email, email_confirm: true });
    const { data } = await admin().generateLink({ type: "magiclink", email });
    const digits = data.properties?.email_otp ?? "";
    const auth = connectAuth(server);
    expect((await auth.verifyOtp({ type: "email", email: "eve@example.com", token: digits })).error).toMatchObject(
      expired,
    );
    expect((await auth.verifyOtp({ type: "email", email, token: digits })).error).toBeNull();
  });

  it("works for an hour, and the newest alone", async () => {
    await admin().createUser({ email, email_confirm: true });
    const old = await link();
    const newer = await link();
    expect((await verify(old)).error).toMatchObject(expired);
    clock.advanceSeconds(3_600);
    expect((await verify(newer)).error).toBeNull();
    const late = await link();
    clock.advanceSeconds(3_601);
    expect((await verify(late)).error).toMatchObject(expired);
  });

  it("for an address without an account is a sign-up that confirms it", async () => {
    const { data } = await admin().generateLink({ type: "magiclink", email });
    expect(data.properties?.verification_type).toBe("signup");
    expect(data.user?.email_confirmed_at).toBeUndefined();
    const hash = data.properties?.hashed_token ?? "";
    expect((await verify(hash, "magiclink")).error).toMatchObject(expired);
    expect((await verify(hash, "signup")).data.user?.email_confirmed_at).toBeDefined();
  });

  it("ends with its account, and does not open a banned one", async () => {
    const { data } = await admin().createUser({ email, email_confirm: true });
    const id = data.user?.id ?? "";
    const hash = await link();
    await admin().updateUserById(id, { ban_duration: "1h" });
    expect((await verify(hash)).error).toMatchObject({ status: 403, code: "user_banned" });
    await admin().deleteUser(id);
    expect((await verify(hash)).error).toMatchObject(expired);
  });
});

describe("bad requests", () => {
  it("for a link are refused", async () => {
    expect((await admin().generateLink({ type: "recovery", email })).error).toMatchObject({
      status: 404,
      code: "user_not_found",
    });
    expect((await admin().generateLink({ type: "invite", email: "no address" })).error?.status).toBe(400);
    await admin().createUser({ email, email_confirm: true });
    expect((await admin().generateLink({ type: "signup", email, password: "correct horse" })).error).toMatchObject({
      status: 422,
      code: "email_exists",
    });
    const player = await connectAuth(server).signInAnonymously();
    const answer = await fetch(`${server.url}/auth/v1/admin/generate_link`, {
      method: "POST",
      headers: { apikey: "public", authorization: `Bearer ${player.data.session?.access_token}` },
      body: JSON.stringify({ type: "magiclink", email }),
    });
    expect(answer.status).toBe(403);
  });

  it.each([
    {},
    { type: "email" },
    { token_hash: "a" },
    { type: "email", token_hash: "a", token: "1" },
    { type: "email", token_hash: "a", email },
    { type: "email", token: "123456" },
    { type: "sms", token_hash: "a" },
  ])("for a session are refused: %j", async (body) => {
    const answer = await fetch(`${server.url}/auth/v1/verify`, {
      method: "POST",
      headers: { apikey: "public", "x-supabase-api-version": "2024-01-01" },
      body: JSON.stringify(body),
    });
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: "validation_failed" }]);
  });

  it("are limited by address", async () => {
    const limited = await startSupabaseAuth({
      publishableKey: "public",
      clock: clock.now,
      rateLimits: {
        tokensPerFiveMinutes: 9,
        signUpsPerFiveMinutes: 9,
        anonymousSignUpsPerHour: 9,
        verificationsPerFiveMinutes: 2,
      },
    });
    const ask = () => connectAuth(limited).verifyOtp({ type: "email", token_hash: "a" });
    expect([(await ask()).error?.status, (await ask()).error?.status, (await ask()).error?.status]).toEqual([
      403, 403, 429,
    ]);
    await limited.close();
  });
});

describe("the secret key", () => {
  it("may choose an account's id, once", async () => {
    const id = "8c1f4b1e-6b0e-5d0f-9d3a-111111111111";
    expect((await admin().createUser({ id, email, email_confirm: true })).data.user?.id).toBe(id);
    expect((await admin().createUser({ id, email: "b@example.com" })).error?.status).toBe(500);
    expect((await admin().createUser({ id: "no uuid", email: "b@example.com" })).error).toMatchObject({
      status: 400,
      code: "validation_failed",
    });
  });
});
