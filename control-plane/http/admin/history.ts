import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { readStoreSettings } from "../../settings.ts";
import { type AllocationEntry, listAllocations, listClusterEvents } from "../../store/history.ts";
import { jsonAnswer, type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { clusterParams } from "./cluster-schemas.ts";
import { operatorProblems, requireOperator } from "./operator.ts";
import { createCursor, nextSchema, pagingFields, readCursor } from "./paging.ts";
import { askRecords } from "./records.ts";

const common = {
  method: "get" as const,
  tags: ["Operators"],
  description: "As the database has it, a moment after the fact; later after an outage of it.",
  security: operatorSecurity,
};
const problems = problemAnswers("INVALID_FIELD", "DATABASE_UNAVAILABLE", ...operatorProblems);
const playerParams = z.object({ id: z.string().regex(/^[\w-]{1,64}$/, "Expected a player's id.") });

const allocationSchema = z
  .object({
    reservationId: z.string(),
    playerId: z.string(),
    clusterId: z.string(),
    clusterName: z.string(),
    region: z.string(),
    generation: z.number(),
    allocatedAtMs: z.number(),
    joinedAtMs: z.number().nullable(),
    leftAtMs: z.number().nullable(),
    outcome: z.enum(["joined", "left", "unused", "open"]),
  })
  .openapi("RecordedAllocation");
const allocationPage = jsonAnswer(
  "A page.",
  z.object({ allocations: z.array(allocationSchema), next: nextSchema }).openapi("AllocationPage"),
);

const eventSchema = z
  .object({
    eventId: z.string(),
    clusterId: z.string(),
    clusterName: z.string(),
    event: z.string().openapi({ example: "registered" }),
    shard: z.string(),
    boot: z.number(),
    atMs: z.number(),
  })
  .openapi("RecordedClusterEvent");

const ofPlayer = createRoute({
  ...common,
  path: "/v1/admin/players/{id}/allocations",
  summary: "Where a player was given seats, the newest first",
  request: { params: playerParams, query: z.strictObject(pagingFields) },
  responses: { 200: allocationPage, ...problems },
});

const atCluster = createRoute({
  ...common,
  path: "/v1/admin/clusters/{id}/allocations",
  summary: "Who was given seats on a cluster, the newest first",
  request: { params: clusterParams, query: z.strictObject(pagingFields) },
  responses: { 200: allocationPage, ...problems },
});

const events = createRoute({
  ...common,
  path: "/v1/admin/cluster-events",
  summary: "What became of clusters, the newest first",
  request: { query: z.strictObject({ ...pagingFields, clusterId: clusterParams.shape.id.optional() }) },
  responses: {
    200: jsonAnswer(
      "A page.",
      z.object({ events: z.array(eventSchema), next: nextSchema }).openapi("ClusterEventPage"),
    ),
    ...problems,
  },
});

const positionSchema = z.object({ atMs: z.number(), id: z.string() });
type Position = z.infer<typeof positionSchema>;
interface Paging {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export function addHistoryRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(ofPlayer, async (context) => {
    await requireOperator(context, "read");
    const playerId = context.req.valid("param").id;
    return context.json(await pageAllocations(context.env, { playerId }, context.req.valid("query")), 200);
  });

  app.openapi(atCluster, async (context) => {
    await requireOperator(context, "read");
    const clusterId = context.req.valid("param").id;
    return context.json(await pageAllocations(context.env, { clusterId }, context.req.valid("query")), 200);
  });

  app.openapi(events, async (context) => {
    await requireOperator(context, "read");
    const { clusterId, ...paging } = context.req.valid("query");
    const { items, next } = await pageOf(context.env, `cluster-events ${clusterId ?? ""}`, paging, {
      read: async (from) =>
        listClusterEvents(readStoreSettings(context.env), {
          ...from,
          ...(clusterId === undefined ? {} : { clusterId }),
        }),
      positionOf: ({ atMs, eventId }) => ({ atMs, id: eventId }),
    });
    return context.json({ events: [...items], next }, 200);
  });
}

async function pageAllocations(env: Env, of: { playerId: string } | { clusterId: string }, paging: Paging) {
  const { items, next } = await pageOf(env, `allocations ${JSON.stringify(of)}`, paging, {
    read: async (from) => listAllocations(readStoreSettings(env), { ...of, ...from, nowMs: Date.now() }),
    positionOf: ({ allocatedAtMs, reservationId }) => ({ atMs: allocatedAtMs, id: reservationId }),
  });
  return { allocations: items.map(shown), next };
}

/** One page of a list, and where the next one begins. One more than wanted is read, to know whether there is a next one. */
async function pageOf<T>(
  env: Env,
  list: string,
  { cursor, limit }: Paging,
  source: {
    read(from: { readonly after?: Position; readonly limit: number }): Promise<readonly T[]>;
    positionOf(item: T): Position;
  },
): Promise<{ readonly items: readonly T[]; readonly next: string | null }> {
  const after = await readCursor(env, list, cursor, positionSchema);
  const found = await askRecords(() => source.read({ ...(after === undefined ? {} : { after }), limit: limit + 1 }));
  const items = found.slice(0, limit);
  const last = found.length > limit ? items.at(-1) : undefined;
  return { items, next: last === undefined ? null : await createCursor(env, list, source.positionOf(last)) };
}

function shown({ joinedAtMs, leftAtMs, ...rest }: AllocationEntry) {
  return { ...rest, joinedAtMs: joinedAtMs ?? null, leftAtMs: leftAtMs ?? null };
}
