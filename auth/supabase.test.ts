import { describe, expect, it } from "vitest";
import type { Fetch } from "./bounded-fetch.ts";
import { IdentityError, type IdentityProvider } from "./identity.ts";
import { createAnonymousProvider } from "./providers/anonymous.ts";
import { createPasswordProvider } from "./providers/password.ts";
import type { LoginProvider } from "./providers/provider.ts";
import { createSupabaseIdentity } from "./supabase.ts";
import type { SupabaseOptions } from "./supabase-call.ts";

/*
 * How faults of Supabase Auth come out. What a healthy one does is proved against a server; here are the answers that a server
 * cannot be made to give at will.
 */

const url = "https://project.supabase.co";
const accessToken = "aaaa.bbbb.cccc";
const secrets = ["ada@example.com", "hunter2-hunter2", accessToken, "refresh-1", "sb_publishable_key"];

const user = {
  id: "1f9c6f3a-93f5-4f0c-8a55-0d3d2d1f0a01",
  aud: "authenticated",
  role: "authenticated",
  email: "ada@example.com",
  app_metadata: { provider: "email" },
  user_metadata: { display_name: "Ada" },
  is_anonymous: false,
};

const session = {
  access_token: accessToken,
  token_type: "bearer",
  expires_in: 3_600,
  expires_at: 1_800_003_600,
  refresh_token: "refresh-1",
  user,
};

interface SentRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Everything that is a call to the project on behalf of a player. */
type Identity = IdentityProvider & {
  readonly password: LoginProvider<"password">;
  readonly anonymous: LoginProvider<"anonymous">;
};

type Responder = (request: SentRequest) => Response | Promise<Response>;

/** An identity provider whose project answers as `respond` says, and the requests that reached it. */
function createFixture(respond: Responder, options: Partial<SupabaseOptions> = {}) {
  const requests: SentRequest[] = [];
  const fetch: Fetch = async (input, init) => {
    const aborted = new Promise<never>((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
    aborted.catch(() => {});
    const request = new Request(input, init);
    const text = await request.clone().text();
    const sent = { url: request.url, method: request.method, headers: request.headers, body: text && JSON.parse(text) };
    requests.push(sent);
    return Promise.race([respond(sent), aborted]);
  };
  const project = { url, publishableKey: "sb_publishable_key", fetch, ...options };
  const identity: Identity = {
    ...createSupabaseIdentity(project),
    password: createPasswordProvider(project),
    anonymous: createAnonymousProvider(project),
  };
  return { identity, requests };
}

/** An error as GoTrue words it since its API version 2024-01-01. */
function refusal(status: number, code: string, extra: object = {}, headers: Record<string, string> = {}): Responder {
  return () =>
    Response.json(
      { code, message: `About ada@example.com: ${code}`, ...extra },
      { status, headers: { "x-supabase-api-version": "2024-01-01", ...headers } },
    );
}

const operations = {
  signUp: async (identity: Identity) => identity.signUp({ email: "ada@example.com", password: "hunter2-hunter2" }),
  password: async (identity: Identity) =>
    identity.password.login({ email: "ada@example.com", password: "hunter2-hunter2" }),
  anonymous: async (identity: Identity) => identity.anonymous.login({}),
  refresh: async (identity: Identity) => identity.refresh("refresh-1"),
  logout: async (identity: Identity) => identity.logout(accessToken),
};

const names = ["signUp", "password", "anonymous", "refresh", "logout"] as const;

async function errorOf(respond: Responder, name: keyof typeof operations, options: Partial<SupabaseOptions> = {}) {
  const { identity, requests } = createFixture(respond, options);
  const error = await operations[name](identity).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof IdentityError))
    throw new Error(`${name} did not fail with an IdentityError`, { cause: error });
  return { error, requests };
}

