import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { oauthFinishSchema, oauthStartedSchema, oauthStartSchema } from "./account-schemas.ts";
import { limitAttempt } from "./limits.ts";
import { logIn, startOAuth } from "./login-providers.ts";
import { admitLogin } from "./standing.ts";
import { notePlayer } from "./player-record.ts";
import { bodyProblems, jsonAnswer, jsonBody, type MasterHono, problemAnswers } from "./route-parts.ts";
import { sessionSchema } from "./schemas.ts";

const tags = ["Players"];
const oauthProblems = [...bodyProblems, "RATE_LIMITED", "IDENTITY_UNAVAILABLE", "SWITCHED_OFF"] as const;

const start = createRoute({
  method: "post",
  path: "/v1/login/oauth/start",
  tags,
  summary: "Begin a login in the browser",
  description:
    "OAuth 2 with PKCE, S256. Keep `codeVerifier`, open `url` in the player's browser, and wait at `redirectTo`: the browser comes back with `code` in the query, or with `error` and `error_description`. The whole has to be done within five minutes.",
  request: jsonBody(oauthStartSchema),
  responses: {
    200: jsonAnswer("Where the browser has to go.", oauthStartedSchema),
    ...problemAnswers(...oauthProblems),
  },
});

const finish = createRoute({
  method: "post",
  path: "/v1/login/oauth/finish",
  tags,
  summary: "Finish a login in the browser",
  description: "A code serves once, and only with the `codeVerifier` of the start that it comes from.",
  request: jsonBody(oauthFinishSchema),
  responses: {
    200: jsonAnswer("Logged in.", sessionSchema),
    ...problemAnswers(...oauthProblems, "PROVIDER_TOKEN_INVALID", "BANNED", "REFRESH_TOKEN_INVALID"),
  },
});

export function addOAuthRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(start, async (context) => {
    await limitAttempt(context, "login");
    return context.json(await startOAuth(context, context.req.valid("json")), 200);
  });

  app.openapi(finish, async (context) => {
    await limitAttempt(context, "login");
    const tokens = await logIn(context, "oauth", context.req.valid("json"));
    await admitLogin(context, tokens);
    notePlayer(context, tokens.player);
    return context.json(tokens, 200);
  });
}
