import { waitUntil } from "cloudflare:workers";
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { logEvent } from "../log.ts";
import { readStoreSettings } from "../settings.ts";
import { recordPlayer } from "../store/players.ts";
import { askIdentity, requirePlayer } from "./identity.ts";
import { bodyProblems, jsonAnswer, jsonBody, type MasterHono, playerSecurity, problemAnswers } from "./route-parts.ts";
import {
  confirmationSchema,
  loginSchema,
  playerIdentitySchema,
  refreshSchema,
  sessionSchema,
  signupSchema,
} from "./schemas.ts";

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
    ...problemAnswers(...bodyProblems, ...identityProblems, "ACCOUNT_EXISTS", "WEAK_PASSWORD", "SIGNUP_DISABLED"),
  },
});

const login = createRoute({
  method: "post",
  path: "/v1/login",
  tags,
  summary: "Log in, with an account or as a new anonymous player",
  request: jsonBody(loginSchema),
  responses: {
    200: jsonAnswer("Logged in.", sessionSchema),
    ...problemAnswers(
      ...bodyProblems,
      ...identityProblems,
      "INVALID_CREDENTIALS",
      "EMAIL_NOT_CONFIRMED",
      "SIGNUP_DISABLED",
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
    ...problemAnswers(...bodyProblems, ...identityProblems, "REFRESH_TOKEN_INVALID"),
  },
});

const logout = createRoute({
  method: "post",
  path: "/v1/logout",
  tags,
  summary: "End this session",
  security: playerSecurity,
  responses: {
    204: { description: "Ended. The access token verifies until it expires; the refresh token serves no more." },
    ...problemAnswers("UNAUTHENTICATED", ...identityProblems),
  },
});

const me = createRoute({
  method: "get",
  path: "/v1/me",
  tags,
  summary: "Who the access token belongs to",
  security: playerSecurity,
  responses: {
    200: jsonAnswer("The player.", playerIdentitySchema),
    ...problemAnswers("UNAUTHENTICATED", "IDENTITY_UNAVAILABLE"),
  },
});

export function addPlayerRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(signup, async (context) => {
    const result = await askIdentity(context, (provider) => provider.signUp(context.req.valid("json")));
    if (result.kind === "confirmation-required") return context.json({ status: result.kind }, 202);
    notePlayer(context, result.tokens);
    return context.json(result.tokens, 201);
  });

  app.openapi(login, async (context) => {
    const body = context.req.valid("json");
    const tokens = await askIdentity(context, (provider) =>
      "anonymous" in body
        ? provider.signInAnonymously({ displayName: body.displayName })
        : provider.signInWithPassword(body),
    );
    notePlayer(context, tokens);
    return context.json(tokens, 200);
  });

  app.openapi(refresh, async (context) => {
    const { refreshToken } = context.req.valid("json");
    return context.json(await askIdentity(context, (provider) => provider.refresh(refreshToken)), 200);
  });

  app.openapi(logout, async (context) => {
    const { token } = await requirePlayer(context);
    await askIdentity(context, (provider) => provider.logout(token));
    return context.body(null, 204);
  });

  app.openapi(me, async (context) => {
    const { playerId: id, email, anonymous, displayName } = await requirePlayer(context);
    return context.json({ id, email, anonymous, displayName }, 200);
  });
}

/** Keeps the record behind the answer: nobody waits for the database to play. */
function notePlayer(context: Context<MasterHono>, { player }: PlayerSessionTokens): void {
  const requestId = context.get("requestId");
  const { id, displayName } = player;
  const note = async (): Promise<void> => {
    try {
      await recordPlayer(readStoreSettings(context.env), { id, displayName, nowMs: Date.now() });
    } catch (error) {
      logEvent("warn", "players.not_recorded", { requestId, playerId: id, error });
    }
  };
  waitUntil(note());
}
