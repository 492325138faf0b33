import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SupabaseAuth, startSupabaseAuth } from "./server.ts";
import { connectAuth } from "./test-client.ts";

const secretKey = "sb_secret_test";
const credentials = { email: "op@example.com", password: "correct horse" };
let server: SupabaseAuth;

beforeEach(async () => {
  server = await startSupabaseAuth({ publishableKey: "public", secretKey });
});

afterEach(() => server.close());

describe("the secret key", () => {
  it("makes, shows, changes and deletes accounts", async () => {
    const { admin } = connectAuth(server, secretKey);
    const created = await admin.createUser({
      ...credentials,
      email_confirm: true,
      app_metadata: { role: "operator" },
      user_metadata: { name: "Op" },
    });
    const id = created.data.user?.id ?? "";
    const signIn = await connectAuth(server).signInWithPassword(credentials);
    expect(signIn.data.user).toMatchObject({
      id,
      app_metadata: { role: "operator", provider: "email" },
      user_metadata: { name: "Op" },
    });
    await admin.updateUserById(id, { app_metadata: { role: null }, password: "another password" });
    const shown = await admin.getUserById(id);
    expect(shown.data.user?.app_metadata).toEqual({ provider: "email", providers: ["email"] });
    expect((await connectAuth(server).getUser(signIn.data.session?.access_token ?? "")).error).not.toBeNull();
    expect((await admin.deleteUser(id)).error).toBeNull();
    expect((await admin.getUserById(id)).error).toMatchObject({ status: 404, code: "user_not_found" });
  });

  it("leaves an account unconfirmed unless told otherwise", async () => {
    const { admin } = connectAuth(server, secretKey);
    const { data } = await admin.createUser(credentials);
    expect((await connectAuth(server).signInWithPassword(credentials)).error).toMatchObject({
      code: "email_not_confirmed",
    });
    await admin.updateUserById(data.user?.id ?? "", { email: "new@example.com", email_confirm: true });
    const moved = await connectAuth(server).signInWithPassword({ ...credentials, email: "new@example.com" });
    expect(moved.error).toBeNull();
  });

  it("gets an error for what cannot be", async () => {
    const { admin } = connectAuth(server, secretKey);
    await admin.createUser(credentials);
    expect((await admin.createUser(credentials)).error).toMatchObject({ status: 422, code: "email_exists" });
    expect((await admin.createUser({})).error).toMatchObject({ status: 400, code: "validation_failed" });
    const { data } = await admin.createUser({ email: "other@example.com" });
    const id = data.user?.id ?? "";
    expect((await admin.updateUserById(id, { ban_duration: "a while" })).error).toMatchObject({
      status: 400,
      code: "validation_failed",
    });
    expect((await admin.updateUserById(id, { email: credentials.email })).error).toMatchObject({
      code: "email_exists",
    });
    expect((await admin.getUserById(crypto.randomUUID())).error).toMatchObject({ status: 404 });
  });
});

describe("everyone else", () => {
  it("is kept out of the administration", async () => {
    const { data } = await connectAuth(server).signInAnonymously();
    const ask = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${server.url}/auth/v1/admin/users/${data.user?.id}`, {
        method: "DELETE",
        headers: { apikey: "public", "x-supabase-api-version": "2024-01-01", ...headers },
      });
    const anyone = await ask({});
    expect([anyone.status, await anyone.json()]).toMatchObject([401, { code: "no_authorization" }]);
    const player = await ask({ authorization: `Bearer ${data.session?.access_token}` });
    expect([player.status, await player.json()]).toMatchObject([403, { code: "not_admin" }]);
    const guess = await ask({ apikey: "sb_secret_guess" });
    expect([guess.status, await guess.json()]).toMatchObject([401, { message: "Invalid API key" }]);
  });

  it("has no secret key to guess where none is set", async () => {
    const plain = await startSupabaseAuth({ publishableKey: "public" });
    for (const apikey of ["", "undefined", secretKey]) {
      const answer = await fetch(`${plain.url}/auth/v1/admin/users`, { method: "POST", headers: { apikey } });
      expect(answer.status).toBe(401);
    }
    await plain.close();
  });
});
