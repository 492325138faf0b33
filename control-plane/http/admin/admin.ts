import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MasterHono } from "../route-parts.ts";
import { addAuditRoutes } from "./audit.ts";
import { addWorldRoutes } from "./worlds.ts";
import { addCapacityRoutes } from "./capacity.ts";
import { addAdminClusterRoutes } from "./clusters.ts";
import { addEventRoutes } from "./events.ts";
import { addHistoryRoutes } from "./history.ts";
import { addKeyRoutes } from "./keys.ts";
import { addOrderRoutes } from "./orders.ts";
import { addPlayerStateRoutes } from "./player-state.ts";
import { addBanRoutes } from "./bans.ts";
import { addSigningKeyRoutes } from "./signing-keys.ts";
import { addPlayerControlRoutes } from "./players.ts";

/** Everything under `/v1/admin`. */
export function addAdminRoutes(app: OpenAPIHono<MasterHono>): void {
  addAdminClusterRoutes(app);
  addOrderRoutes(app);
  addCapacityRoutes(app);
  addKeyRoutes(app);
  addPlayerStateRoutes(app);
  addEventRoutes(app);
  addHistoryRoutes(app);
  addAuditRoutes(app);
  addWorldRoutes(app);
  addPlayerControlRoutes(app);
  addBanRoutes(app);
  addSigningKeyRoutes(app);
}
