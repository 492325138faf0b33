import { createHash, randomBytes, randomInt } from "node:crypto";
import { assertService } from "./admin.ts";
import { AuthError } from "./auth-error.ts";
import type { OneTimeToken } from "./one-time-token-store.ts";
import { linkParameters, parseEmail, parseParameters } from "./parameters.ts";
import { assertPasswordAcceptable, hashPassword } from "./password.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { allowedRedirect } from "./redirect.ts";
import { createEmailUser, describeUser, mergeMetadata, type User } from "./user.ts";

type LinkType = "magiclink" | "recovery" | "signup";

/**
 * `POST /admin/generate_link`: what would be mailed, for the project's secret key, which may then prove the address itself. A
 * magic link for an address without an account is a sign-up.
 */
export async function generateLink(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  await assertService(project, request);
  const parameters = parseParameters(linkParameters, request.body);
  const email = parseEmail(parameters.email);
  const { type: asked } = parameters;
  if (asked !== "magiclink" && asked !== "recovery" && asked !== "signup") {
    throw new AuthError(400, "validation_failed", `Invalid email action link type requested: ${asked}`);
  }
  const existing = project.store.userByEmail(email);
  if (existing === undefined && asked === "recovery") {
    throw new AuthError(404, "user_not_found", "User with this email not found");
  }
  const type: LinkType = existing === undefined ? "signup" : asked;
  const user = type === "signup" ? await signUp(project, email, asked, parameters) : existing;
  if (user === undefined) throw new AuthError(404, "user_not_found", "User with this email not found");
  const otp = randomInt(1_000_000).toString().padStart(6, "0");
  const token: OneTimeToken = {
    hash: tokenHash(email, otp),
    userId: user.id,
    kind: type === "signup" ? "confirmation" : "recovery",
    createdAt: project.clock(),
  };
  project.store.oneTimeTokens.save(token);
  const redirectTo = allowedRedirect(project.settings, parameters.redirect_to);
  const query = new URLSearchParams({ token: token.hash, type, redirect_to: redirectTo });
  return {
    status: 200,
    body: {
      ...describeUser(user),
      action_link: `${project.settings.issuer}/verify?${query.toString()}`,
      email_otp: otp,
      hashed_token: token.hash,
      verification_type: type,
      redirect_to: redirectTo,
    },
  };
}

async function signUp(
  project: Project,
  email: string,
  asked: LinkType,
  parameters: ReturnType<typeof linkParameters.parse>,
): Promise<User> {
  const password = asked === "signup" ? parameters.password : randomBytes(32).toString("base64url");
  assertPasswordAcceptable(password, project.settings.minPasswordLength);
  const passwordHash = await hashPassword(password);
  const now = project.clock();
  const existing = project.store.userByEmail(email);
  if (existing !== undefined && existing.emailConfirmedAt !== null) {
    throw new AuthError(422, "email_exists", "A user with this email address has already been registered");
  }
  const data = parameters.data ?? {};
  const user =
    existing === undefined
      ? createEmailUser(email, passwordHash, data, now)
      : { ...existing, userMetadata: mergeMetadata(existing.userMetadata, data) };
  const asking: User = { ...user, confirmationSentAt: now, updatedAt: now };
  project.store.saveUser(asking);
  return asking;
}

/** As a link carries it: the address and the digits, hashed. */
export function tokenHash(email: string, otp: string): string {
  return createHash("sha224")
    .update(email + otp)
    .digest("hex");
}
