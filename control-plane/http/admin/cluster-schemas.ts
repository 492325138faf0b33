import { z } from "@hono/zod-openapi";
import { clusterStates } from "../../domain/clusters/cluster-states.ts";
import { isRegion } from "../../domain/clusters/sharding.ts";
import type { ClusterInspection } from "../../objects/shard/shard-inspector.ts";

export const regionField = z.string().refine(isRegion, 'Expected 1 to 32 of a-z, 0-9 and inner "-".');

export const clusterParams = z.object({ id: z.string().min(1).max(64) });

export const clusterAnswerSchema = z
  .object({
    id: z.string(),
    shard: z.string(),
    name: z.string(),
    region: z.string(),
    host: z.string(),
    port: z.number(),
    state: z.enum(clusterStates),
    reason: z.string().nullable().openapi({ description: "Why it is not offered; `null` when it is." }),
    locked: z.boolean(),
    linked: z.boolean(),
    players: z.number(),
    seats: z.number().openapi({ description: "Those of tickets that have not joined included." }),
    joined: z.number(),
    capacity: z.number().openapi({ description: "In force; 0 means no limit." }),
    declaredCapacity: z.number(),
    tags: z.array(z.string()).readonly(),
    labels: z.record(z.string(), z.string()).readonly(),
    gameBuild: z.string(),
    software: z.string(),
    protocol: z.object({ min: z.number(), max: z.number() }),
    keyId: z.string(),
    boot: z.number(),
    ordersVersion: z.number(),
    ending: z.boolean().openapi({ description: "Its process has said that it is about to end, whatever is ordered." }),
    drainDeadlineAtMs: z.number().nullable().openapi({ description: "Of a drain that is ordered, or of its own end." }),
    registeredAtMs: z.number(),
    lastSignAtMs: z.number(),
    lastReportAtMs: z.number(),
  })
  .openapi("OperatedCluster") satisfies z.ZodType<ClusterInspection>;
