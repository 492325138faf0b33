import { waitUntil } from "cloudflare:workers";
import type { Context } from "hono";
import { type AccessTokenClaims, verifyAccessToken } from "../../auth/access-token.ts";
import { IdentityError } from "../../auth/identity.ts";
import type { PublicKeySet } from "../../auth/key-set.ts";
import type { SupabaseOptions } from "../../auth/supabase-call.ts";
import { createSupabaseKeySet, supabaseIssuer } from "../../auth/supabase-keys.ts";
import { logEvent } from "../log.ts";
import { readIdentitySettings } from "../settings.ts";
import { clientAddress } from "./limits.ts";
import { ProblemError } from "./problem.ts";
import type { MasterHono } from "./route-parts.ts";

const keySets = new Map<string, PublicKeySet>();

/** The bearer token of a request, or `undefined`. */
export function bearerOf(context: Context<MasterHono>): string | undefined {
  return /^Bearer ([\w.~+/=-]{1,8192})$/i.exec(context.req.header("authorization") ?? "")?.[1];
}

/** The player who calls. @throws ProblemError `UNAUTHENTICATED`, `IDENTITY_UNAVAILABLE` */
export async function requirePlayer(
  context: Context<MasterHono>,
): Promise<AccessTokenClaims & { readonly token: string }> {
  const token = bearerOf(context);
  if (token === undefined) {
    throw new ProblemError("UNAUTHENTICATED", "Send the access token of POST /v1/login as Authorization: Bearer.");
  }
  const { url, publishableKey, reservedEmailDomain } = readIdentitySettings(context.env);
  const verdict = await verifyAccessToken(token, supabaseKeys({ url, publishableKey }), {
    issuer: supabaseIssuer(url),
    now: Math.floor(Date.now() / 1_000),
    reservedEmailDomain,
  });
  if (verdict.ok) return { ...verdict.claims, token };
  logEvent("info", "identity.token_refused", { requestId: context.get("requestId"), detail: verdict.detail });
  if (verdict.code === "IDENTITY_UNAVAILABLE") {
    throw new ProblemError(verdict.code, "Access tokens cannot be checked now. Try again shortly.", {
      retryAfterSeconds: 5,
    });
  }
  throw new ProblemError(verdict.code, "The access token is not valid, or has expired. Refresh it or log in again.");
}

/** The keys of the project's access tokens, cached for this isolate. */
export function supabaseKeys(project: Pick<SupabaseOptions, "url" | "publishableKey">): PublicKeySet {
  const { url, publishableKey } = project;
  let keys = keySets.get(url);
  if (keys === undefined) {
    keys = createSupabaseKeySet({
      url,
      publishableKey,
      now: Date.now,
      onError: (error) => logEvent("warn", "identity.keys_unavailable", { error }),
      keepAlive: waitUntil,
    });
    keySets.set(url, keys);
  }
  return keys;
}

/** Asks the identity service, on behalf of the caller's address. @throws ProblemError */
export async function askIdentity<T>(
  context: Context<MasterHono>,
  ask: (project: SupabaseOptions) => Promise<T>,
): Promise<T> {
  const project = { ...readIdentitySettings(context.env), clientAddress: clientAddress(context) };
  try {
    return await ask(project);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const { retryAfterSeconds, cause } = error;
    throw new ProblemError(error.code, error.message, { retryAfterSeconds, cause });
  }
}
