import type { Context, MiddlewareHandler } from "hono";
import { rolesOfSession } from "../../../auth/supabase-bearer.ts";
import { logEvent } from "../../log.ts";
import { askIdentity, requirePlayer } from "../identity.ts";
import { limitOperator } from "../limits.ts";
import { ProblemError } from "../problem.ts";
import { requireLiveLogin } from "../standing.ts";
import type { MasterHono } from "../route-parts.ts";

/** The role, in `app_metadata`, of those who may call what is under `/v1/admin`. */
export const operatorRole = "operator";

/** Who calls. */
export interface Operator {
  readonly id: string;
  /** When the access token expires, in seconds since 1970. */
  readonly expiresAt: number;
}

/**
 * - `read`: looks.
 * - `change`: steers clusters. Goes by the token alone, so that it can be done while the identity service is away.
 * - `sensitive`: decides who gets in, players and clusters. Asks whether a sign-out has ended the login, and the identity service whether the
 *   session still lives and still has the role.
 */
export type OperatorCall = "read" | "change" | "sensitive";

/** What every call under `/v1/admin` may be refused with. */
export const operatorProblems = ["UNAUTHENTICATED", "FORBIDDEN", "IDENTITY_UNAVAILABLE", "RATE_LIMITED"] as const;

/**
 * Lets operators alone pass, before anything of the request is parsed: a stranger learns nothing of what there is, and costs nothing.
 * [SEC-45]
 */
export const operatorsOnly: MiddlewareHandler<MasterHono> = async (context, next) => {
  const { playerId, roles, token, expiresAt, authenticatedAt } = await requirePlayer(context);
  if (!roles.includes(operatorRole)) throw forbidden(context, playerId);
  context.set("operator", { id: playerId, token, expiresAt, authenticatedAt });
  await next();
};

/**
 * The operator who calls, as {@link operatorsOnly} has let pass.
 *
 * @throws ProblemError one of {@link operatorProblems}
 */
export async function requireOperator(context: Context<MasterHono>, call: OperatorCall): Promise<Operator> {
  const operator = context.get("operator");
  if (operator === undefined) throw new Error("a route under /v1/admin is behind operatorsOnly");
  const { id, token, expiresAt, authenticatedAt } = operator;
  await limitOperator(context, id, call === "read" ? "read" : "change");
  if (call === "sensitive") {
    await requireLiveLogin(context, { playerId: id, authenticatedAt });
    const now = await askIdentity(context, (project) => rolesOfSession(project, token));
    if (!now.includes(operatorRole)) throw forbidden(context, id);
  }
  return { id, expiresAt };
}

function forbidden(context: Context<MasterHono>, playerId: string): ProblemError {
  logEvent("warn", "admin.refused", { requestId: context.get("requestId"), playerId });
  return new ProblemError("FORBIDDEN", `This needs the role ${operatorRole} in the account's app_metadata.`);
}