describe("a healthy project", () => {
  const player = { id: user.id, email: "ada@example.com", anonymous: false, displayName: "Ada" };
  const tokens = { accessToken, refreshToken: "refresh-1", expiresAt: 1_800_003_600, player };

  it("signs up, and hands the cleaned display name on as metadata", async () => {
    const { identity, requests } = createFixture(() => Response.json(session));
    const account = { email: "ada@example.com", password: "hunter2-hunter2", displayName: " Ada\u202E " };
    expect(await identity.signUp(account)).toEqual({ kind: "session", tokens });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ url: `${url}/auth/v1/signup`, method: "POST" });
    expect(requests[0]?.body).toMatchObject({ email: "ada@example.com", data: { display_name: "Ada" } });
    expect(requests[0]?.headers.get("apikey")).toBe("sb_publishable_key");
  });

  it("tells when an e-mail address must be confirmed first", async () => {
    const { identity } = createFixture(() => Response.json({ ...user, confirmation_sent_at: "2026-11-01T00:00:00Z" }));
    expect(await operations.signUp(identity)).toEqual({ kind: "confirmation-required" });
  });

  it("logs in with a password", async () => {
    const { identity, requests } = createFixture(() => Response.json(session));
    expect(await operations.password(identity)).toEqual(tokens);
    expect(requests[0]?.url).toBe(`${url}/auth/v1/token?grant_type=password`);
  });

  it("makes anonymous players, without an e-mail address and with a name of their own or a made one", async () => {
    const { identity, requests } = createFixture(({ body }) => {
      const metadata = JSON.parse(JSON.stringify(body)).data;
      return Response.json({ ...session, user: { ...user, email: "", is_anonymous: true, user_metadata: metadata } });
    });
    const named = await identity.anonymous.login({ displayName: "Fox" });
    expect(named.player).toEqual({ id: user.id, email: null, anonymous: true, displayName: "Fox" });
    const unnamed = await identity.anonymous.login({});
    expect(unnamed.player).toEqual({ id: user.id, email: null, anonymous: true, displayName: "Player-1f9c6f" });
    expect(requests[0]?.url).toBe(`${url}/auth/v1/signup`);
  });

  it("refreshes", async () => {
    const { identity, requests } = createFixture(() => Response.json(session));
    expect(await identity.refresh("refresh-0")).toEqual(tokens);
    expect(requests[0]?.url).toBe(`${url}/auth/v1/token?grant_type=refresh_token`);
    expect(requests[0]?.body).toEqual({ refresh_token: "refresh-0" });
  });

  it.each([
    [undefined, "local"],
    ["local", "local"],
    ["global", "global"],
    ["others", "others"],
  ] as const)("logs out with scope %s", async (scope, sent) => {
    const { identity, requests } = createFixture(() => new Response(null, { status: 204 }));
    await identity.logout(accessToken, scope);
    expect(requests[0]?.url).toBe(`${url}/auth/v1/logout?scope=${sent}`);
    expect(requests[0]?.headers.get("authorization")).toBe(`Bearer ${accessToken}`);
  });

  it("[SEC-23] keeps nothing of one call for the next", async () => {
    const { identity, requests } = createFixture(() => Response.json(session));
    await operations.password(identity);
    await operations.anonymous(identity);
    expect(requests[1]?.headers.get("authorization")).not.toContain(accessToken);
  });
});

