import { waitUntil } from "cloudflare:workers";
import type { Context } from "hono";
import { type AccessTokenClaims, verifyAccessToken } from "../../auth/access-token.ts";
import { IdentityError, type IdentityProvider } from "../../auth/identity.ts";
import type { PublicKeySet } from "../../auth/key-set.ts";
import { createSupabaseIdentity } from "../../auth/supabase.ts";
import { createSupabaseKeySet, supabaseIssuer } from "../../auth/supabase-keys.ts";
import { logEvent } from "../log.ts";
import { readIdentitySettings } from "../settings.ts";
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
  const { url, publishableKey } = readIdentitySettings(context.env);
  const verdict = await verifyAccessToken(token, keySetOf(url, publishableKey), {
    issuer: supabaseIssuer(url),
    now: Math.floor(Date.now() / 1_000),
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

function keySetOf(url: string, publishableKey: string): PublicKeySet {
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
  ask: (provider: IdentityProvider) => Promise<T>,
): Promise<T> {
  const { url, publishableKey } = readIdentitySettings(context.env);
  const clientAddress = context.req.header("cf-connecting-ip");
  try {
    return await ask(createSupabaseIdentity({ url, publishableKey, clientAddress }));
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const { retryAfterSeconds, cause } = error;
    throw new ProblemError(error.code, error.message, { retryAfterSeconds, cause });
  }
}
