import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { BanNotice } from "../../../protocol/index.ts";
import { describeBan } from "../../domain/players/standing.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import type { Revoked, RevokeOrder } from "../../objects/player/player-revocation.ts";
import { playerSession } from "../../objects/remote.ts";
import { idempotencyKeyPattern } from "../allocate.ts";
import { ProblemError, problemOfRefusal } from "../problem.ts";
import {
  bodyProblems,
  jsonAnswer,
  jsonBody,
  type MasterHono,
  operatorSecurity,
  problemAnswers,
} from "../route-parts.ts";
import { audited, type AuditedAction, auditProblems } from "./audited.ts";
import { type Operator, operatorProblems, requireOperator } from "./operator.ts";

const tags = ["Operators"];
const params = z.object({
  playerId: z
    .string()
    .regex(/^[\w-]{1,64}$/, "Expected a player's id.")
    .openapi({ example: "0a9b…" }),
});

/** Longest ban that is not for good: a mistyped year is not a ban of a thousand. */
const maxBanMs = 10 * 366 * 24 * 60 * 60 * 1_000;

const banSchema = z
  .strictObject({
    reason: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,63}$/, "Expected a code of small letters, digits and dashes.")
      .openapi({ example: "cheating", description: "A code. The player is told." }),
    until: z.iso
      .datetime("Expected a time in UTC, like 2030-01-31T00:00:00Z.")
      .optional()
      .openapi({ description: "When it ends, ISO 8601 in UTC. Without it the ban is for good." }),
    note: z.string().max(500).default("").openapi({ description: "For operators alone." }),
  })
  .openapi("BanRequest");

const bannedSchema = z
  .object({ banId: z.string(), reason: z.string(), until: z.string().nullable() })
  .openapi("Banned") satisfies z.ZodType<BanNotice & { banId: string }>;

const orderProblems = [
  "INVALID_FIELD",
  "IDEMPOTENCY_KEY_REQUIRED",
  "IDEMPOTENCY_KEY_REUSED",
  ...operatorProblems,
  ...auditProblems,
] as const;
const headers = z.object({
  "idempotency-key": z.string().optional().openapi({
    description:
      "8 to 128 printable ASCII characters, new for every order, the same for its retries: an order that was carried out is answered as before, and ends nothing that has begun since. Without it each call is a new order.",
    example: "0f6f5d0c-3c39-4a62-8f2f-0a9f4c1f7a11",
  }),
});
const once =
  "From the moment of the answer no ticket of before is good for anything at the master. Clusters that are linked hear of it within a second.";

const ban = createRoute({
  method: "post",
  path: "/v1/admin/players/{playerId}/ban",
  tags,
  summary: "Ban a player",
  description: `Ends every session and ticket of the player, and refuses new ones until the ban is over. ${once} Another ban takes the place of one that is in force.`,
  security: operatorSecurity,
  request: { params, headers, ...jsonBody(banSchema) },
  responses: { 200: jsonAnswer("Banned.", bannedSchema), ...problemAnswers(...bodyProblems, ...orderProblems) },
});

const unban = createRoute({
  method: "delete",
  path: "/v1/admin/players/{playerId}/ban",
  tags,
  summary: "End a ban before its time",
  security: operatorSecurity,
  request: { params },
  responses: {
    204: { description: "Nobody is banned here any more." },
    ...problemAnswers("INVALID_FIELD", ...operatorProblems, ...auditProblems),
  },
});

const kick = createRoute({
  method: "post",
  path: "/v1/admin/players/{playerId}/kick",
  tags,
  summary: "End a player's session",
  description: `Ends every session and ticket of the player, who may allocate again. ${once} Repeat it under the same \`Idempotency-Key\`: another call ends what the player has begun since.`,
  security: operatorSecurity,
  request: { params, headers },
  responses: { 204: { description: "Ended." }, ...problemAnswers(...orderProblems) },
});

const signOut = createRoute({
  method: "post",
  path: "/v1/admin/players/{playerId}/sign-out",
  tags,
  summary: "Sign a player out everywhere",
  description: `Ends every session, ticket and login of the player, who has to log in again. ${once} The identity service is asked to end its sessions too, until it has. Repeat it under the same \`Idempotency-Key\`: another call ends what the player has begun since.`,
  security: operatorSecurity,
  request: { params, headers },
  responses: { 204: { description: "Signed out." }, ...problemAnswers(...orderProblems) },
});

export function addPlayerControlRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(ban, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    const { playerId } = context.req.valid("param");
    const { reason, until, note } = context.req.valid("json");
    const orderKey = orderKeyOf(context, operator);
    const untilMs = until === undefined ? undefined : endOf(until);
    const details = { reason, until: until ?? null };
    const action: AuditedAction = { action: "player.ban", target: `player:${playerId}`, details };
    const answer = await audited(context, operator, action, async () => {
      return revoke(context, { playerId, orderKey, action: "ban", reason, untilMs, note, operatorId: operator.id });
    });
    if (answer.ban === undefined) throw new Error("a ban was ordered");
    return context.json({ banId: answer.ban.id, ...describeBan(answer.ban) }, 200);
  });

  app.openapi(unban, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    const { playerId } = context.req.valid("param");
    const action: AuditedAction = { action: "player.unban", target: `player:${playerId}`, details: {} };
    await audited(context, operator, action, async () => {
      const by = { playerId, operatorId: operator.id };
      return withDeadline(playerSession(context.env, playerId).unban(by), objectCallTimeoutMs, "the player's session");
    });
    return context.body(null, 204);
  });

  for (const [route, action] of [
    [kick, "kick"],
    [signOut, "sign-out"],
  ] as const) {
    app.openapi(route, async (context) => {
      const operator = await requireOperator(context, "sensitive");
      const { playerId } = context.req.valid("param");
      const entry: AuditedAction = { action: `player.${action}`, target: `player:${playerId}`, details: {} };
      const orderKey = orderKeyOf(context, operator);
      await audited(context, operator, entry, async () => revoke(context, { playerId, orderKey, action }));
      return context.body(null, 204);
    });
  }
}

/** @throws ProblemError for an order that was not carried out */
async function revoke(context: Context<MasterHono>, order: RevokeOrder): Promise<Revoked> {
  const session = playerSession(context.env, order.playerId);
  const answer = await withDeadline(session.revoke(order), objectCallTimeoutMs, "the player's session");
  if (!answer.ok) throw problemOfRefusal(answer);
  return answer;
}

/** What names an order of this operator's; `undefined` if it is to be a new one whatever came before. */
function orderKeyOf(context: Context<MasterHono>, operator: Operator): string | undefined {
  const key = context.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (!idempotencyKeyPattern.test(key)) {
    throw new ProblemError("IDEMPOTENCY_KEY_REQUIRED", "Send a random Idempotency-Key, or none.");
  }
  return `${operator.id} ${key}`;
}

function endOf(until: string): number {
  const untilMs = Date.parse(until);
  const nowMs = Date.now();
  if (untilMs > nowMs && untilMs - nowMs <= maxBanMs) return untilMs;
  const message = "Expected a time to come, at most ten years from now. Leave it out for a ban for good.";
  throw new ProblemError("INVALID_FIELD", `until: ${message}`, { errors: [{ field: "until", message }] });
}
