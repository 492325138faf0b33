import { beforeAll, describe, expect, it } from "vitest";
import { maxReportChars } from "../../control-plane/domain/clusters/report-schema.ts";
import { registration, startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectProblem } from "./support/master.ts";
import { logIn } from "./support/players.ts";

interface Endpoint {
  readonly path: () => string;
  readonly token: () => string | undefined;
  /** A body that is accepted, as far as its form goes. */
  readonly good: Record<string, unknown>;
  /** A field of `good`, and a value of another type. */
  readonly wrong: readonly [field: string, value: unknown];
  readonly maxBytes: number;
}

let cluster: TestCluster;
let accessToken: string;

beforeAll(async () => {
  cluster = await startCluster();
  ({ accessToken } = await logIn());
});

const nobody = () => undefined;
const small = 16 * 1_024;

const endpoints: Record<string, Endpoint> = {
  signup: {
    path: () => "/v1/signup",
    token: nobody,
    good: { email: "a@example.com", password: "12345678" },
    wrong: ["email", 7],
    maxBytes: small,
  },
  login: {
    path: () => "/v1/login",
    token: nobody,
    good: { email: "a@example.com", password: "12345678" },
    wrong: ["password", {}],
    maxBytes: small,
  },
  "anonymous login": {
    path: () => "/v1/login",
    token: nobody,
    good: { anonymous: true },
    wrong: ["anonymous", "yes"],
    maxBytes: small,
  },
  "login with a ticket": {
    path: () => "/v1/login",
    token: nobody,
    good: { provider: "steam", token: "14000000" },
    wrong: ["token", "with a space"],
    maxBytes: small,
  },
  "start of a login in the browser": {
    path: () => "/v1/login/oauth/start",
    token: nobody,
    good: { provider: "discord", redirectTo: "https://game.test/done" },
    wrong: ["redirectTo", "nowhere"],
    maxBytes: small,
  },
  "end of a login in the browser": {
    path: () => "/v1/login/oauth/finish",
    token: nobody,
    good: { code: "x", codeVerifier: "v".repeat(43) },
    wrong: ["codeVerifier", "v".repeat(42)],
    maxBytes: small,
  },
  upgrade: {
    path: () => "/v1/me/upgrade",
    token: () => accessToken,
    good: { email: "a@players.sustenet.invalid", password: "12345678" },
    wrong: ["email", "nobody"],
    maxBytes: small,
  },
  refresh: {
    path: () => "/v1/refresh",
    token: nobody,
    good: { refreshToken: "x" },
    wrong: ["refreshToken", null],
    maxBytes: small,
  },
  allocate: {
    path: () => "/v1/allocate",
    token: () => accessToken,
    good: { region: "default" },
    wrong: ["region", ["default"]],
    maxBytes: small,
  },
  register: {
    path: () => "/v1/clusters/register",
    token: nobody,
    good: { ...registration() },
    wrong: ["port", "6257"],
    maxBytes: small,
  },
  heartbeat: {
    path: () => `/v1/clusters/${cluster.id}/heartbeat`,
    token: () => cluster.token,
    good: { type: "report", sequence: 1, full: false, players: 0, joined: [], left: [] },
    wrong: ["players", "0"],
    maxBytes: maxReportChars,
  },
};

