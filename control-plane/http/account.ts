import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { createSupabaseIdentity } from "../../auth/supabase.ts";
import { checkSessionOrGone, deleteAccount } from "../../auth/supabase-admin.ts";
import { logEvent } from "../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { playerSession } from "../objects/remote.ts";
import { readIdentitySettings, readStoreSettings } from "../settings.ts";
import { type BanRecord, selectBans } from "../store/bans.ts";
import { DatabaseError } from "../store/database.ts";
import { type AllocationEntry, listAllocations } from "../store/history.ts";
import { type Erasure, erasePlayer } from "../store/erasure.ts";
import { findPlayer } from "../store/players.ts";
import { findSave, type SaveEntry } from "../store/saves.ts";
import { exportSchema, upgradedSchema, upgradeSchema } from "./account-schemas.ts";
import { askIdentity, requirePlayer } from "./identity.ts";
import { limitAccountChange, limitAttempt } from "./limits.ts";
import { requireMethod } from "./login-providers.ts";
import { notePlayer } from "./player-record.ts";
import type { Refusal } from "../objects/refusal.ts";
import { ProblemError, problemOfRefusal } from "./problem.ts";
import { requireLiveLogin } from "./standing.ts";
import { bodyProblems, jsonAnswer, jsonBody, type MasterHono, playerSecurity, problemAnswers } from "./route-parts.ts";
import { confirmationSchema } from "./schemas.ts";

const tags = ["Players"];
const accountProblems = ["UNAUTHENTICATED", "RATE_LIMITED", "IDENTITY_UNAVAILABLE"] as const;

const upgrade = createRoute({
  method: "post",
  path: "/v1/me/upgrade",
  tags,
  summary: "Make an anonymous player a full account",
  description:
    "The player's id stays, and with it everything that the game keeps. The access token tells of it after the next `POST /v1/refresh`.",
  security: playerSecurity,
  request: jsonBody(upgradeSchema),
  responses: {
    200: jsonAnswer("A full account now.", upgradedSchema),
    202: jsonAnswer("It will be one when its e-mail address is confirmed.", confirmationSchema),
    ...problemAnswers(
      ...bodyProblems,
      ...accountProblems,
      "NOT_ANONYMOUS",
      "ACCOUNT_EXISTS",
      "WEAK_PASSWORD",
      "SWITCHED_OFF",
    ),
  },
});

const exportData = createRoute({
  method: "get",
  path: "/v1/me/export",
  tags,
  summary: "Everything that is held about the player",
  security: playerSecurity,
  responses: {
    200: jsonAnswer("What the identity service, the database and the player's session hold.", exportSchema),
    ...problemAnswers(...accountProblems, "DATABASE_UNAVAILABLE"),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/me",
  tags,
  summary: "Delete the account, for good",
  description:
    "The account ends, and with it every login and whatever it plays; the record goes, tickets that were not used are worth nothing. Bans and the operators' audit log stay. Repeat it until it is answered with 204.",
  security: playerSecurity,
  responses: {
    204: { description: "Deleted." },
    ...problemAnswers(...accountProblems, "DATABASE_UNAVAILABLE", "SWITCHED_OFF"),
  },
});

export function addAccountRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(upgrade, async (context) => {
    const { playerId, token, authenticatedAt } = await requirePlayer(context);
    requireMethod(context, "password");
    await limitAttempt(context, "signup");
    await limitAccountChange(context, playerId);
    await requireLiveLogin(context, { playerId, authenticatedAt });
    const account = context.req.valid("json");
    const result = await askIdentity(context, (project) => createSupabaseIdentity(project).upgrade(token, account));
    if (result.kind === "confirmation-required") return context.json({ status: result.kind }, 202);
    notePlayer(context, result.player);
    return context.json({ status: result.kind, player: result.player }, 200);
  });

  app.openapi(exportData, async (context) => {
    const { playerId, token, authenticatedAt } = await requirePlayer(context);
    await limitAccountChange(context, playerId);
    await requireLiveLogin(context, { playerId, authenticatedAt });
    const account = await askIdentity(context, (project) => createSupabaseIdentity(project).exportAccount(token));
    const address = readStoreSettings(context.env);
    const [record, history, save, bans] = await askDatabase(() =>
      Promise.all([
        findPlayer(address, playerId),
        listAllocations(address, { playerId, limit: maxExportedHistory, nowMs: Date.now() }),
        findSave(address, playerId),
        selectBans(address, { playerId, limit: maxExportedBans }),
      ]),
    );
    const session = await withDeadline(
      playerSession(context.env, playerId).exportData(),
      objectCallTimeoutMs,
      "the player's session",
    );
    const { identities, ...rest } = account;
    return context.json(
      {
        exportedAt: new Date().toISOString(),
        account: { ...rest, identities: [...identities] },
        record:
          record === undefined
            ? null
            : {
                displayName: record.displayName,
                firstSeenAt: new Date(record.createdAtMs).toISOString(),
                lastSeenAt: new Date(record.lastSeenAtMs).toISOString(),
              },
        history: history.map(exportedAllocation),
        save: save === undefined ? null : exportedSave(save),
        session: { ...session, allocations: [...session.allocations] },
        bans: bans.map(exportedBan),
      },
      200,
    );
  });

  app.openapi(remove, async (context) => {
    const { playerId, token: accessToken, authenticatedAt } = await requirePlayer(context);
    const secretKey = requireSecretKey(context);
    await limitAccountChange(context, playerId);
    const state = await askIdentity(context, (project) =>
      checkSessionOrGone({ ...project, secretKey }, { accessToken, playerId }),
    );
    // Where the account is gone this is a repetition: nobody can log in to it any more.
    let erasure = await eraseSession(context, playerId, state === "lives" ? authenticatedAt : undefined);
    if (state === "lives") {
      await askIdentity(context, (project) => deleteAccount({ ...project, secretKey }, playerId));
      // Whoever logged in while that lasted, as a game does whose session has ended, has gone with the account.
      erasure = await eraseSession(context, playerId, undefined);
    }
    await askDatabase(() => erasePlayer(readStoreSettings(context.env), erasure));
    logEvent("info", "players.deleted", { requestId: context.get("requestId"), playerId });
    return context.body(null, 204);
  });
}

