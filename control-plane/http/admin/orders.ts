import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { AuditAction } from "../../domain/operators/audit-actions.ts";
import type { AuditDetails } from "../../domain/operators/audit-chain.ts";
import type { ClusterOrders } from "../../domain/clusters/cluster-orders.ts";
import { limits } from "../../../protocol/index.ts";
import type { OrderAnswer, OrderChange } from "../../objects/operators/cluster-order-book.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { clusterOrderBook } from "../../objects/remote.ts";
import type { ClusterInspection } from "../../objects/shard/shard-inspector.ts";
import { labelsSchema, tag } from "../allocation-schemas.ts";
import { ProblemError, problemOfRefusal } from "../problem.ts";
import {
  bodyProblems,
  jsonAnswer,
  jsonBody,
  type MasterHono,
  operatorSecurity,
  problemAnswers,
} from "../route-parts.ts";
import { audited, auditProblems } from "./audited.ts";
import { clusterParams } from "./cluster-schemas.ts";
import { findCluster } from "./clusters.ts";
import { operatorProblems, requireOperator } from "./operator.ts";

const tags = ["Operators"];
const reason = z
  .string()
  .regex(/^[^\p{C}]{1,200}$/u, "Expected 1 to 200 printable characters.")
  .optional()
  .openapi({ description: "For the audit log." });

const reasonSchema = z.strictObject({ reason }).openapi("OrderReason");

const drainSchema = z
  .strictObject({
    deadlineSeconds: z
      .int()
      .min(0)
      .max(7 * 86_400)
      .openapi({
        description: "When whoever is still there is told to go, and the process ends.",
        example: 600,
      }),
    movePlayers: z.boolean().default(false).openapi({
      description: "Tell the players to allocate again, a few at a time, instead of waiting for them to leave.",
    }),
    reason,
  })
  .openapi("DrainOrder");

const settingsSchema = z
  .strictObject({
    ticketLifetimeSeconds: z.int().min(limits.minTicketLifetimeSeconds).max(limits.maxTicketLifetimeSeconds).optional(),
    capacity: z.int().min(0).max(1_000_000).optional().openapi({ description: "0 means no limit." }),
    tags: z.array(tag).max(16).optional(),
    labels: labelsSchema.optional(),
    joinRatePerSecond: z.number().positive().max(10_000).optional(),
  })
  .openapi("ClusterSettings");

const changeSettingsSchema = z
  .strictObject({
    settings: settingsSchema,
    ifVersion: z.int().min(0).optional().openapi({
      description: "Refuse if the orders have another `version` by now: somebody else has changed them.",
    }),
    reason,
  })
  .openapi("ChangeClusterSettings");

const ordersSchema = z
  .object({
    version: z.number(),
    locked: z.boolean(),
    drain: z.object({ deadlineAtMs: z.number(), movePlayers: z.boolean(), orderedAtMs: z.number() }).nullable(),
    settings: settingsSchema,
  })
  .openapi("ClusterOrders");

const changeProblems = ["CLUSTER_NOT_FOUND", ...auditProblems, ...operatorProblems] as const;
const ordered = jsonAnswer(
  "The orders as they are now. They hold at once and after the cluster registers again.",
  ordersSchema,
);

const read = createRoute({
  method: "get",
  path: "/v1/admin/clusters/{id}/orders",
  tags,
  summary: "What is ordered of a cluster",
  security: operatorSecurity,
  request: { params: clusterParams },
  responses: {
    200: jsonAnswer("The orders; version 0 when there are none.", ordersSchema),
    ...problemAnswers("INVALID_FIELD", "CLUSTER_NOT_FOUND", ...operatorProblems),
  },
});

/** A route that changes the orders of a cluster. */
function changing<Method extends "put" | "delete", Path extends string>(method: Method, path: Path, summary: string) {
  return { method, path, tags, summary, security: operatorSecurity } as const;
}

const lock = createRoute({
  ...changing("put", "/v1/admin/clusters/{id}/lock", "Offer the cluster to nobody; who plays there plays on"),
  request: { params: clusterParams, ...jsonBody(reasonSchema) },
  responses: { 200: ordered, ...problemAnswers(...bodyProblems, ...changeProblems) },
});

const unlock = createRoute({
  ...changing("delete", "/v1/admin/clusters/{id}/lock", "Offer the cluster again"),
  request: { params: clusterParams },
  responses: { 200: ordered, ...problemAnswers("INVALID_FIELD", ...changeProblems) },
});

const drain = createRoute({
  ...changing("put", "/v1/admin/clusters/{id}/drain", "Empty the cluster and end its process"),
  description:
    "From the moment of the order it is offered to nobody. It ends when nobody is left, or at the deadline, whichever comes first. The order holds for a process that takes its place before the deadline, and is over when the process has ended itself.",
  request: { params: clusterParams, ...jsonBody(drainSchema) },
  responses: { 200: ordered, ...problemAnswers(...bodyProblems, ...changeProblems) },
});

