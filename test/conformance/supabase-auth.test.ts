import { randomBytes, randomUUID } from "node:crypto";
import { type Session, type SupabaseClient, createClient } from "@supabase/supabase-js";
import { SignJWT, decodeJwt, decodeProtectedHeader, generateKeyPair } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSupabaseAuth } from "../../dev/supabase-auth/server.ts";

/**
 * What this project relies on in Supabase Auth, seen through supabase-js alone. Runs against the local stand-in, or,
 * when `SUPABASE_URL` and `SUPABASE_PUBLISHABLE_KEY` are set, against that project. It must be one for testing: e-mail
 * sign-ups that need no confirmation, anonymous sign-ins, passwords of 8 characters allowed, asymmetric signing keys. With
 * `SUPABASE_SECRET_KEY`, what needs that key is tried as well. Some twenty accounts stay behind in it, at `SUPABASE_TEST_EMAIL_DOMAIN` (hosted projects refuse example.com).
 */
const environment = process.env;
const emailDomain = environment["SUPABASE_TEST_EMAIL_DOMAIN"] ?? "example.com";
const password = "correct horse battery";

let url = environment["SUPABASE_URL"] ?? "";
let key = environment["SUPABASE_PUBLISHABLE_KEY"] ?? "";
let secretKey = environment["SUPABASE_SECRET_KEY"] ?? "";
const isReal = url !== "" && key !== "";
let stop = async (): Promise<void> => {};

beforeAll(async () => {
  if (isReal) return;
  secretKey = "sb_secret_conformance";
  const standIn = await startSupabaseAuth({ publishableKey: "sb_publishable_conformance", secretKey });
  ({ url, publishableKey: key } = standIn);
  stop = () => standIn.close();
});

afterAll(() => stop());

/** Changes a request on its way, for what the client itself never sends. */
type Tamper = (headers: Headers, init: RequestInit) => RequestInit;

function connect(apiKey = key, tamper?: Tamper): SupabaseClient["auth"] {
  const tampered: typeof fetch = (input, init = {}) => {
    const headers = new Headers(init.headers);
    return fetch(input, { ...init, headers, ...tamper?.(headers, init) });
  };
  return createClient(url, apiKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: tamper === undefined ? {} : { fetch: tampered },
  }).auth;
}

function freshEmail(): string {
  return `sustenet-${randomBytes(8).toString("hex")}@${emailDomain}`;
}

interface Account {
  readonly auth: SupabaseClient["auth"];
  readonly email: string;
  readonly session: Session;
}

async function signUp(data: Record<string, unknown> = {}): Promise<Account> {
  const auth = connect();
  const email = freshEmail();
  const { data: answer, error } = await auth.signUp({ email, password, options: { data } });
  if (answer.session === null) throw new Error(`sign-up gave no session: ${error?.message ?? "confirmation is on"}`);
  return { auth, email, session: answer.session };
}

async function signIn(email: string, secret = password): Promise<Account> {
  const auth = connect();
  const { data, error } = await auth.signInWithPassword({ email, password: secret });
  if (data.session === null) throw new Error(`sign-in gave no session: ${error?.message ?? ""}`);
  return { auth, email, session: data.session };
}

