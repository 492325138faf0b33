import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SupabaseAuth, startSupabaseAuth } from "./server.ts";

let server: SupabaseAuth;

beforeAll(async () => {
  server = await startSupabaseAuth({ publishableKey: "public" });
});

afterAll(() => server.close());

function ask(path: string, init: RequestInit = {}, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url + path, { ...init, headers: { apikey: "public", ...headers } });
}

const post = (body: string, path = "/auth/v1/token?grant_type=password", headers = {}): Promise<Response> =>
  ask(path, { method: "POST", body }, headers);

describe("paths", () => {
  it.each([
    ["GET", "/auth/v1/health", 200],
    ["GET", "/auth/v1/settings", 200],
    ["GET", "/auth/v1/.well-known/jwks.json", 200],
    ["GET", "/auth/v1/authorize?provider=google", 400],
    ["GET", "/auth/v1/nothing", 404],
    ["POST", "/auth/v1/otp", 404],
    ["GET", "/auth/v1/__proto__", 404],
    ["GET", "/", 404],
    ["GET", "/rest/v1/players", 404],
    ["GET", "/auth/v1/token", 405],
    ["PATCH", "/auth/v1/user", 405],
    ["DELETE", "/auth/v1/signup", 405],
    ["POST", "/auth/v1/token?grant_type=pkce", 400],
    ["POST", "/auth/v1/token", 400],
    ["GET", "/auth/v1/user", 401],
  ])("%s %s answers %i", async (method, path, status) => {
    expect((await ask(path, { method })).status).toBe(status);
  });

  it("are open to verifiers without a key only where they must be", async () => {
    const bare = (path: string): Promise<Response> => fetch(server.url + path);
    const keys = await bare("/auth/v1/.well-known/jwks.json");
    expect(keys.headers.get("cache-control")).toBe("public, max-age=600");
    const set: unknown = await keys.json();
    expect(set).toEqual({
      keys: [
        {
          kty: "EC",
          crv: "P-256",
          alg: "ES256",
          use: "sig",
          ext: true,
          key_ops: ["verify"],
          kid: expect.any(String),
          x: expect.any(String),
          y: expect.any(String),
        },
      ],
    });
    expect((await bare("/auth/v1/health")).status).toBe(401);
    expect((await bare("/auth/v1/health?apikey=public")).status).toBe(200);
    const refused = await bare("/auth/v1/settings");
    expect(await refused.json()).toEqual({
      message: "No API key found in request",
      hint: "No `apikey` request header or url param was found.",
    });
  });

  it("may be called by browsers from anywhere", async () => {
    const preflight = await fetch(`${server.url}/auth/v1/token`, { method: "OPTIONS" });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("apikey");
    expect((await post("{")).headers.get("access-control-allow-origin")).toBe("*");
  });
});

describe("errors", () => {
  it.each([
    ["2024-01-01", { code: "bad_json", message: expect.any(String) }, "2024-01-01"],
    ["2030-12-31", { code: "bad_json", message: expect.any(String) }, "2024-01-01"],
    ["2023-12-31", { code: 400, error_code: "bad_json", msg: expect.any(String) }, null],
    ["2024-99-01", { code: 400, error_code: "bad_json", msg: expect.any(String) }, null],
    ["nonsense", { code: 400, error_code: "bad_json", msg: expect.any(String) }, null],
  ])("are worded as version %s of the API has it", async (version, body, echoed) => {
    const answer = await post("{", undefined, { "x-supabase-api-version": version });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual(body);
    expect(answer.headers.get("x-supabase-api-version")).toBe(echoed);
  });

  it("carry the reasons for a weak password in both versions", async () => {
    const body = JSON.stringify({ email: "a@example.com", password: "1234567" });
    const reasons = { weak_password: { reasons: ["length"] } };
    const current = await post(body, "/auth/v1/signup", { "x-supabase-api-version": "2024-01-01" });
    expect([current.status, await current.json()]).toMatchObject([422, { code: "weak_password", ...reasons }]);
    const old = await post(body, "/auth/v1/signup");
    expect([old.status, await old.json()]).toMatchObject([422, { error_code: "weak_password", ...reasons }]);
  });

  it.each([
    ["a number for a string", '{"email":1}'],
    ["a list for metadata", '{"data":[]}'],
    ["a list", "[]"],
    ["null", "null"],
    ["nothing", ""],
    ["half an object", '{"email":"a@example.com"'],
  ])("answer bad_json to %s", async (_name, body) => {
    const answer = await post(body, "/auth/v1/signup", { "x-supabase-api-version": "2024-01-01" });
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: "bad_json" }]);
  });

  it("never repeat what was sent", async () => {
    const body = '{"email":"secret-a@example.com","password":"secret-b","data":"secret-c"}';
    const answer = await post(body, "/auth/v1/signup");
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain("secret");
  });
});

describe("bodies", () => {
  it("may be a mebibyte long, and no longer", async () => {
    const frame = JSON.stringify({ email: "a@example.com", password: "x", pad: "" });
    const exact = JSON.stringify({ email: "a@example.com", password: "x", pad: "x".repeat(1_048_576 - frame.length) });
    expect((await post(exact)).status).toBe(400);
    expect((await post(`${exact} `)).status).toBe(413);
  });

  it("cannot make metadata reach what they should not", async () => {
    const signUp = await post('{"data":{"__proto__":{"polluted":true},"constructor":1}}', "/auth/v1/signup");
    const session: unknown = await signUp.json();
    expect(session).toMatchObject({ user: { is_anonymous: true, app_metadata: {} } });
    expect({}).not.toHaveProperty("polluted");
  });

  it("cannot give a player roles", async () => {
    const signUp = await post(
      '{"data":{},"app_metadata":{"role":"operator"},"role":"service_role"}',
      "/auth/v1/signup",
    );
    const text = await signUp.text();
    expect(JSON.parse(text)).toMatchObject({ user: { role: "authenticated", app_metadata: {} } });
    const token = /"access_token":"([^"]+)"/.exec(text)?.[1];
    const update = await ask(
      "/auth/v1/user",
      { method: "PUT", body: '{"app_metadata":{"role":"operator"}}' },
      { authorization: `Bearer ${token}` },
    );
    expect([update.status, await update.json()]).toMatchObject([403, { error_code: "not_admin" }]);
  });
});
