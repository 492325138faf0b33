import { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { problems } from "../../protocol/index.ts";
import { logEvent } from "../log.ts";
import { SettingError } from "../settings.ts";
import { addAdminRoutes } from "./admin/admin.ts";
import { operatorsOnly } from "./admin/operator.ts";
import { addAllocationRoutes } from "./allocate.ts";
import { addConsultRoutes } from "./consult-sessions.ts";
import { addClusterRoutes } from "./clusters.ts";
import { addConsoleRoutes } from "./console.ts";
import { invalidFields } from "./field-errors.ts";
import { limitBody, nameRequest, openToBrowsers, requireHttps, secureAnswer } from "./middleware.ts";
import { addMetricsRoute } from "./metrics.ts";
import { addPartyRoutes } from "./parties.ts";
import { addPlayerRoutes } from "./players.ts";
import { ProblemError, problemResponse } from "./problem.ts";
import { addPublicRoutes } from "./public.ts";
import type { MasterHono } from "./route-parts.ts";
import { refuseUndeclared } from "./undeclared-input.ts";

/** `/*` also stands for the path without it. */
const browserPaths = [
  "/v1/signup",
  "/v1/login/*",
  "/v1/refresh",
  "/v1/logout",
  "/v1/me/*",
  "/v1/clusters",
  "/v1/allocate/*",
  "/v1/parties/*",
  "/v1/admin/*",
  "/.well-known/*",
  "/openapi.json",
  "/health",
];

/** The master's HTTP interface. */
export function createApp(): OpenAPIHono<MasterHono> {
  const app = new OpenAPIHono<MasterHono>({
    defaultHook: (result) => {
      if (!result.success) throw invalidFields(result.error.issues, prefixes[result.target]);
    },
  });
  app.use(nameRequest, secureAnswer);
  for (const path of browserPaths) app.use(path, openToBrowsers);
  app.use(requireHttps, limitBody);
  app.use("/v1/admin/*", operatorsOnly);
  app.use(refuseUndeclared(app));
  addPlayerRoutes(app);
  addClusterRoutes(app);
  addConsultRoutes(app);
  addAllocationRoutes(app);
  addPartyRoutes(app);
  addAdminRoutes(app);
  addPublicRoutes(app);
  addConsoleRoutes(app);
  addMetricsRoute(app);
  refuseOtherMethods(app);
  app.notFound((context) => {
    const error = new ProblemError("NOT_FOUND", "There is nothing at this address. GET /docs shows what there is.");
    return problemResponse(context, error, context.get("requestId"));
  });
  app.onError((error, context) => {
    const requestId = context.get("requestId");
    const problem = problemOfError(error, requestId);
    context.set("problem", problem.code);
    if (problem.cause !== undefined) {
      const level = problems[problem.code].status >= 500 ? "error" : "info";
      logEvent(level, "http.failed", { requestId, code: problem.code, error: problem.cause });
    }
    return problemResponse(context, problem, requestId);
  });
  return app;
}

/** Where in the request a field is, as far as its name does not say it. */
const prefixes: Readonly<Record<string, string>> = { json: "", query: "query.", param: "path.", header: "header." };

function problemOfError(error: Error, requestId: string): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof SettingError) {
    logEvent("error", "settings.invalid", { requestId, setting: error.setting, expected: error.expected });
    return new ProblemError("INTERNAL", `This master is not set up yet: ${error.message}.`);
  }
  if (error instanceof HTTPException && error.status === 415) {
    return new ProblemError("UNSUPPORTED_MEDIA_TYPE", "Send the body with Content-Type: application/json.");
  }
  if (error instanceof HTTPException && error.status === 400) {
    return new ProblemError("MALFORMED_JSON", "The body is not valid JSON.");
  }
  return new ProblemError("INTERNAL", "The master failed. Try again shortly.", { retryAfterSeconds: 5, cause: error });
}

/** Answers 405, with `Allow`, at every address that there is. */
function refuseOtherMethods(app: OpenAPIHono<MasterHono>): void {
  const allowed = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    if (method === "ALL") continue;
    allowed.set(path, (allowed.get(path) ?? new Set()).add(method));
  }
  for (const [path, methods] of allowed) {
    app.all(path, (context) => {
      const allow = [...methods].join(", ");
      const error = new ProblemError("METHOD_NOT_ALLOWED", `This address takes ${allow}.`);
      const response = problemResponse(context, error, context.get("requestId"));
      response.headers.set("allow", allow);
      return response;
    });
  }
}
