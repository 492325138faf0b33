import { waitUntil } from "cloudflare:workers";
import type { Context } from "hono";
import type { OnDisplaced } from "../../auth/foreign-sessions.ts";
import type { PublicKeySet } from "../../auth/key-set.ts";
import { createAnonymousProvider } from "../../auth/providers/anonymous.ts";
import { createEpicKeySet, createEpicProvider } from "../../auth/providers/epic.ts";
import { createOAuthProvider, type OAuthProvider } from "../../auth/providers/oauth-pkce.ts";
import { createPasswordProvider } from "../../auth/providers/password.ts";
import type { LoginMethod, LoginProofs, LoginProvider } from "../../auth/providers/provider.ts";
import { createSteamProvider } from "../../auth/providers/steam.ts";
import { createSupabaseTokenProvider } from "../../auth/providers/supabase-token.ts";
import type { SupabaseAdminOptions, SupabaseOptions } from "../../auth/supabase-call.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { readEpicSettings, readLoginMethods, readOAuthSettings, readSteamSettings } from "../identity-settings.ts";
import { logEvent } from "../log.ts";
import { SettingError } from "../settings.ts";
import { askIdentity, supabaseKeys } from "./identity.ts";
import { ProblemError } from "./problem.ts";
import type { MasterHono } from "./route-parts.ts";

/** How each way to log in is made of the settings. @throws SettingError */
const makers: { readonly [M in LoginMethod]: (env: Env, project: SupabaseOptions) => LoginProvider<M> } = {
  password: (_env, project) => createPasswordProvider(project),
  anonymous: (_env, project) => createAnonymousProvider(project),
  supabase: (_env, project) => createSupabaseTokenProvider({ project, keys: supabaseKeys(project), now: nowSeconds }),
  oauth: (env, project) => oauthProvider(env, project),
  steam: (env, project) =>
    createSteamProvider({ steam: readSteamSettings(env), project: withSecretKey(project), onDisplaced }),
  epic: (env, project) => {
    const { keySetUrl, ...epic } = readEpicSettings(env);
    const keys = epicKeys(keySetUrl);
    return createEpicProvider({ epic, keys, project: withSecretKey(project), now: nowSeconds, onDisplaced });
  },
};

/** Logs a player in. @throws ProblemError, `SWITCHED_OFF` among others */
export async function logIn<M extends LoginMethod>(
  context: Context<MasterHono>,
  method: M,
  proof: LoginProofs[M],
): Promise<PlayerSessionTokens> {
  context.set("loginMethod", method);
  requireMethod(context, method);
  return askIdentity(context, (project) => makers[method](context.env, project).login(proof));
}

/** Begins a login in the browser. @throws ProblemError */
export async function startOAuth(context: Context<MasterHono>, request: Parameters<OAuthProvider["start"]>[0]) {
  requireMethod(context, "oauth");
  return askIdentity(context, (project) => oauthProvider(context.env, project).start(request));
}

/** @throws ProblemError `SWITCHED_OFF` */
export function requireMethod(context: Context<MasterHono>, method: LoginMethod): void {
  const methods = readLoginMethods(context.env);
  if (methods.includes(method)) return;
  const known = methods.join(", ");
  throw new ProblemError("SWITCHED_OFF", `This way of logging in is switched off here. Switched on: ${known}.`);
}

/** The project with its secret key. @throws SettingError */
function withSecretKey(project: SupabaseOptions): SupabaseAdminOptions {
  const { secretKey } = project;
  if (secretKey === undefined) throw new SettingError("SUPABASE_SECRET_KEY", "a secret key of the project");
  return { ...project, secretKey };
}

function oauthProvider(env: Env, project: SupabaseOptions): OAuthProvider {
  return createOAuthProvider({ project, ...readOAuthSettings(env) });
}

const epicKeySets = new Map<string | undefined, PublicKeySet>();

function epicKeys(url: string | undefined): PublicKeySet {
  let keys = epicKeySets.get(url);
  if (keys === undefined) {
    const onError = (error: unknown) => logEvent("warn", "identity.epic_keys_unavailable", { error });
    keys = createEpicKeySet({ url, now: Date.now, onError, keepAlive: waitUntil });
    epicKeySets.set(url, keys);
  }
  return keys;
}

/** Whoever sat there knew whose address it was: somebody to look at. */
const onDisplaced: OnDisplaced = (displaced) => logEvent("warn", "identity.displaced", displaced);

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
