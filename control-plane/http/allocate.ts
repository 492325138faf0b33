import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Allocation } from "../../protocol/index.ts";
import { regionOfCluster } from "../domain/clusters/sharding.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { keyEncryptionKey } from "../objects/key/key-encryption-key.ts";
import { readLimits } from "../limit-settings.ts";
import { readMasterSettings } from "../settings.ts";
import { requirePlayer } from "./identity.ts";
import { ProblemError, problemOfRefusal } from "./problem.ts";
import {
  bodyProblems,
  jsonAnswer,
  jsonBody,
  jsonText,
  type MasterHono,
  playerSecurity,
  problemAnswers,
} from "./route-parts.ts";
import { allocateSchema, waitingSchema } from "./allocation-schemas.ts";
import { allocationSchema } from "./schemas.ts";
import { playerSession } from "../objects/remote.ts";

const tags = ["Players"];
export const idempotencyKeyPattern = /^[\x21-\x7e]{8,128}$/;
/** An allocation asks several objects in turn. */
export const allocationTimeoutMs = 2 * objectCallTimeoutMs;

const aboutIdempotencyKey = "8 to 128 printable ASCII characters, new for every allocation, the same for its retries.";

const allocate = createRoute({
  method: "post",
  path: "/v1/allocate",
  tags,
  summary: "Get a seat on a cluster and a join ticket for it",
  description:
    "Repeat a request with the same `Idempotency-Key` as often as you like: the answer is the same ticket, byte for byte. Without `clusterId` the cluster is chosen: by `load`, the least loaded; `packed`, the fullest with room; `distributed`, the one with the fewest players; `latency`, the nearest by the client's own measurements, with regard to load. `docs/PROTOCOL.md`, section 9, has the rules.",
  security: playerSecurity,
  // Described, not validated: a key that is missing has an error of its own, and a validator would read all headers to find one.
  parameters: [
    {
      schema: { type: "string", description: aboutIdempotencyKey, example: "0f6f5d0c-3c39-4a62-8f2f-0a9f4c1f7a11" },
      required: true,
      description: aboutIdempotencyKey,
      name: "idempotency-key",
      in: "header",
    },
  ],
  request: jsonBody(allocateSchema),
  responses: {
    200: jsonAnswer("A ticket. Join before it expires.", allocationSchema),
    202: jsonAnswer(
      "With `wait`, where there is no seat now: a place in the waiting room. Repeat the request, with the same key, after `Retry-After`.",
      waitingSchema,
    ),
    ...problemAnswers(
      ...bodyProblems,
      "UNAUTHENTICATED",
      "FORBIDDEN",
      "IDENTITY_UNAVAILABLE",
      "IDEMPOTENCY_KEY_REQUIRED",
      "IDEMPOTENCY_KEY_REUSED",
      "RATE_LIMITED",
      "ALLOCATION_IN_PROGRESS",
      "TICKET_EXPIRED",
      "TICKET_CONSUMED",
      "RESERVATION_CANCELLED",
      "TICKET_REVOKED",
      "BANNED",
      "REPLACED",
      "KICKED",
      "NO_CLUSTER_AVAILABLE",
      "CLUSTER_NOT_FOUND",
      "REGION_NOT_FOUND",
      "CLUSTER_FULL",
      "PLACE_INVALID",
      "WAITING_ROOM_FULL",
      "PARTY_NOT_FOUND",
      "PARTY_NOT_READY",
      "PARTY_HOLD_ENDED",
    ),
  },
});

const giveBack = createRoute({
  method: "delete",
  path: "/v1/allocate/{reservationId}",
  tags,
  summary: "Give the seat back, or the place in the waiting room",
  description:
    "You can have it again at once. Others can have it as soon as the cluster says that its ticket joins no more, or the ticket cannot be used any more. Repeating this is harmless.",
  security: playerSecurity,
  request: { params: z.object({ reservationId: z.string().min(1).max(64) }) },
  responses: {
    204: { description: "Given back." },
    ...problemAnswers("UNAUTHENTICATED", "IDENTITY_UNAVAILABLE", "NOT_FOUND", "TICKET_CONSUMED", "INVALID_FIELD"),
  },
});

export function addAllocationRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(allocate, async (context) => {
    const { playerId, displayName, roles, authenticatedAt } = await requirePlayer(context);
    const idempotencyKey = context.req.header("idempotency-key") ?? "";
    if (!idempotencyKeyPattern.test(idempotencyKey)) {
      throw new ProblemError("IDEMPOTENCY_KEY_REQUIRED", "Send a new random Idempotency-Key with each new allocation.");
    }
    const request = context.req.valid("json");
    checkRegion(request.clusterId, request.region);
    if (request.explain === true && !roles.includes("operator")) {
      throw new ProblemError("FORBIDDEN", "Only operators may have an allocation explained. Leave explain out.");
    }
    // Said here, where the answer can name the setting, rather than by an object.
    readMasterSettings(context.env);
    readLimits(context.env);
    await keyEncryptionKey(context.env);
    const answer = await withDeadline(
      playerSession(context.env, playerId).allocate({
        playerId,
        displayName,
        authenticatedAt,
        idempotencyKey,
        request,
        requestId: context.get("requestId"),
      }),
      allocationTimeoutMs,
      "the player's session",
    );
    if (!answer.ok) throw problemOfRefusal(answer);
    if ("waiting" in answer) {
      context.header("retry-after", String(answer.waiting.retryAfterSeconds));
      return context.json(answer.waiting, 202);
    }
    context.set("reservationId", answer.reservationId);
    return jsonText<Allocation>(context, answer.answer);
  });

  app.openapi(giveBack, async (context) => {
    const { playerId } = await requirePlayer(context);
    const { reservationId } = context.req.valid("param");
    const answer = await withDeadline(
      playerSession(context.env, playerId).cancel(reservationId, playerId),
      objectCallTimeoutMs,
      "the player's session",
    );
    if (!answer.ok) throw problemOfRefusal(answer);
    return context.body(null, 204);
  });
}

/** @throws ProblemError `INVALID_FIELD` when region and cluster contradict each other. */
export function checkRegion(clusterId: string | undefined, region: string | undefined): void {
  if (clusterId === undefined || region === undefined || regionOfCluster(clusterId) === region) return;
  const message = "The cluster is not in this region. Send one of the two.";
  throw new ProblemError("INVALID_FIELD", `region: ${message}`, { errors: [{ field: "region", message }] });
}
