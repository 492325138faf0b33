import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MasterHono } from "../route-parts.ts";
import { addAuditRoutes } from "./audit.ts";
import { addWorldRoutes } from "./worlds.ts";

/** Everything under `/v1/admin`. */
export function addAdminRoutes(app: OpenAPIHono<MasterHono>): void {
  addAuditRoutes(app);
  addWorldRoutes(app);
}
