import { beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../control-plane/http/app.ts";
import { maxSessionBodyBytes } from "../../control-plane/http/session-schemas.ts";
import { exports } from "cloudflare:workers";
import type { Problem } from "../../protocol/index.ts";
import { startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectProblem, masterUrl } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { logIn } from "./support/players.ts";

/*
 * What holds for every route, taken from the OpenAPI document: a route that is added is covered by itself.
 */

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Operation {
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly {
    readonly in: string;
    readonly name: string;
    readonly schema?: { readonly pattern?: string };
  }[];
  readonly responses: Readonly<Record<string, object>>;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

// The routes have to be known before the tests are, so they are asked for here.
const description: Description = JSON.parse(
  await (await exports.default.fetch(new Request(`${masterUrl}/openapi.json`))).text(),
);
const routes = Object.entries(description.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    operation,
    security: Object.keys(operation.security?.[0] ?? {})[0] ?? "none",
  })),
);
type Route = (typeof routes)[number];

let cluster: TestCluster;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  cluster = await startCluster();
  tokens["player"] = (await logIn()).accessToken;
  tokens["operator"] = (await logInOperator()).accessToken;
  tokens["clusterSession"] = cluster.token;
});

/** Pages and documents, which take nothing from who reads them. */
const undocumented = ["GET /openapi.json", "GET /docs", "GET /metrics", "GET /console", "GET /console/script.js"];

it("the document has every route that there is", () => {
  const served = createApp()
    .routes.filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
  const documented = routes.map(({ name }) => name);
  expect([...new Set(served)].toSorted()).toEqual([...documented, ...undocumented].toSorted());
});

/** An address of the route's form; whether there is anything there does not matter. */
function address({ path, operation }: Route): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const described = operation.parameters?.find((parameter) => parameter.in === "path" && parameter.name === name);
    const [, length] = /^\^\[\\w-\]\{(\d+)/.exec(described?.schema?.pattern ?? "") ?? [];
    if (length !== undefined) return "A".repeat(Number(length));
    return name === "id" ? cluster.id : "something";
  });
}

async function send(route: Route, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const token = tokens[route.security];
  return call(route.method, address(route), {
    ...(token === undefined ? {} : { token }),
    body,
    headers: { "idempotency-key": crypto.randomUUID(), ...headers },
  });
}

function schemaOf(route: Route): Schema {
  const schema = route.operation.requestBody?.content["application/json"]?.schema ?? {};
  return schema.$ref === undefined
    ? schema
    : (description.components.schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {});
}

describe.each(routes.filter(({ operation }) => operation.requestBody !== undefined))("$name", (route) => {
  it("refuses what is not JSON, and what is not an object", async () => {
    await expectProblem(await send(route, "{"), "MALFORMED_JSON");
    for (const body of ["[]", "null", '"text"', "7"]) await expectProblem(await send(route, body), "INVALID_FIELD");
  });

  it("refuses other types of content", async () => {
    for (const type of ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]) {
      await expectProblem(await send(route, "{}", { "content-type": type }), "UNSUPPORTED_MEDIA_TYPE");
    }
  });

  it("refuses a body over the limit", async () => {
    // States of many players go to their sessions in one body; nothing else is as long.
    const most = route.path === "/v1/clusters/{id}/sessions" ? maxSessionBodyBytes : 512 * 1_024;
    await expectProblem(await send(route, `{"x":"${"x".repeat(most)}"}`), "BODY_TOO_LARGE");
  });

  it("refuses a field that there is not, without repeating what was in it", async () => {
    const response = await send(route, { surprise: "secret-of-the-caller" });
    const problem: Problem = await expectProblem(response, "INVALID_FIELD");
    expect(JSON.stringify(problem)).not.toContain("secret-of-the-caller");
    // Where there are several forms, the answer speaks of the one that was most nearly met.
    const isOneForm = schemaOf(route).properties !== undefined;
    expect(problem.errors?.some(({ field }) => field === "surprise") === true || !isOneForm).toBe(true);
  });

  it("refuses each field with a value of another type", async () => {
    for (const [name, property] of Object.entries(schemaOf(route).properties ?? {})) {
      const types = [property.type ?? "object"].flat();
      const value = types.includes("string") ? 7 : "neither a number nor a list";
      const problem = await expectProblem(await send(route, { [name]: value }), "INVALID_FIELD");
      expect(
        problem.errors?.some(({ field }) => field.startsWith(name)),
        name,
      ).toBe(true);
    }
  });
});

const bodiless = routes.filter(({ method, operation }) => method !== "GET" && operation.requestBody === undefined);

describe.each(bodiless)("$name, which takes no body,", (route) => {
  it("refuses one, whatever it is, and one over the limit as such", async () => {
    for (const [body, type] of [
      ['{"surprise":1}', "application/json"],
      ["{", "application/json"],
      ["surprise=1", "application/x-www-form-urlencoded"],
    ] as const) {
      const problem = await expectProblem(await send(route, body, { "content-type": type }), "INVALID_FIELD");
      expect(problem.errors).toEqual([{ field: "body", message: "This call takes none." }]);
    }
    const { status } = await expectProblem(await send(route, "x".repeat(16 * 1_024 + 1)), "BODY_TOO_LARGE");
    expect(Object.keys(route.operation.responses)).toContain(String(status));
  });
});

describe.each(routes)("the query of $name", (route) => {
  it("refuses a field that there is not", async () => {
    const token = tokens[route.security];
    const path = `${address(route)}?surprise=secret-of-the-caller`;
    const body = route.operation.requestBody === undefined ? {} : { body: {} };
    const response = await call(route.method, path, { ...body, ...(token === undefined ? {} : { token }) });
    const problem = await expectProblem(response, "INVALID_FIELD");
    expect(problem.errors).toContainEqual({ field: "query.surprise", message: "There is no such field." });
  });
});

describe.each(routes.filter(({ path }) => path.startsWith("/v1/admin/")))("[SEC-45] $name", (route) => {
  it("says that it is for operators, and is, before it looks at anything else", async () => {
    expect(route.security).toBe("operator");
    const body = route.operation.requestBody === undefined ? {} : { body: "{" };
    await expectProblem(await call(route.method, address(route), body), "UNAUTHENTICATED");
    await expectProblem(await call(route.method, address(route), { ...body, token: "a.b.c" }), "UNAUTHENTICATED");
    const { player: token = "" } = tokens;
    await expectProblem(await call(route.method, address(route), { ...body, token }), "FORBIDDEN");
  });
});