const undrain = createRoute({
  ...changing("delete", "/v1/admin/clusters/{id}/drain", "Take the order to drain back, as long as the process runs"),
  description:
    "Where no process runs, what registers next is not told to drain. Refused once the drain is over as the process has ended, or where the process has said that it is about to end.",
  request: { params: clusterParams },
  responses: { 200: ordered, ...problemAnswers("INVALID_FIELD", "CLUSTER_ENDED", ...changeProblems) },
});

const changeSettings = createRoute({
  ...changing("put", "/v1/admin/clusters/{id}/settings", "Set what holds for the cluster in place of what it declares"),
  description: "All of the settings anew: what is left out is as the cluster declares it.",
  request: { params: clusterParams, ...jsonBody(changeSettingsSchema) },
  responses: { 200: ordered, ...problemAnswers(...bodyProblems, "ORDERS_CHANGED", ...changeProblems) },
});

export function addOrderRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(read, async (context) => {
    await requireOperator(context, "read");
    const { id } = context.req.valid("param");
    await findCluster(context.env, id);
    const asked = clusterOrderBook(context.env, id).current();
    const orders = await withDeadline<ClusterOrders>(asked, objectCallTimeoutMs, "a cluster's order book");
    return context.json(ordersAnswer(orders), 200);
  });

  app.openapi(lock, async (context) => {
    const { id } = context.req.valid("param");
    const { reason: why } = context.req.valid("json");
    return context.json(await order(context, id, "cluster.lock", { reason: why }, () => ({ locked: true })), 200);
  });

  app.openapi(unlock, async (context) => {
    const { id } = context.req.valid("param");
    return context.json(await order(context, id, "cluster.unlock", {}, () => ({ locked: false })), 200);
  });

  app.openapi(drain, async (context) => {
    const { id } = context.req.valid("param");
    const { deadlineSeconds, movePlayers, reason: why } = context.req.valid("json");
    const details = { deadlineSeconds, movePlayers, reason: why };
    const orders = await order(context, id, "cluster.drain", details, () => {
      const orderedAtMs = Date.now();
      return { drain: { deadlineAtMs: orderedAtMs + deadlineSeconds * 1_000, movePlayers, orderedAtMs } };
    });
    return context.json(orders, 200);
  });

  app.openapi(undrain, async (context) => {
    const { id } = context.req.valid("param");
    const orders = await order(context, id, "cluster.undrain", {}, (cluster) => {
      if (hasEnded(cluster)) throw new ProblemError("CLUSTER_ENDED", endedDetail(cluster));
      return { drain: null };
    });
    return context.json(orders, 200);
  });

  app.openapi(changeSettings, async (context) => {
    const { id } = context.req.valid("param");
    const { settings, ifVersion, reason: why } = context.req.valid("json");
    const details = { settings: JSON.stringify(settings), ifVersion, reason: why };
    return context.json(await order(context, id, "cluster.settings", details, () => ({ settings }), ifVersion), 200);
  });
}

/** Whether a drain can no longer be taken back: it is over, or was never an operator's alone. */
function hasEnded({ state, ending, drainDeadlineAtMs }: ClusterInspection): boolean {
  return ending || (state === "gone" && drainDeadlineAtMs === null);
}

function endedDetail({ ending }: ClusterInspection): string {
  const what = ending
    ? "The cluster's process has said that it is about to end, and goes on with that"
    : "The cluster's process has ended, and no drain is ordered of what registers next";
  return `${what}. There is nothing to take back.`;
}

/** Changes the orders of a cluster that there is, on record. @throws ProblemError */
async function order(
  context: Context<MasterHono>,
  clusterId: string,
  action: AuditAction,
  details: AuditDetails,
  change: (cluster: ClusterInspection) => OrderChange,
  ifVersion?: number,
): Promise<z.infer<typeof ordersSchema>> {
  const operator = await requireOperator(context, "change");
  const cluster = await findCluster(context.env, clusterId);
  return audited(context, operator, { action, target: `cluster:${clusterId}`, details }, async () => {
    const changed = clusterOrderBook(context.env, clusterId).change(clusterId, change(cluster), ifVersion);
    // It tells the shards before it answers, and one of them may not answer.
    const answer = await withDeadline<OrderAnswer>(changed, 2 * objectCallTimeoutMs, "a cluster's order book");
    if (!answer.ok) throw problemOfRefusal(answer);
    return ordersAnswer(answer.orders);
  });
}

function ordersAnswer({ version, locked, drain, settings }: ClusterOrders): z.infer<typeof ordersSchema> {
  const { tags: orderedTags, labels, ...others } = settings;
  return {
    version,
    locked,
    drain,
    settings: {
      ...others,
      ...(orderedTags === undefined ? {} : { tags: [...orderedTags] }),
      ...(labels === undefined ? {} : { labels: { ...labels } }),
    },
  };
}