describe("signing up", () => {
  it("gives a session whose token carries the claims that the master reads", async () => {
    const { auth, email, session } = await signUp({ name: "Ada" });
    expect(session).toMatchObject({ token_type: "bearer", expires_in: expect.any(Number) });
    expect(session.refresh_token).not.toBe("");
    expect(decodeProtectedHeader(session.access_token)).toMatchObject({
      alg: expect.stringMatching(/^(ES256|RS256)$/),
      kid: expect.any(String),
    });
    // getClaims checks the signature against the project's published key set.
    const { data, error } = await auth.getClaims(session.access_token);
    expect(error).toBeNull();
    expect(data?.claims).toMatchObject({
      iss: `${url}/auth/v1`,
      sub: session.user.id,
      aud: "authenticated",
      role: "authenticated",
      email,
      phone: "",
      aal: "aal1",
      amr: [{ method: "password", timestamp: expect.any(Number) }],
      session_id: expect.stringMatching(/^[\da-f-]{36}$/),
      is_anonymous: false,
      app_metadata: { provider: "email", providers: ["email"] },
      user_metadata: { name: "Ada" },
    });
    const claims = decodeJwt(session.access_token);
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(session.expires_in);
    expect(session.expires_at).toBe(claims.exp);
    expect(session.user).toMatchObject({ email, is_anonymous: false, user_metadata: { name: "Ada" } });
  });

  it("refuses an address that has an account, in any case of its letters", async () => {
    const { email } = await signUp();
    const { data, error } = await connect().signUp({ email: email.toUpperCase(), password });
    expect(error).toMatchObject({ status: 422, code: "user_already_exists" });
    expect(data).toEqual({ user: null, session: null });
    expect((await signIn(email.toUpperCase())).session.user.email).toBe(email);
  });

  it("refuses a weak password, and says why", async () => {
    const { error } = await connect().signUp({ email: freshEmail(), password: "abc" });
    expect(error).toMatchObject({ name: "AuthWeakPasswordError", status: 422, code: "weak_password" });
    expect(error).toMatchObject({ reasons: expect.arrayContaining(["length"]) });
  });

  it("refuses a password of more bytes than are hashed", async () => {
    const { error } = await connect().signUp({ email: freshEmail(), password: "é".repeat(37) });
    expect(error).toMatchObject({ status: 400, code: "validation_failed" });
  });

  it.each(["no address", "a@", "@b.example", "a b@c.example", "a@b@c.example", "a@-b.example"])(
    "refuses %j as an e-mail address",
    async (email) => {
      const { error } = await connect().signUp({ email, password });
      expect(error?.status).toBe(400);
      expect(error?.code).toMatch(/^(validation_failed|email_address_invalid)$/);
    },
  );

  it("refuses a missing password", async () => {
    const { error } = await connect().signUp({ email: freshEmail(), password: "" });
    expect(error).toMatchObject({ status: 400, code: "validation_failed" });
  });
});

describe("signing in", () => {
  it("answers an unknown account and a wrong password alike", async () => {
    const { email } = await signUp();
    const wrong = await connect().signInWithPassword({ email, password: "not the password" });
    const unknown = await connect().signInWithPassword({ email: freshEmail(), password });
    expect(wrong.error).toMatchObject({ status: 400, code: "invalid_credentials" });
    expect(unknown.error).toMatchObject({ status: 400, code: "invalid_credentials" });
    expect(unknown.error?.message).toBe(wrong.error?.message);
  });

  it("starts a session of its own each time", async () => {
    const { email, session } = await signUp();
    const second = await signIn(email);
    expect(second.session.user.id).toBe(session.user.id);
    expect(decodeJwt(second.session.access_token)["session_id"]).not.toBe(
      decodeJwt(session.access_token)["session_id"],
    );
  });

  it("refuses tokens of providers that are not enabled", async () => {
    const { error } = await connect().signInWithIdToken({ provider: "kakao", token: "not.a.token" });
    expect(error?.status).toBe(400);
  });
});

describe("anonymous players", () => {
  it("sign in, and become permanent under the same id", async () => {
    const auth = connect();
    const { data } = await auth.signInAnonymously({ options: { data: { name: "Guest" } } });
    expect(data.user).toMatchObject({ is_anonymous: true, user_metadata: { name: "Guest" } });
    expect(data.user?.email ?? "").toBe("");
    expect(decodeJwt(data.session?.access_token ?? "")).toMatchObject({
      is_anonymous: true,
      email: "",
      role: "authenticated",
      amr: [{ method: "anonymous" }],
    });

    const early = await auth.updateUser({ password });
    expect(early.error).toMatchObject({ status: 422, code: "validation_failed" });
    const email = freshEmail();
    const upgraded = await auth.updateUser({ email, password });
    expect(upgraded.error).toBeNull();
    expect(upgraded.data.user).toMatchObject({ id: data.user?.id, email, is_anonymous: false });
    const again = await signIn(email);
    expect(again.session.user).toMatchObject({ id: data.user?.id, user_metadata: { name: "Guest" } });
    expect(decodeJwt(again.session.access_token)).toMatchObject({ is_anonymous: false, email });
  });

  it("cannot take an address that has an account", async () => {
    const { email } = await signUp();
    const auth = connect();
    await auth.signInAnonymously();
    const { error } = await auth.updateUser({ email, password });
    expect(error).toMatchObject({ status: 422, code: "email_exists" });
  });
});

