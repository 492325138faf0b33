import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { auditOutcomes, type AuditHead, type AuditRow } from "../../domain/operators/audit-chain.ts";
import type { AuditFilters } from "../../domain/operators/audit-query.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { auditLog } from "../../objects/remote.ts";
import { readStoreSettings } from "../../settings.ts";
import { ProblemError } from "../problem.ts";
import { jsonAnswer, type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { operatorProblems, requireOperator } from "./operator.ts";
import { createCursor, nextSchema, pagingFields, readCursor } from "./paging.ts";

const text = z.string().min(1).max(256).optional();
const time = z.coerce.number().int().min(0).optional();

const querySchema = z.strictObject({
  ...pagingFields,
  order: z.enum(["asc", "desc"]).default("desc").openapi({ description: "`desc`: the newest first." }),
  actor: text,
  action: text.openapi({ example: "cluster.lock" }),
  target: text,
  requestId: text,
  sinceMs: time.openapi({ description: "Milliseconds since 1970, this one included." }),
  untilMs: time.openapi({ description: "Milliseconds since 1970, this one left out." }),
});

const rowSchema = z
  .object({
    sequence: z.number(),
    atMs: z.number(),
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    details: z.string().openapi({ description: "JSON, byte for byte as it was hashed." }),
    requestId: z.string(),
    outcome: z.enum(auditOutcomes),
    intent: z.number().nullable().openapi({ description: "The row that said that this was intended." }),
    previousHash: z.string(),
    hash: z.string(),
  })
  .openapi("AuditRow") satisfies z.ZodType<AuditRow>;

const headSchema = z
  .object({ sequence: z.number(), hash: z.string() })
  .openapi("AuditHead") satisfies z.ZodType<AuditHead>;

const pageSchema = z
  .object({
    rows: z.array(rowSchema),
    next: nextSchema,
    head: headSchema.openapi({ description: "The newest row of the log: where a check of the chain has to end." }),
    pending: z.number().openapi({ description: "How many rows have not reached the database yet." }),
  })
  .openapi("AuditPage");

const list = createRoute({
  method: "get",
  path: "/v1/admin/audit",
  tags: ["Operators"],
  summary: "The audit log, page by page",
  description:
    "Each row carries the SHA-256 of the one before it. `npx sustenet audit verify` checks the chain. Old rows come from the database; the newest can be read while it is away.",
  security: operatorSecurity,
  request: { query: querySchema },
  responses: {
    200: jsonAnswer("A page.", pageSchema),
    ...problemAnswers("INVALID_FIELD", "DATABASE_UNAVAILABLE", ...operatorProblems),
  },
});

export function addAuditRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(list, async (context) => {
    await requireOperator(context, "read");
    const { cursor, limit, order, ...given } = context.req.valid("query");
    readStoreSettings(context.env);
    const filters: AuditFilters = given;
    const listName = `audit ${order} ${JSON.stringify(Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
    const position = await readCursor(context.env, listName, cursor, z.int());
    const log = auditLog(context.env);
    // The head first, as calls of an object come in their order: the log must not end before it, where a row is written in between.
    const [head, pending, answer] = await withDeadline(
      Promise.all([log.head(), log.pending(), log.page({ order, position, filters, limit })]),
      objectCallTimeoutMs,
      "the audit log",
    );
    if (!answer.ok) throw new ProblemError(answer.code, answer.detail, { retryAfterSeconds: answer.retryAfterSeconds });
    const { rows, next } = answer.page;
    return context.json(
      {
        rows: [...rows],
        next: next === undefined ? null : await createCursor(context.env, listName, next),
        head,
        pending,
      },
      200,
    );
  });
}
