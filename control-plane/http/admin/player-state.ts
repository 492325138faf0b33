import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import type { PlayerInspection } from "../../objects/player/player-inspection.ts";
import { playerSession } from "../../objects/remote.ts";
import { readStoreSettings } from "../../settings.ts";
import { findPlayer } from "../../store/players.ts";
import { ProblemError } from "../problem.ts";
import { jsonAnswer, type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { operatorProblems, requireOperator } from "./operator.ts";
import { askRecords } from "./records.ts";

const inspectionSchema = z
  .object({
    id: z.string(),
    generation: z.number().openapi({ description: "The newest; 0 before the first allocation." }),
    playing: z.object({ generation: z.number(), clusterId: z.string() }).nullable().openapi({
      description:
        "The session that has authority: that of the last ticket that joined; the player may have left since.",
    }),
    ban: z
      .object({ reason: z.string(), until: z.string().nullable() })
      .nullable()
      .openapi({ description: "The ban in force; `until` is `null` for good." }),
    operations: z.array(
      z.object({
        reservationId: z.string(),
        generation: z.number(),
        state: z.string(),
        clusterId: z.string().nullable(),
        recordedAtMs: z.number(),
        expiresAt: z.number().nullable().openapi({ description: "Seconds since 1970." }),
      }),
    ),
  })
  .openapi("PlayerState");

const state = createRoute({
  method: "get",
  path: "/v1/admin/players/{id}",
  tags: ["Operators"],
  summary: "What the master knows of a player's session",
  description:
    "There is one as soon as a player has logged in (a moment after it), has allocated, or is ordered about, as by a ban ahead of the first login. The database is asked only about who has never allocated. Of a deleted account that has allocated there is still one, as the generation fences off what was out, and a ban stays: nothing else is in it but what is being cancelled.",
  security: operatorSecurity,
  request: { params: z.object({ id: z.string().regex(/^[\w-]{1,64}$/, "Expected a player's id.") }) },
  responses: {
    200: jsonAnswer("The session; no ticket is in it.", inspectionSchema),
    ...problemAnswers("INVALID_FIELD", "PLAYER_NOT_FOUND", "DATABASE_UNAVAILABLE", ...operatorProblems),
  },
});

export function addPlayerStateRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(state, async (context) => {
    await requireOperator(context, "read");
    const { id } = context.req.valid("param");
    const asked = playerSession(context.env, id).inspect();
    const found = await withDeadline<PlayerInspection | undefined>(asked, objectCallTimeoutMs, "a player's session");
    const { generation, playing, ban, operations } = found ?? (await inspectStranger(context.env, id));
    return context.json({ id, generation, playing, ban, operations: [...operations] }, 200);
  });
}

/** Of whom no session knows: one who has logged in and never allocated, or nobody. @throws ProblemError */
async function inspectStranger(env: Env, id: string): Promise<PlayerInspection> {
  if ((await askRecords(() => findPlayer(readStoreSettings(env), id))) !== undefined) {
    return { generation: 0, playing: null, ban: null, operations: [] };
  }
  throw new ProblemError(
    "PLAYER_NOT_FOUND",
    "Nothing is known of anybody under this id. Check it; a ban ahead of a first login is possible all the same.",
  );
}
