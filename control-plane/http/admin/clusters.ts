import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { clusterStates } from "../../domain/clusters/cluster-states.ts";
import { shardsForCluster } from "../../domain/clusters/sharding.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { registryShard } from "../../objects/remote.ts";
import { shardsIn, isKnownCluster } from "../../objects/shard/shard-directory.ts";
import type { ClusterInspection } from "../../objects/shard/shard-inspector.ts";
import { readMasterSettings } from "../../settings.ts";
import { ProblemError } from "../problem.ts";
import { jsonAnswer, type MasterHono, operatorSecurity, problemAnswers } from "../route-parts.ts";
import { clusterAnswerSchema, clusterParams, regionField } from "./cluster-schemas.ts";
import { operatorProblems, requireOperator } from "./operator.ts";
import { createCursor, nextSchema, pagingFields, readCursor } from "./paging.ts";

const tags = ["Operators"];

const list = createRoute({
  method: "get",
  path: "/v1/admin/clusters",
  tags,
  summary: "Every cluster with its state and why it is not offered, page by page",
  security: operatorSecurity,
  request: {
    query: z.strictObject({
      ...pagingFields,
      region: regionField.optional(),
      state: z.enum(clusterStates).optional().openapi({
        description: "Only those in this state. Without it, all but those that are gone.",
      }),
    }),
  },
  responses: {
    200: jsonAnswer(
      "A page. It may hold fewer than `limit`, or none, and still not be the last one.",
      z.object({ clusters: z.array(clusterAnswerSchema), next: nextSchema }).openapi("ClusterPage"),
    ),
    ...problemAnswers("INVALID_FIELD", ...operatorProblems),
  },
});

const one = createRoute({
  method: "get",
  path: "/v1/admin/clusters/{id}",
  tags,
  summary: "A cluster",
  security: operatorSecurity,
  request: { params: clusterParams },
  responses: {
    200: jsonAnswer("The cluster.", clusterAnswerSchema),
    ...problemAnswers("INVALID_FIELD", "CLUSTER_NOT_FOUND", ...operatorProblems),
  },
});

const positionSchema = z.object({ shard: z.string(), after: z.string() });

export function addAdminClusterRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(list, async (context) => {
    await requireOperator(context, "read");
    const { cursor, limit, region, state } = context.req.valid("query");
    const listName = `clusters ${region ?? ""} ${state ?? ""}`;
    const position = await readCursor(context.env, listName, cursor, positionSchema);
    const page = await pageClusters(context.env, { region, limit, position });
    const clusters = page.clusters.filter((cluster) =>
      state === undefined ? cluster.state !== "gone" : cluster.state === state,
    );
    const next = page.next === undefined ? null : await createCursor(context.env, listName, page.next);
    return context.json({ clusters: clusters.map(clusterAnswer), next }, 200);
  });

  app.openapi(one, async (context) => {
    await requireOperator(context, "read");
    const { id } = context.req.valid("param");
    return context.json(clusterAnswer(await findCluster(context.env, id)), 200);
  });
}

export function clusterAnswer(cluster: ClusterInspection): z.infer<typeof clusterAnswerSchema> {
  const { tags, labels, protocol } = cluster;
  return { ...cluster, tags: [...tags], labels: { ...labels }, protocol: { ...protocol } };
}

/** Goes through the shards in their order, and in each through its clusters by their ids. */
async function pageClusters(
  env: Env,
  query: {
    readonly region: string | undefined;
    readonly limit: number;
    readonly position: z.infer<typeof positionSchema> | undefined;
  },
) {
  const { region, limit, position } = query;
  const shards = [...(await shardsIn(env, region))].sort((a, b) => (a < b ? -1 : 1));
  const left = position === undefined ? shards : shards.filter((shard) => shard >= position.shard);
  const clusters: ClusterInspection[] = [];
  for (const shard of left) {
    const after = shard === position?.shard ? position.after : "";
    const wanted = limit - clusters.length;
    const asked = registryShard(env, shard).inspect(after, wanted + 1);
    const found = await withDeadline<readonly ClusterInspection[]>(asked, objectCallTimeoutMs, "a registry shard");
    clusters.push(...found.slice(0, wanted));
    const last = clusters.at(-1);
    if (found.length > wanted && last !== undefined) {
      return { clusters, next: wanted === 0 ? { shard, after: "" } : { shard, after: last.id } };
    }
  }
  return { clusters, next: undefined };
}

/** The cluster, at whichever shard it is; of several that know of it the one where it registered last. @throws ProblemError */
export async function findCluster(env: Env, clusterId: string): Promise<ClusterInspection> {
  const shards = (await isKnownCluster(env, clusterId))
    ? shardsForCluster(readMasterSettings(env).shards, clusterId)
    : [];
  const found = await Promise.all(
    shards.map(async (shard) => {
      const asked = registryShard(env, shard).inspectOne(clusterId);
      return withDeadline<ClusterInspection | undefined>(asked, objectCallTimeoutMs, "a registry shard");
    }),
  );
  const newest = found.filter((cluster) => cluster !== undefined).sort((a, b) => b.boot - a.boot)[0];
  if (newest !== undefined) return newest;
  throw new ProblemError(
    "CLUSTER_NOT_FOUND",
    "There is no such cluster, nor was there lately. GET /v1/admin/clusters lists those that there are.",
  );
}
