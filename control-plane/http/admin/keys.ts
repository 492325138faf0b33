import { waitUntil } from "cloudflare:workers";
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { clusterKeyId, type ClusterPublicKey, parseClusterPublicKey } from "../../../auth/cluster-assertion.ts";
import { objectCallTimeoutMs, withDeadline } from "../../objects/deadline.ts";
import { announce } from "../../objects/operators/events.ts";
import { clusterKeyRecord } from "../../objects/remote.ts";
import { readStoreSettings } from "../../settings.ts";
import {
  clusterKeyEntry,
  type ClusterKeyEntry,
  enrolClusterKey,
  noteKeyRetirement,
  pageClusterKeys,
} from "../../store/cluster-keys.ts";
import { DatabaseError } from "../../store/database.ts";
import { ProblemError } from "../problem.ts";
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
import { createCursor, nextSchema, pagingFields, readCursor } from "./paging.ts";

const tags = ["Operators"];
const params = z.object({ keyId: z.string().regex(/^[\w-]{43}$/, "Expected a key id, 43 characters.") });

const publicKey = z
  .strictObject({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string().regex(/^[\w-]{43}$/, "Expected 32 bytes in base64url."),
  })
  .refine((key) => parseClusterPublicKey(key) !== undefined, "Expected an Ed25519 public key.")
  .openapi("ClusterPublicKey", { description: "RFC 8037: what `keygen` wrote into the .pub file." });

const keyName = z.string().regex(/^[^\p{C}]{1,64}$/u, "Expected 1 to 64 printable characters.");

const enrolSchema = z.strictObject({ name: keyName, publicKey }).openapi("EnrolClusterKey");

const rotateSchema = z
  .strictObject({
    publicKey,
    overlapSeconds: z
      .int()
      .min(0)
      .max(30 * 86_400)
      .openapi({
        description: "How long the old key goes on being taken, so that its clusters can be started anew one by one.",
        example: 86_400,
      }),
  })
  .openapi("RotateClusterKey");

const entrySchema = z
  .object({
    keyId: z.string(),
    name: z.string(),
    state: z.enum(["enrolled", "retiring", "revoked"]),
    createdAtMs: z.number(),
    retiresAtMs: z.number().nullable(),
    revokedAtMs: z.number().nullable(),
  })
  .openapi("ClusterKey");

const revokedSchema = z
  .object({
    keyId: z.string(),
    revokedAtMs: z.number(),
    pendingShards: z.number().nullable().openapi({
      description:
        "Shards that could not be told yet; they are told as soon as they can. `null`: it is not known yet which there are.",
    }),
  })
  .openapi("RevokedClusterKey");

const list = createRoute({
  method: "get",
  path: "/v1/admin/keys",
  tags,
  summary: "The cluster keys, the newest first",
  security: operatorSecurity,
  request: { query: z.strictObject(pagingFields) },
  responses: {
    200: jsonAnswer("A page.", z.object({ keys: z.array(entrySchema), next: nextSchema }).openapi("ClusterKeyPage")),
    ...problemAnswers("INVALID_FIELD", "DATABASE_UNAVAILABLE", ...operatorProblems),
  },
});