describe("access tokens", () => {
  it("name their player, as long as the session lives", async () => {
    const { auth, email, session } = await signUp();
    const { data } = await connect().getUser(session.access_token);
    expect(data.user).toMatchObject({ id: session.user.id, email });
    await auth.signOut();
    const after = await connect().getUser(session.access_token);
    // supabase-js turns 403 session_not_found into this error.
    expect(after.error).toMatchObject({ name: "AuthSessionMissingError" });
    // Whoever only checks the signature does not see that.
    expect((await connect().getClaims(session.access_token)).error).toBeNull();
  });

  it("are refused when malformed, changed, or signed by someone else", async () => {
    const { session } = await signUp();
    const token = session.access_token;
    const [header = "", payload = "", signature = ""] = token.split(".");
    const { kid = "", alg } = decodeProtectedHeader(token);
    const { privateKey } = await generateKeyPair("ES256");
    const claims = decodeJwt(token);
    const sign = (protectedHeader: { alg: string; kid?: string }): Promise<string> =>
      new SignJWT(claims).setProtectedHeader(protectedHeader).sign(privateKey);
    const changed = Buffer.from(JSON.stringify({ ...claims, role: "service_role" })).toString("base64url");
    const none = Buffer.from(JSON.stringify({ alg: "none", kid })).toString("base64url");
    const shared = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid })
      .sign(new TextEncoder().encode(key.padEnd(32, ".")));
    const bad = [
      "nonsense",
      `${header}.${payload}`,
      `${header}.${changed}.${signature}`,
      `${none}.${payload}.`,
      await sign({ alg: "ES256", kid }),
      await sign({ alg: "ES256", kid: "unknown" }),
      shared,
    ];
    expect(alg).not.toBe("none");
    for (const each of bad) {
      const { data, error } = await connect().getUser(each);
      expect(error, each).toMatchObject({ status: 403, code: "bad_jwt" });
      expect(data.user).toBeNull();
    }
  });
});

describe("refresh tokens", () => {
  it("are traded for new tokens of the same session", async () => {
    const { session } = await signUp();
    const { data, error } = await connect().refreshSession({ refresh_token: session.refresh_token });
    expect(error).toBeNull();
    expect(data.session?.refresh_token).not.toBe(session.refresh_token);
    expect(data.user?.id).toBe(session.user.id);
    const before = decodeJwt(session.access_token);
    expect(decodeJwt(data.session?.access_token ?? "")).toMatchObject({
      session_id: before["session_id"],
      amr: before["amr"],
      sub: before.sub,
    });
  });

  it("give the newest one again to a client that lost the answer", async () => {
    const { session } = await signUp();
    const refresh = () => connect().refreshSession({ refresh_token: session.refresh_token });
    const first = await refresh();
    const [second, third] = await Promise.all([refresh(), refresh()]);
    expect(first.error).toBeNull();
    expect(second.data.session?.refresh_token).toBe(first.data.session?.refresh_token);
    expect(third.data.session?.refresh_token).toBe(first.data.session?.refresh_token);
  });

  it.each(["unknown", "a".repeat(12), "x".repeat(4_096)])("are refused when unknown: %.20s", async (token) => {
    const { error } = await connect().refreshSession({ refresh_token: token });
    expect(error).toMatchObject({ status: 400, code: "refresh_token_not_found" });
  });

  it("end with their session", async () => {
    const { auth, session } = await signUp();
    await auth.signOut();
    const { error } = await connect().refreshSession({ refresh_token: session.refresh_token });
    expect(error).toMatchObject({ status: 400, code: "refresh_token_not_found" });
  });
});

