import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { ProblemError } from "./problem.ts";
import type { MasterHono } from "./route-parts.ts";

/** Which parts of a request a route has a schema for. */
interface Declared {
  readonly query: boolean;
  readonly body: boolean;
}

/**
 * Refuses fields of a query, and a body, at routes that take none: a schema refuses what it does not know, but a route without one would let
 * everything pass unseen. A body of `{}` is none.
 */
export function refuseUndeclared(app: OpenAPIHono<MasterHono>): MiddlewareHandler<MasterHono> {
  // Made with the first request: routes are added after this.
  let routes: ReadonlyMap<string, Declared> | undefined;
  return async (context, next) => {
    const { method, url, raw } = context.req;
    const hasQuery = url.includes("?");
    const mayHaveBody = method !== "GET" && method !== "HEAD";
    if (!hasQuery && !mayHaveBody) return next();
    routes ??= declaredBy(app);
    const route = routeOf(routes, matchedRoutes(context));
    if (route === undefined) return next();
    if (hasQuery && !route.query) {
      const fields = [...new URL(url).searchParams.keys()].slice(0, 20);
      refuse(fields.map((name) => ({ field: `query.${name.slice(0, 64)}`, message: "There is no such field." })));
    }
    if (mayHaveBody && !route.body && raw.body !== null) {
      if (!isNothing(await context.req.arrayBuffer())) refuse([{ field: "body", message: "This call takes none." }]);
    }
    return next();
  };
}

function declaredBy(app: OpenAPIHono<MasterHono>): ReadonlyMap<string, Declared> {
  return new Map(
    app.openAPIRegistry.definitions.flatMap((definition) => {
      if (definition.type !== "route") return [];
      const { method, path, request } = definition.route;
      const key = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`;
      return [[key, { query: request?.query !== undefined, body: request?.body !== undefined }] as const];
    }),
  );
}

function routeOf(
  routes: ReadonlyMap<string, Declared>,
  matched: readonly { readonly method: string; readonly path: string }[],
): Declared | undefined {
  for (const { method, path } of matched) {
    const route = routes.get(`${method} ${path}`);
    if (route !== undefined) return route;
  }
  return undefined;
}

function isNothing(body: ArrayBuffer): boolean {
  return body.byteLength === 0 || (body.byteLength === 2 && new TextDecoder().decode(body) === "{}");
}

function refuse(errors: readonly { readonly field: string; readonly message: string }[]): void {
  const [first] = errors;
  if (first === undefined) return;
  throw new ProblemError("INVALID_FIELD", `${first.field}: ${first.message}`, { errors });
}
