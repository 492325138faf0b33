import { z } from "@hono/zod-openapi";
import type {
  Allocation,
  ClusterListing,
  ClusterTls,
  DrainRequest,
  FragmentArea,
  HeartbeatResponse,
  JsonWebKeySet,
  LinkCommand,
  PlayerIdentity,
  PeerTicketGrant,
  PlayerSessionTokens,
  Problem,
  ProblemCode,
  RegisterRequest,
  RegisterResponse,
  WorldAnnouncement,
  WorldMapView,
} from "../../protocol/index.ts";
import {
  fenceReasons,
  limits,
  maxDrainMs,
  maxFragmentsPerCluster,
  problems,
  reachFaults,
  revocationReasons,
} from "../../protocol/index.ts";
import { countersSchema } from "../domain/clusters/report-schema.ts";
import { isRegion } from "../domain/clusters/sharding.ts";
import { fromSessionSchema } from "./session-schemas.ts";
import { explanationSchema, fragmentName, gameBuild, labelsSchema, tag } from "./allocation-schemas.ts";

/*
 * Schemas of everything that crosses HTTP, each held to its type in protocol/. Requests are strict: a field that is not known
 * is refused, not passed over.
 */

/** Has a schema for every field of `T`, also for those that `satisfies z.ZodType<T>` would let be forgotten: optional ones. */
type Fields<T> = Record<keyof T, z.ZodType>;

export const email = z.email("Expected an e-mail address.").max(254).openapi({ example: "ada@example.com" });
export const password = z.string().min(1).max(256).openapi({ example: "correct horse battery staple" });
export const displayName = z.string().min(1).max(64).openapi({ example: "Ada" });
const clusterId = z.string().min(1).max(64).openapi({ example: "default.Zm9vYmFyYmF6cXV4MTIzNA" });
const region = z
  .string()
  .refine(isRegion, 'Expected 1 to 32 of a-z, 0-9 and inner "-".')
  .openapi({ example: "default", pattern: "^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$" });
const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[\w.:-]{1,253}$/, "Expected a host name or an IP address.");

export const signupSchema = z.strictObject({ email, password, displayName: displayName.optional() }).openapi("Signup");

export const refreshSchema = z.strictObject({ refreshToken: z.string().min(1).max(1_024) }).openapi("Refresh");

export const playerIdentitySchema = z
  .object({
    id: z.string().openapi({ example: "3f0c8a52-2f0e-4a63-9d3c-6c1f6a7f9a10" }),
    email: z.string().nullable().openapi({ example: "ada@example.com" }),
    anonymous: z.boolean(),
    displayName: z.string().openapi({ example: "Ada" }),
  })
  .openapi("PlayerIdentity") satisfies z.ZodType<PlayerIdentity>;

export const sessionSchema = z
  .object({
    accessToken: z.string(),
    refreshToken: z.string(),
    expiresAt: z.number().openapi({ description: "Seconds since 1970.", example: 1_795_359_600 }),
    player: playerIdentitySchema,
  })
  .openapi("PlayerSession") satisfies z.ZodType<PlayerSessionTokens>;

export const confirmationSchema = z
  .object({ status: z.literal("confirmation-required") })
  .openapi("ConfirmationRequired");

const clusterListingSchema = z
  .object({
    id: clusterId,
    name: z.string().openapi({ example: "Frankfurt 1" }),
    region,
    players: z.number().openapi({ example: 12 }),
    capacity: z.number().openapi({ description: "0 means no limit.", example: 100 }),
    locked: z.boolean(),
    tags: z
      .array(z.string())
      .readonly()
      .openapi({ example: ["pve"] }),
    ping: z.object({ host, port }).openapi({ description: "Where to measure the latency: a TCP connect is enough." }),
  })
  .openapi("ClusterListing") satisfies z.ZodType<ClusterListing>;

export const clusterListSchema = z.object({ clusters: z.array(clusterListingSchema) }).openapi("ClusterList");

export const clusterListQuerySchema = z.strictObject({ region: region.optional() });

