import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { logEvent } from "../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { playerSession } from "../objects/remote.ts";
import { authenticateCluster } from "./cluster-token.ts";
import { bearerOf } from "./identity.ts";
import { problemOfRefusal } from "./problem.ts";
import {
  bodyProblems,
  clusterSessionSecurity,
  jsonAnswer,
  jsonBody,
  type MasterHono,
  problemAnswers,
} from "./route-parts.ts";
import {
  type SessionAnswer,
  sessionAnswersSchema,
  type SessionRequest,
  sessionRequestsSchema,
} from "./session-schemas.ts";

const consult = createRoute({
  method: "post",
  path: "/v1/clusters/{id}/sessions",
  tags: ["Clusters"],
  summary: "Ask players' sessions about authority and saves",
  description:
    "docs/HANDOVER.md, section 5. Requests are answered independently and in any order; one that is not answered may be repeated. A cluster that has " +
    "deregistered may still save what its players leave with, and take back handovers that it has begun; nothing else.",
  security: clusterSessionSecurity,
  request: {
    params: z.object({ id: z.string().min(1).max(64) }),
    ...jsonBody(sessionRequestsSchema),
  },
  responses: {
    200: jsonAnswer("An answer for each request, in their order.", sessionAnswersSchema),
    ...problemAnswers(...bodyProblems, "CLUSTER_SESSION_INVALID", "CLUSTER_FENCED", "RATE_LIMITED"),
  },
});

export function addConsultRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(consult, async (context) => {
    const { id } = context.req.valid("param");
    const { requests } = context.req.valid("json");
    const { token, shard, name } = await authenticateCluster(context.env, id, bearerOf(context));
    // The token may be of a process that has been fenced off since.
    const found = await withDeadline(
      shard.mayConsult(id, token, requests.length),
      objectCallTimeoutMs,
      "a registry shard",
    );
    if (!found.ok) throw problemOfRefusal(found);
    const from = { clusterId: id, shard: name };
    const answers = await Promise.all(
      requests.map(async ({ playerId, message }): Promise<SessionAnswer> => {
        if (found.gone && !isFarewell(message)) return { playerId, messages: [], failed: true };
        try {
          const answer = playerSession(context.env, playerId).consult(from, playerId, message);
          const messages = await withDeadline(answer, objectCallTimeoutMs, "a player's session");
          return { playerId, messages: [...messages] };
        } catch (error) {
          logEvent("warn", "session.consult_failed", { requestId: context.get("requestId"), clusterId: id, error });
          return { playerId, messages: [], failed: true };
        }
      }),
    );
    return context.json({ answers }, 200);
  });
}

/** What a cluster that has deregistered may still say: it keeps what it has, and gains nobody. [SEC-76] */
function isFarewell({ type }: SessionRequest["message"]): boolean {
  return type === "save" || type === "abort";
}