const enrol = createRoute({
  method: "post",
  path: "/v1/admin/keys",
  tags,
  summary: "Let clusters with this key register",
  security: operatorSecurity,
  request: jsonBody(enrolSchema),
  responses: {
    200: jsonAnswer("Enrolled. Repeating it gives it the new name.", entrySchema),
    ...problemAnswers(...bodyProblems, "KEY_REVOKED", "DATABASE_UNAVAILABLE", ...auditProblems, ...operatorProblems),
  },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/admin/keys/{keyId}/rotate",
  tags,
  summary: "Put another key in the place of this one, which ends after an overlap",
  description:
    "The new key takes the name. A cluster that is started with it is another cluster to the master, as its id is made of its key: what is set for the old one has to be set again.",
  security: operatorSecurity,
  request: { params, ...jsonBody(rotateSchema) },
  responses: {
    200: jsonAnswer("Both keys.", z.object({ added: entrySchema, retired: entrySchema }).openapi("RotatedClusterKey")),
    ...problemAnswers(
      ...bodyProblems,
      "NOT_FOUND",
      "KEY_REVOKED",
      "DATABASE_UNAVAILABLE",
      ...auditProblems,
      ...operatorProblems,
    ),
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/v1/admin/keys/{keyId}",
  tags,
  summary: "Withdraw a key at once, and stop what runs with it",
  description:
    "Every shard is told, closes the links of the key's processes, and takes nothing of them any more. It holds even while the database is away. Repeating it tells those shards that could not be reached.",
  security: operatorSecurity,
  request: { params },
  responses: {
    200: jsonAnswer("Revoked.", revokedSchema),
    ...problemAnswers("INVALID_FIELD", "NOT_FOUND", ...auditProblems, ...operatorProblems),
  },
});

export function addKeyRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(list, async (context) => {
    await requireOperator(context, "read");
    const { cursor, limit } = context.req.valid("query");
    const position = z.object({ createdAtMs: z.int(), keyId: z.string() });
    const after = await readCursor(context.env, "keys", cursor, position);
    const found = await asked(async () => pageClusterKeys(readStoreSettings(context.env), after, limit + 1));
    const shown = found.slice(0, limit);
    const last = shown.at(-1);
    const next =
      last === undefined || found.length <= limit
        ? null
        : await createCursor(context.env, "keys", { createdAtMs: last.createdAtMs, keyId: last.keyId });
    return context.json({ keys: shown.map(entryAnswer), next }, 200);
  });

  app.openapi(enrol, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    const { name, publicKey: key } = context.req.valid("json");
    const keyId = await clusterKeyId(key);
    const action: AuditedAction = { action: "key.enrol", target: `key:${keyId}`, details: { name } };
    const entry = await audited(context, operator, action, async () => enrolKey(context.env, keyId, name, key));
    announce(context.env, waitUntil, [{ type: "key.enrolled", subject: `key:${keyId}`, data: { name } }]);
    return context.json(entryAnswer(entry), 200);
  });

  app.openapi(rotate, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    const { keyId } = context.req.valid("param");
    const { publicKey: key, overlapSeconds } = context.req.valid("json");
    const address = readStoreSettings(context.env);
    const old = await asked(async () => clusterKeyEntry(address, keyId));
    if (old === undefined) throw unknownKey();
    if (old.revokedAtMs !== undefined) throw revokedKey(keyId);
    const addedId = await clusterKeyId(key);
    if (addedId === keyId) {
      const message = "Expected another key than the one that it takes the place of.";
      throw new ProblemError("INVALID_FIELD", message, { errors: [{ field: "publicKey", message }] });
    }
    const action: AuditedAction = {
      action: "key.rotate",
      target: `key:${keyId}`,
      details: { name: old.name, addedKeyId: addedId, overlapSeconds },
    };
    const answer = await audited(context, operator, action, async () => {
      const added = await enrolKey(context.env, addedId, old.name, key);
      const retired = clusterKeyRecord(context.env, keyId).retire(keyId, Date.now() + overlapSeconds * 1_000);
      const { retiresAtMs } = await withDeadline(retired, objectCallTimeoutMs, "a key's record");
      await asked(async () => noteKeyRetirement(address, keyId, retiresAtMs));
      return { added: entryAnswer(added), retired: entryAnswer({ ...old, retiresAtMs }) };
    });
    announce(context.env, waitUntil, [
      { type: "key.rotated", subject: `key:${keyId}`, data: { name: old.name, addedKeyId: addedId, overlapSeconds } },
    ]);
    return context.json(answer, 200);
  });

  app.openapi(revoke, async (context) => {
    const operator = await requireOperator(context, "sensitive");
    const { keyId } = context.req.valid("param");
    const action: AuditedAction = { action: "key.revoke", target: `key:${keyId}`, details: {} };
    const state = await audited(context, operator, action, async () => {
      // While the database is away it cannot be said whether there is such a key; a revocation too many harms nobody.
      const known = await asked(async () => clusterKeyEntry(readStoreSettings(context.env), keyId)).catch(() => keyId);
      if (known === undefined) throw unknownKey();
      const revoked = clusterKeyRecord(context.env, keyId).revoke(keyId);
      return withDeadline(revoked, 2 * objectCallTimeoutMs, "a key's record");
    });
    return context.json({ keyId, revokedAtMs: state.revokedAtMs, pendingShards: state.pendingShards ?? null }, 200);
  });
}

async function enrolKey(env: Env, keyId: string, name: string, key: ClusterPublicKey): Promise<ClusterKeyEntry> {
  const address = readStoreSettings(env);
  const isRevoked = clusterKeyRecord(env, keyId).isRevoked();
  if (await withDeadline(isRevoked, objectCallTimeoutMs, "a key's record")) throw revokedKey(keyId);
  try {
    await asked(async () => enrolClusterKey(address, { name, publicKey: key }));
  } catch (error) {
    if (error instanceof RangeError) throw revokedKey(keyId);
    throw error;
  }
  const entry = await asked(async () => clusterKeyEntry(address, keyId));
  if (entry === undefined) throw unknownKey();
  return entry;
}

/** What the database says. @throws ProblemError `DATABASE_UNAVAILABLE` */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new ProblemError("DATABASE_UNAVAILABLE", "The keys cannot be read or written now. Try again shortly.", {
      retryAfterSeconds: 5,
      cause: error,
    });
  }
}

function unknownKey(): ProblemError {
  return new ProblemError("NOT_FOUND", "There is no such key. GET /v1/admin/keys lists those that there are.");
}

function revokedKey(keyId: string): ProblemError {
  return new ProblemError("KEY_REVOKED", `The key ${keyId} was revoked, for good. Make a new one.`);
}

function entryAnswer(entry: ClusterKeyEntry): z.infer<typeof entrySchema> {
  const { keyId, name, createdAtMs, retiresAtMs, revokedAtMs } = entry;
  const state = revokedAtMs !== undefined ? "revoked" : retiresAtMs !== undefined ? "retiring" : "enrolled";
  return { keyId, name, state, createdAtMs, retiresAtMs: retiresAtMs ?? null, revokedAtMs: revokedAtMs ?? null };
}
