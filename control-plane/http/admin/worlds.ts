import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { maxDisagreements } from "../../domain/worlds/world-disagreements.ts";
import { maxOverlaps } from "../../domain/worlds/world-overlaps.ts";
import { worldReasons } from "../../domain/worlds/world-overview.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { worldMap } from "../../objects/remote.ts";
import { fragmentName } from "../allocation-schemas.ts";
import { ProblemError } from "../problem.ts";
import {
  bodyProblems,
  jsonAnswer,
  jsonBody,
  type MasterHono,
  operatorSecurity,
  problemAnswers,
} from "../route-parts.ts";
import { worldMapSchema, worldName } from "../schemas.ts";
import { audited, type AuditedAction, auditProblems } from "./audited.ts";
import { operatorProblems, requireOperator } from "./operator.ts";

const tags = ["Operators"];

const clusterIdExpected = "Expected a cluster's id, or null to leave the fragment to the rules.";

const answerSchema = worldMapSchema
  .extend({
    overlaps: z
      .array(z.tuple([z.string(), z.string()]).readonly())
      .readonly()
      .openapi({
        description: `Pairs of fragments of different clusters that have a place in common: somebody's mistake. ${maxOverlaps} at most.`,
      }),
    moreOverlaps: z.boolean().openapi({
      description: "There may be more such pairs than those. Mend their layouts, and look again.",
    }),
    disagreements: z
      .array(z.object({ fragment: z.string(), clusterIds: z.tuple([z.string(), z.string()]).readonly() }))
      .readonly()
      .openapi({
        description: `Fragments that clusters announce with different bounds: the one that carries it, and one that says something else. ${maxDisagreements} at most.`,
      }),
    provisional: z.array(z.string()).readonly().openapi({
      description:
        "Fragments whose cluster only stands in, since nobody could take them over. Whoever can has them at once.",
    }),
    assigned: z
      .array(z.object({ fragment: z.string(), clusterId: z.string() }))
      .readonly()
      .openapi({
        description:
          "What operators have assigned, also where the cluster does not announce it now: 4,096 fragments of a world at most.",
      }),
    announced: z
      .array(
        z.object({
          clusterId: z.string(),
          fragments: z.array(z.string()).readonly(),
          reasons: z.array(z.enum(worldReasons)).readonly(),
        }),
      )
      .readonly()
      .openapi({
        description:
          "All clusters that have announced themselves, with what they can carry, and why they take nothing over; one that is full takes what no other can.",
      }),
  })
  .openapi("WorldMapForOperators");

const show = createRoute({
  method: "get",
  path: "/v1/admin/worlds/{world}",
  tags,
  summary: "Who carries which fragment of a world",
  security: operatorSecurity,
  request: { params: z.object({ world: worldName }) },
  responses: {
    200: jsonAnswer("The map; empty for a world that no cluster has named.", answerSchema),
    ...problemAnswers("INVALID_FIELD", ...operatorProblems),
  },
});

const assign = createRoute({
  method: "put",
  path: "/v1/admin/worlds/{world}/fragments/{fragment}",
  tags,
  summary: "Decide which cluster carries a fragment",
  description:
    "It does for as long as it announces the fragment, also if it is locked or full; one that is suspect or drains has to be well first. `null` leaves it to the rules again, which moves nothing by itself; repeating that is harmless.",
  security: operatorSecurity,
  request: {
    params: z.object({ world: worldName, fragment: fragmentName }),
    ...jsonBody(
      z
        .strictObject({ clusterId: z.string(clusterIdExpected).min(1).max(64).nullable() })
        .openapi("FragmentAssignment"),
    ),
  },
  responses: {
    200: jsonAnswer("The map that results.", answerSchema),
    ...problemAnswers(
      ...bodyProblems,
      "CLUSTER_NOT_FOUND",
      "FRAGMENT_NOT_FOUND",
      "TOO_MANY_ASSIGNMENTS",
      ...auditProblems,
      ...operatorProblems,
    ),
  },
});

export function addWorldRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(show, async (context) => {
    await requireOperator(context, "read");
    const { world } = context.req.valid("param");
    const shown = worldMap(context.env, world).overview(world);
    return context.json(await withDeadline(shown, objectCallTimeoutMs, "the map of a world"), 200);
  });

  app.openapi(assign, async (context) => {
    const operator = await requireOperator(context, "change");
    const { world, fragment } = context.req.valid("param");
    const { clusterId } = context.req.valid("json");
    const action: AuditedAction = {
      action: "world.assign",
      target: `world:${world}`,
      details: { fragment, clusterId },
    };
    const overview = await audited(context, operator, action, async () => {
      const answer = await withDeadline(
        worldMap(context.env, world).assign(world, fragment, clusterId ?? undefined),
        objectCallTimeoutMs,
        "the map of a world",
      );
      if (!answer.ok) throw new ProblemError(answer.code, answer.detail);
      return answer.overview;
    });
    return context.json(overview, 200);
  });
}
