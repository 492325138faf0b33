import { randomBytes } from "node:crypto";
import { AuthError } from "./auth-error.ts";
import { adminUserParameters, parseEmail, parseParameters } from "./parameters.ts";
import { assertPasswordAcceptable, hashPassword } from "./password.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { authenticate } from "./session.ts";
import { type User, adoptEmail, confirmEmail, createEmailUser, describeUser, mergeMetadata } from "./user.ts";

/** `/admin/users` and `/admin/users/:id`: for the project's secret key only. */
export async function administrate(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  await assertService(project, request);
  const id = request.path.slice("/admin/users/".length);
  if (request.path === "/admin/users") return createUser(project, request);
  if (!uuidForm.test(id)) {
    throw new AuthError(404, "validation_failed", "user_id must be an UUID");
  }
  const user = project.store.user(id.toLowerCase());
  if (user === undefined) throw new AuthError(404, "user_not_found", "User not found");
  if (request.method === "GET") return { status: 200, body: describeUser(user) };
  if (request.method === "PUT") return updateUser(project, request, user);
  project.store.deleteUser(user.id);
  return { status: 200, body: {} };
}

/** @throws AuthError for everyone but the project's secret key */
export async function assertService(project: Project, request: AuthRequest): Promise<void> {
  if (request.isService) return;
  await authenticate(project, request);
  throw new AuthError(403, "not_admin", "User not allowed");
}

async function createUser(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const parameters = parseParameters(adminUserParameters, request.body);
  if (parameters.phone !== "") throw new AuthError(400, "phone_provider_disabled", "Phone signups are disabled");
  if (parameters.email === "") {
    throw new AuthError(400, "validation_failed", "Cannot create a user without either an email or phone");
  }
  const email = parseEmail(parameters.email);
  // Without a password nobody can sign in by it: this one is told to no one.
  const password = parameters.password === "" ? randomBytes(32).toString("base64url") : parameters.password;
  const passwordHash = await hashPassword(password);
  const now = project.clock();
  assertAddressFree(project, email);
  const made = createEmailUser(
    email,
    passwordHash,
    parameters.user_metadata ?? {},
    now,
    parseId(project, parameters.id),
  );
  return save(project, applyAdminParameters(made, parameters, now));
}

async function updateUser(project: Project, request: AuthRequest, found: User): Promise<AuthAnswer> {
  const parameters = parseParameters(adminUserParameters, request.body);
  const { password } = parameters;
  if (password !== "") assertPasswordAcceptable(password, project.settings.minPasswordLength);
  const passwordHash = password === "" ? undefined : await hashPassword(password);
  const email = parameters.email === "" ? found.email : parseEmail(parameters.email);
  const now = project.clock();
  const user = project.store.user(found.id);
  if (user === undefined) throw new AuthError(404, "user_not_found", "User not found");
  let next: User = { ...user, passwordHash: passwordHash ?? user.passwordHash, updatedAt: now };
  if (parameters.user_metadata) {
    next = { ...next, userMetadata: mergeMetadata(next.userMetadata, parameters.user_metadata) };
  }
  if (email !== null && email !== user.email) {
    assertAddressFree(project, email);
    next = adoptEmail(next, email, now);
    if (user.emailConfirmedAt !== null) next = confirmEmail(next, now);
  }
  if (passwordHash !== undefined) project.store.deleteSessions(user.id, null);
  return save(project, applyAdminParameters(next, parameters, now));
}

function applyAdminParameters(user: User, parameters: ReturnType<typeof adminUserParameters.parse>, now: number): User {
  const banMs = parameters.ban_duration === "" ? undefined : parseDurationMs(parameters.ban_duration);
  const next: User = {
    ...user,
    appMetadata: mergeMetadata(user.appMetadata, parameters.app_metadata ?? {}),
    bannedUntil: banMs === undefined ? user.bannedUntil : banMs === 0 ? null : now + banMs,
  };
  return parameters.email_confirm === true ? confirmEmail(next, now) : next;
}

function save(project: Project, user: User): AuthAnswer {
  project.store.saveUser(user);
  return { status: 200, body: describeUser(user) };
}

/** The id that a new account is to have, if one was asked for. */
function parseId(project: Project, given: string): string | undefined {
  if (given === "") return undefined;
  if (!uuidForm.test(given)) throw new AuthError(400, "validation_failed", "ID must conform to the uuid v4 format");
  const id = given.toLowerCase();
  if (project.store.user(id) !== undefined) {
    throw new AuthError(500, "unexpected_failure", "Database error creating new user");
  }
  return id;
}

function assertAddressFree(project: Project, email: string): void {
  if (project.store.userByEmail(email) === undefined) return;
  throw new AuthError(422, "email_exists", "A user with this email address has already been registered");
}

const uuidForm = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

const unitMs: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** Durations as Go writes them: `24h`, `1h30m`; `none` is 0. @throws AuthError */
function parseDurationMs(given: string): number {
  if (given === "none") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(given)) {
    throw new AuthError(400, "validation_failed", "invalid format for ban duration");
  }
  return Array.from(given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    .map(([, count, unit = ""]) => Number(count) * (unitMs.get(unit) ?? 0))
    .reduce((sum, part) => sum + part, 0);
}
