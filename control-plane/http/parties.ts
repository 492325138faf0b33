import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { PartyHeld } from "../../protocol/index.ts";
import { maxPartySize } from "../domain/parties/party.ts";
import { readLimits } from "../limit-settings.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { isPartyCode, partyCode } from "../objects/party/party-code.ts";
import type { PartyViewAnswer } from "../objects/party/party.ts";
import type { Refusal } from "../objects/refusal.ts";
import { partyObject, playerSession } from "../objects/remote.ts";
import { readMasterSettings } from "../settings.ts";
import { allocationTimeoutMs, checkRegion, idempotencyKeyPattern } from "./allocate.ts";
import { allocatePartySchema, waitingSchema } from "./allocation-schemas.ts";
import { requirePlayer } from "./identity.ts";
import {
  createPartySchema,
  joinPartySchema,
  memberParams,
  partyHeldSchema,
  partyParams,
  partySchema,
} from "./party-schemas.ts";
import { ProblemError, problemOfRefusal } from "./problem.ts";
import { bodyProblems, jsonAnswer, jsonBody, type MasterHono, playerSecurity, problemAnswers } from "./route-parts.ts";

const common = { tags: ["Parties"], security: playerSecurity };
const playerProblems = ["UNAUTHENTICATED", "IDENTITY_UNAVAILABLE", "BANNED"] as const;
const partyProblems = [...playerProblems, "PARTY_NOT_FOUND", "INVALID_FIELD"] as const;
const enterProblems = ["IN_ANOTHER_PARTY", "PARTY_BUSY", "RATE_LIMITED"] as const;

const create = createRoute({
  ...common,
  method: "post",
  path: "/v1/parties",
  summary: "Make a party that you lead",
  description:
    "Whoever gets its code from you can join. An account is in one party at a time; repeating this gives the party that you lead already.",
  request: jsonBody(createPartySchema),
  responses: {
    200: jsonAnswer("The party.", partySchema),
    ...problemAnswers(...bodyProblems, ...playerProblems, ...enterProblems),
  },
});

const show = createRoute({
  ...common,
  method: "get",
  path: "/v1/parties/{id}",
  summary: "Your party",
  request: { params: partyParams },
  responses: { 200: jsonAnswer("The party.", partySchema), ...problemAnswers(...partyProblems) },
});

const join = createRoute({
  ...common,
  method: "post",
  path: "/v1/parties/{id}/members",
  summary: "Join a party",
  description: "Joining is what agrees to be given a seat with it. Repeating this is harmless.",
  request: { params: partyParams, ...jsonBody(joinPartySchema) },
  responses: {
    200: jsonAnswer("The party.", partySchema),
    ...problemAnswers(...bodyProblems, ...partyProblems, ...enterProblems, "PARTY_FULL"),
  },
});

const leave = createRoute({
  ...common,
  method: "delete",
  path: "/v1/parties/{id}/members/{playerId}",
  summary: "Leave the party; or, as its leader, send a member away",
  description: "The seat that is held for the member is free again. Repeating this is harmless.",
  request: { params: memberParams },
  responses: {
    204: { description: "Not in the party any more." },
    ...problemAnswers(...partyProblems, "PARTY_LEADER_ONLY", "PARTY_BUSY"),
  },
});

const disband = createRoute({
  ...common,
  method: "delete",
  path: "/v1/parties/{id}",
  summary: "End the party, as its leader",
  request: { params: partyParams },
  responses: {
    204: { description: "Ended." },
    ...problemAnswers(...partyProblems, "PARTY_LEADER_ONLY", "PARTY_BUSY"),
  },
});

const allocate = createRoute({
  ...common,
  method: "post",
  path: "/v1/parties/{id}/allocate",
  summary: "Have seats held for all members, on one cluster, as the leader",
  description:
    "For all of them or for none. Each member then claims a ticket with `POST /v1/allocate` and `{party}`. Repeat a request with the same `Idempotency-Key` as often as you like.",
  request: {
    params: partyParams,
    ...jsonBody(allocatePartySchema),
    headers: z.object({
      "idempotency-key": z.string().optional().openapi({
        description: "8 to 128 printable ASCII characters, new for every allocation. Required.",
        example: "0f6f5d0c-3c39-4a62-8f2f-0a9f4c1f7a11",
      }),
    }),
  },
  responses: {
    200: jsonAnswer("Held. Each member has to claim before it expires.", partyHeldSchema),
    202: jsonAnswer(
      "With `wait`: the party has a place in the waiting room. Repeat after `Retry-After`.",
      waitingSchema,
    ),
    ...problemAnswers(
      ...bodyProblems,
      ...partyProblems,
      "PARTY_LEADER_ONLY",
      "PARTY_BUSY",
      "PARTY_HOLD_ENDED",
      "PARTY_TOO_LARGE",
      "IDEMPOTENCY_KEY_REQUIRED",
      "IDEMPOTENCY_KEY_REUSED",
      "RATE_LIMITED",
      "ALLOCATION_IN_PROGRESS",
      "NO_CLUSTER_AVAILABLE",
      "CLUSTER_NOT_FOUND",
      "REGION_NOT_FOUND",
      "CLUSTER_FULL",
      "WAITING_ROOM_FULL",
    ),
  },
});

