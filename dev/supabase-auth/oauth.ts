import { randomUUID } from "node:crypto";
import { AuthError } from "./auth-error.ts";
import { renderConsent } from "./consent-page.ts";
import type { FlowState } from "./flow-store.ts";
import { parseEmail } from "./parameters.ts";
import { parseChallenge } from "./pkce.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { allowedRedirect } from "./redirect.ts";
import { openSession } from "./session.ts";
import { adoptIdentity, confirmEmail, createProvidedUser, isBanned, type OtherIdentity, type User } from "./user.ts";

/** Where a provider's own page would be. */
export const consentPath = "/stand-in/consent";

/** `GET /authorize`: the browser is sent to the provider, here to a page of this server's. */
export function authorize(project: Project, request: AuthRequest): AuthAnswer {
  const { query } = request;
  const provider = query.get("provider") ?? "";
  if (!project.settings.oauthProviders.includes(provider)) {
    throw new AuthError(400, "validation_failed", "Unsupported provider: provider is not enabled");
  }
  const flow: FlowState = {
    id: randomUUID(),
    provider,
    challenge: parseChallenge(query),
    redirectTo: allowedRedirect(project.settings, query.get("redirect_to") ?? ""),
    authCode: randomUUID(),
    userId: null,
    createdAt: project.clock(),
  };
  project.store.flows.prune(project.clock());
  project.store.flows.save(flow);
  return redirect(`${project.settings.issuer}${consentPath}?state=${flow.id}`);
}

/** The page where one chooses who to be: stands for the provider's. */
export function showConsent(project: Project, request: AuthRequest): AuthAnswer {
  const flow = findFlow(project, request);
  return { status: 200, html: renderConsent(flow, `${project.settings.issuer}/callback`) };
}

/**
 * `GET /callback?state=&code=`: the browser comes back from the provider. The `code` of this one is the address of who it is
 * to be. With a challenge, the browser goes on with a code for its client, otherwise with the tokens themselves.
 */
export async function finishAtProvider(project: Project, request: AuthRequest): Promise<AuthAnswer> {
  const flow = findFlow(project, request);
  try {
    const { query } = request;
    const refused = query.get("error");
    if (refused !== null) throw new AuthError(400, refused, query.get("error_description") ?? "refused");
    const user = signInFrom(project, flow.provider, parseEmail(query.get("code") ?? ""));
    if (flow.challenge === null) return await finishWithTokens(project, flow, user);
    project.store.flows.save({ ...flow, userId: user.id });
    const target = new URL(flow.redirectTo);
    target.searchParams.set("code", flow.authCode);
    return redirect(target.href);
  } catch (cause) {
    if (!(cause instanceof AuthError)) throw cause;
    return redirectError(flow, cause);
  }
}

/** The account that goes with the provider's: known, linked by its address, or made. */
function signInFrom(project: Project, provider: string, email: string): User {
  const { store, settings } = project;
  const now = project.clock();
  const providerId = `${provider}-${email}`;
  const data = { sub: providerId, provider_id: providerId, email, email_verified: true, phone_verified: false };
  const identity: OtherIdentity = {
    identityId: randomUUID(),
    provider,
    providerId,
    data,
    createdAt: now,
    updatedAt: now,
  };
  const known = store.userByIdentity(provider, providerId) ?? store.userByEmail(email);
  if (known === undefined && settings.signupDisabled) {
    throw new AuthError(422, "signup_disabled", "Signups not allowed for this instance");
  }
  if (known !== undefined && isBanned(known, now)) throw new AuthError(403, "user_banned", "User is banned");
  const user =
    known === undefined ? createProvidedUser(identity, email, now) : adoptIdentity(claim(known, now), identity, now);
  store.saveUser(user);
  return user;
}

/** An account that nobody confirmed may be a stranger's who waits for the owner: its password goes. */
function claim(user: User, now: number): User {
  if (user.emailConfirmedAt !== null) return user;
  return confirmEmail({ ...user, passwordHash: null, emailIdentity: null }, now);
}

async function finishWithTokens(project: Project, flow: FlowState, user: User): Promise<AuthAnswer> {
  project.store.flows.delete(flow.id);
  const { body } = await openSession(project, user, "oauth");
  const tokens: Record<string, unknown> = { ...Object(body) };
  const fragment = new URLSearchParams();
  for (const name of ["access_token", "expires_at", "expires_in", "refresh_token", "token_type"]) {
    fragment.set(name, String(tokens[name]));
  }
  return redirect(`${flow.redirectTo}#${fragment.toString()}`);
}

function findFlow(project: Project, request: AuthRequest): FlowState {
  const flow = project.store.flows.byId(request.query.get("state") ?? "");
  if (flow === undefined || flow.userId !== null) {
    throw new AuthError(400, "bad_oauth_state", "OAuth state is invalid or has been used");
  }
  if (project.clock() > flow.createdAt + project.settings.flowLifetimeSeconds * 1_000) {
    throw new AuthError(400, "bad_oauth_state", "OAuth state has expired");
  }
  return flow;
}

function redirectError(flow: FlowState, error: AuthError): AuthAnswer {
  const words = { error: error.status >= 500 ? "server_error" : "access_denied", error_code: error.code };
  const fields = new URLSearchParams({ ...words, error_description: error.message });
  const target = new URL(flow.redirectTo);
  if (flow.challenge !== null) for (const [name, value] of fields) target.searchParams.set(name, value);
  target.hash = fields.toString();
  return redirect(target.href);
}

function redirect(location: string): AuthAnswer {
  return { status: 302, headers: { location, "cache-control": "no-store" } };
}
