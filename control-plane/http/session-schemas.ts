import { z } from "@hono/zod-openapi";
import type { ToSession } from "../../protocol/handover/messages.ts";
import { maxStateLength, maxStreamLength, maxUnacknowledgedFrames } from "../../protocol/handover/commit-length.ts";
import { maxPastTenures } from "../../protocol/handover/streams.ts";
import { maxMembers } from "../../protocol/handover/parties.ts";

/*
 * What clusters say to players' sessions, and are told: docs/HANDOVER.md, section 5. States and messages are base64, and nothing at the
 * master looks into them, save for the fragment in which a player was saved.
 */

/** Longest body of one call: a group of 16 with their states, or many single saves. */
export const maxSessionBodyBytes = 8 * 1_024 * 1_024;
/** Most requests of one call. */
export const maxSessionRequests = 32;

const base64 = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/, "Expected base64.");
const generation = z.int().min(0);
const count = z.int().min(0);
const id = z.string().regex(/^[\w-]{16,64}$/, "Expected 16 to 64 characters of base64url.");
const playerId = z.string().min(1).max(128);
const clusterId = z.string().min(1).max(64);
const member = z.strictObject({ playerId, generation });
const clusterRef = z.strictObject({ clusterId, boot: count });

const streams = z.strictObject({
  tenure: generation,
  past: z
    .array(z.strictObject({ tenure: generation, lastInput: count, lastOutput: count }))
    .max(maxPastTenures)
    .readonly(),
  lastInput: count,
  lastOutput: count,
  unacknowledged: z
    .array(base64(maxStreamLength))
    .max(maxUnacknowledgedFrames)
    .readonly()
    .refine(
      (bodies) => bodies.reduce((sum, body) => sum + body.length, 0) <= maxStreamLength,
      `Expected at most ${maxStreamLength} characters together.`,
    ),
});
const snapshot = z.strictObject({ state: base64(maxStateLength), streams });

const toSession = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("enter"), generation }),
  z.strictObject({ type: z.literal("joined"), generation }),
  z.strictObject({ type: z.literal("abort"), generation }),
  z.strictObject({ type: z.literal("enlist"), id, generation, leader: member }),
  z.strictObject({
    type: z.literal("save"),
    generation,
    version: z.int().min(1),
    state: base64(maxStateLength),
  }),
  z.strictObject({
    type: z.literal("commit"),
    id,
    destination: clusterRef,
    members: z.array(z.strictObject({ playerId, generation, snapshot })).min(1).max(maxMembers).readonly(),
  }),
]) satisfies z.ZodType<ToSession<string>>;

const save = z.object({
  generation,
  version: count,
  state: z.string(),
  streams: streams.optional(),
});

export const fromSessionSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("enlisted"), id: z.string(), playerId }),
  z.object({ type: z.literal("enlistRefused"), id: z.string(), playerId }),
  z.object({ type: z.literal("committed"), id: z.string(), token: z.string() }),
  z.object({ type: z.literal("commitRefused"), id: z.string(), reason: z.literal("tooLarge").optional() }),
  z.object({ type: z.literal("aborted"), playerId, generation, newGeneration: generation }),
  z.object({ type: z.literal("superseded"), playerId, generation }),
  z.object({
    type: z.literal("entered"),
    playerId,
    generation,
    previousGeneration: generation,
    save: save.optional(),
  }),
  z.object({ type: z.literal("saved"), playerId, generation, version: count }),
  z.object({ type: z.literal("saveLater"), playerId, generation }),
  z.object({ type: z.literal("settled"), playerId, generation }),
  z.object({ type: z.literal("fence"), playerId, generation }),
]);

export const sessionRequestsSchema = z
  .strictObject({
    requests: z
      .array(z.strictObject({ playerId, message: toSession }))
      .min(1)
      .max(maxSessionRequests)
      .readonly(),
  })
  .openapi("SessionRequests");

export const sessionAnswersSchema = z
  .object({
    answers: z
      .array(
        z.object({
          playerId,
          messages: z.array(fromSessionSchema).openapi({
            description: "Empty where the answer comes later, over the link.",
          }),
          failed: z.boolean().optional().openapi({ description: "The player's session could not be asked." }),
        }),
      )
      .readonly(),
  })
  .openapi("SessionAnswers");

/** One request of a call. */
export type SessionRequest = z.infer<typeof sessionRequestsSchema>["requests"][number];

/** The answer to one request. */
export type SessionAnswer = z.infer<typeof sessionAnswersSchema>["answers"][number];