const giveUp = createRoute({
  ...common,
  method: "delete",
  path: "/v1/parties/{id}/allocate",
  summary: "Give up the seats that are held, or the place in the waiting room, as the leader",
  request: { params: partyParams },
  responses: {
    204: { description: "Given up." },
    ...problemAnswers(...partyProblems, "PARTY_LEADER_ONLY", "PARTY_BUSY"),
  },
});

export function addPartyRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(create, async (context) => {
    const { playerId, displayName, authenticatedAt } = await requirePlayer(context);
    const { size = maxPartySize } = context.req.valid("json");
    readLimits(context.env);
    const made = playerSession(context.env, playerId).createParty({ playerId, displayName }, size, authenticatedAt);
    return context.json(await viewOf(context.env, made), 200);
  });

  app.openapi(show, async (context) => {
    const { party, playerId } = await useParty(context, context.req.valid("param").id);
    return context.json(await viewOf(context.env, party.view(playerId)), 200);
  });

  app.openapi(join, async (context) => {
    const { playerId, displayName, authenticatedAt } = await requirePlayer(context);
    const { id } = context.req.valid("param");
    readLimits(context.env);
    if (!(await isPartyCode(context.env, id, context.req.valid("json").code))) {
      throw new ProblemError("PARTY_NOT_FOUND", "There is no party with this id and code. Ask its leader for both.");
    }
    const joined = playerSession(context.env, playerId).joinParty({ playerId, displayName }, id, authenticatedAt);
    return context.json(await viewOf(context.env, joined), 200);
  });

  app.openapi(leave, async (context) => {
    const { id, playerId } = context.req.valid("param");
    const { party, playerId: by } = await useParty(context, id);
    await done(party.leave(playerId, by));
    return context.body(null, 204);
  });

  app.openapi(disband, async (context) => {
    const { party, playerId } = await useParty(context, context.req.valid("param").id);
    await done(party.disband(playerId));
    return context.body(null, 204);
  });

  app.openapi(giveUp, async (context) => {
    const { party, playerId } = await useParty(context, context.req.valid("param").id);
    await done(party.giveUp(playerId));
    return context.body(null, 204);
  });

  app.openapi(allocate, async (context) => {
    const idempotencyKey = context.req.header("idempotency-key") ?? "";
    if (!idempotencyKeyPattern.test(idempotencyKey)) {
      throw new ProblemError("IDEMPOTENCY_KEY_REQUIRED", "Send a new random Idempotency-Key with each new allocation.");
    }
    const request = context.req.valid("json");
    checkRegion(request.clusterId, request.region);
    readMasterSettings(context.env);
    const { party, playerId } = await useParty(context, context.req.valid("param").id, idempotencyKey);
    const answer = await withDeadline(
      party.allocate({ playerId, idempotencyKey, request }),
      allocationTimeoutMs,
      "the party",
    );
    if (!answer.ok) throw problemOfRefusal(answer);
    if ("waiting" in answer) {
      context.header("retry-after", String(answer.waiting.retryAfterSeconds));
      return context.json(answer.waiting, 202);
    }
    const held: PartyHeld = JSON.parse(answer.answer);
    return context.json(held, 200);
  });
}

/** The party of the caller, who has to have joined it: no object is made for an id that somebody makes up. */
async function useParty(context: Context<MasterHono>, id: string, allocationKey?: string) {
  const { playerId, authenticatedAt } = await requirePlayer(context);
  readLimits(context.env);
  await done(playerSession(context.env, playerId).useParty(id, allocationKey, authenticatedAt));
  return { playerId, party: partyObject(context.env, id) };
}

async function done(call: Promise<{ readonly ok: true } | Refusal>): Promise<void> {
  const answer = await withDeadline(call, objectCallTimeoutMs, "the party");
  if (!answer.ok) throw problemOfRefusal(answer);
}

async function viewOf(env: Env, call: Promise<PartyViewAnswer>) {
  const answer = await withDeadline(call, objectCallTimeoutMs, "the party");
  if (!answer.ok) throw problemOfRefusal(answer);
  return { ...answer.view, code: await partyCode(env, answer.view.id) };
}
