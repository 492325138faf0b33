import { AuthError } from "./auth-error.ts";
import { parseEmail, parseParameters, userUpdateParameters } from "./parameters.ts";
import { assertPasswordAcceptable, hashPassword, isPasswordCorrect } from "./password.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { authenticate } from "./session.ts";
import { assertMailAllowed } from "./signup.ts";
import { type User, adoptEmail, confirmEmail, describeUser, mergeMetadata } from "./user.ts";

/** `GET /user`: whose token this is, if its session still lives. */
export async function getUser(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const { user } = await authenticate(project, request);
  return { status: 200, body: describeUser(user) };
}

/** `PUT /user`: a new password, address or metadata; this is also how an anonymous account becomes a permanent one. */
export async function updateUser(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const { user: found, session } = await authenticate(project, request);
  const parameters = parseParameters(userUpdateParameters, request.body);
  const email = parameters.email === "" ? found.email : parseEmail(parameters.email);
  const password = parameters.password ?? "";
  if (parameters.phone !== "") throw new AuthError(400, "phone_provider_disabled", "Phone logins are disabled");
  if (typeof parameters.password === "string") {
    assertPasswordAcceptable(password, project.settings.minPasswordLength);
  }
  if (parameters.app_metadata) {
    throw new AuthError(403, "not_admin", "Updating app_metadata requires admin privileges");
  }
  if (found.isAnonymous && password !== "" && parameters.email === "") {
    throw new AuthError(
      422,
      "validation_failed",
      "Updating password of an anonymous user without an email or phone is not allowed",
    );
  }
  const passwordHash = password === "" ? undefined : await hashNewPassword(found, password);

  // From here on nothing waits: read again what may have changed meanwhile.
  const now = project.clock();
  const user = project.store.user(found.id);
  if (user === undefined) throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  const updated = project.store.transaction(() => {
    let next: User = { ...user, updatedAt: now };
    if (parameters.data) next = { ...next, userMetadata: mergeMetadata(next.userMetadata, parameters.data) };
    if (email !== null && email !== user.email) next = changeEmail(project, next, email, now);
    if (passwordHash !== undefined) {
      next = { ...next, passwordHash };
      project.store.deleteSessions(user.id, session.id);
    }
    project.store.saveUser(next);
    return next;
  });
  return { status: 200, body: describeUser(updated) };
}

async function hashNewPassword(user: User, password: string): Promise<string> {
  if (user.passwordHash !== null && (await isPasswordCorrect(password, user.passwordHash))) {
    throw new AuthError(422, "same_password", "New password should be different from the old password.");
  }
  return hashPassword(password);
}

/** A permanent account keeps its address until the new one is confirmed, even where sign-ups need no confirmation. */
function changeEmail(project: Project, user: User, email: string, now: number): User {
  if (project.store.userByEmail(email) !== undefined) {
    throw new AuthError(422, "email_exists", "A user with this email address has already been registered");
  }
  if (user.isAnonymous && !project.settings.confirmEmail) return confirmEmail(adoptEmail(user, email, now), now);
  assertMailAllowed(user.emailChangeSentAt, now);
  return { ...user, newEmail: email, emailChangeSentAt: now };
}

/** `POST /logout?scope=`: ends all sessions, this one, or the others. */
export async function logout(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const { user, session } = await authenticate(project, request);
  const scope = request.query.get("scope") ?? "";
  if (scope === "local") project.store.deleteSession(session.id);
  else if (scope === "others") project.store.deleteSessions(user.id, session.id);
  else if (scope === "" || scope === "global") project.store.deleteSessions(user.id, null);
  else throw new AuthError(400, "validation_failed", `Unsupported logout scope "${scope}"`);
  return { status: 204 };
}
