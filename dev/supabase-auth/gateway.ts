import { createHash, timingSafeEqual } from "node:crypto";
import type { HttpReply, HttpRequest } from "../libsql/http-listener.ts";
import { AuthError, apiVersionHeader, describeAuthError } from "./auth-error.ts";
import type { AuthAnswer, AuthRequest, Project } from "./project.ts";
import { dispatch, openPaths } from "./routes.ts";

const basePath = "/auth/v1";

/** Browsers may call Supabase from any origin; the API key is meant to be public. */
const corsHeaders = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "X-Total-Count, Link, X-Supabase-Api-Version",
};
const preflightHeaders = {
  ...corsHeaders,
  "access-control-allow-methods": "GET, POST, PUT, DELETE",
  "access-control-allow-headers": "apikey, authorization, content-type, x-client-info, x-supabase-api-version",
  "access-control-max-age": "600",
};

/** Does what stands in front of Supabase Auth: the API key, CORS, the path prefix; and words errors. */
export async function serveAuth(project: Project, request: HttpRequest): Promise<HttpReply> {
  if (request.method === "OPTIONS") return { status: 204, headers: preflightHeaders };
  const { pathname } = request.url;
  if (!pathname.startsWith(`${basePath}/`)) return notFound();
  const path = pathname.slice(basePath.length);
  const apiKey = header(request, "apikey") ?? request.url.searchParams.get("apikey") ?? undefined;
  const isService = isSame(apiKey, project.settings.secretKey);
  if (!openPaths.has(path)) {
    if (apiKey === undefined) {
      return refuseKey("No API key found in request", "No `apikey` request header or url param was found.");
    }
    if (!isService && !isSame(apiKey, project.settings.publishableKey)) {
      return refuseKey("Invalid API key", "Double check your API key.");
    }
  }
  const forwarded = isService ? header(request, "sb-forwarded-for") : undefined;
  const authRequest: AuthRequest = {
    method: request.method,
    path,
    query: request.url.searchParams,
    authorization: request.headers.authorization,
    body: request.body,
    isService,
    address: forwarded ?? request.remoteAddress,
  };
  try {
    const answer = await dispatch(project, authRequest);
    return answer === undefined ? notFound() : encodeAnswer(answer);
  } catch (cause) {
    if (!(cause instanceof AuthError)) throw cause;
    return encodeAnswer(describeAuthError(cause, header(request, apiVersionHeader)));
  }
}

export function payloadTooLarge(): HttpReply {
  return encodeAnswer({ status: 413, body: { message: "Payload too large" } });
}

/** For an exception that no handler expected: logged here, never told. */
export function internalFailure(cause: unknown): HttpReply {
  const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  process.stderr.write(`local Supabase Auth: ${reason}\n`);
  const error = new AuthError(500, "unexpected_failure", "Unexpected failure, please check server logs");
  return encodeAnswer(describeAuthError(error, "2024-01-01"));
}

function encodeAnswer(answer: AuthAnswer): HttpReply {
  const { status, body, html } = answer;
  if (html !== undefined) {
    const headers = { "content-type": "text/html; charset=utf-8", "cache-control": "no-store", ...answer.headers };
    return { status, headers, body: html };
  }
  if (body === undefined) return { status, headers: { ...corsHeaders, ...answer.headers } };
  const headers = { ...corsHeaders, "content-type": "application/json", ...answer.headers };
  return { status, headers, body: JSON.stringify(body) };
}

function notFound(): HttpReply {
  return { status: 404, headers: { ...corsHeaders, "content-type": "text/plain" }, body: "404 page not found\n" };
}

function refuseKey(message: string, hint: string): HttpReply {
  return encodeAnswer({ status: 401, body: { message, hint } });
}

function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function isSame(given: string | undefined, expected: string | undefined): boolean {
  if (given === undefined || expected === undefined) return false;
  return timingSafeEqual(sha256(given), sha256(expected));
}

function sha256(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}