/**
 * @param authenticatedAt of the login that wants it, seconds since 1970; `undefined` where that was decided before
 * @throws ProblemError `UNAUTHENTICATED` for a login that a sign-out has ended
 */
async function eraseSession(
  context: Context<MasterHono>,
  playerId: string,
  authenticatedAt: number | undefined,
): Promise<Erasure> {
  // An object of a release before this one does not answer.
  const answer: ({ readonly ok: true } & Erasure) | Refusal | undefined = await withDeadline(
    playerSession(context.env, playerId).erase(playerId, authenticatedAt),
    objectCallTimeoutMs,
    "the player's session",
  );
  if (answer === undefined) return { playerId, erasedAtMs: Date.now(), minGeneration: 0 };
  if (!answer.ok) throw problemOfRefusal(answer);
  return answer;
}

/** The newest; a player who has more than that in 90 days has allocated every quarter of an hour, day and night. */
const maxExportedHistory = 10_000;
const maxExportedBans = 1_000;

/** Who has banned, and their notes, are not the player's. */
function exportedBan({ reason, bannedAtMs, untilMs, liftedAtMs }: BanRecord) {
  const time = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return { reason, bannedAt: new Date(bannedAtMs).toISOString(), until: time(untilMs), liftedAt: time(liftedAtMs) };
}

function exportedSave({ generation, version, state, savedAtMs }: SaveEntry) {
  return { generation, version, state, savedAt: new Date(savedAtMs).toISOString() };
}

function exportedAllocation(entry: AllocationEntry) {
  const { reservationId, clusterId, clusterName, region, outcome } = entry;
  return {
    reservationId,
    clusterId,
    clusterName,
    region,
    outcome,
    allocatedAt: new Date(entry.allocatedAtMs).toISOString(),
    joinedAt: entry.joinedAtMs === undefined ? null : new Date(entry.joinedAtMs).toISOString(),
    leftAt: entry.leftAtMs === undefined ? null : new Date(entry.leftAtMs).toISOString(),
  };
}

function requireSecretKey(context: Context<MasterHono>): string {
  const { secretKey } = readIdentitySettings(context.env);
  if (secretKey !== undefined) return secretKey;
  throw new ProblemError("SWITCHED_OFF", "Accounts cannot be deleted here: ask the game's operators to do it.");
}

async function askDatabase<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new ProblemError("DATABASE_UNAVAILABLE", "The database cannot be reached now. Repeat the request shortly.", {
      retryAfterSeconds: 5,
      cause: error,
    });
  }
}