describe("signing out", () => {
  const lives = async ({ session }: Account): Promise<boolean> =>
    (await connect().getUser(session.access_token)).error === null;

  it("ends this session, the others, or all", async () => {
    const a = await signUp();
    const b = await signIn(a.email);
    const c = await signIn(a.email);
    await a.auth.signOut({ scope: "local" });
    expect([await lives(a), await lives(b), await lives(c)]).toEqual([false, true, true]);
    await b.auth.signOut({ scope: "others" });
    expect([await lives(b), await lives(c)]).toEqual([true, false]);
    const d = await signIn(a.email);
    await d.auth.signOut({ scope: "global" });
    expect([await lives(b), await lives(d)]).toEqual([false, false]);
  });
});

describe("changing an account", () => {
  it("merges metadata, and removes what is null", async () => {
    const { auth } = await signUp({ keep: 1, drop: 2 });
    const { data } = await auth.updateUser({ data: { drop: null, add: { deep: true } } });
    expect(data.user?.user_metadata).toMatchObject({ keep: 1, add: { deep: true } });
    expect(data.user?.user_metadata).not.toHaveProperty("drop");
  });

  it("takes a new password, and ends the other sessions", async () => {
    const { auth, email, session } = await signUp();
    const other = await signIn(email);
    expect((await auth.updateUser({ password })).error).toMatchObject({ status: 422, code: "same_password" });
    expect((await auth.updateUser({ password: "abc" })).error).toMatchObject({ status: 422, code: "weak_password" });
    expect((await auth.updateUser({ password: `new ${password}` })).error).toBeNull();
    expect((await connect().getUser(other.session.access_token)).error).not.toBeNull();
    expect((await connect().getUser(session.access_token)).error).toBeNull();
    expect((await connect().signInWithPassword({ email, password })).error).toMatchObject({
      code: "invalid_credentials",
    });
    expect((await signIn(email, `new ${password}`)).session.user.id).toBe(session.user.id);
  });
});

describe("logging in in a browser", () => {
  const connectPkce = (): SupabaseClient["auth"] =>
    createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false, flowType: "pkce" },
    }).auth;

  it("begins at an address with an S256 challenge", async () => {
    const { data } = await connectPkce().signInWithOAuth({
      provider: "discord",
      options: { redirectTo: "http://127.0.0.1:5173/done", skipBrowserRedirect: true },
    });
    const address = new URL(data.url ?? "");
    expect(`${address.origin}${address.pathname}`).toBe(`${url}/auth/v1/authorize`);
    expect(Object.fromEntries(address.searchParams)).toEqual({
      provider: "discord",
      redirect_to: "http://127.0.0.1:5173/done",
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "s256",
    });
  });

  it("does not begin at a provider that there is not", async () => {
    const answer = await fetch(`${url}/auth/v1/authorize?provider=carrier-pigeon`, {
      redirect: "manual",
      headers: { "x-supabase-api-version": "2024-01-01" },
    });
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: "validation_failed" }]);
  });

  it("does not end with a code that nobody gave", async () => {
    const auth = connectPkce();
    await auth.signInWithOAuth({ provider: "discord", options: { skipBrowserRedirect: true } });
    const { error } = await auth.exchangeCodeForSession(randomUUID());
    expect(error).toMatchObject({ status: 404, code: "flow_state_not_found" });
  });

  it("does not end without a verifier", async () => {
    const answer = await fetch(`${url}/auth/v1/token?grant_type=pkce`, {
      method: "POST",
      headers: { apikey: key, "content-type": "application/json", "x-supabase-api-version": "2024-01-01" },
      body: JSON.stringify({ auth_code: randomUUID() }),
    });
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: "validation_failed" }]);
  });
});

