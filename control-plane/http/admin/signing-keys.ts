import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { keyEncryptionKey } from "../../objects/key/key-encryption-key.ts";
import { keyRing } from "../../objects/remote.ts";
import { problemOfRefusal } from "../problem.ts";
import {
  bodyProblems,
  jsonAnswer,
  jsonBody,
  type MasterHono,
  operatorSecurity,
  problemAnswers,
} from "../route-parts.ts";
import { audited, type AuditedAction, auditProblems } from "./audited.ts";
import { operatorProblems, requireOperator } from "./operator.ts";

const tags = ["Operators"];
const kid = z.string().regex(/^[\w-]{1,64}$/, "Expected a key's id.");
const time = z.string().nullable();

const ringSchema = z
  .object({
    keys: z.array(
      z.object({
        kid: z.string(),
        state: z.enum(["next", "active", "retired"]),
        createdAt: z.string(),
        activatedAt: time,
        retiredAt: time,
      }),
    ),
    revoked: z.array(z.string()),
  })
  .openapi("SigningKeys");
const keySchema = z.object({ kid: z.string() }).openapi("SigningKeyChanged");
const restoredSchema = z.object({ restored: z.number() }).openapi("SigningKeysRestored");
const revokeSchema = z
  .strictObject({ kid: kid.optional().openapi({ description: "The active key unless given." }) })
  .openapi("RevokeSigningKey");

const list = createRoute({
  method: "get",
  path: "/v1/admin/signing-keys",
  tags,
  summary: "The keys that sign join tickets, without their secrets",
  security: operatorSecurity,
  responses: { 200: jsonAnswer("The ring.", ringSchema), ...problemAnswers(...operatorProblems) },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/admin/signing-keys/rotate",
  tags,
  summary: "Sign with the next key from now on",
  description:
    "No ticket is refused for it: the old key is published until its last ticket has expired. `KEY_TOO_NEW` while the next key has not been published for long enough. For a key that has leaked see `revoke`.",
  security: operatorSecurity,
  responses: {
    200: jsonAnswer("The key that signs now.", keySchema),
    ...problemAnswers("KEY_TOO_NEW", ...operatorProblems, ...auditProblems),
  },
});

const revoke = createRoute({
  method: "post",
  path: "/v1/admin/signing-keys/revoke",
  tags,
  summary: "A signing key has leaked: end it now",
  description:
    "It signs nothing more, is published no more, and linked clusters drop it within a second. Tickets of it that have not joined are refused; clients allocate again by themselves. Players in the game play on. Repeating it with the same `kid` is harmless; without `kid` it ends the key that is active then.",
  security: operatorSecurity,
  request: jsonBody(revokeSchema),
  responses: {
    200: jsonAnswer("The key that was ended.", keySchema),
    ...problemAnswers("NOT_FOUND", ...bodyProblems, ...operatorProblems, ...auditProblems),
  },
});

const restore = createRoute({
  method: "post",
  path: "/v1/admin/signing-keys/restore",
  tags,
  summary: "Take keys back from their copies in the database",
  description:
    "For a ring whose object was lost. The keys check what they have signed; a key of the present ring goes on signing.",
  security: operatorSecurity,
  responses: {
    200: jsonAnswer("How many were taken back.", restoredSchema),
    ...problemAnswers("DATABASE_UNAVAILABLE", ...operatorProblems, ...auditProblems),
  },
});

export function addSigningKeyRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(list, async (context) => {
    await requireOperator(context, "read");
    await keyEncryptionKey(context.env);
    const { keys, revoked } = await withDeadline(keyRing(context.env).listing(), objectCallTimeoutMs, "the key ring");
    const shown = keys.map(({ kid: id, state, createdAt, activatedAt, retiredAt }) => ({
      kid: id,
      state,
      createdAt: new Date(createdAt * 1_000).toISOString(),
      activatedAt: isoTime(activatedAt),
      retiredAt: isoTime(retiredAt),
    }));
    return context.json({ keys: shown, revoked: [...revoked] }, 200);
  });

  app.openapi(rotate, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    await keyEncryptionKey(context.env);
    const action: AuditedAction = { action: "signing-key.rotate", target: "key:active", details: {} };
    const answer = await audited(context, operator, action, async () => {
      const done = await withDeadline(keyRing(context.env).rotate(), objectCallTimeoutMs, "the key ring");
      if (!done.ok) throw problemOfRefusal(done);
      return done;
    });
    return context.json({ kid: answer.kid }, 200);
  });

  app.openapi(revoke, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    await keyEncryptionKey(context.env);
    const given = context.req.valid("json").kid;
    const action: AuditedAction = { action: "signing-key.revoke", target: `key:${given ?? "active"}`, details: {} };
    const answer = await audited(context, operator, action, async () => {
      const done = await withDeadline(keyRing(context.env).revoke(given), objectCallTimeoutMs, "the key ring");
      if (!done.ok) throw problemOfRefusal(done);
      return done;
    });
    return context.json({ kid: answer.kid }, 200);
  });

  app.openapi(restore, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    await keyEncryptionKey(context.env);
    const action: AuditedAction = { action: "signing-key.restore", target: "key:all", details: {} };
    const answer = await audited(context, operator, action, async () => {
      const done = await withDeadline(keyRing(context.env).restore(), objectCallTimeoutMs, "the key ring");
      if (!done.ok) throw problemOfRefusal(done);
      return done;
    });
    return context.json({ restored: answer.restored }, 200);
  });
}

function isoTime(seconds: number | null): string | null {
  return seconds === null ? null : new Date(seconds * 1_000).toISOString();
}