const tlsSchema = z
  .strictObject({
    serverName: z.string().regex(/^[A-Za-z0-9.-]{1,253}$/, "Expected a DNS name."),
    caPem: z
      .string()
      .max(8_192)
      .regex(
        /^-----BEGIN CERTIFICATE-----\r?\n[\w+/=\s-]+-----END CERTIFICATE-----\s*$/,
        "Expected a certificate, PEM.",
      ),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, "Expected 64 lower-case hex digits."),
  } satisfies Fields<ClusterTls>)
  .openapi("ClusterTls") satisfies z.ZodType<ClusterTls>;

export const allocationSchema = z
  .object({
    ticket: z.string().openapi({ description: "The join ticket, opaque to the client." }),
    reservationId: z.string().openapi({ example: "fJ3r0n8zT1q2a5b6c7d8eQ" }),
    generation: z
      .number()
      .optional()
      .openapi({ description: "Orders the player's sessions: what to name with `after`.", example: 3_145_728 }),
    expiresAt: z.number().openapi({ description: "Seconds since 1970.", example: 1_795_359_600 }),
    cluster: z.object({
      id: clusterId,
      name: z.string(),
      host,
      port,
      tls: tlsSchema,
      wssUrl: z.string().optional(),
    }),
    explanation: explanationSchema.optional(),
  })
  .openapi("Allocation") satisfies z.ZodType<Allocation>;

/** The name of a world that several clusters share. */
export const worldName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'Expected 1 to 64 letters, digits, "_", "." and "-".')
  .openapi({ example: "main" });

const ticketLifetime = z.int().min(limits.minTicketLifetimeSeconds).max(limits.maxTicketLifetimeSeconds);

const corner = z
  .tuple([z.number(), z.number(), z.number()])
  .readonly()
  .openapi({ example: [0, 0, 0] });

const fragmentAreaSchema = z
  .strictObject({
    name: fragmentName,
    min: corner,
    max: corner,
    ticketLifetimeSeconds: ticketLifetime.optional(),
  } satisfies Fields<FragmentArea>)
  .refine(({ min, max }) => min.every((low, axis) => low < (max[axis] ?? low)), "Expected min below max on each axis.")
  .openapi("FragmentArea") satisfies z.ZodType<FragmentArea>;

const worldAnnouncementSchema = z
  .strictObject({
    name: worldName.optional().openapi({ description: "Without it, the cluster is a world of its own." }),
    fragments: z
      .array(fragmentAreaSchema)
      .max(maxFragmentsPerCluster)
      .readonly()
      .refine((areas) => new Set(areas.map(({ name }) => name)).size === areas.length, "Expected each name once."),
    peer: z.strictObject({ host, port }).optional(),
  } satisfies Fields<WorldAnnouncement>)
  .openapi("WorldAnnouncement") satisfies z.ZodType<WorldAnnouncement>;

export const worldMapSchema = z
  .object({
    world: z.string(),
    version: z.number(),
    fragments: z.array(z.object({ name: z.string(), min: corner, max: corner, clusterId })).readonly(),
    clusters: z
      .array(
        z.object({
          clusterId,
          boot: z.number(),
          peer: z.object({ host, port, tls: tlsSchema }).optional(),
        }),
      )
      .readonly(),
  } satisfies Fields<WorldMapView>)
  .openapi("WorldMap") satisfies z.ZodType<WorldMapView>;

export const peerTicketSchema = z
  .object({ ticket: z.string(), expiresAt: z.number().openapi({ description: "Seconds since 1970." }) })
  .openapi("PeerTicket") satisfies z.ZodType<PeerTicketGrant>;

export const drainSchema = z
  .strictObject({
    deadlineMs: z.int().min(0).max(maxDrainMs).openapi({ description: "How long it may take; for operators to see." }),
  })
  .openapi("DrainRequest") satisfies z.ZodType<DrainRequest>;