describe("refusals", () => {
  const table: readonly [keyof typeof operations, number, string, string][] = [
    ["password", 400, "invalid_credentials", "INVALID_CREDENTIALS"],
    ["password", 400, "email_not_confirmed", "EMAIL_NOT_CONFIRMED"],
    ["password", 422, "email_provider_disabled", "SIGNUP_DISABLED"],
    ["password", 429, "over_request_rate_limit", "RATE_LIMITED"],
    ["password", 400, "validation_failed", "INVALID_CREDENTIALS"],
    ["signUp", 422, "weak_password", "WEAK_PASSWORD"],
    ["signUp", 422, "user_already_exists", "ACCOUNT_EXISTS"],
    ["signUp", 422, "email_exists", "ACCOUNT_EXISTS"],
    ["signUp", 422, "signup_disabled", "SIGNUP_DISABLED"],
    ["signUp", 400, "email_address_invalid", "INVALID_FIELD"],
    ["signUp", 400, "validation_failed", "INVALID_FIELD"],
    ["signUp", 429, "over_email_send_rate_limit", "RATE_LIMITED"],
    ["signUp", 422, "a_code_of_a_later_version", "INVALID_FIELD"],
    ["signUp", 504, "request_timeout", "IDENTITY_UNAVAILABLE"],
    ["signUp", 409, "conflict", "IDENTITY_UNAVAILABLE"],
    ["signUp", 422, "hook_timeout", "IDENTITY_UNAVAILABLE"],
    ["anonymous", 422, "anonymous_provider_disabled", "SIGNUP_DISABLED"],
    ["anonymous", 422, "signup_disabled", "SIGNUP_DISABLED"],
    ["anonymous", 429, "over_request_rate_limit", "RATE_LIMITED"],
    ["refresh", 400, "refresh_token_not_found", "REFRESH_TOKEN_INVALID"],
    ["refresh", 400, "refresh_token_already_used", "REFRESH_TOKEN_INVALID"],
    ["refresh", 400, "session_expired", "REFRESH_TOKEN_INVALID"],
    ["refresh", 403, "session_not_found", "REFRESH_TOKEN_INVALID"],
    ["refresh", 400, "user_banned", "REFRESH_TOKEN_INVALID"],
    ["refresh", 400, "validation_failed", "REFRESH_TOKEN_INVALID"],
    ["refresh", 429, "over_request_rate_limit", "RATE_LIMITED"],
    ["logout", 403, "bad_jwt", "UNAUTHENTICATED"],
    ["logout", 401, "no_authorization", "UNAUTHENTICATED"],
    ["logout", 403, "a_code_of_a_later_version", "UNAUTHENTICATED"],
    ["logout", 404, "a_code_of_a_later_version", "IDENTITY_UNAVAILABLE"],
  ];

  it.each(table)("%s: status %i with %s is %s", async (name, status, code, expected) => {
    const { error, requests } = await errorOf(refusal(status, code), name);
    expect(error.code).toBe(expected);
    expect(requests).toHaveLength(1);
  });

  it.each(names)("[SEC-20] %s: no error repeats what was sent, or Supabase's words about it", async (name) => {
    for (const [, status, code] of table) {
      const respond = refusal(status, code);
      if (name === "logout" && code === "session_not_found") continue;
      const { error } = await errorOf(respond, name);
      const told = `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
      for (const secret of [...secrets, "About"]) expect(told).not.toContain(secret);
    }
  });

  it("[SEC-19] makes unknown account, wrong password, banned and deleted account look the same", async () => {
    const seen = new Set<string>();
    for (const code of ["invalid_credentials", "user_not_found", "user_banned", "validation_failed"]) {
      const { error } = await errorOf(refusal(400, code), "password");
      seen.add(JSON.stringify([error.code, error.message, error.retryAfterSeconds]));
    }
    expect([...seen]).toEqual([JSON.stringify(["INVALID_CREDENTIALS", "E-mail or password is wrong.", undefined])]);
  });

  it("says why a password is weak, in words of its own", async () => {
    const reasons = { weak_password: { reasons: ["length", "characters", "pwned", "constructor", "new_reason"] } };
    const { error } = await errorOf(refusal(422, "weak_password", reasons), "signUp");
    expect(error.message).toBe(
      "The password is too weak: it is too short; it needs more kinds of characters; it is known from a data leak.",
    );
    const bare = await errorOf(refusal(422, "weak_password"), "signUp");
    expect(bare.error.message).toBe("The password is too weak.");
  });

  it.each([
    ["13", 13],
    ["0", 1],
    ["999999", 3_600],
    ["Wed, 21 Oct 2026 07:28:00 GMT", 10],
    ["-1", 10],
    [undefined, 10],
  ])("tells when to come back after Retry-After %s: %i s", async (header, seconds) => {
    const headers: Record<string, string> = header === undefined ? {} : { "Retry-After": header };
    const { error } = await errorOf(refusal(429, "over_request_rate_limit", {}, headers), "password");
    expect(error.retryAfterSeconds).toBe(seconds);
  });

  it("tells to wait a minute when mails are limited", async () => {
    const { error } = await errorOf(refusal(429, "over_email_send_rate_limit"), "signUp");
    expect(error.retryAfterSeconds).toBe(60);
  });

  it("takes a 429 without a code, as of a gateway, for a limit too", async () => {
    const { error } = await errorOf(() => new Response("slow down", { status: 429 }), "password");
    expect(error.code).toBe("RATE_LIMITED");
  });

  it("understands an older version, which has no codes", async () => {
    const answer = { error: "invalid_grant", error_description: "Invalid login credentials" };
    const { error } = await errorOf(() => Response.json(answer, { status: 400 }), "password");
    expect(error.code).toBe("INVALID_CREDENTIALS");
  });

  it.each(["session_not_found", "user_not_found"])("logout: %s is as good as logged out", async (code) => {
    const { identity } = createFixture(refusal(403, code));
    await expect(identity.logout(accessToken)).resolves.toBe("gone");
  });

  it.each(["", "a", "a.b", "a.b.c\r\nX-Evil: 1", "Bearer a.b.c"])("logout: asks nobody about %j", async (token) => {
    const { identity, requests } = createFixture(() => new Response(null, { status: 204 }));
    await expect(identity.logout(token)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    expect(requests).toHaveLength(0);
  });

  it("refresh: asks nobody about an empty token", async () => {
    const { identity, requests } = createFixture(() => Response.json(session));
    await expect(identity.refresh("")).rejects.toMatchObject({ code: "REFRESH_TOKEN_INVALID" });
    expect(requests).toHaveLength(0);
  });
});

describe("an absent or broken project", () => {
  const faults: readonly [string, Responder][] = [
    ["no connection", () => Promise.reject(new TypeError("fetch failed"))],
    ["500", () => Response.json({ code: "unexpected_failure", message: "x" }, { status: 500 })],
    ["502 in HTML", () => new Response("<html>", { status: 502 })],
    ["503", () => new Response(null, { status: 503 })],
    ["522 of a proxy", () => new Response("error code: 522", { status: 522 })],
    ["a redirect", () => new Response(null, { status: 302, headers: { Location: "https://evil.example/" } })],
    ["404, as of a wrong URL", () => Response.json({ message: "no Route matched" }, { status: 404 })],
    ["401 of the gateway, for a wrong key", () => Response.json({ message: "Invalid API key" }, { status: 401 })],
    ["403 of a firewall, in HTML", () => new Response("<html>", { status: 403 })],
    ["more than 64 KiB", () => Response.json({ ...session, padding: "x".repeat(65_536) })],
  ];

  it.each(faults.flatMap(([fault, respond]) => names.map((name) => ({ fault, name, respond }))))(
    "[SEC-21] $name: $fault is IDENTITY_UNAVAILABLE, after one attempt",
    async ({ name, respond }) => {
      const { error, requests } = await errorOf(respond, name);
      expect(error).toMatchObject({ code: "IDENTITY_UNAVAILABLE", retryAfterSeconds: 5 });
      expect(error.cause).toBeInstanceOf(Error);
      expect(requests).toHaveLength(1);
    },
  );

  it.each([
    null,
    [],
    "text",
    1,
    {},
    { ...session, refresh_token: 1 },
    { ...session, user: undefined },
    { ...session, user: { ...user, id: "" } },
    { ...session, user: { ...user, email: 1 } },
  ])("200 with %j is IDENTITY_UNAVAILABLE", async (answer) => {
    for (const name of ["signUp", "password", "anonymous", "refresh"] as const) {
      const { error, requests } = await errorOf(() => Response.json(answer), name);
      expect([name, error.code]).toEqual([name, "IDENTITY_UNAVAILABLE"]);
      expect(requests).toHaveLength(1);
    }
  });

  it.each<[string, Responder]>([
    ["200 in HTML", () => new Response("<html>")],
    ["200 without a body", () => new Response(null)],
    ["204", () => new Response(null, { status: 204 })],
  ])("%s is IDENTITY_UNAVAILABLE, save to a logout", async (_, respond) => {
    for (const name of ["signUp", "password", "anonymous", "refresh"] as const) {
      const { error, requests } = await errorOf(respond, name);
      expect([name, error.code, requests.length]).toEqual([name, "IDENTITY_UNAVAILABLE", 1]);
    }
    await expect(operations.logout(createFixture(respond).identity)).resolves.toBe("ended");
  });

  it("a user without a session is an answer to a sign-up only", async () => {
    for (const name of ["password", "anonymous", "refresh"] as const) {
      const { error } = await errorOf(() => Response.json({ ...session, access_token: undefined }), name);
      expect([name, error.code]).toEqual([name, "IDENTITY_UNAVAILABLE"]);
    }
  });

  it.each(names)("[SEC-21] %s: gives up at the deadline, and says so in the cause", async (name) => {
    const { error, requests } = await errorOf(() => new Promise(() => {}), name, { timeoutMs: 20 });
    expect(error.code).toBe("IDENTITY_UNAVAILABLE");
    expect(error.cause).toMatchObject({ name: "TimeoutError" });
    expect(requests).toHaveLength(1);
  });
});

describe("the client's address", () => {
  const sent = async (options: Partial<SupabaseOptions>): Promise<Headers | undefined> => {
    const { identity, requests } = createFixture(() => Response.json(session), options);
    await operations.password(identity);
    return requests[0]?.headers;
  };

  it.each(["203.0.113.7", "2001:db8::7", "::1", "::ffff:203.0.113.7"])(
    "[SEC-22] goes along when it is %s",
    async (clientAddress) => {
      expect((await sent({ clientAddress }))?.get("Sb-Forwarded-For")).toBe(clientAddress);
    },
  );

  it.each([undefined, "", "unknown", "203.0.113.7, 10.0.0.1", "203.0.113", "a:b:g", "x\r\nX-Evil: 1"])(
    "[SEC-22] stays away when it is %j",
    async (clientAddress) => {
      const headers = await sent({ clientAddress, secretKey: "sb_secret_key" });
      expect(headers?.get("Sb-Forwarded-For")).toBeNull();
      expect(headers?.get("apikey")).toBe("sb_publishable_key");
    },
  );

  it("goes in the header that the project trusts", async () => {
    const headers = await sent({ clientAddress: "203.0.113.7", clientAddressHeader: "X-Forwarded-For" });
    expect(headers?.get("X-Forwarded-For")).toBe("203.0.113.7");
    expect(headers?.get("Sb-Forwarded-For")).toBeNull();
  });

  it("is vouched for by the secret key, if there is one", async () => {
    const headers = await sent({ clientAddress: "203.0.113.7", secretKey: "sb_secret_key" });
    expect(headers?.get("apikey")).toBe("sb_secret_key");
  });
});
