import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { regionOfShard } from "../../domain/clusters/sharding.ts";
import { logEvent } from "../../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { registryShard } from "../../objects/remote.ts";
import { shardsIn } from "../../objects/shard/shard-directory.ts";
import type { ShardSummary } from "../../objects/shard/shard-inspector.ts";
import { jsonAnswer, type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { operatorProblems, requireOperator } from "./operator.ts";

const summaryFields = {
  clusters: z.number(),
  ready: z.number().openapi({ description: "Neither silent nor draining; locked ones are among them." }),
  suspect: z.number(),
  locked: z.number(),
  draining: z.number(),
  capacity: z.number().openapi({ description: "Of the clusters that have a limit and are offered." }),
  unlimited: z.number().openapi({ description: "Clusters without a limit." }),
  seats: z.number(),
  joined: z.number(),
  players: z.number(),
};

const summarySchema = z.object(summaryFields).openapi("CapacitySummary") satisfies z.ZodType<ShardSummary>;

const shardSchema = z
  .object({
    shard: z.string(),
    summary: summarySchema.nullable().openapi({ description: "`null` when the shard did not answer." }),
  })
  .openapi("ShardCapacity");

const capacitySchema = z
  .object({
    total: summarySchema,
    regions: z.array(z.object({ region: z.string(), total: summarySchema, shards: z.array(shardSchema) })),
  })
  .openapi("Capacity");

const capacity = createRoute({
  method: "get",
  path: "/v1/admin/capacity",
  tags: ["Operators"],
  summary: "What there is and what is taken, by region and shard",
  security: operatorSecurity,
  responses: { 200: jsonAnswer("The sums.", capacitySchema), ...problemAnswers(...operatorProblems) },
});

export function addCapacityRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(capacity, async (context) => {
    await requireOperator(context, "read");
    const names = await shardsIn(context.env, undefined);
    const shards = await Promise.all(
      names.map(async (shard) => ({ shard, summary: await summaryOf(context.env, shard) })),
    );
    const regions = [...Map.groupBy(shards, ({ shard }) => regionOfShard(shard))].map(([region, of]) => ({
      region,
      total: total(of),
      shards: of,
    }));
    return context.json({ total: total(shards), regions }, 200);
  });
}

async function summaryOf(env: Env, shard: string): Promise<ShardSummary | null> {
  try {
    return await withDeadline<ShardSummary>(
      registryShard(env, shard).summary(),
      objectCallTimeoutMs,
      "a registry shard",
    );
  } catch (error) {
    logEvent("warn", "admin.no_summary", { shard, error });
    return null;
  }
}

function total(shards: readonly { readonly summary: ShardSummary | null }[]): ShardSummary {
  const sum = (name: keyof ShardSummary) => shards.reduce((all, { summary }) => all + (summary?.[name] ?? 0), 0);
  return {
    clusters: sum("clusters"),
    ready: sum("ready"),
    suspect: sum("suspect"),
    locked: sum("locked"),
    draining: sum("draining"),
    capacity: sum("capacity"),
    unlimited: sum("unlimited"),
    seats: sum("seats"),
    joined: sum("joined"),
    players: sum("players"),
  };
}
