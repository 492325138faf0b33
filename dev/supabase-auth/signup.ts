import { AuthError } from "./auth-error.ts";
import { parseEmail, parseParameters, signUpParameters } from "./parameters.ts";
import { assertPasswordAcceptable, hashPassword } from "./password.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { openSession } from "./session.ts";
import {
  type Metadata,
  type User,
  confirmEmail,
  createAnonymousUser,
  createEmailUser,
  describeObfuscatedUser,
  describeUser,
} from "./user.ts";

/** The least time between two confirmation messages to one address. */
const mailIntervalMs = 60_000;

/** `POST /signup`: with an e-mail address and a password, or with neither for an anonymous account. */
export async function signUp(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const parameters = parseParameters(signUpParameters, request.body);
  const data = parameters.data ?? {};
  if (parameters.email === "" && parameters.phone === "") return signUpAnonymously(project, request, data);
  project.limiter?.take("signup", request.address);
  assertSignupsAllowed(project);
  if (parameters.password === "") {
    throw new AuthError(400, "validation_failed", "Signup requires a valid password");
  }
  assertPasswordAcceptable(parameters.password, project.settings.minPasswordLength);
  if (parameters.email !== "" && parameters.phone !== "") {
    throw new AuthError(
      400,
      "validation_failed",
      "Only an email address or phone number should be provided on signup.",
    );
  }
  if (parameters.email === "") throw new AuthError(400, "phone_provider_disabled", "Phone signups are disabled");
  return signUpWithEmail(project, parseEmail(parameters.email), parameters.password, data);
}

async function signUpAnonymously(project: Project, request: AuthRequest, data: Metadata): Promise<AuthAnswer> {
  if (project.settings.anonymousDisabled) {
    throw new AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
  }
  project.limiter?.take("anonymous", request.address);
  assertSignupsAllowed(project);
  return openSession(project, createAnonymousUser(data, project.clock()), "anonymous");
}

async function signUpWithEmail(project: Project, email: string, password: string, data: Metadata): Promise<AuthAnswer> {
  const { store, settings } = project;
  const passwordHash = store.userByEmail(email) === undefined ? await hashPassword(password) : "";
  const now = project.clock();
  // Looked up again: hashing took its time, and someone else may have been faster.
  const existing = store.userByEmail(email);
  if (existing !== undefined && existing.emailConfirmedAt !== null) {
    if (settings.confirmEmail) return { status: 200, body: describeObfuscatedUser(email, data, now) };
    throw new AuthError(422, "user_already_exists", "User already registered");
  }
  // An account that nobody confirmed is not changed: who asks may be someone else.
  const user = existing ?? createEmailUser(email, passwordHash, data, now);
  if (!settings.confirmEmail) return openSession(project, confirmEmail(user, now), "password");
  return { status: 200, body: describeUser(requestConfirmation(project, user, now)) };
}

/** Stands for sending the message: the address is confirmed by the stand-in's `confirm`. */
function requestConfirmation(project: Project, user: User, now: number): User {
  assertMailAllowed(user.confirmationSentAt, now);
  const asked: User = { ...user, confirmationSentAt: now, updatedAt: now };
  project.store.saveUser(asked);
  return asked;
}

/** @throws AuthError 429 `over_email_send_rate_limit` */
export function assertMailAllowed(sentAt: number | null, now: number): void {
  const waitMs = sentAt === null ? 0 : sentAt + mailIntervalMs - now;
  if (waitMs <= 0) return;
  const seconds = Math.ceil(waitMs / 1_000);
  throw new AuthError(
    429,
    "over_email_send_rate_limit",
    `For security purposes, you can only request this after ${seconds} seconds.`,
  );
}

function assertSignupsAllowed(project: Project): void {
  if (project.settings.signupDisabled) {
    throw new AuthError(422, "signup_disabled", "Signups not allowed for this instance");
  }
}
