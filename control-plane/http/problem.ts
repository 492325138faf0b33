import type { Context } from "hono";
import { type Problem, type ProblemCode, problems } from "../../protocol/index.ts";

/** Thrown by routes; answered as RFC 9457 problem+json. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors: Problem["errors"];
  readonly retryAfterSeconds: number | undefined;
  readonly explanation: Problem["explanation"];
  readonly ban: Problem["ban"];
  readonly fencedBy: Problem["fencedBy"];

  /** `detail` is fit for the caller: what is wrong this time and what to do. `cause` is for the log. */
  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      readonly errors?: Problem["errors"];
      readonly retryAfterSeconds?: number | undefined;
      readonly explanation?: Problem["explanation"];
      readonly ban?: Problem["ban"];
      readonly fencedBy?: Problem["fencedBy"];
      readonly cause?: unknown;
    } = {},
  ) {
    super(`${code}: ${detail}`, { cause: more.cause });
    this.code = code;
    this.detail = detail;
    this.errors = more.errors;
    this.retryAfterSeconds = more.retryAfterSeconds;
    this.explanation = more.explanation;
    this.ban = more.ban;
    this.fencedBy = more.fencedBy;
  }
}

/** The body of a problem's answer. `requestUrl` tells where this master's documentation is. */
function problemOf(error: ProblemError, requestId: string, requestUrl: string): Problem {
  const { code, detail, errors, retryAfterSeconds, explanation, ban, fencedBy } = error;
  const { status, title } = problems[code];
  return {
    type: problemType(code, new URL(requestUrl).origin),
    title,
    status,
    code,
    detail,
    requestId,
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(ban === undefined ? {} : { ban }),
    ...(fencedBy === undefined ? {} : { fencedBy }),
    ...(explanation === undefined ? {} : { explanation }),
  };
}

/** Where a code is explained. */
export function problemType(code: ProblemCode, origin: string): string {
  return `${origin}/docs#${code}`;
}

/** The answer itself. */
export function problemResponse(context: Context, error: ProblemError, requestId: string): Response {
  const problem = problemOf(error, requestId, context.req.url);
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (problem.retryAfterSeconds !== undefined) headers["retry-after"] = String(problem.retryAfterSeconds);
  if (problem.status === 401) headers["www-authenticate"] = "Bearer";
  return context.newResponse(JSON.stringify(problem), problems[error.code].status, headers);
}

/** The problem of an object's refusal. */
export function problemOfRefusal(refusal: {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly explanation?: Problem["explanation"];
  readonly ban?: Problem["ban"];
  readonly fencedBy?: Problem["fencedBy"];
}): ProblemError {
  const { code, detail, retryAfterSeconds, explanation, ban, fencedBy } = refusal;
  return new ProblemError(code, detail, { retryAfterSeconds, explanation, ban, fencedBy });
}
