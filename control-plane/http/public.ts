import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { keyEncryptionKey } from "../objects/key/key-encryption-key.ts";
import { renderDocsPage } from "./docs-page.ts";
import { describeApi } from "./openapi.ts";
import { jsonAnswer, type MasterHono, problemAnswers } from "./route-parts.ts";
import { healthSchema, keySetSchema } from "./schemas.ts";
import { keyRing } from "../objects/remote.ts";

const tags = ["Public"];

const jwks = createRoute({
  method: "get",
  path: "/.well-known/jwks.json",
  tags,
  summary: "The public keys of join tickets",
  responses: { 200: jsonAnswer("RFC 7517 key set.", keySetSchema), ...problemAnswers() },
});

const health = createRoute({
  method: "get",
  path: "/health",
  tags,
  summary: "Whether the master answers",
  responses: { 200: jsonAnswer("It does.", healthSchema), ...problemAnswers() },
});

export function addPublicRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(jwks, async (context) => {
    await keyEncryptionKey(context.env);
    const ring = keyRing(context.env);
    const set = await withDeadline(ring.publishedKeys(), objectCallTimeoutMs, "the key ring");
    context.header("cache-control", "public, max-age=300");
    return context.json({ keys: [...set.keys] }, 200);
  });

  app.openapi(health, (context) => context.json({ status: "ok" as const }, 200));

  app.get("/openapi.json", (context) => {
    context.header("cache-control", "public, max-age=300");
    return context.json(describeApi(app, new URL(context.req.url).origin));
  });

  app.get("/docs", (context) => {
    const nonce = crypto.randomUUID();
    const page = renderDocsPage(describeApi(app, new URL(context.req.url).origin), nonce);
    context.header(
      "content-security-policy",
      `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'`,
    );
    return context.html(page);
  });
}
