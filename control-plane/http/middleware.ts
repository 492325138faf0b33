import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { maxReportChars } from "../domain/clusters/report-schema.ts";
import { logEvent } from "../log.ts";
import { isConfidential } from "../settings.ts";
import { shardOfToken } from "../objects/session-token.ts";
import { bearerOf } from "./identity.ts";
import { ProblemError } from "./problem.ts";
import { countRequest } from "./request-metrics.ts";
import type { MasterHono } from "./route-parts.ts";
import { maxSessionBodyBytes } from "./session-schemas.ts";

type Middleware = MiddlewareHandler<MasterHono>;

/** Longest body of a request. Stops costly parsing; a registration with its certificate fits. */
const maxBodyBytes = 16 * 1_024;

/** Names the request, in the answer and in every line of the log; a caller may bring a name of its own. */
export const nameRequest: Middleware = async (context, next) => {
  const given = context.req.header("x-request-id") ?? "";
  const requestId = /^[\w.-]{8,64}$/.test(given) ? given : crypto.randomUUID();
  context.set("requestId", requestId);
  const startedAtMs = Date.now();
  await next();
  const { status } = context.res;
  // The headers of an upgrade are not ours to change.
  if (status !== 101) context.res.headers.set("x-request-id", requestId);
  const ms = Date.now() - startedAtMs;
  countRequest(context, status, ms);
  logEvent("info", "http.request", {
    requestId,
    method: context.req.method,
    // The route, not the path: ids in it may be a player's.
    route: context.req.routePath,
    status,
    code: context.get("problem"),
    // Also in the ticket, and so in the log of the cluster that it joins.
    reservation: context.get("reservationId"),
    ms,
  });
};

const securityHeaders = [
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["strict-transport-security", "max-age=31536000"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["cache-control", "no-store"],
] as const;

/** Headers that every answer has, unless its route has set its own. */
export const secureAnswer: Middleware = async (context, next) => {
  await next();
  const { status, headers } = context.res;
  if (status === 101) return;
  for (const [name, value] of securityHeaders) if (!headers.has(name)) headers.set(name, value);
};

/** What begins like this may carry secrets, whatever follows: after the first request of an isolate, its origin with the slash that ends it. */
let confidentialPrefix = "https:";

/** Passwords and tokens do not travel in the clear; loopback is the exception. */
export const requireHttps: Middleware = (context, next) => {
  // Most requests come to the address that the one before came to, which need not be taken to pieces again.
  if (!context.req.url.startsWith(confidentialPrefix)) {
    const url = new URL(context.req.url);
    if (!isConfidential(url)) {
      throw new ProblemError(
        "HTTPS_REQUIRED",
        "Use https://. Change the password or token that was sent: it was readable on the way.",
      );
    }
    confidentialPrefix = `${url.origin}/`;
  }
  return next();
};

const corsAnswer = cors({
  origin: "*",
  allowMethods: ["GET", "POST", "PUT", "DELETE"],
  allowHeaders: ["authorization", "content-type", "idempotency-key", "x-device-id", "x-request-id"],
  exposeHeaders: ["retry-after", "x-request-id"],
  maxAge: 600,
});

/**
 * Browsers may call from any origin: authority is in the bearer token, which no browser adds by itself. A call without an
 * origin is none of a browser's, and its answer is not made twice for headers that nobody reads; but what may be cached has to be the same
 * for all.
 */
export const openToBrowsers: Middleware = (context, next) =>
  context.req.method !== "GET" && context.req.header("origin") === undefined ? next() : corsAnswer(context, next);

const longBodies: Readonly<Record<string, number>> = { heartbeat: maxReportChars, sessions: maxSessionBodyBytes };
const longBodyPath = /^\/v1\/clusters\/([^/]{1,64})\/(heartbeat|sessions)$/;

/** Refuses a body over the limit before it is parsed. What clusters say may be longer, once the sender's token has held. */
export const limitBody: Middleware = (context, next) =>
  longBodyPath.test(context.req.path) ? limitClusterBody(context, next) : limitShortBody(context, next);

const limitShortBody = bodyOfAtMost(maxBodyBytes);

const limitClusterBody: Middleware = async (context, next) => {
  const [, clusterId = "", what = ""] = longBodyPath.exec(context.req.path) ?? [];
  const token = bearerOf(context);
  const isCluster = token !== undefined && (await shardOfToken(context.env, clusterId, token)) !== undefined;
  return bodyOfAtMost((isCluster ? longBodies[what] : undefined) ?? maxBodyBytes)(context, next);
};

function bodyOfAtMost(maxSize: number): Middleware {
  const limit = bodyLimit({
    maxSize,
    onError: () => {
      throw new ProblemError("BODY_TOO_LARGE", `Send at most ${maxSize} bytes.`);
    },
  });
  return (context, next) => (announcedBytes(context.req.raw.headers) <= maxSize ? next() : limit(context, next));
}

/** How long the body will be, where that is certain: the runtime reads no more of it, and its stream need not be made to measure it. */
function announcedBytes(headers: Headers): number {
  const length = headers.get("content-length");
  return length === null || headers.has("transfer-encoding") ? Number.NaN : Number(length);
}
