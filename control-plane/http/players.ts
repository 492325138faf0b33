import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { createSupabaseIdentity } from "../../auth/supabase.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { addAccountRoutes } from "./account.ts";
import { loginSchema } from "./account-schemas.ts";
import { askIdentity, requirePlayer } from "./identity.ts";
import { limitAttempt } from "./limits.ts";
import { logIn, requireMethod } from "./login-providers.ts";
import { addOAuthRoutes } from "./oauth.ts";
import { notePlayer } from "./player-record.ts";
import { bodyProblems, jsonAnswer, jsonBody, type MasterHono, playerSecurity, problemAnswers } from "./route-parts.ts";
import { admitLogin, requireLiveLogin, signOutEverywhere } from "./standing.ts";
import { confirmationSchema, playerIdentitySchema, refreshSchema, sessionSchema, signupSchema } from "./schemas.ts";

const tags = ["Players"];
const identityProblems = ["RATE_LIMITED", "IDENTITY_UNAVAILABLE"] as const;

const signup = createRoute({
  method: "post",
  path: "/v1/signup",
  tags,
  summary: "Make an account",
  request: jsonBody(signupSchema),
  responses: {
    201: jsonAnswer("The account is made and logged in.", sessionSchema),
    202: jsonAnswer("The account waits for its e-mail address to be confirmed.", confirmationSchema),
    ...problemAnswers(
      ...bodyProblems,
      ...identityProblems,
      "ACCOUNT_EXISTS",
      "WEAK_PASSWORD",
      "SIGNUP_DISABLED",
      "SWITCHED_OFF",
    ),
  },
});

const login = createRoute({
  method: "post",
  path: "/v1/login",
  tags,
  summary: "Log in: with an account, as a new anonymous player, or with another service's token",
  description:
    "Attempts are limited by address, by account, and by the device that the header `x-device-id` names, if one does (8 to 128 letters, digits, `.`, `:`, `_` and `-`). For logins in the browser see `POST /v1/login/oauth/start`.",
  request: jsonBody(loginSchema),
  responses: {
    200: jsonAnswer("Logged in.", sessionSchema),
    ...problemAnswers(
      ...bodyProblems,
      ...identityProblems,
      "INVALID_CREDENTIALS",
      "EMAIL_NOT_CONFIRMED",
      "SIGNUP_DISABLED",
      "SWITCHED_OFF",
      "PROVIDER_TOKEN_INVALID",
      "PROVIDER_BANNED",
      "BANNED",
      // A login of the second in which the player was signed out. [SEC-75]
      "REFRESH_TOKEN_INVALID",
    ),
  },
});

const refresh = createRoute({
  method: "post",
  path: "/v1/refresh",
  tags,
  summary: "Get new tokens; a refresh token serves once",
  request: jsonBody(refreshSchema),
  responses: {
    200: jsonAnswer("New tokens.", sessionSchema),
    ...problemAnswers(...bodyProblems, ...identityProblems, "REFRESH_TOKEN_INVALID", "BANNED"),
  },
});

const logout = createRoute({
  method: "post",
  path: "/v1/logout",
  tags,
  summary: "End this session, or all of them",
  description:
    "`here` ends this login alone, and who plays plays on. `everywhere` ends every login, session and ticket of the player; it holds even if the identity service cannot be reached.",
  security: playerSecurity,
  request: { query: z.strictObject({ scope: z.enum(["here", "everywhere"]).default("here") }) },
  responses: {
    204: { description: "Ended. The access token verifies until it expires; the refresh token serves no more." },
    ...problemAnswers("INVALID_FIELD", "UNAUTHENTICATED", ...identityProblems),
  },
});

const me = createRoute({
  method: "get",
  path: "/v1/me",
  tags,
  summary: "Who the access token belongs to",
  description:
    "A token that verifies is refused with `UNAUTHENTICATED` once the account has been deleted, or its login ended by a sign-out everywhere; one whose session was ended by `scope=here` is not, until it expires.",
  security: playerSecurity,
  responses: {
    200: jsonAnswer("The player.", playerIdentitySchema),
    ...problemAnswers("UNAUTHENTICATED", "IDENTITY_UNAVAILABLE"),
  },
});

export function addPlayerRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(signup, async (context) => {
    const account = context.req.valid("json");
    requireMethod(context, "password");
    await limitAttempt(context, "signup", account.email);
    const result = await askIdentity(context, (project) => createSupabaseIdentity(project).signUp(account));
    if (result.kind === "confirmation-required") return context.json({ status: result.kind }, 202);
    notePlayer(context, result.tokens.player);
    return context.json(result.tokens, 201);
  });

  app.openapi(login, async (context) => {
    const tokens = await logInBy(context, context.req.valid("json"));
    await admitLogin(context, tokens);
    notePlayer(context, tokens.player);
    return context.json(tokens, 200);
  });

  app.openapi(refresh, async (context) => {
    const { refreshToken } = context.req.valid("json");
    await limitAttempt(context, "refresh");
    const tokens = await askIdentity(context, (project) => createSupabaseIdentity(project).refresh(refreshToken));
    await admitLogin(context, tokens);
    return context.json(tokens, 200);
  });

  app.openapi(logout, async (context) => {
    const player = await requirePlayer(context);
    const { token } = player;
    if (context.req.valid("query").scope === "everywhere") {
      await signOutEverywhere(context, player);
      return context.body(null, 204);
    }
    await askIdentity(context, (project) => createSupabaseIdentity(project).logout(token));
    return context.body(null, 204);
  });

  app.openapi(me, async (context) => {
    const { playerId: id, email, anonymous, displayName, authenticatedAt } = await requirePlayer(context);
    await requireLiveLogin(context, { playerId: id, authenticatedAt });
    return context.json({ id, email, anonymous, displayName }, 200);
  });

  addOAuthRoutes(app);
  addAccountRoutes(app);
}

async function logInBy(context: Context<MasterHono>, body: z.infer<typeof loginSchema>): Promise<PlayerSessionTokens> {
  if ("anonymous" in body) {
    await limitAttempt(context, "signup");
    return logIn(context, "anonymous", body);
  }
  if ("email" in body) {
    await limitAttempt(context, "login", body.email);
    return logIn(context, "password", body);
  }
  await limitAttempt(context, "login");
  return body.provider === "supabase" ? logIn(context, "supabase", body) : logIn(context, body.provider, body);
}
