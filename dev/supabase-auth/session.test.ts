import type { Session } from "@supabase/supabase-js";
import { decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SupabaseAuth, startSupabaseAuth } from "./server.ts";
import { ManualClock, connectAuth } from "./test-client.ts";

const secretKey = "secret";
let clock: ManualClock;
let server: SupabaseAuth;

beforeEach(async () => {
  clock = new ManualClock();
  server = await startSupabaseAuth({
    publishableKey: "public",
    secretKey,
    clock: clock.now,
    accessTokenLifetimeSeconds: 60,
  });
});

afterEach(() => server.close());

async function openSession(): Promise<Session> {
  const { data } = await connectAuth(server).signInAnonymously();
  if (data.session === null) throw new Error("no session");
  return data.session;
}

async function refresh(token: string): Promise<string> {
  const { data, error } = await connectAuth(server).refreshSession({ refresh_token: token });
  if (error !== null) throw error;
  return data.session?.refresh_token ?? "";
}

const alreadyUsed = { status: 400, code: "refresh_token_already_used" };

describe("an access token", () => {
  it("is good up to its last second, and not at it", async () => {
    const session = await openSession();
    expect(session.expires_in).toBe(60);
    clock.advanceSeconds(59);
    expect((await connectAuth(server).getUser(session.access_token)).error).toBeNull();
    clock.advanceSeconds(1);
    expect((await connectAuth(server).getUser(session.access_token)).error).toMatchObject({
      status: 403,
      code: "bad_jwt",
      message: expect.stringContaining("expired"),
    });
    const renewed = await connectAuth(server).refreshSession({ refresh_token: session.refresh_token });
    expect((await connectAuth(server).getUser(renewed.data.session?.access_token ?? "")).error).toBeNull();
  });

  it("needs an account and a session that exist", async () => {
    const session = await openSession();
    const claims = decodeJwt(session.access_token);
    const withClaims = async (changed: object): Promise<unknown> =>
      (await connectAuth(server).getUser(await server.signAccessToken({ ...claims, ...changed }))).error;
    expect(await withClaims({})).toBeNull();
    expect(await withClaims({ sub: "" })).toMatchObject({ status: 403, code: "bad_jwt" });
    expect(await withClaims({ sub: crypto.randomUUID() })).toMatchObject({ status: 403, code: "user_not_found" });
    expect(await withClaims({ session_id: crypto.randomUUID() })).toMatchObject({ name: "AuthSessionMissingError" });
    expect(await withClaims({ session_id: 7 })).toMatchObject({ status: 403, code: "bad_jwt" });
    expect(await withClaims({ aud: "someone else" })).toMatchObject({ status: 400, code: "validation_failed" });
    const other = decodeJwt((await openSession()).access_token);
    expect(await withClaims({ session_id: other["session_id"] })).toMatchObject({ name: "AuthSessionMissingError" });
  });

  it("dies with its account", async () => {
    const session = await openSession();
    expect((await connectAuth(server, secretKey).admin.deleteUser(session.user.id)).error).toBeNull();
    expect((await connectAuth(server).getUser(session.access_token)).error).toMatchObject({
      status: 403,
      code: "user_not_found",
    });
    await expect(refresh(session.refresh_token)).rejects.toMatchObject({ code: "refresh_token_not_found" });
  });
});

describe("a refresh token that was used before", () => {
  it("is taken within 10 s, and not after", async () => {
    const { refresh_token: first } = await openSession();
    const third = await refresh(await refresh(first));
    clock.advanceSeconds(10);
    // Using it again counts anew.
    const fourth = await refresh(first);
    expect(fourth).not.toBe(third);
    await refresh(fourth);
    clock.advanceSeconds(10.001);
    await expect(refresh(first)).rejects.toMatchObject(alreadyUsed);
  });

  it("revokes the whole session when it comes late", async () => {
    const { refresh_token: first } = await openSession();
    const second = await refresh(first);
    const third = await refresh(second);
    clock.advanceSeconds(11);
    await expect(refresh(first)).rejects.toMatchObject(alreadyUsed);
    clock.advanceSeconds(11);
    await expect(refresh(third)).rejects.toMatchObject(alreadyUsed);
    await expect(refresh(second)).rejects.toMatchObject(alreadyUsed);
  });

  it("gives the newest again, at any time, when nothing came after that", async () => {
    const { refresh_token: first } = await openSession();
    const second = await refresh(first);
    clock.advanceSeconds(1_000);
    expect(await refresh(first)).toBe(second);
    expect(await refresh(second)).not.toBe(second);
  });

  it("does not touch the player's other sessions", async () => {
    const auth = connectAuth(server);
    const credentials = { email: "ada@example.com", password: "correct horse" };
    const one = (await auth.signUp(credentials)).data.session?.refresh_token ?? "";
    const two = (await auth.signInWithPassword(credentials)).data.session?.refresh_token ?? "";
    await refresh(await refresh(one));
    clock.advanceSeconds(11);
    await expect(refresh(one)).rejects.toMatchObject(alreadyUsed);
    clock.advanceSeconds(11);
    expect(await refresh(two)).not.toBe(two);
  });
});

describe("a refresh", () => {
  it("shows what has changed in the account since", async () => {
    const session = await openSession();
    const admin = connectAuth(server, secretKey).admin;
    await admin.updateUserById(session.user.id, { app_metadata: { role: "operator" } });
    const { data } = await connectAuth(server).refreshSession({ refresh_token: session.refresh_token });
    expect(decodeJwt(data.session?.access_token ?? "")["app_metadata"]).toEqual({ role: "operator" });
  });

  it("is refused to the banned, until the ban is over", async () => {
    const session = await openSession();
    const admin = connectAuth(server, secretKey).admin;
    await admin.updateUserById(session.user.id, { ban_duration: "1h30m" });
    await expect(refresh(session.refresh_token)).rejects.toMatchObject({ status: 400, code: "user_banned" });
    clock.advanceSeconds(5_400);
    expect(await refresh(session.refresh_token)).not.toBe("");
  });
});
