import { z } from "zod";
import { fromSessionSchema } from "./session-wire.ts";
import {
  type FenceReason,
  fenceReasons,
  type LinkMessage,
  mailOutcomes,
  maxMailBytes,
  maxRevokedPlayers,
  type PeerTicketGrant,
  reachFaults,
  type RegisterResponse,
  revocationReasons,
  type WorldMapView,
} from "../../protocol/index.ts";

// What the master answers, as far as a cluster reads it. Unknown fields are passed over: a later master may add some.

/** The answer to a registration; its key set is for `PublicKeySet` to judge. */
export type Registration = Omit<RegisterResponse, "jwks"> & { readonly jwks: unknown };

/** More than a master would ever have to tell at a time. */
const maxRevokedKeys = 1_000;

/** More than a world would ever have. */
const maxWorldFragments = 65_536;
const maxWorldClusters = 4_096;

const clusterIdSchema = z.string().min(1).max(256);
const intervalSchema = z.number().min(10).max(3_600_000);

const registerSchema = z.object({
  clusterId: z.string().min(1).max(256),
  boot: z.int().min(0),
  sessionToken: z.string().min(1).max(4_096),
  issuer: z.string().min(1),
  game: z.string(),
  leaseMs: intervalSchema,
  pingIntervalMs: intervalSchema,
  reportIntervalMs: intervalSchema,
  takesParts: z.boolean().optional(),
  takesMail: z.boolean().optional(),
  // Parsed where keys are, in auth/key-set.ts.
  jwks: z.unknown(),
}) satisfies z.ZodType<Registration>;

const commandSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("ack"),
    sequence: z.int().min(0),
    reportIntervalMs: intervalSchema,
    gapMs: intervalSchema.optional(),
    quiet: z.boolean().optional(),
    worldVersion: z.int().min(0).optional(),
  }),
  z.object({
    type: z.literal("cancel"),
    reservationId: z.string().min(1).max(64),
    playerId: z.string().min(1).max(64),
    generation: z.int().min(0),
    expiresAt: z.number().min(0),
  }),
  z.object({ type: z.literal("later"), sequence: z.int().min(0), retryAfterMs: intervalSchema }),
  z.object({ type: z.literal("world"), version: z.int().min(0) }),
  z.object({ type: z.literal("fence"), playerId: z.string().min(1), generation: z.int().min(0) }),
  z.object({
    type: z.literal("reach"),
    host: z.string().max(253),
    port: z.int().min(0).max(65_535),
    fault: z.enum(reachFaults).optional(),
  }),
  z.object({
    type: z.literal("orders"),
    version: z.int().min(0),
    drain: z.object({ deadlineMs: z.number().min(0), movePlayers: z.boolean() }).nullable(),
    settings: z.object({ capacity: z.int().min(0).optional() }),
  }),
  z.object({
    type: z.literal("revoke"),
    since: z.int().min(0),
    version: z.int().min(0),
    players: z
      .array(
        z.object({
          playerId: z.string().min(1),
          minGeneration: z.int().min(0),
          // A reason of a later master is an end like any other.
          reason: z.enum(revocationReasons).catch("kicked"),
        }),
      )
      .max(maxRevokedPlayers),
  }),
  z.object({
    type: z.literal("keys"),
    version: z.int().min(0),
    revoked: z.array(z.string().min(1).max(128)).max(maxRevokedKeys),
  }),
  z.object({ type: z.literal("session"), playerId: z.string().min(1), message: fromSessionSchema }),
  z.object({ type: z.literal("told"), id: z.int().min(0), outcome: z.enum(mailOutcomes) }),
  z.object({
    type: z.literal("mail"),
    from: z.string().min(1).max(256),
    playerId: z.string().min(1),
    generation: z.int().min(0),
    command: z.int().min(0).max(255),
    payload: z.base64().max(Math.ceil(maxMailBytes / 3) * 4),
  }),
]) satisfies z.ZodType<LinkMessage>;

/** A command that this version knows. */
export type KnownCommand = z.infer<typeof commandSchema>;

const cornerSchema = z.tuple([z.number(), z.number(), z.number()]).readonly();

const worldMapSchema = z.object({
  world: z.string().max(64),
  version: z.int().min(0),
  fragments: z
    .array(
      z.object({
        name: z.string().min(1).max(64),
        min: cornerSchema,
        max: cornerSchema,
        clusterId: clusterIdSchema,
      }),
    )
    .max(maxWorldFragments),
  clusters: z
    .array(
      z.object({
        clusterId: clusterIdSchema,
        boot: z.int().min(0),
        peer: z
          .object({
            host: z.string().min(1).max(253),
            port: z.int().min(1).max(65_535),
            tls: z.object({
              serverName: z.string().max(253),
              caPem: z.string().max(65_536),
              sha256: z.string().max(64),
            }),
          })
          .optional(),
      }),
    )
    .max(maxWorldClusters),
}) satisfies z.ZodType<WorldMapView>;

const peerTicketSchema = z.object({
  ticket: z.string().min(1).max(2_048),
  expiresAt: z.number(),
}) satisfies z.ZodType<PeerTicketGrant>;

const heartbeatSchema = z.object({
  commands: z.array(z.unknown()).max(100_000),
});

const problemSchema = z.object({
  code: z.string().max(64),
  // A reason of a later master is one that this version cannot explain.
  fencedBy: z.enum(fenceReasons).optional().catch(undefined),
});

/** As much of a problem as a cluster acts on. */
export interface ClusterProblem {
  readonly code: string;
  readonly fencedBy?: FenceReason | undefined;
}

/** @throws Error when the master's answer is not one */
export function parseRegisterResponse(value: unknown): Registration {
  return parse(registerSchema, value, "registration");
}

/** @throws Error when the master's answer is not one */
export function parseWorldMap(value: unknown): WorldMapView {
  return parse(worldMapSchema, value, "map of the world");
}

/** @throws Error when the master's answer is not one */
export function parsePeerTicketGrant(value: unknown): PeerTicketGrant {
  return parse(peerTicketSchema, value, "peer ticket");
}

/** Commands of a kind that this version does not know are passed over. */
export function parseHeartbeatResponse(value: unknown): { readonly commands: readonly KnownCommand[] } {
  const { commands } = parse(heartbeatSchema, value, "heartbeat");
  return { commands: commands.map(parseLinkCommand).filter((command) => command !== undefined) };
}

/** `undefined` for what is no command that this version knows. */
export function parseLinkCommand(value: unknown): KnownCommand | undefined {
  return commandSchema.safeParse(value).data;
}

/** What a problem+json answer says, if it is one. */
export function parseProblem(value: unknown): ClusterProblem | undefined {
  return problemSchema.safeParse(value).data;
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Error(`the master's ${what} is not as expected at ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}
