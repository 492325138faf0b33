import { env, exports } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../control-plane/http/app.ts";
import { problems } from "../../protocol/index.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the description of the interface", () => {
  interface Described {
    openapi: string;
    paths: Record<
      string,
      Record<string, { responses: Record<string, { content?: Record<string, unknown> }>; parameters?: unknown[] }>
    >;
    components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
  }

  it("is OpenAPI 3.1 and has every call of the architecture", async () => {
    const api = await expectJson<Described>(await call("GET", "/openapi.json"), 200);
    expect(api.openapi).toBe("3.1.0");
    const calls = Object.entries(api.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const wanted = [
      "DELETE /v1/allocate/{reservationId}",
      "DELETE /v1/clusters/{id}",
      "DELETE /v1/me",
      "GET /.well-known/jwks.json",
      "GET /health",
      "GET /v1/admin/audit",
      "GET /v1/clusters",
      "GET /v1/clusters/{id}/link",
      "GET /v1/me",
      "GET /v1/me/export",
      "POST /v1/allocate",
      "POST /v1/clusters/register",
      "POST /v1/clusters/{id}/heartbeat",
      "POST /v1/login",
      "POST /v1/login/oauth/finish",
      "POST /v1/login/oauth/start",
      "POST /v1/logout",
      "POST /v1/me/upgrade",
      "POST /v1/refresh",
      "POST /v1/signup",
    ];
    expect(calls).toEqual(expect.arrayContaining(wanted));
    const schemes = ["player", "operator", "clusterAssertion", "clusterSession"];
    expect(Object.keys(api.components.securitySchemes)).toEqual(schemes);
  });

  it("gives each error answer as a problem, with an example, and every reference leads somewhere", async () => {
    const text = await (await call("GET", "/openapi.json")).text();
    const api: Described = JSON.parse(text);
    for (const item of Object.values(api.paths)) {
      for (const { responses } of Object.values(item)) {
        for (const [status, { content }] of Object.entries(responses)) {
          if (Number(status) < 400) continue;
          expect(content?.["application/problem+json"]).toHaveProperty("examples");
        }
      }
    }
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(api.components.schemas).toHaveProperty(name);
    }
  });

  it("is a page to read, which runs no script and fetches nothing", async () => {
    const response = await call("GET", "/docs");
    const page = await response.text();
    expect(response.headers.get("content-type")).toContain("text/html");
    expect(response.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'nonce-[\w-]+'/);
    expect(page).toContain("POST /v1/allocate");
    const [, allocate = ""] = page.match(/<details id="post-\/v1\/allocate">([^]*?)<\/details>/) ?? [];
    const text = allocate.replaceAll(/<[^>]+>/g, "").replaceAll(/\s+/g, " ");
    // The parameters, what may be in the body, and what the answer has.
    expect(text).toMatch(/idempotency-key header required string 8 to 128 printable/);
    expect(text).toMatch(/Body AllocateRequest { clusterId\?: string/);
    expect(text).toMatch(/200 A ticket\. Join before it expires\. Allocation { ticket: string/);
    expect(page).toMatch(
      /<details id="AllocateRequest">[^]*clusterId\?: string[^]*avoid\?: \[string, …\][^]*<\/details>/,
    );
    const { paths } = await expectJson<Described>(await call("GET", "/openapi.json"), 200);
    expect(paths["/v1/allocate"]?.["post"]?.parameters).toMatchObject([
      { name: "idempotency-key", in: "header", required: true },
    ]);
    for (const [, target = ""] of page.matchAll(/href="#([^"]+)"/g)) expect(page).toContain(`id="${target}"`);
    const { type } = await expectProblem(await call("GET", "/nowhere"), "NOT_FOUND");
    expect(type).toBe("https://master.test/docs#NOT_FOUND");
    for (const code of Object.keys(problems)) expect(page).toContain(`id="${code}"`);
    expect(page).not.toMatch(/<script|src=|href="http/);
  });
});

describe("the console", () => {
  it("[CONSOLE-2] runs its one script alone, and has nothing in it that is not for everybody", async () => {
    const response = await call("GET", "/console");
    const page = await response.text();
    const { headers } = response;
    expect(headers.get("content-type")).toContain("text/html");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    const policy = headers.get("content-security-policy") ?? "";
    const [, nonce = ""] = /script-src 'nonce-([\w-]{36})';/.exec(policy) ?? [];
    for (const rule of [
      "default-src 'none'",
      `style-src 'nonce-${nonce}'`,
      "connect-src 'self'",
      "require-trusted-types-for 'script'",
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ]) {
      expect(policy.split("; ")).toContain(rule);
    }
    expect([...page.matchAll(/<script[^>]*>[^<]*/g)].map(([tag]) => tag)).toEqual([
      `<script type="module" src="/console/script.js" nonce="${nonce}">`,
    ]);
    expect(page).not.toMatch(/ on\w+=| style=|https?:/);
    // A form that is sent without the script has nothing to say.
    expect(page).not.toMatch(/<(?:input|button)[^>]* name=/);
    expect(page).not.toBe(await (await call("GET", "/console")).text());
  });

  it("[CONSOLE-1] has a script that stores nothing and makes no markup", async () => {
    const response = await call("GET", "/console/script.js");
    const script = (await response.text()).replaceAll(/\/\*[^]*?\*\//g, "");
    expect(response.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(script).not.toMatch(
      /innerHTML|outerHTML|insertAdjacent|document\.write|eval|Storage|cookie|indexedDB|location/,
    );
    // By the calls that everybody has, and only to look.
    const paths = [...script.matchAll(/"(GET|POST|PUT|DELETE)", [`"]([^`"?]+)/g)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    expect(paths.toSorted()).toEqual([
      "GET /v1/admin/audit",
      "GET /v1/admin/capacity",
      "GET /v1/admin/clusters",
      "POST /v1/login",
      "POST /v1/logout",
    ]);
    await expectProblem(await call("POST", "/console", { body: {} }), "METHOD_NOT_ALLOWED");
  });
});

describe("every answer", () => {
  it("has headers that keep browsers careful", async () => {
    for (const response of [await call("GET", "/health"), await call("GET", "/nowhere")]) {
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("strict-transport-security")).toMatch(/^max-age=\d+/);
      expect(response.headers.get("cache-control")).toBe("no-store");
      await response.body?.cancel();
    }
  });

  it("names its request; with the caller's name if that is a good one", async () => {
    const named = await call("GET", "/health", { headers: { "x-request-id": "client-0001.a" } });
    expect(named.headers.get("x-request-id")).toBe("client-0001.a");
    for (const bad of ["short", "has spaces in it", "x".repeat(65), "<script>alert</script>"]) {
      const response = await call("GET", "/health", { headers: { "x-request-id": bad } });
      expect(response.headers.get("x-request-id")).toMatch(/^[\da-f]{8}-[\da-f-]{27}$/);
    }
  });

  it("may be cached where that helps: keys and documents", async () => {
    for (const path of ["/.well-known/jwks.json", "/openapi.json"]) {
      expect((await call("GET", path)).headers.get("cache-control")).toBe("public, max-age=300");
    }
  });
});

describe("browsers", () => {
  it("may call what players call, from any origin", async () => {
    const headers = {
      origin: "https://game.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,idempotency-key",
    };
    for (const path of ["/v1/login", "/v1/allocate", "/v1/clusters", "/v1/allocate/x"]) {
      const response = await call("OPTIONS", path, { headers });
      expect(response.status).toBe(204);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      expect(response.headers.get("access-control-allow-headers")).toContain("idempotency-key");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
    }
    const refused = await call("POST", "/v1/login", { body: "{", headers: { origin: "https://game.example" } });
    expect(refused.headers.get("access-control-allow-origin")).toBe("*");
    await expectProblem(refused, "MALFORMED_JSON");
  });

  it("find what may be cached open to them, whoever had it cached; a call of no browser says nothing of them", async () => {
    const keys = await call("GET", "/.well-known/jwks.json");
    expect(keys.headers.get("access-control-allow-origin")).toBe("*");
    const refused = await call("POST", "/v1/login", { body: "{" });
    expect(refused.headers.get("access-control-allow-origin")).toBeNull();
  });

  it("have no business with what clusters call", async () => {
    const headers = { origin: "https://game.example", "access-control-request-method": "POST" };
    const response = await call("OPTIONS", "/v1/clusters/register", { headers });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    await expectProblem(response, "METHOD_NOT_ALLOWED");
  });
});

describe("plain HTTP", () => {
  it("is for loopback addresses alone", async () => {
    const at = (origin: string) => exports.default.fetch(new Request(`${origin}/health`));
    const refused = [
      "http://master.test",
      "http://10.0.0.1",
      "http://127.0.0.1.example.com",
      "http://localhost.example.com",
    ];
    // Refused before and after each that may: what is known of one address says nothing of the next.
    for (const good of [
      "https://master.test",
      "http://127.0.0.1",
      "http://localhost:6256",
      "http://localhost",
      "http://[::1]",
    ]) {
      for (const origin of refused) {
        const response = await at(origin);
        expect(response.status).toBe(problems.HTTPS_REQUIRED.status);
        await expectProblem(response, "HTTPS_REQUIRED");
      }
      expect((await at(good)).status).toBe(200);
      expect((await at(good)).status).toBe(200);
    }
    for (const origin of refused) await expectProblem(await at(origin), "HTTPS_REQUIRED");
  });
});

describe("a setting that is missing or wrong", () => {
  const app = createApp();

  async function callWith(settings: Record<string, unknown>, method: string, path: string, body?: object) {
    const lines: string[] = [];
    vi.spyOn(console, "error").mockImplementation((line: string) => void lines.push(line));
    const request = new Request(`https://master.test${path}`, {
      method,
      headers: { "content-type": "application/json", authorization: "Bearer a.b.c" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const response = await app.fetch(request, { ...env, ...settings }, createExecutionContext());
    return { response, lines };
  }

  it.each([
    ["SUPABASE_URL", undefined, "POST", "/v1/login"],
    ["SUPABASE_URL", "not a url", "POST", "/v1/login"],
    ["SUPABASE_URL", "http://identity.example.com", "POST", "/v1/login"],
    ["SUPABASE_PUBLISHABLE_KEY", undefined, "POST", "/v1/login"],
    ["KEY_ENCRYPTION_KEY", undefined, "GET", "/.well-known/jwks.json"],
    ["KEY_ENCRYPTION_KEY", "c2hvcnQ=", "GET", "/.well-known/jwks.json"],
    ["SHARDS", "{secret", "GET", "/v1/clusters"],
    ["MASTER_URL", "ftp:secret", "GET", "/v1/clusters"],
    ["LEASE_MS", "1e3", "GET", "/v1/clusters"],
    ["PING_INTERVAL_MS", "29999", "GET", "/v1/clusters"],
    ["TICKET_LIFETIME_SECONDS", "301", "GET", "/v1/clusters"],
  ])(
    "%s %j is named, in the answer and in one line of the log, without its value",
    async (name, value, method, path) => {
      const body = method === "POST" ? { anonymous: true } : undefined;
      const { response, lines } = await callWith({ [name]: value }, method, path, body);
      const problem = await expectProblem(response, "INTERNAL");
      expect(problem.detail).toContain(name);
      const about = lines.filter((line) => line.includes(name));
      expect(about).toHaveLength(1);
      // A time, or the request's random name, may have the value in it by chance.
      const { time: _, requestId: __, ...told } = JSON.parse(about[0] ?? "{}");
      expect(`${problem.detail}${JSON.stringify(told)}`).not.toContain(value ?? "undefined");
    },
  );

  it("does not keep the master from saying that it is there", async () => {
    const { response } = await callWith({ SUPABASE_URL: undefined, SHARDS: undefined }, "GET", "/health");
    expect(await expectJson(response, 200)).toEqual({ status: "ok" });
  });
});
