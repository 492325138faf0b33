import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { masterEventTypes } from "../../domain/operators/master-event.ts";
import { eventHub } from "../../objects/remote.ts";
import { ProblemError } from "../problem.ts";
import { type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { operatorProblems, requireOperator } from "./operator.ts";

/** It travels on in a header, which cannot hold everything. */
const eventId = z.string().regex(/^[\x21-\x7e]{1,32}$/, "Expected the id of an event.");

const stream = createRoute({
  method: "get",
  path: "/v1/admin/events",
  tags: ["Operators"],
  summary: "What happens, as it happens",
  description: `Server-sent events, at most once: an event may be missing, none comes twice. Ask for the state, or read the audit log, to know for certain. Send the id of the last event that you have to catch up; \`hub.gap\` says that some are lost. A reader that is too slow is told \`hub.slow\` and dropped; \`hub.expired\`: come again with another token. Types: ${masterEventTypes.join(", ")}.`,
  security: operatorSecurity,
  request: {
    query: z.strictObject({ after: eventId.optional() }),
    headers: z.object({ "last-event-id": eventId.optional() }),
  },
  responses: {
    200: { description: "The stream.", content: { "text/event-stream": { schema: z.string() } } },
    ...problemAnswers("INVALID_FIELD", "TOO_MANY_SUBSCRIBERS", ...operatorProblems),
  },
});

export function addEventRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(stream, async (context) => {
    const operator = await requireOperator(context, "read");
    const { after } = context.req.valid("query");
    const lastEventId = after ?? context.req.valid("header")["last-event-id"];
    const answer = await eventHub(context.env).fetch("https://hub/events", {
      headers: {
        "x-until-ms": String(operator.expiresAt * 1_000),
        ...(lastEventId === undefined ? {} : { "x-last-event-id": lastEventId }),
      },
    });
    if (answer.status !== 200) {
      throw new ProblemError("TOO_MANY_SUBSCRIBERS", "Close a stream that nobody reads, or try again.", {
        retryAfterSeconds: 10,
      });
    }
    return new Response(answer.body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
  });
}