export const registerSchema = z
  .strictObject({
    instance: z.string().regex(/^[\w.-]{1,64}$/, 'Expected 1 to 64 letters, digits, "_", "." and "-".'),
    name: z.string().regex(/^[^\p{C}]{1,64}$/u, "Expected 1 to 64 printable characters."),
    region,
    host,
    port,
    wssUrl: z.url({ protocol: /^wss$/, error: "Expected a wss:// URL." }).max(512).optional(),
    tls: tlsSchema,
    capacity: z.int().min(0).max(1_000_000),
    protocol: z.strictObject({ min: z.int().min(1).max(255), max: z.int().min(1).max(255) }),
    tags: z.array(tag).max(16),
    software: z.string().regex(/^[^\p{C}]{0,64}$/u, "Expected at most 64 printable characters."),
    labels: labelsSchema.optional(),
    counters: countersSchema.optional(),
    gameBuild: gameBuild.optional(),
    ticketLifetimeSeconds: ticketLifetime.optional(),
    world: worldAnnouncementSchema.optional(),
    joinRatePerSecond: z.number().min(0.01).max(10_000).optional(),
  } satisfies Fields<RegisterRequest>)
  .openapi("RegisterRequest") satisfies z.ZodType<RegisterRequest>;

export const keySetSchema = z
  .object({
    keys: z.array(
      z.object({
        kty: z.string(),
        kid: z.string(),
        alg: z.string(),
        use: z.string(),
        crv: z.string(),
        x: z.string(),
        y: z.string(),
      }),
    ),
  })
  .openapi("JsonWebKeySet") satisfies z.ZodType<JsonWebKeySet>;

export const registeredSchema = z
  .object({
    clusterId,
    boot: z.number(),
    sessionToken: z.string().openapi({ description: "Bearer token for link, heartbeat and deregistration. Secret." }),
    issuer: z.string(),
    game: z.string(),
    leaseMs: z.number(),
    pingIntervalMs: z.number(),
    reportIntervalMs: z.number(),
    takesParts: z.boolean().optional(),
    takesMail: z.boolean().optional(),
    jwks: keySetSchema,
  })
  .openapi("RegisterResponse") satisfies z.ZodType<RegisterResponse>;

const commandSchema = z.union([
  z.object({
    type: z.literal("ack"),
    sequence: z.number(),
    reportIntervalMs: z.number(),
    gapMs: z.number().optional(),
    quiet: z.boolean().optional(),
    worldVersion: z.number().optional(),
  }),
  z.object({
    type: z.literal("cancel"),
    reservationId: z.string(),
    playerId: z.string(),
    generation: z.number(),
    expiresAt: z.number(),
  }),
  z.object({ type: z.literal("later"), sequence: z.number(), retryAfterMs: z.number() }),
  z.object({ type: z.literal("world"), version: z.number() }),
  z.object({ type: z.literal("fence"), playerId: z.string(), generation: z.number() }),
  z.object({ type: z.literal("session"), playerId: z.string(), message: fromSessionSchema }),
  z.object({ type: z.literal("reach"), host, port, fault: z.enum(reachFaults).optional() }),
  z.object({
    type: z.literal("orders"),
    version: z.number(),
    drain: z.object({ deadlineMs: z.number(), movePlayers: z.boolean() }).nullable(),
    settings: z.object({ capacity: z.number().optional() }),
  }),
  z.object({
    type: z.literal("revoke"),
    since: z.number(),
    version: z.number(),
    players: z
      .array(z.object({ playerId: z.string(), minGeneration: z.number(), reason: z.enum(revocationReasons) }))
      .readonly(),
  }),
  z.object({ type: z.literal("keys"), version: z.number(), revoked: z.array(z.string()).readonly() }),
]) satisfies z.ZodType<LinkCommand>;

export const heartbeatSchema = z
  .object({ commands: z.array(commandSchema) })
  .openapi("HeartbeatResponse") satisfies z.ZodType<HeartbeatResponse>;

export const healthSchema = z.object({ status: z.literal("ok") }).openapi("Health");

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code);
}

export const problemCodes = Object.keys(problems).filter(isProblemCode);

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number(),
    code: z.enum(problemCodes),
    detail: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
    retryAfterSeconds: z.number().optional(),
    ban: z.object({ reason: z.string(), until: z.string().nullable() }).optional(),
    fencedBy: z.enum(fenceReasons).optional().openapi({
      description:
        "With CLUSTER_FENCED: one with the same key and instance has registered since, or the key was revoked or has run out.",
    }),
    explanation: explanationSchema.optional(),
  })
  .openapi("Problem") satisfies z.ZodType<Problem>;
