import { getUser, logout, updateUser } from "./account.ts";
import { administrate } from "./admin.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { generateLink } from "./link.ts";
import { authorize, consentPath, finishAtProvider, showConsent } from "./oauth.ts";
import { describeKeySet, describeSettings, health } from "./public-info.ts";
import { signUp } from "./signup.ts";
import { grantToken } from "./token.ts";
import { verify } from "./verify.ts";

type Handler = (project: Project, request: AuthRequest) => AuthAnswer | Promise<AuthAnswer>;

const routes: ReadonlyMap<string, Readonly<Record<string, Handler>>> = new Map<string, Record<string, Handler>>([
  ["/health", { GET: () => health }],
  ["/settings", { GET: describeSettings }],
  ["/.well-known/jwks.json", { GET: describeKeySet }],
  ["/authorize", { GET: authorize }],
  [consentPath, { GET: showConsent }],
  ["/callback", { GET: finishAtProvider }],
  ["/verify", { POST: verify }],
  ["/signup", { POST: signUp }],
  ["/token", { POST: grantToken }],
  ["/user", { GET: getUser, PUT: updateUser }],
  ["/logout", { POST: logout }],
  ["/admin/users", { POST: administrate }],
  ["/admin/generate_link", { POST: generateLink }],
]);
const adminUserRoute: Readonly<Record<string, Handler>> = {
  GET: administrate,
  PUT: administrate,
  DELETE: administrate,
};

/** Paths that need no API key: browsers and verifiers reach them without one. */
export const openPaths: ReadonlySet<string> = new Set([
  "/.well-known/jwks.json",
  "/authorize",
  "/callback",
  consentPath,
]);

/** Runs the handler of a path and method; `undefined` when there is none. */
export async function dispatch(project: Project, request: AuthRequest): Promise<AuthAnswer | undefined> {
  const isAdminUser = /^\/admin\/users\/[^/]+$/.test(request.path);
  const methods = isAdminUser ? adminUserRoute : routes.get(request.path);
  if (methods === undefined) return undefined;
  const handler = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
  if (handler === undefined) return { status: 405, headers: { allow: Object.keys(methods).join(", ") } };
  return handler(project, request);
}
