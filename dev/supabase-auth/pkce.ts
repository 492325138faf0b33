import { createHash, timingSafeEqual } from "node:crypto";
import { AuthError } from "./auth-error.ts";
import type { FlowState } from "./flow-store.ts";
import { parseParameters, pkceGrantParameters } from "./parameters.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { openSession } from "./session.ts";

/** RFC 7636, 4.2. */
const challengeForm = /^[\w.~-]+$/;

/** The challenge of a login that begins; `null` when there is none. @throws AuthError as the real one words it */
export function parseChallenge(query: URLSearchParams): FlowState["challenge"] {
  const value = query.get("code_challenge") ?? "";
  const method = query.get("code_challenge_method") ?? "";
  if ((value === "") !== (method === "")) {
    throw invalid("PKCE flow requires code_challenge_method and code_challenge");
  }
  if (value === "") return null;
  if (value.length < 43 || value.length > 128) throw invalid("code challenge has to be between 43 and 128 characters");
  if (!challengeForm.test(value)) {
    throw invalid("code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes");
  }
  const known = method.toLowerCase();
  if (known === "s256" || known === "plain") return { value, method: known };
  throw new AuthError(500, "unexpected_failure", `unsupported code_challenge method "${method}"`);
}

/** `POST /token?grant_type=pkce`: trades the code that a browser came back with for a session, once. */
export async function grantByCode(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const { auth_code: code, code_verifier: verifier } = parseParameters(pkceGrantParameters, request.body);
  if (code === "" || verifier === "") {
    throw invalid("invalid request: both auth code and code verifier should be non-empty");
  }
  const flow = project.store.flows.byAuthCode(code);
  const user = flow === undefined || flow.userId === null ? undefined : project.store.user(flow.userId);
  if (flow === undefined || flow.challenge === null || user === undefined) {
    throw new AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found");
  }
  if (project.clock() > flow.createdAt + project.settings.flowLifetimeSeconds * 1_000) {
    throw new AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired");
  }
  if (!matches(flow.challenge, verifier)) {
    throw new AuthError(400, "bad_code_verifier", "code challenge does not match previously saved code verifier");
  }
  project.store.flows.delete(flow.id);
  return openSession(project, user, "oauth");
}

function matches(challenge: NonNullable<FlowState["challenge"]>, verifier: string): boolean {
  const shown = challenge.method === "plain" ? verifier : createHash("sha256").update(verifier).digest("base64url");
  const expected = Buffer.from(challenge.value);
  const given = Buffer.from(shown);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function invalid(message: string): AuthError {
  return new AuthError(400, "validation_failed", message);
}
