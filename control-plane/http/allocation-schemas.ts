import { z } from "@hono/zod-openapi";
import type {
  AllocateRequest,
  AllocationExplanation,
  AllocationSelector,
  ExplainedCandidate,
  Waiting,
} from "../../protocol/index.ts";
import { allocationPolicies, candidateReasons, maxAvoidedClusters, shardOutcomes } from "../../protocol/index.ts";
import { maxLatencies, maxLatencyMs } from "../domain/allocation/latency.ts";
import { factName } from "../domain/clusters/report-schema.ts";
import { maxFacts } from "../domain/allocation/selector.ts";
import { isRegion, regionOfCluster } from "../domain/clusters/sharding.ts";
import { maxPlaceChars } from "../objects/waiting/waiting-place.ts";

/** Of a party. */
export const partyId = z
  .string()
  .regex(/^[\w-]{22}$/, "Expected the id of a party.")
  .openapi({ example: "fJ3r0n8zT1q2a5b6c7d8eQ" });

/** A tag of a cluster. */
export const tag = z.string().regex(/^[^\p{C}]{1,32}$/u, "Expected 1 to 32 printable characters.");

/** The build of a game. */
export const gameBuild = z
  .string()
  .regex(/^[\x21-\x7e]{1,64}$/, "Expected 1 to 64 printable ASCII characters.")
  .openapi({ example: "1.4.2+981" });

/** Labels of a cluster. */
export const labelsSchema = few(
  z.record(factName, z.string().regex(/^[^\p{C}]{0,64}$/u, "Expected at most 64 printable characters.")),
  maxFacts,
).openapi({ example: { mode: "ctf" } });

/** The name of a part of a world. */
export const fragmentName = z
  .string()
  .regex(/^[^\p{C}]{1,64}$/u, "Expected 1 to 64 printable characters.")
  .openapi({ example: "north" });

const bound = z.number();

const selectorSchema = z
  .strictObject({
    labels: labelsSchema.optional(),
    tags: z.array(tag).max(16).optional(),
    counters: few(
      z.record(
        factName,
        z
          .strictObject({ min: bound.optional(), max: bound.optional() })
          .refine(({ min, max }) => min === undefined || max === undefined || min <= max, "Expected min up to max."),
      ),
      maxFacts,
    ).optional(),
    gameBuild: gameBuild.optional(),
  } satisfies Record<keyof AllocationSelector, z.ZodType>)
  .openapi("AllocationSelector") satisfies z.ZodType<AllocationSelector>;

const latenciesSchema = few(
  z.record(
    z
      .string()
      .max(64)
      .refine((name) => isRegion(name) || regionOfCluster(name) !== undefined, "Expected cluster ids and regions."),
    z.number().positive().max(maxLatencyMs),
  ),
  maxLatencies,
).openapi({
  description: `Milliseconds, above 0 and at most ${maxLatencyMs}, by cluster id or by region.`,
  example: { eu: 24.5, us: 130 },
});

const allocateFields = {
  clusterId: z.string().min(1).max(64).optional().openapi({ example: "default.Zm9vYmFyYmF6cXV4MTIzNA" }),
  region: z
    .string()
    .refine(isRegion, 'Expected 1 to 32 of a-z, 0-9 and inner "-".')
    .optional()
    .openapi({ example: "default" }),
  fragment: fragmentName.optional(),
  policy: z.enum(allocationPolicies).optional(),
  latencies: latenciesSchema.optional(),
  selector: selectorSchema.optional(),
  avoid: z
    .array(z.string().min(1).max(64))
    .max(maxAvoidedClusters)
    .optional()
    .openapi({
      description: `Clusters that could not be reached a moment ago, by id; at most ${maxAvoidedClusters}. They are given only where no other can be. Without effect where clusterId is given.`,
      example: ["default.Zm9vYmFyYmF6cXV4MTIzNA"],
    }),
  after: z.int().min(0).optional().openapi({
    description:
      "The `generation` of the session that comes back by itself. Where the player has a newer one in the game, the answer is REPLACED; where an operator has ended it, KICKED.",
    example: 3_145_728,
  }),
  explain: z.boolean().optional().openapi({ description: "For operators: say why each candidate won or lost." }),
  wait: z.boolean().optional().openapi({ description: "Take a place in the waiting room where there is no seat now." }),
  place: z
    .string()
    .max(maxPlaceChars)
    .optional()
    .openapi({ description: "`place` of the 202 before, when the request is repeated." }),
  party: partyId
    .optional()
    .openapi({ description: "Claim the seat that is held for your party. Send it alone, without any other field." }),
} satisfies Record<keyof AllocateRequest, z.ZodType>;

const hasMeasurements = ({ policy, latencies = {} }: AllocateRequest) =>
  policy !== "latency" || Object.keys(latencies).length > 0;
const measurementsMissing = {
  path: ["latencies"],
  error: "Expected measurements, since the policy is latency.",
};

export const allocateSchema = z
  .strictObject(allocateFields)
  .refine(hasMeasurements, measurementsMissing)
  .refine((request) => request.party === undefined || Object.keys(request).length === 1, {
    path: ["party"],
    error: "Expected no other field beside it: the party's seats are where its leader had them held.",
  })
  .openapi("AllocateRequest") satisfies z.ZodType<AllocateRequest>;

const { explain: _, place: __, party: ___, after: ____, ...partyFields } = allocateFields;

/** What the leader of a party may ask for. */
export const allocatePartySchema = z
  .strictObject(partyFields)
  .refine(hasMeasurements, measurementsMissing)
  .openapi("AllocatePartyRequest") satisfies z.ZodType<AllocateRequest>;

export const waitingSchema = z
  .object({
    status: z.literal("waiting"),
    reservationId: z.string().openapi({ description: "`DELETE /v1/allocate/{reservationId}` gives the place up." }),
    place: z.string().openapi({ description: "Signed, for this player, queue and key. Opaque." }),
    position: z.number().openapi({ description: "From 1: the first in line.", example: 12 }),
    estimateSeconds: z
      .number()
      .nullable()
      .openapi({ description: "By how fast others were served lately; null while unknown." }),
    retryAfterSeconds: z.number(),
  } satisfies Record<keyof Waiting, z.ZodType>)
  .openapi("Waiting") satisfies z.ZodType<Waiting>;

const candidateSchema = z.object({
  clusterId: z.string(),
  shard: z.string(),
  reason: z.enum(candidateReasons),
  load: z.number(),
  places: z.number(),
  capacity: z.number(),
  latencyMs: z.number().optional(),
  score: z.number().openapi({ description: "What was compared under the policy: less is better." }),
} satisfies Record<keyof ExplainedCandidate, z.ZodType>) satisfies z.ZodType<ExplainedCandidate>;

export const explanationSchema = z
  .object({
    policy: z.enum(allocationPolicies),
    shards: z.array(z.object({ shard: z.string(), outcome: z.enum(shardOutcomes) })).readonly(),
    candidates: z.array(candidateSchema).readonly(),
  })
  .openapi("AllocationExplanation") satisfies z.ZodType<AllocationExplanation>;

function few<S extends z.ZodType<Readonly<Record<string, unknown>>>>(schema: S, most: number): S {
  return schema.refine((record) => Object.keys(record).length <= most, `Expected at most ${most}.`);
}
