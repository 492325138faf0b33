import { AuthError } from "./auth-error.ts";
import {
  idTokenGrantParameters,
  parseParameters,
  passwordGrantParameters,
  refreshGrantParameters,
} from "./parameters.ts";
import { isPasswordCorrect } from "./password.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { grantByCode } from "./pkce.ts";
import { openSession, refreshSession } from "./session.ts";
import { isBanned } from "./user.ts";

/** `POST /token?grant_type=`: signing in by password or by a browser's code, and refreshing. */
export async function grantToken(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const grant = request.query.get("grant_type");
  if (grant !== "password" && grant !== "refresh_token" && grant !== "id_token" && grant !== "pkce") {
    throw new AuthError(400, "invalid_credentials", "unsupported_grant_type");
  }
  project.limiter?.take("token", request.address);
  if (grant === "password") return grantByPassword(project, request);
  if (grant === "id_token") return refuseIdToken(request);
  if (grant === "pkce") return grantByCode(project, request);
  const { refresh_token: token } = parseParameters(refreshGrantParameters, request.body);
  if (token === "") throw new AuthError(400, "validation_failed", "refresh_token required");
  return refreshSession(project, token);
}

async function grantByPassword(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const { email, phone, password } = parseParameters(passwordGrantParameters, request.body);
  if (email !== "" && phone !== "") {
    throw new AuthError(400, "validation_failed", "Only an email address or phone number should be provided on login.");
  }
  if (phone !== "") throw new AuthError(422, "phone_provider_disabled", "Phone logins are disabled");
  if (email === "") throw new AuthError(400, "validation_failed", "missing email or phone");
  const found = project.store.userByEmail(email.toLowerCase());
  if (found === undefined || found.passwordHash === null) throw wrongCredentials();
  if (isBanned(found, project.clock())) throw new AuthError(400, "user_banned", "User is banned");
  if (!(await isPasswordCorrect(password, found.passwordHash))) throw wrongCredentials();
  // Read again: the account may have changed, or gone, while the password was checked.
  const user = project.store.user(found.id);
  if (user === undefined || user.passwordHash !== found.passwordHash) throw wrongCredentials();
  if (user.emailConfirmedAt === null) throw new AuthError(400, "email_not_confirmed", "Email not confirmed");
  return openSession(project, user, "password");
}

/** No provider is enabled here. */
function refuseIdToken(request: AuthRequest): never {
  const { id_token: token, provider } = parseParameters(idTokenGrantParameters, request.body);
  if (token === "") throw new AuthError(400, "validation_failed", "id_token required");
  if (provider === "") throw new AuthError(400, "validation_failed", "provider or client_id and issuer required");
  throw new AuthError(400, "provider_disabled", "Provider is not enabled");
}

/** The same for an unknown account and for a wrong password. */
function wrongCredentials(): AuthError {
  return new AuthError(400, "invalid_credentials", "Invalid login credentials");
}