describe.each(Object.entries(endpoints))("%s", (_, endpoint) => {
  const { path, token, good, wrong, maxBytes } = endpoint;
  const headers = { "idempotency-key": "a-key-for-this-test" };

  async function post(body: unknown, more: Record<string, string> = {}): Promise<Response> {
    return call("POST", path(), { token: token(), body, headers: { ...headers, ...more } });
  }

  it("refuses malformed JSON", async () => {
    await expectProblem(await post("{"), "MALFORMED_JSON");
    await expectProblem(await post(`${JSON.stringify(good)}x`), "MALFORMED_JSON");
  });

  it("refuses what is not an object", async () => {
    for (const body of ["[]", "null", '"text"', "7"]) await expectProblem(await post(body), "INVALID_FIELD");
  });

  it("refuses an unknown field, and names it", async () => {
    const problem = await expectProblem(await post({ ...good, surprise: "secret" }), "INVALID_FIELD");
    expect(problem.errors).toContainEqual({ field: "surprise", message: "There is no such field." });
    expect(JSON.stringify(problem)).not.toContain("secret");
  });

  it("refuses a field of another type, and names it", async () => {
    const [field, value] = wrong;
    const problem = await expectProblem(await post({ ...good, [field]: value }), "INVALID_FIELD");
    expect(problem.errors?.map((error) => error.field)).toContain(field);
    expect(problem.detail).toContain(field);
    expect(JSON.stringify(problem)).not.toContain("Invalid input");
  });

  it("refuses a body one byte over the limit, whether or not it says its length", async () => {
    const text = JSON.stringify(good);
    const padded = text + " ".repeat(maxBytes - text.length);
    expect((await post(padded)).status).not.toBe(413);
    await expectProblem(await post(`${padded} `), "BODY_TOO_LARGE");
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const written = writer.write(new TextEncoder().encode(`${padded} `)).then(() => writer.close());
    await expectProblem(await stream(readable), "BODY_TOO_LARGE");
    await written.catch(() => "the reader has seen enough");
  });

  async function stream(body: ReadableStream): Promise<Response> {
    const { exports } = await import("cloudflare:workers");
    const authorization: Record<string, string> = token() === undefined ? {} : { authorization: `Bearer ${token()}` };
    return exports.default.fetch(
      new Request(`https://master.test${path()}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers, ...authorization },
        body,
      }),
    );
  }

  it.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "nonsense"])(
    "refuses %s",
    async (type) => {
      await expectProblem(await post(JSON.stringify(good), { "content-type": type }), "UNSUPPORTED_MEDIA_TYPE");
    },
  );

  it("refuses other methods, and says which there are", async () => {
    for (const method of ["PUT", "PATCH"]) {
      const response = await call(method, path(), { token: token() });
      expect(response.headers.get("allow")).toContain("POST");
      await expectProblem(response, "METHOD_NOT_ALLOWED");
    }
  });
});

describe("the fields of a registration", () => {
  it.each([
    ["instance", "has spaces"],
    ["instance", ""],
    ["name", "line\nbreak"],
    ["name", "x".repeat(65)],
    ["region", "Not A Region"],
    ["host", "a host/with a path"],
    ["port", 0],
    ["port", 65_536],
    ["port", 1.5],
    ["capacity", -1],
    ["capacity", 1_000_001],
    ["wssUrl", "ws://plain.example"],
    ["tags", ["x".repeat(33)]],
    ["tags", Array.from({ length: 17 }, () => "x")],
    ["software", "x".repeat(65)],
    ["tls.serverName", "no spaces"],
    ["tls.caPem", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"],
    ["tls.sha256", "AB".repeat(32)],
    ["protocol.min", 0],
  ])("refuse %s %j", async (field, value) => {
    const [outer = "", inner] = field.split(".");
    const good: Record<string, unknown> = { ...registration() };
    const nested = good[outer];
    const body = {
      ...good,
      [outer]: inner === undefined || typeof nested !== "object" ? value : { ...nested, [inner]: value },
    };
    const problem = await expectProblem(await call("POST", "/v1/clusters/register", { body }), "INVALID_FIELD");
    expect(problem.errors?.[0]?.field).toMatch(new RegExp(`^${field.replace(".", "\\.")}`));
  });
});

describe("addresses", () => {
  it.each(["/", "/v1", "/v1/nothing", "/v1/login/more", "/V1/login"])("that do not exist: %s", async (path) => {
    await expectProblem(await call("GET", path), "NOT_FOUND");
    await expectProblem(await call("POST", path, { body: {} }), "NOT_FOUND");
  });
});

it("says in plain words which fields of a login are missing or of another type", async () => {
  const problem = await expectProblem(await call("POST", "/v1/login", { body: { email: 1 } }), "INVALID_FIELD");
  expect(problem.errors).toContainEqual({ field: "password", message: "This is missing. Expected text." });
  expect(JSON.stringify(problem)).not.toContain("Invalid input");
});
