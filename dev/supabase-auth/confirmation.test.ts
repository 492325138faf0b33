import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SupabaseAuth, startSupabaseAuth } from "./server.ts";
import { ManualClock, connectAuth } from "./test-client.ts";

const email = "ada@example.com";
const password = "correct horse";
let clock: ManualClock;
let server: SupabaseAuth;

beforeEach(async () => {
  clock = new ManualClock();
  server = await startSupabaseAuth({ publishableKey: "public", confirmEmail: true, clock: clock.now });
});

afterEach(() => server.close());

describe("a sign-up that awaits confirmation", () => {
  it("gives a bare user and no session, and cannot sign in", async () => {
    const { data, error } = await connectAuth(server).signUp({ email, password });
    expect(error).toBeNull();
    expect(data.session).toBeNull();
    expect(data.user).toMatchObject({ email, identities: [{ provider: "email" }] });
    expect(data.user?.confirmation_sent_at).toBeDefined();
    expect(data.user?.email_confirmed_at).toBeUndefined();
    const signIn = await connectAuth(server).signInWithPassword({ email, password });
    expect(signIn.error).toMatchObject({ status: 400, code: "email_not_confirmed" });
    const wrong = await connectAuth(server).signInWithPassword({ email, password: "not this one" });
    expect(wrong.error).toMatchObject({ status: 400, code: "invalid_credentials" });
  });

  it("is good once it is confirmed", async () => {
    const { data } = await connectAuth(server).signUp({ email, password });
    server.confirm(email.toUpperCase());
    const signIn = await connectAuth(server).signInWithPassword({ email, password });
    expect(signIn.data.user).toMatchObject({ id: data.user?.id, user_metadata: { email_verified: true } });
    expect(() => server.confirm(email)).toThrow("no confirmation is pending");
    expect(() => server.confirm("nobody@example.com")).toThrow("no confirmation is pending");
  });

  it("may be repeated after a minute, and does not change the account", async () => {
    const first = await connectAuth(server).signUp({ email, password });
    clock.advanceSeconds(59);
    const soon = await connectAuth(server).signUp({ email, password: "another password" });
    expect(soon.error).toMatchObject({ status: 429, code: "over_email_send_rate_limit" });
    clock.advanceSeconds(1);
    const later = await connectAuth(server).signUp({ email, password: "another password" });
    expect(later.data.user?.id).toBe(first.data.user?.id);
    server.confirm(email);
    expect((await connectAuth(server).signInWithPassword({ email, password })).error).toBeNull();
  });

  it("for an address with an account looks like any other, and does nothing", async () => {
    const { data } = await connectAuth(server).signUp({ email, password, options: { data: { name: "Ada" } } });
    server.confirm(email);
    const again = await connectAuth(server).signUp({
      email,
      password: "another password",
      options: { data: { name: "Eve" } },
    });
    expect(again.error).toBeNull();
    expect(again.data.session).toBeNull();
    expect(again.data.user).toMatchObject({ email, identities: [], user_metadata: { name: "Eve" } });
    expect(again.data.user?.id).not.toBe(data.user?.id);
    const signIn = await connectAuth(server).signInWithPassword({ email, password });
    expect(signIn.data.user).toMatchObject({ id: data.user?.id, user_metadata: { name: "Ada" } });
  });
});

describe("a new address", () => {
  it("of an anonymous player waits for confirmation", async () => {
    const auth = connectAuth(server);
    const { data } = await auth.signInAnonymously();
    const update = await auth.updateUser({ email, password });
    expect(update.data.user).toMatchObject({ new_email: email, email: "", is_anonymous: true });
    expect((await auth.updateUser({ email: "other@example.com" })).error).toMatchObject({
      status: 429,
      code: "over_email_send_rate_limit",
    });
    server.confirm(email);
    const signIn = await connectAuth(server).signInWithPassword({ email, password });
    expect(signIn.data.user).toMatchObject({ id: data.user?.id, email, is_anonymous: false });
    expect(signIn.data.user?.new_email).toBeUndefined();
  });

  it("of a permanent player leaves the old one in force until then", async () => {
    await connectAuth(server).signUp({ email, password });
    server.confirm(email);
    const auth = connectAuth(server);
    await auth.signInWithPassword({ email, password });
    await auth.updateUser({ email: "new@example.com" });
    expect((await connectAuth(server).signInWithPassword({ email, password })).error).toBeNull();
    server.confirm("new@example.com");
    expect((await connectAuth(server).signInWithPassword({ email, password })).error).not.toBeNull();
    const moved = await connectAuth(server).signInWithPassword({ email: "new@example.com", password });
    expect(moved.data.user).toMatchObject({ email: "new@example.com" });
  });

  it("that someone else confirmed first cannot be confirmed any more", async () => {
    const auth = connectAuth(server);
    await auth.signInAnonymously();
    await auth.updateUser({ email, password });
    await connectAuth(server).signUp({ email, password: "of the other one" });
    server.confirm(email);
    expect((await connectAuth(server).signInWithPassword({ email, password: "of the other one" })).error).toBeNull();
    expect(() => server.confirm(email)).toThrow("no confirmation is pending");
  });
});
