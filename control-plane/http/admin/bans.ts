import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { logEvent } from "../../log.ts";
import { readStoreSettings } from "../../settings.ts";
import { type BanRecord, selectBans } from "../../store/bans.ts";
import { DatabaseError } from "../../store/database.ts";
import { ProblemError } from "../problem.ts";
import { jsonAnswer, type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { operatorProblems, requireOperator } from "./operator.ts";
import { createCursor, nextSchema, pagingFields, readCursor } from "./paging.ts";

const querySchema = z.strictObject({
  ...pagingFields,
  playerId: z.string().min(1).max(64).optional(),
  inForce: z
    .enum(["true", "false"])
    .default("false")
    .openapi({ description: "`true`: only those that are in force now." }),
});

const rowSchema = z
  .object({
    id: z.string(),
    playerId: z.string(),
    reason: z.string(),
    note: z.string(),
    until: z.string().nullable(),
    bannedAt: z.string(),
    bannedBy: z.string(),
    liftedAt: z.string().nullable(),
    liftedBy: z.string().nullable(),
  })
  .openapi("Ban");

const pageSchema = z.object({ bans: z.array(rowSchema), next: nextSchema }).openapi("BanPage");

const list = createRoute({
  method: "get",
  path: "/v1/admin/bans",
  tags: ["Operators"],
  summary: "Bans, the newest first",
  description:
    "As the database has them, a moment after they were given; later after an outage of it. What counts is kept with each player's session, and counts at once.",
  security: operatorSecurity,
  request: { query: querySchema },
  responses: {
    200: jsonAnswer("A page.", pageSchema),
    ...problemAnswers("INVALID_FIELD", "DATABASE_UNAVAILABLE", ...operatorProblems),
  },
});

const positionSchema = z.object({ bannedAtMs: z.number(), id: z.string() });

export function addBanRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(list, async (context) => {
    await requireOperator(context, "read");
    const { cursor, limit, playerId, inForce } = context.req.valid("query");
    const listName = `bans ${playerId ?? ""} ${inForce}`;
    const after = await readCursor(context.env, listName, cursor, positionSchema);
    const inForceAtMs = inForce === "true" ? Date.now() : undefined;
    const found = await askForBans(context.env, { playerId, inForceAtMs, after, limit: limit + 1 });
    const page = found.slice(0, limit);
    const last = found.length > limit ? page.at(-1) : undefined;
    const position = last === undefined ? undefined : { bannedAtMs: last.bannedAtMs, id: last.id };
    const next = position === undefined ? null : await createCursor(context.env, listName, position);
    return context.json({ bans: page.map(shown), next }, 200);
  });
}

async function askForBans(env: Env, query: Parameters<typeof selectBans>[1]): Promise<readonly BanRecord[]> {
  try {
    return await selectBans(readStoreSettings(env), query);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    logEvent("warn", "bans.unavailable", { error });
    throw new ProblemError("DATABASE_UNAVAILABLE", "The list cannot be read now. Bans are enforced all the same.", {
      retryAfterSeconds: 5,
    });
  }
}

function shown(ban: BanRecord) {
  const { untilMs, bannedAtMs, liftedAtMs, liftedBy, ...rest } = ban;
  return {
    ...rest,
    until: isoTime(untilMs),
    bannedAt: new Date(bannedAtMs).toISOString(),
    liftedAt: isoTime(liftedAtMs),
    liftedBy: liftedBy ?? null,
  };
}

function isoTime(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
