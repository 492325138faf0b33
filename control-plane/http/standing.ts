import type { Context } from "hono";
import { decodeJwt } from "jose";
import { readAuthenticatedAt } from "../../auth/access-token.ts";
import { createSupabaseIdentity } from "../../auth/supabase.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { goodStanding, isSignedOut, type Standing } from "../domain/players/standing.ts";
import { logEvent } from "../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { banRefusal, loginEnded } from "../objects/player/player-revocation.ts";
import { playerSession } from "../objects/remote.ts";
import { askIdentity } from "./identity.ts";
import { ProblemError, problemOfRefusal } from "./problem.ts";
import type { MasterHono } from "./route-parts.ts";

/** Who cannot be asked at once lets a login pass: an allocation finds out in any case. */
const standingTimeoutMs = 2_000;

/** What counts against a player; nothing, where that cannot be found out. */
async function standingOf(context: Context<MasterHono>, playerId: string): Promise<Standing> {
  try {
    return await withDeadline(
      playerSession(context.env, playerId).standing(),
      standingTimeoutMs,
      "the player's session",
    );
  } catch (error) {
    logEvent("warn", "standing.unknown", { requestId: context.get("requestId"), error });
    return goodStanding;
  }
}

/**
 * Turns a banned player away at the door, and whoever refreshes a login that a sign-out has ended. [SEC-75]
 *
 * @throws ProblemError `BANNED`, `REFRESH_TOKEN_INVALID`
 */
export async function admitLogin(context: Context<MasterHono>, tokens: PlayerSessionTokens): Promise<void> {
  const standing = await standingOf(context, tokens.player.id);
  const refusal = banRefusal(standing.ban, Date.now());
  if (refusal !== undefined) throw problemOfRefusal(refusal);
  // From the identity service itself, so there is nothing to verify.
  if (!isSignedOut(standing, readAuthenticatedAt(decodeJwt(tokens.accessToken)))) return;
  throw new ProblemError("REFRESH_TOKEN_INVALID", "This login was ended. Log in again.");
}

/**
 * Turns a login away that a sign-out has ended, whether the identity service has heard of that or not: also where that cannot be found out. [SEC-75]
 *
 * @throws ProblemError `UNAUTHENTICATED`, `IDENTITY_UNAVAILABLE`
 */
export async function requireLiveLogin(
  context: Context<MasterHono>,
  { playerId, authenticatedAt }: { readonly playerId: string; readonly authenticatedAt: number },
): Promise<void> {
  let standing: Standing;
  try {
    standing = await withDeadline(
      playerSession(context.env, playerId).standing(),
      objectCallTimeoutMs,
      "the player's session",
    );
  } catch (cause) {
    const detail = "Whether this login still counts cannot be found out now. Try again shortly.";
    throw new ProblemError("IDENTITY_UNAVAILABLE", detail, { retryAfterSeconds: 5, cause });
  }
  if (isSignedOut(standing, authenticatedAt)) throw problemOfRefusal(loginEnded());
}

/**
 * Ends every login, session and ticket of a player who asks for it. What is decided here holds whether the identity service can be
 * reached or not: the player's session asks it, later, where it did not answer here, or did not know this login any more.
 *
 * @throws ProblemError `UNAUTHENTICATED` for who was signed out already: a stolen token does this once
 */
export async function signOutEverywhere(
  context: Context<MasterHono>,
  player: { readonly playerId: string; readonly authenticatedAt: number; readonly token: string },
): Promise<void> {
  const { playerId, authenticatedAt, token } = player;
  await requireLiveLogin(context, { playerId, authenticatedAt });
  const session = playerSession(context.env, playerId);
  const signOutId = crypto.randomUUID();
  const order = { playerId, action: "sign-out", signOutId, authenticatedAt } as const;
  const revoked = await withDeadline(session.revoke(order), objectCallTimeoutMs, "the player's session");
  // Two may have come at once: the one that was first has ended this login.
  if (!revoked.ok) throw problemOfRefusal(revoked);
  try {
    const outcome = await askIdentity(context, (project) => createSupabaseIdentity(project).logout(token, "global"));
    // A session of the release before has no such method: it has told, or tells, the identity service too.
    if (outcome === "ended") {
      await withDeadline(session.signOutTold(signOutId), objectCallTimeoutMs, "the player's session");
    }
  } catch (error) {
    logEvent("warn", "players.sign_out_later", { requestId: context.get("requestId"), error });
  }
}