describe("one-time tokens", () => {
  it("that nobody gave open nothing", async () => {
    const { error } = await connect().verifyOtp({ type: "email", token_hash: randomBytes(28).toString("hex") });
    expect(error).toMatchObject({ status: 403, code: "otp_expired" });
  });

  it("are not made for everybody", async () => {
    const { error } = await connect().admin.generateLink({ type: "magiclink", email: freshEmail() });
    expect(error?.status).toBeGreaterThanOrEqual(401);
    expect(error?.status).toBeLessThanOrEqual(403);
  });
});

describe.runIf(!isReal || secretKey !== "")("with the secret key", () => {
  const admin = (): SupabaseClient["auth"]["admin"] => connect(secretKey).admin;

  it("an account gets the id and the metadata that were chosen, and a session without a password", async () => {
    const id = randomUUID();
    // No mail could ever be sent to it, and none is.
    const email = `steam-${id}@players.sustenet.invalid`;
    const mark = { foreign_identity: { provider: "steam", id: "1" } };
    const created = await admin().createUser({ id, email, email_confirm: true, app_metadata: mark });
    expect(created.error).toBeNull();
    expect(created.data.user).toMatchObject({ id, email, app_metadata: mark });
    expect((await admin().createUser({ email })).error).toMatchObject({ status: 422, code: "email_exists" });

    const { data: link } = await admin().generateLink({ type: "magiclink", email });
    expect(link.user).toMatchObject({ id, app_metadata: mark });
    const tokenHash = link.properties?.hashed_token ?? "";
    const { data, error } = await connect().verifyOtp({ type: "email", token_hash: tokenHash });
    expect(error).toBeNull();
    expect(data.user?.id).toBe(id);
    expect(decodeJwt(data.session?.access_token ?? "")).toMatchObject({ sub: id, app_metadata: mark });
    expect((await connect().verifyOtp({ type: "email", token_hash: tokenHash })).error).toMatchObject({
      status: 403,
      code: "otp_expired",
    });

    const moved = `displaced-${randomUUID()}@players.sustenet.invalid`;
    expect((await admin().updateUserById(id, { email: moved })).error).toBeNull();
    expect((await admin().getUserById(id)).data.user?.email).toBe(moved);

    expect((await admin().deleteUser(id)).error).toBeNull();
    expect((await admin().getUserById(id)).error).toMatchObject({ status: 404, code: "user_not_found" });
    expect((await admin().deleteUser(id)).error).toMatchObject({ status: 404, code: "user_not_found" });
    expect((await connect().getUser(data.session?.access_token ?? "")).error).toMatchObject({ status: 403 });
  });
});

describe("requests that are not right", () => {
  const credentials = { email: "someone@example.com", password };

  it("need an API key of this project", async () => {
    const without = connect(key, (headers) => {
      headers.delete("apikey");
      headers.delete("authorization");
      return { headers };
    });
    expect((await without.signInWithPassword(credentials)).error).toMatchObject({
      status: 401,
      message: "No API key found in request",
    });
    const foreign = connect("sb_publishable_of_another_project");
    expect((await foreign.signInWithPassword(credentials)).error).toMatchObject({
      status: 401,
      message: expect.stringMatching(/^(Invalid API key|Unregistered API key)$/),
    });
  });

  it.each(["{", "", '{"email":1,"password":2}', "[]"])("are refused when the body is %j", async (body) => {
    const { error } = await connect(key, () => ({ body })).signInWithPassword(credentials);
    expect(error).toMatchObject({ status: 400, code: "bad_json" });
  });

  it("get the same codes under the first version of the API", async () => {
    const old = connect(key, (headers) => {
      headers.delete("x-supabase-api-version");
      return { headers };
    });
    expect((await old.signInWithPassword({ email: freshEmail(), password })).error).toMatchObject({
      status: 400,
      code: "invalid_credentials",
      message: "Invalid login credentials",
    });
  });
});
