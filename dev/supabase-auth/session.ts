import { randomBytes, randomUUID } from "node:crypto";
import { signClaims, verifyAccessToken } from "./access-token.ts";
import { AuthError } from "./auth-error.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import type { RefreshToken, Session } from "./store.ts";
import { type User, describeUser, isBanned, userRole } from "./user.ts";

/** Starts a session for a player who has proved who it is, and answers its tokens. */
export async function openSession(project: Project, user: User, method: Session["method"]): Promise<AuthAnswer> {
  const now = project.clock();
  const session: Session = { id: randomUUID(), userId: user.id, method, createdAt: now };
  const signedIn: User = { ...user, lastSignInAt: now, updatedAt: now };
  const refreshToken = project.store.transaction(() => {
    project.store.saveUser(signedIn);
    project.store.saveSession(session);
    return addRefreshToken(project, session.id, null);
  });
  return answerTokens(project, signedIn, session, refreshToken.token);
}

/**
 * Trades a refresh token for new tokens. A token works once, with two exceptions for clients that lost the answer: the
 * one before the newest always gives the newest again, and any works again within the reuse interval. Any other reuse
 * revokes the whole session.
 * @throws AuthError 400
 */
export async function refreshSession(project: Project, given: string): Promise<AuthAnswer> {
  const { store } = project;
  const token = given === "" ? undefined : store.refreshToken(given);
  const session = token && store.session(token.sessionId);
  const user = session && store.user(session.userId);
  if (token === undefined || session === undefined || user === undefined) {
    throw new AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
  }
  if (isBanned(user, project.clock())) {
    throw new AuthError(400, "user_banned", "Invalid Refresh Token: User Banned");
  }
  const next = store.transaction(() => rotate(project, token));
  if (next === undefined) {
    throw new AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
  }
  return answerTokens(project, user, session, next.token);
}

/** The token that follows, or `undefined` for a reuse: then the session's tokens are revoked. */
function rotate(project: Project, token: RefreshToken): RefreshToken | undefined {
  const { store, settings } = project;
  const now = project.clock();
  if (token.revoked) {
    const active = store.activeRefreshToken(token.sessionId);
    if (active !== undefined && active.parent === token.token) return active;
    if (now > token.updatedAt + settings.refreshTokenReuseSeconds * 1_000) {
      store.revokeRefreshTokens(token.sessionId, now);
      return undefined;
    }
  }
  store.revokeRefreshToken(token.token, now);
  return addRefreshToken(project, token.sessionId, token.token);
}

function addRefreshToken(project: Project, sessionId: string, parent: string | null): RefreshToken {
  const token = randomBytes(9).toString("base64url");
  const added: RefreshToken = { token, sessionId, parent, revoked: false, updatedAt: project.clock() };
  project.store.saveRefreshToken(added);
  return added;
}

async function answerTokens(project: Project, user: User, session: Session, refreshToken: string): Promise<AuthAnswer> {
  const { settings } = project;
  const issuedAt = Math.floor(project.clock() / 1_000);
  const expiresAt = issuedAt + settings.accessTokenLifetimeSeconds;
  const accessToken = await signClaims(project.key, {
    iss: settings.issuer,
    sub: user.id,
    aud: userRole,
    exp: expiresAt,
    iat: issuedAt,
    email: user.email ?? "",
    phone: "",
    app_metadata: user.appMetadata,
    user_metadata: user.userMetadata,
    role: userRole,
    aal: "aal1",
    amr: [{ method: session.method, timestamp: Math.floor(session.createdAt / 1_000) }],
    session_id: session.id,
    is_anonymous: user.isAnonymous,
  });
  return {
    status: 200,
    body: {
      access_token: accessToken,
      token_type: "bearer",
      expires_in: settings.accessTokenLifetimeSeconds,
      expires_at: expiresAt,
      refresh_token: refreshToken,
      user: describeUser(user),
    },
  };
}

/**
 * Who a request comes from, by its access token.
 * @throws AuthError 401 without one; 403 when it is not good, or its account or session is gone
 */
export async function authenticate(
  project: Project,
  request: AuthRequest,
): Promise<{ readonly user: User; readonly session: Session }> {
  const bearer = /^[Bb]earer (\S+)$/.exec(request.authorization ?? "")?.[1];
  if (bearer === undefined) {
    throw new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
  }
  const claims = await verifyAccessToken(project.key, bearer, project.clock());
  if (claims.sub === "") throw new AuthError(403, "bad_jwt", "invalid claim: missing sub claim");
  const user = project.store.user(claims.sub);
  if (user === undefined) throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  const session = project.store.session(claims.session_id);
  if (session === undefined || session.userId !== user.id) {
    throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  }
  if (![claims.aud].flat().includes(userRole)) {
    throw new AuthError(400, "validation_failed", "Token audience doesn't match request audience");
  }
  return { user, session };
}
