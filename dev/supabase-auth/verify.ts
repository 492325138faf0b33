import { AuthError } from "./auth-error.ts";
import { tokenHash } from "./link.ts";
import type { OneTimeToken } from "./one-time-token-store.ts";
import { parseEmail, parseParameters, verifyParameters } from "./parameters.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { openSession } from "./session.ts";
import { confirmEmail, isBanned } from "./user.ts";

/** Which tokens a verification of that type accepts. */
const kinds: ReadonlyMap<string, readonly OneTimeToken["kind"][]> = new Map([
  ["email", ["confirmation", "recovery"]],
  ["signup", ["confirmation"]],
  ["magiclink", ["recovery"]],
  ["recovery", ["recovery"]],
]);

/**
 * `POST /verify`: trades a one-time token for a session, by its hash, or by the digits and the address. It works once, and proves
 * the address.
 */
export async function verify(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  project.limiter?.take("verify", request.address);
  const parameters = parseParameters(verifyParameters, request.body);
  const { type, token, token_hash: givenHash, email, phone, redirect_to: redirectTo } = parameters;
  if (type === "") throw invalid("Verify requires a verification type");
  if ((token === "") === (givenHash === "")) throw invalid("Verify requires either a token or a token hash");
  const byHash = givenHash !== "";
  if (byHash && (email !== "" || phone !== "" || redirectTo !== "")) {
    throw invalid("Only the token_hash and type should be provided");
  }
  if (!byHash && (email === "" || phone !== "")) {
    throw invalid("Only an email address or phone number should be provided on verify");
  }
  const accepted = kinds.get(type);
  if (accepted === undefined) throw invalid("Invalid email verification type");
  const message = byHash ? "Email link is invalid or has expired" : "Token has expired or is invalid";
  const found = project.store.oneTimeTokens.find(byHash ? givenHash : tokenHash(parseEmail(email), token));
  const user = found === undefined ? undefined : project.store.user(found.userId);
  if (found === undefined || user === undefined || !accepted.includes(found.kind)) {
    throw new AuthError(403, "otp_expired", message);
  }
  const now = project.clock();
  if (isBanned(user, now)) throw new AuthError(403, "user_banned", "User is banned");
  if (now > found.createdAt + project.settings.oneTimeTokenLifetimeSeconds * 1_000) {
    throw new AuthError(403, "otp_expired", message);
  }
  project.store.oneTimeTokens.delete(found.hash);
  return openSession(project, confirmEmail(user, now), "otp");
}

function invalid(message: string): AuthError {
  return new AuthError(400, "validation_failed", message);
}
